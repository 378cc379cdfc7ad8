"""What is looked at before problems are collected: commits are pinned, files are there, licences are on the list."""

from collections.abc import Iterator

from components.collect.source import Collect
from components.collect.sources.hub import COMMIT
from components.core.errors import UserError
from components.core.params import PARAMS
from components.core.preflight import Facts, Finding


def check(facts: Facts) -> Iterator[Finding]:
    """All sources of params.yaml."""
    yield from blanks(facts)
    path = facts.root / PARAMS
    for key in Collect.keys(facts.params, path):
        try:
            Collect.check(facts.params, path, key).check_licence()
        except UserError as error:
            yield Finding("stop", "source", str(error))


def blanks(facts: Facts) -> Iterator[Finding]:
    """Commits and paths."""
    sources = facts.params["sources"]
    for name, entry in sources["hub"].items():
        found = Finding("ok", "revision", "pinned", f"sources.hub.{name}")
        if not (facts.root / entry["repo"]).is_dir() and not COMMIT.fullmatch(str(entry["revision"])):
            cure = f"write the commit of {entry['repo']} (40 hexadecimal digits, in the history of its page on the hub)"
            found = found._replace(level="stop", says=f"{entry['revision'] or 'null'}: {cure}")
        yield found
    for name, entry in sources["files"].items():
        there = "://" in entry["path"] or (facts.root / entry["path"]).exists()
        says = "there" if there else f"{entry['path']}: no such file or folder; write where it lies"
        yield Finding("ok" if there else "stop", "path", says, f"sources.files.{name}")
