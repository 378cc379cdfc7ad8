"""What is looked at before models are fetched: commits are pinned, paths are there, and the disk holds what will be written."""

from collections.abc import Iterator
from pathlib import Path

from components.core.models import Models
from components.core.params import PARAMS
from components.core.preflight import Facts, Finding
from components.fetch.kinds.hub import COMMIT
from components.lib import checkpoint, references

GIB = 1 << 30


def check(facts: Facts) -> Iterator[Finding]:
    """All models of params.yaml."""
    yield from blanks(facts)
    yield from _disk(facts, Models.check(facts.params, facts.root / PARAMS))


def blanks(facts: Facts) -> Iterator[Finding]:
    """Commits and paths."""
    models = Models.check(facts.params, facts.root / PARAMS)
    for name, entry in models.fetch.items():
        if entry.get("kind") != "hub":
            continue
        if COMMIT.fullmatch(str(entry.get("revision"))):
            yield Finding("ok", "revision", str(entry["revision"]), f"models.fetch.{name}")
        else:
            cure = f"write the commit of {entry.get('repo')} (40 hexadecimal digits, in the history of its page on the hub)"
            yield Finding("stop", "revision", f"{entry.get('revision') or 'null'}: {cure}", f"models.fetch.{name}")
    for name, entry in models.import_.items():
        path = entry.get("path")
        if not path or not (facts.root / path).exists():
            yield Finding("stop", "path", f"{path}: no such file or folder; write where the model lies", f"models.import.{name}")


def _disk(facts: Facts, models: Models) -> Iterator[Finding]:
    """Every model that is still to be made is about as large as the one that it starts from; a quantized one at most half."""
    made, sizes = [], {name: _bytes(facts.root / "models" / name) for name in models.origins}
    for name, origin in models.origins.items():
        if origin.start and not sizes[name] and sizes[origin.start]:
            sizes[name] = sizes[origin.start] // (2 if origin.stage.startswith("quantize@") else 1)
            made.append(name)
    wanted, free = sum(sizes[name] for name in made) / GIB, facts.free_bytes / GIB
    sums = f"{wanted:.1f} GiB for {', '.join(made) or 'no model'}, and checkpoints beside them; {free:.1f} GiB are free"
    if wanted > free:
        yield Finding("stop", "disk", f"{sums}: free some space, or move the project")
    else:
        yield Finding("warn" if 2 * wanted > free else "ok", "disk", sums)


def _bytes(model: Path) -> int:
    """Of the weights of a model that is here, wherever they lie."""
    if not model.exists():
        return 0
    return sum(file.stat().st_size for file in checkpoint.shards(references.resolve(model)))
