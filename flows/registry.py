"""The registry: which models took which exam with what credit, and which of them is the champion.

A version points at a logged model; its tags say where the bytes are (dvc.path, dvc.md5, git.commit), how the exam went, problem by problem,
and what the gate said. No weights are copied. Reads and writes the tracking store through lineage.tracking_store; makes no judgement.
"""

import json
from typing import Any, NamedTuple

from components.core.errors import UserError
from flows.dvc_lock import Artifact
from flows.lineage import CHAMPION, REGISTERED, Store, find_model, register

MAX_TAG_CHARS = 100_000  # characters in a tag of a version


class ExamScores(NamedTuple):
    """The credit per problem that a model earned on the exam with this md5; `kind` says how credit is counted."""

    md5: str
    kind: str
    credits: dict[str, float]


class Version(NamedTuple):
    """A registered model. `previous` is the champion that it followed, if it ever was champion itself."""

    number: str
    model: Artifact
    commit: str
    gate: str
    exam: ExamScores
    previous: str | None


def record_version(store: Store, model: Artifact, commit: str, exam: ExamScores) -> Version:
    """The version of this model (its path and md5), made where there is none; the exam it took is brought up to date."""
    number = next((known.number for known in versions(store) if known.model[:2] == model[:2]), None) or _create(store, model)
    credits = json.dumps({problem: round(credit, 6) for problem, credit in sorted(exam.credits.items())}, separators=(",", ":"))
    if len(credits) > MAX_TAG_CHARS:
        raise UserError(f"{len(exam.credits)} problems are too many to keep with a version of {model.path}; use a smaller exam")
    told = {"git.commit": commit, "exam.md5": exam.md5, "exam.kind": exam.kind, "exam.credits": credits}
    for key, value in told.items():
        store.client.set_model_version_tag(REGISTERED, number, key, value)
    return read(store, number)


def _create(store: Store, model: Artifact) -> str:
    logged = find_model(store, model)
    if not logged:
        raise UserError(f"{model.path} with md5 {model.md5} is not in MLflow; run `aimo lineage sync`")
    if not store.client.search_registered_models(f"name = '{REGISTERED}'"):
        store.client.create_registered_model(REGISTERED)
    tags = {"dvc.path": model.path, "dvc.md5": model.md5, "dvc.size": str(model.size), "gate": "not judged"}
    return register(store, logged, tags)


def versions(store: Store) -> list[Version]:
    """All versions, newest first."""
    found = store.client.search_model_versions(f"name = '{REGISTERED}'", max_results=1000)
    return sorted(map(_version, found), key=lambda version: -int(version.number))


def read(store: Store, number: str) -> Version:
    return _version(store.client.get_model_version(REGISTERED, number))


def _version(found: Any) -> Version:
    tags = found.tags
    model = Artifact(tags["dvc.path"], tags["dvc.md5"], int(tags["dvc.size"]))
    exam = ExamScores(tags.get("exam.md5", ""), tags.get("exam.kind", ""), json.loads(tags.get("exam.credits", "{}")))
    return Version(str(found.version), model, tags.get("git.commit", ""), tags["gate"], exam, tags.get("previous_champion") or None)


def champion(store: Store) -> Version | None:
    """The version that the alias points at."""
    registered = store.client.search_registered_models(f"name = '{REGISTERED}'")
    number = registered[0].aliases.get(CHAMPION) if registered else None
    return read(store, str(number)) if number else None


def set_champion(store: Store, version: Version) -> None:
    """Moves the alias; the champion that goes is written down first, so that there is a way back."""
    before = champion(store)
    store.client.set_model_version_tag(REGISTERED, version.number, "previous_champion", before.number if before else "")
    store.client.set_registered_model_alias(REGISTERED, CHAMPION, version.number)


def restore(store: Store) -> Version:
    """Sets the alias back to the champion before this one."""
    now = champion(store)
    if now is None or now.previous is None:
        raise UserError("there is no earlier champion to go back to; `aimo promote` makes one")
    store.client.set_registered_model_alias(REGISTERED, CHAMPION, now.previous)
    return read(store, now.previous)


def set_gate_result(store: Store, version: Version, gate: str) -> None:
    """Writes down what the gate said."""
    store.client.set_model_version_tag(REGISTERED, version.number, "gate", gate)
