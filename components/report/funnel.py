"""The way of the data as a table: per stage what came in, what was left out by reason, what was written. Reads the stages' own counts."""

from collections.abc import Mapping
from typing import Any, NamedTuple

ORDER = ("generate", "collect", "download", "extract", "curate", "compose")
NO_SETS = ("dropped", "suspects")
"""Files that curate writes beside its problem sets."""


class Step(NamedTuple):
    """Counts of one stage, by name; what is zero is left out."""

    stage: str
    read: dict[str, int]
    dropped: dict[str, int]
    written: dict[str, int]


def funnel(stages: Mapping[str, Mapping[str, Any]]) -> list[Step]:
    """One step per stage that makes data, in the order in which data passes them."""
    found = [name for name in stages if _family(name) in ORDER]
    return [_step(name, stages[name]) for name in sorted(found, key=lambda name: ORDER.index(_family(name)))]


def _family(stage: str) -> str:
    return stage.partition("@")[0]


def _step(stage: str, measured: Mapping[str, Any]) -> Step:
    dropped = _dropped(measured)
    if _family(stage) == "extract":
        read, written = {"topics": measured["topics"]}, {"problems": measured["problems"]}
    elif _family(stage) == "curate":
        read = dict(measured["read"])
        written = {name: num for name, num in measured["written"].items() if name not in NO_SETS}
    else:
        written = {name: measured[name] for name in ("topics", "problems", "rows") if name in measured}
        read = {"drawn" if "repeats" in measured else "rows": sum(written.values()) + sum(dropped.values())}
    return Step(stage, *(dict(_most(counts)) for counts in (read, dropped, written)))


def _dropped(measured: Mapping[str, Any]) -> dict[str, int]:
    """By reason; curate counts each reason by source, and the generator passes over what it has drawn before."""
    reasons = measured["reasons"] if "reasons" in measured else measured["dropped"]
    passed = {name.replace("_", " "): measured[name] for name in ("other_split_class", "repeats") if name in measured}
    return {**{reason: sum(num.values()) if isinstance(num, Mapping) else num for reason, num in reasons.items()}, **passed}


def _most(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """What is not zero, the most first."""
    return sorted(((name, num) for name, num in counts.items() if num), key=lambda pair: (-pair[1], pair[0]))
