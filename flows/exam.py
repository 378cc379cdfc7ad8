"""`aimo exam`: a model and problems, as words of the command line, become an overlay; afterwards the results are a table.

Reads infra/benchmarks.yaml; writes .aimo/exam.yaml, which lies over the profile `exam` and the recipes in params.yaml as any overlay does.
A model or set of the hub is pinned by the commit that is found; one that params.yaml has already is kept, so that the same words are the
same exam. Runs nothing: the part of the graph is subgraphs' `exam`.
"""

import io
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from components.core import overlays
from components.core.errors import UserError
from components.core.machine import redact_url
from components.core.params import PARAMS, did_you_mean, read
from components.core.runner import HOME
from flows.promote import Promote
from flows.walk import Flow

BENCHMARKS = Path("infra/benchmarks.yaml")
OVERLAY = HOME / "exam.yaml"
PROFILE, ASKED = "exam", "exam-tir"
COMMIT = re.compile(r"[0-9a-f]{40}")
HUB = re.compile(r"(?P<repo>\w[\w.-]*/\w[\w.-]*)(@(?P<revision>[\w./-]+))?")
NOT_STATED = "not stated"
"""The licence of rows in a file of one's own."""
HUB_S = 20.0


class ExamRequest(NamedTuple):
    """What the command was told."""

    model: str
    problems: str
    attempts: int | None
    limit: int | None
    tokenizer: Path | None
    engine: str | None
    profiles: list[str]
    recipes: list[str]


class Examined(NamedTuple):
    """A model as params.yaml has it."""

    name: str
    group: Literal["fetch", "import"]
    entry: dict[str, Any]
    url: str | None = None


def prepare(root: Path, request: ExamRequest) -> list[Path]:
    """Writes the overlay, and params.yaml with it; returns the files that it lies over. Raises UserError before anything is written."""
    below = [*request.profiles, PROFILE, *request.recipes]
    params, earlier = overlays.merged(below, root).params, read(root / PARAMS) if (root / PARAMS).exists() else {}
    model = _model(request, params["models"], earlier)
    sources = dict(_sources(request, read(root / BENCHMARKS), earlier))
    text = "".join(f"{name}: {value}\n" for name, value in _sections(request, model, sources, params).items())
    (root / HOME).mkdir(exist_ok=True)
    partial, words = root / HOME / ".exam.yaml.partial", f"--model {redact_url(request.model)} --problems {request.problems}"
    partial.write_text(f"# Written by `aimo exam {words}`\n{text}", encoding="utf-8")
    partial.replace(root / OVERLAY)
    return overlays.use([*below, str(root / OVERLAY)], root, [Promote, Flow])


def _sections(request: ExamRequest, model: Examined, sources: Mapping[str, Mapping[str, Any]], params: Mapping[str, Any]) -> dict[str, str]:
    """The overlay, section by section, as YAML."""
    plan = _plan(request, {**params["solve"]["common"], **params["solve"][ASKED]}["plan"])
    num = sum(count for _, count, *_ in plan["attempts"]) if plan["kind"] == "fixed" else 1
    groups: dict[str, dict[str, Any]] = {"files": {}, "hub": {}}
    for name, entry in sources.items():
        groups["hub" if "repo" in entry else "files"][name] = entry
    sections: dict[str, Any] = {
        "models": {model.group: {model.name: model.entry}},
        "sources": groups,
        "collect": {"licences": sorted({entry["licence"] for entry in sources.values()})},
        "solve": {ASKED: {"plan": plan}, "common": {} if request.engine is None else {"engine": request.engine}},
        "report": {"k_values": [num] if num > 1 else []},
        "promote": {"challengers": [], "baseline": model.name},
    }
    if model.url is not None:
        sections["machine"] = {"engines": {"servers": {model.name: {"urls": [model.url]}}}}
    who = {model.name: {"model": model.name, "solve": ASKED, "judge": model.name}}
    return {name: _yaml(section) for name, section in sections.items()} | {"exam": f"!replace {_yaml(who)}"}


def _yaml(section: Mapping[str, Any]) -> str:
    """One line of YAML."""
    from ruamel.yaml import YAML

    yaml, text = YAML(typ="safe", pure=True), io.StringIO()
    yaml.default_flow_style, yaml.width, yaml.sort_base_mapping_type_on_output = True, sys.maxsize, False  # type: ignore[assignment]
    yaml.dump(section, text)
    return text.getvalue().strip()


def _plan(request: ExamRequest, plan: Mapping[str, Any]) -> dict[str, Any]:
    """The plan with as many attempts as were asked for."""
    if request.attempts is None:
        return dict(plan)
    if plan["kind"] != "fixed" or len(plan["attempts"]) != 1:
        raise UserError(f"--attempts: {', '.join(request.recipes)} has a plan of its own (solve.{ASKED}.plan); leave --attempts out")
    [[prompt, _, *ends]] = plan["attempts"]
    return {**plan, "attempts": [[prompt, request.attempts, *ends]]}


# ---- the model ----------------------------------------------------------------------------------------------------------


def _model(request: ExamRequest, taken: Mapping[str, Mapping[str, Any]], earlier: Mapping[str, Any]) -> Examined:
    """The entry of `models` that the word stands for, under a name that no other model has."""
    found = _examined(request, earlier)
    names = {name for group in taken.values() for name in group}
    return found._replace(name=f"{found.name}-exam") if found.name in names else found


