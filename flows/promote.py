"""The gate: which of the models that took the exam becomes the champion, and on what evidence.

Reads dvc.lock, the marked exams (exam_scores.py) and the registry. Writes versions and the alias `champion` in the registry, and
reports/promotion.json. The unit is the problem: differences are paired, problem by problem. A candidate
must not be worse than the model it was made from, and then be better than the champion, or no worse and smaller. Undecided moves nothing.
Does not know how exams are run, and runs none.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from components.core.errors import UserError
from components.core.models import Exam
from components.core.params import PARAMS, Config
from components.core.runner import write_json
from components.lib.statistics import Paired, Verdict, holm, paired, sign_flip, verdict
from flows import dvc_lock, exam_scores, lineage, registry
from flows.dvc_lock import Artifact, LockEntry
from flows.registry import Version

REPORT = Path("reports/promotion.json")
Gate = Literal["start", "champion", "base"]
log = logging.getLogger(__name__)


class Promote(Config, section="promote"):
    """Whom to consider and how sure to be."""

    challengers: list[str]
    """Who takes the exam, in order of preference; the first that passes becomes champion."""
    baseline: str
    """Whom the first champion must beat."""
    strategy: str
    """How an exam is scored: `majority` by exact maj@k of the candidates, any other by its vote, right or wrong."""
    k: int
    """k of maj@k; a problem with fewer attempts counts all of them."""
    margin: float
    """A mean credit this much lower still is "not worse"."""
    confidence: float
    resamples: int
    seed: int


class GateComparison(NamedTuple):
    """One comparison on the problems of the exam; `found` is None where the two took different exams. `p_value`s are Holm's."""

    gate: Gate
    candidate: str
    against: str
    found: Paired | None
    verdict: Verdict
    passed: bool
    note: str


class Promotion(NamedTuple):
    """What the gate did: `promoted` names the new champion's model, or is None; `champion` is the alias's version afterwards."""

    promoted: str | None
    champion: str | None
    reason: str
    comparisons: list[GateComparison]


class _Pair(NamedTuple):
    gate: Gate
    candidate: Version
    against: Version


def register(root: Path, uri: str | None = None) -> dict[str, Version]:
    """A version for each model that took the exam, by name; a model that is registered already only has its exam brought up to date."""
    config, entries = Promote.load(root / PARAMS), dvc_lock.read(root)
    lineage.sync(root, uri, strict=True)
    head, held = dvc_lock.commit(root)
    found = {}
    with lineage.tracking_store(root, uri) as store:
        for name in Exam.load(root / PARAMS).examinees:
            if f"vote@{name}" in entries:
                scores = exam_scores.read(root, entries[f"vote@{name}"], config.strategy, config.k)
                model, maker = _examined(entries, name)
                found[name] = registry.record_version(store, model, head if maker.key in held else f"{head}-dirty", scores)
        for version in registry.versions(store):
            if version.model.path not in {one.model.path for one in found.values()}:
                registry.set_gate_result(store, version, "takes the exam no more")
    return found


def promote(root: Path, uri: str | None = None) -> Promotion:
    """Judges the candidates and moves the alias if one of them deserves it; logs and writes the table of comparisons."""
    config, entries = Promote.load(root / PARAMS), dvc_lock.read(root)
    versions = register(root, uri)
    with lineage.tracking_store(root, uri) as store:
        reigning = registry.champion(store)
        first = _judge([_Pair("start", _of(versions, name), _start(versions, entries, name)) for name in config.challengers], config)
        passed = [versions[name] for name, judged in zip(config.challengers, first, strict=True) if judged.passed]
        against = reigning or _of(versions, config.baseline)
        second = _judge([_Pair("champion" if reigning else "base", one, against) for one in passed if one.number != against.number], config)
        winner = _choose_champion(passed, second, reigning)
        for version in map(versions.__getitem__, config.challengers):
            registry.set_gate_result(store, version, _said(version, [*first, *second]))
        if winner:
            registry.set_champion(store, winner)
        now = winner or reigning
    outcome = Promotion(winner and _name(winner), now and now.number, _reason(winner, reigning, passed), [*first, *second])
    write_json(root / REPORT, outcome._asdict() | {"comparisons": [_plain(judged) for judged in outcome.comparisons]})
    log.info("%s", show(outcome))
    return outcome


def rollback(root: Path, uri: str | None = None) -> Version:
    """Makes the champion before this one champion again."""
    with lineage.tracking_store(root, uri) as store:
        return registry.restore(store)


def _examined(entries: dict[str, LockEntry], name: str) -> tuple[Artifact, LockEntry]:
    """The model with which someone took the exam, and the stage that made it. Of a reference the size says nothing: 0."""
    wanted = dvc_lock.evaluated(entries[f"vote@{name}"], entries) if f"vote@{name}" in entries else None
    found = [(out, entry) for entry in entries.values() for out in entry.outs if wanted and out.path == wanted[0].path]
    if not found:
        raise UserError(f"dvc.lock records no model with which '{name}' took the exam; `dvc repro vote@{name}` makes one")
    model, maker = found[0]
    return (model._replace(size=0) if maker.stage.startswith("import@") else model), maker


