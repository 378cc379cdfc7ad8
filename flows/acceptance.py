"""Outputs that a change of code does not alter are kept: DVC records them with the new code, and reports/accepted.json says so.

Runs the stage `code`, so that fingerprints are of now, and no other. Refuses where anything but code differs from dvc.lock: then only a
run can tell. That the change really alters nothing is the user's word, which is why it is written down.
"""

from collections.abc import Iterable
from pathlib import Path

from components.core.errors import UserError
from components.core.runner import write_json
from flows import dvc_lock
from flows.dvc_lock import ACCEPTED, LockEntry
from flows.fork_server import ForkServer
from flows.graph import CODE, Difference, Graph
from flows.walk import run_stage


def accept(root: Path, patterns: Iterable[str]) -> list[str]:
    """Records the matching stages with today's code and the outputs that are there; returns what to tell. All or none."""
    with ForkServer() as server:
        run_stage(server, CODE, root, lambda *_: None)
    graph = Graph.read(root)
    wanted, before = graph.matching(patterns), dvc_lock.read(root)
    differences = {stage: graph.difference(stage) for stage in graph.order if stage in wanted}
    for stage, difference in differences.items():
        _check_only_code_changed(stage, difference, before)
    taken = [stage for stage, difference in differences.items() if difference.deps]
    graph.commit(taken)
    after = dvc_lock.read(root)
    _record(root, [(before[stage], after[stage]) for stage in taken])
    kept = {stage: f"{stage}: kept as it is; now {after[stage].key}, was {before[stage].key}" for stage in taken}
    return [kept.get(stage, f"{stage}: its code is the recorded one, nothing to accept") for stage in differences]


def _check_only_code_changed(stage: str, difference: Difference, entries: dict[str, LockEntry]) -> None:
    if stage not in entries:
        raise UserError(f"{stage}: dvc.lock records no run of it, so there is nothing to accept; `dvc repro {stage}` runs it")
    others = [dep for dep in difference.deps if not dvc_lock.is_code(dep)]
    others += [f"params.yaml: {key}" for key in difference.params] + (["its command in dvc.yaml"] if difference.command else [])
    if others:
        raise UserError(f"{stage}: more than its code has changed ({', '.join(others)}); `dvc repro {stage}` makes its outputs anew")
    if difference.outs:
        raise UserError(
            f"{stage}: {', '.join(difference.outs)}: not as it was made; `dvc checkout` brings it back, `dvc repro {stage}` makes it anew"
        )


def _record(root: Path, taken: Iterable[tuple[LockEntry, LockEntry]]) -> None:
    """Writes down whose outputs the entries now hold: of a chain of accepted changes, the run at its beginning."""
    known = dvc_lock.accepted(root)
    for old, new in taken:
        first = known.get(old.key, {"from": old.key, "made_with": _code(old)})
        known[new.key] = {**first, "accepted_with": _code(new)}
        if new.key == first["from"]:  # the code is again what made them
            del known[new.key]
    write_json(root / ACCEPTED, known)


def _code(entry: LockEntry) -> dict[str, str]:
    return {piece.path: piece.md5 for piece in entry.deps if dvc_lock.is_code(piece.path)}