def _examined(request: ExamRequest, earlier: Mapping[str, Any]) -> Examined:
    word, path = request.model, Path(request.model)
    if word.startswith(("http://", "https://")):
        return _served(word, request.tokenizer)
    if path.is_dir():
        return Examined(_name(path.resolve().name), "import", {"kind": "folder", "path": word})
    if path.name.endswith(".gguf") and path.is_file():
        return Examined(_name(path.stem), "import", {"kind": "gguf", "path": word, "dtype": "bfloat16", "tie_word_embeddings": False})
    hub = None if path.name.endswith(".gguf") else HUB.fullmatch(word)
    if hub is None:
        raise UserError(f"--model {word}: no such folder or file; or name OWNER/NAME[@REVISION] of the hub, or a server's http:// address")
    entries = earlier.get("models", {}).get("fetch", {}).values()
    revision = _commit(hub["repo"], hub["revision"], "model", entries, f"--model {word}: no such folder here; on the hub: ")
    return Examined(_name(hub["repo"].rpartition("/")[2]), "fetch", {"kind": "hub", "repo": hub["repo"], "revision": revision})


def _served(url: str, tokenizer: Path | None) -> Examined:
    """A running server's model: its name there, and the folder with its tokenizer, which vLLM names where it lies on this machine."""
    import httpx

    url = url.rstrip("/").removesuffix("/v1")
    key = os.environ.get("OPENAI_API_KEY", "").strip()
    shown = redact_url(url)
    try:
        reply = httpx.get(f"{url}/v1/models", headers={"Authorization": f"Bearer {key}"} if key else {}, timeout=HUB_S)
        reply.raise_for_status()
        served = reply.json()["data"][0]
        name, folder = str(served["id"]), tokenizer or Path(str(served.get("root") or ""))
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, LookupError, TypeError) as error:
        cure = "start it, mend the address, or set OPENAI_API_KEY"
        raise UserError(f"--model {shown}: no server answers {shown}/v1/models ({_line(error)}); {cure}") from None
    if not folder.is_dir() or folder == Path():
        raise UserError(f"--model {shown}: it holds '{name}'; name the folder with its tokenizer and config.json: --tokenizer FOLDER")
    entry = {"kind": "server", "served_model_name": name, "path": str(folder)}
    return Examined(_name(Path(name).name), "import", entry, url)


# ---- the problems -------------------------------------------------------------------------------------------------------


def _sources(request: ExamRequest, known: Mapping[str, Any], earlier: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The entries of `sources`, by name: a benchmark of the list, a file, or a file that stands for a name."""
    seen: set[str] = set()
    for word in request.problems.split(","):
        name, named, file = word.partition("=")
        if not named and not Path(word).exists() and word in known:
            entry = _of_hub(word, known[word], request.limit, earlier)
        else:
            path = Path(file if named else word)
            name = name if named else _name(path.name.partition(".")[0])
            entry = _of_file(path, known.get(name, {}).get("licence", NOT_STATED), request.limit, word, known)
        if name in seen:
            raise UserError(f"--problems {word}: '{name}' is there twice; name one of them otherwise: NAME=FILE")
        seen.add(name)
        yield name, entry


def _of_file(path: Path, licence: str, limit: int | None, word: str, known: Mapping[str, Any]) -> dict[str, Any]:
    if not path.exists():
        if "=" in word or "/" in word or "." in word:
            raise UserError(f"--problems {word}: {path}: no such file")
        near = did_you_mean(word, known)
        raise UserError(f"--problems {word}: no such benchmark{near}; there are: {', '.join(known)} ({BENCHMARKS}); or name a file")
    return {"kind": "problems", "use": "exam", "path": str(path), "sha256": None, "licence": licence, "limit": limit}


def _of_hub(name: str, entry: Mapping[str, Any], limit: int | None, earlier: Mapping[str, Any]) -> dict[str, Any]:
    entries = earlier.get("sources", {}).get("hub", {}).values()
    revision = _commit(entry["repo"], None, "dataset", entries, f"--problems {name}: ", f", or a copy of it here: {name}=FILE")
    rules = {"use": "exam", "on_bad_answer": "drop", "group": None, "one_per_statement": False}
    return {**entry, **rules, "revision": revision, "limit": limit}


def _commit(
    repo: str, revision: str | None, kind: Literal["model", "dataset"], earlier: Iterable[Mapping[str, Any]], where: str, cure: str = ""
) -> str:
    """The commit of a repository: the one that is named, the one that params.yaml has, or the one that the hub says."""
    kept = [entry["revision"] for entry in earlier if entry.get("repo") == repo and entry.get("revision")]
    if COMMIT.fullmatch(revision or ""):
        return str(revision)
    if revision is None and kept:
        return str(kept[0])
    import httpx
    from huggingface_hub import HfApi, errors

    try:
        return str(HfApi().repo_info(repo, revision=revision, repo_type=kind, timeout=HUB_S).sha)
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.HFValidationError) as error:
        raise UserError(
            f"{where}no {repo} at {revision or 'its newest commit'} ({_line(error)}); check the name, or set HF_TOKEN"
        ) from None
    except (errors.HfHubHTTPError, errors.OfflineModeIsEnabled, httpx.HTTPError, OSError) as error:
        pinned = "" if kind == "dataset" else f", or name a commit that its cache holds: {repo}@COMMIT (40 hex digits)"
        raise UserError(f"{where}{repo}: the hub cannot be reached ({_line(error)}); go online{cure}{pinned}") from None


def _line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200].rstrip(".")


def _name(text: str) -> str:
    """What a stage and a folder can be called."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-_") or "model"