def _of(versions: dict[str, Version], name: str) -> Version:
    if name not in versions:
        raise UserError(f"model '{name}' has not taken the exam; run `dvc repro vote@{name}`; there are: {', '.join(versions) or 'none'}")
    return versions[name]


def _start(versions: dict[str, Version], entries: dict[str, LockEntry], name: str) -> Version:
    maker = _examined(entries, name)[1]
    if not maker.models:
        raise UserError(f"params.yaml: promote.challengers: '{name}' was made from no other model, so there is nothing to hold it against")
    start = maker.models[0].path
    return next((one for one in versions.values() if one.model.path == start), None) or _of(versions, start.removeprefix("models/"))


def _name(version: Version) -> str:
    return version.model.path.removeprefix("models/")


def _label(version: Version) -> str:
    return f"{_name(version)} v{version.number}"


# ---- judgement ----------------------------------------------------------------------------------------------------------


def _judge(pairs: Sequence[_Pair], config: Promote) -> list[GateComparison]:
    """Every pair at once: several candidates have several chances to look good, so p-values are Holm's."""
    same = [pair.candidate.exam[:2] == pair.against.exam[:2] for pair in pairs]
    differences = [_differences(pair) if ok else [] for pair, ok in zip(pairs, same, strict=True)]
    taken = [d for d in differences if d]
    equal = iter(holm([sign_flip(d, config.resamples, config.seed) for d in taken]))
    inferior = iter(holm([sign_flip([x + config.margin for x in d], config.resamples, config.seed) for d in taken]))
    judged = []
    for pair, d in zip(pairs, differences, strict=True):
        judged.append(_compared(pair, d, next(equal), next(inferior), config) if d else _incomparable(pair))
    return judged


def _differences(pair: _Pair) -> list[float]:
    mine, theirs = pair.candidate.exam.credits, pair.against.exam.credits
    return [mine[problem] - theirs[problem] for problem in sorted(mine)]


def _compared(pair: _Pair, d: list[float], equal: float, inferior: float, config: Promote) -> GateComparison:
    """The interval's verdict, taken back a step where the permutation test is not as sure (a few problems moved: bootstraps flatter)."""
    alpha = 1 - config.confidence
    found = paired(d, config.confidence, config.resamples, config.seed)._replace(p_value=equal)
    said = verdict(found, config.margin)
    if said == "better" and equal > alpha:
        said = "not worse"
    if said in ("better", "not worse") and inferior > alpha:
        said = "undecided"
    passed, note = _enough(pair, said)
    return GateComparison(pair.gate, _name(pair.candidate), _label(pair.against), found, said, passed, note)


def _enough(pair: _Pair, said: Verdict) -> tuple[bool, str]:
    if pair.gate == "start":
        return said in ("better", "not worse"), ""
    if pair.gate == "champion" and said == "not worse":
        smaller = 0 < pair.candidate.model.size < pair.against.model.size
        return smaller, "and smaller" if smaller else "and no smaller: nothing is gained"
    return said == "better", ""


def _incomparable(pair: _Pair) -> GateComparison:
    theirs = pair.against.exam
    note = (
        f"took another exam ({theirs.kind or 'none'} on md5 {theirs.md5 or 'none'}): let version {pair.against.number} "
        f"(git {pair.against.commit}) take this one and `aimo register` it"
    )
    return GateComparison(pair.gate, _name(pair.candidate), _label(pair.against), None, "undecided", False, note)


def _choose_champion(passed: Sequence[Version], second: Sequence[GateComparison], reigning: Version | None) -> Version | None:
    """The first in order of preference; a champion that is preferred to all who could follow it stays."""
    won = {judged.candidate for judged in second if judged.passed}
    for version in passed:
        if reigning and version.number == reigning.number:
            return None
        if _name(version) in won:
            return version
    return None


def _said(version: Version, judged: Sequence[GateComparison]) -> str:
    return "; ".join(_line(one) for one in judged if one.candidate == _name(version)) or "not judged"


def _reason(winner: Version | None, reigning: Version | None, passed: Sequence[Version]) -> str:
    if winner:
        return f"{_name(winner)} is champion (version {winner.number})"
    if not passed:
        return "no candidate is shown to be as good as the model it was made from"
    if reigning and reigning.number == passed[0].number:
        return f"{_name(reigning)} is champion already (version {reigning.number})"
    return f"no candidate is shown to be good enough to follow {'version ' + reigning.number if reigning else 'the baseline'}"


def _plain(judged: GateComparison) -> dict[str, object]:
    return judged._asdict() | {"found": judged.found and judged.found._asdict()}


def show(outcome: Promotion) -> str:
    """The comparisons, one a line, and what came of them."""
    return "\n".join([*(f"{one.candidate:10} {_line(one)}" for one in outcome.comparisons), outcome.reason])


def _line(one: GateComparison) -> str:
    numbers = "no comparison"
    if one.found:
        numbers = f"{one.found.difference:+.3f} ({one.found.low:+.3f} to {one.found.high:+.3f}, p {one.found.p_value:.3f})"
    return f"against {one.gate} {one.against}: {one.verdict} {numbers} {one.note}".rstrip()
