"""What is counted while a set is made: what came in, what was left out and why, and some 24 bytes on each row that could be kept.

The bytes are enough to draw the rows of a set that is too large and to describe those that stay, without holding the rows themselves.
"""

import hashlib
import heapq
from array import array
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from components.compose.kind import TrainingRow
from components.core.types import Dropped, Example, Problem
from components.lib.answers import Contest

NUM_EXAMPLES = 2
"""Rows that a card shows."""
NUM_BINS = 10
"""Classes that the contest's range, and that of pass rates, is cut into."""


class Subsample(NamedTuple):
    """Which rows stay: those whose rank is at most `max_rank`."""

    max_rank: int
    rows: int


class StatsCollector:
    """Fed row by row; `rank` decides by a hash of seed and id, so that a row's fate hangs on no other row's text."""

    def __init__(self, seed: int, contest: Contest) -> None:
        self.counts: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.by_answer_digits: dict[str, Counter[str]] = {}
        self.pass_rates: Counter[str] = Counter()
        """Problems by the tenth that their share of right attempts lies in."""
        self._seed, self._contest = seed, contest
        self._ranks, self._origins, self._chars, self._answers = array("Q"), array("L"), array("L"), array("b")
        self._known: dict[tuple[str, str, tuple[str, ...]], int] = {}
        self._shown: list[tuple[int, str, TrainingRow]] = []

    def rank(self, name: str) -> int:
        """A row's place in the draw."""
        return int.from_bytes(hashlib.sha256(f"{self._seed}/{name}".encode()).digest()[:8])

    def problem(self, rate: float | None) -> None:
        self.pass_rates["not tried" if rate is None else f"{min(int(rate * NUM_BINS), NUM_BINS - 1) / NUM_BINS:.1f}"] += 1

    def drop(self, row: Dropped, problem: Problem | None) -> None:
        self.dropped[row.reason] += 1
        if problem is not None:
            self._digits(row.reason, problem)

    def keep(self, row: TrainingRow, problem: Problem) -> None:
        rank = self.rank(row.id)
        self._digits("made", problem)
        self._ranks.append(rank)
        self._origins.append(self._known.setdefault((problem.source, problem.licence, problem.contaminated_by), len(self._known)))
        self._chars.append(sum(len(message.content) for message in completion_messages(row)))
        self._answers.append(-1 if problem.answer is None else self._class(problem.answer))
        heapq.heappush(self._shown, (-rank, row.id, row))
        if len(self._shown) > NUM_EXAMPLES:
            heapq.heappop(self._shown)

    def _digits(self, reason: str, problem: Problem) -> None:
        digits = "none" if problem.answer is None else str(len(str(problem.answer)))
        self.by_answer_digits.setdefault(digits, Counter())[reason] += 1

    def _class(self, answer: int) -> int:
        low, high = self._contest.low, self._contest.high
        return min(max((answer - low) * NUM_BINS // (high - low + 1), 0), NUM_BINS - 1)

    @property
    def num_made(self) -> int:
        """Rows that could be kept."""
        return len(self._ranks)

    def subsample(self, max_rows: int) -> Subsample:
        """The `max_rows` rows of lowest rank."""
        import numpy as np

        if len(self._ranks) <= max_rows:
            return Subsample(2**64 - 1, len(self._ranks))
        return Subsample(int(np.partition(np.frombuffer(self._ranks, np.uint64), max_rows - 1)[max_rows - 1]), max_rows)

    def stats(self, subsample: Subsample) -> dict[str, Any]:
        """The rows that stay, described: origins, benchmarks that ask them too, lengths, spread of the answers."""
        import numpy as np

        stay = np.frombuffer(self._ranks, np.uint64) <= np.uint64(subsample.max_rank)
        names = list(self._known)
        origins = [(names[place], num) for place, num in _count(np.frombuffer(self._origins, f"u{self._origins.itemsize}")[stay])]
        lengths = np.log2(np.maximum(np.frombuffer(self._chars, f"u{self._chars.itemsize}")[stay], 1)).astype(int)
        answers = _count(np.frombuffer(self._answers, np.int8)[stay])
        return {
            "rows": subsample.rows,
            "sources": _sum((source, num) for (source, _, _), num in origins),
            "licences": _sum((licence, num) for (_, licence, _), num in origins),
            "contaminated_by": _sum((name, num) for (_, _, benchmarks), num in origins for name in benchmarks),
            "characters": {f"{2**power}-{2 ** (power + 1) - 1}": num for power, num in _count(lengths)},
            "answers": {"none" if place < 0 else self._range(place): num for place, num in answers},
        }

    def _range(self, place: int) -> str:
        low, wide = self._contest.low, self._contest.high - self._contest.low + 1
        return f"{low - (-place * wide // NUM_BINS)}-{low - (-(place + 1) * wide // NUM_BINS) - 1}"

    def examples(self) -> list[TrainingRow]:
        """The first rows of the draw."""
        return [row for _, _, row in sorted(self._shown, key=lambda entry: -entry[0])]


def completion_messages(row: TrainingRow) -> Iterable[Any]:
    """The messages of a row that a model is to write (of a prompt: those that it is to read)."""
    if isinstance(row, Example):
        return [message for message in row.messages if message.role in ("assistant", "tool")]
    return getattr(row, "chosen", row.messages)


def _count(values: Any) -> list[tuple[int, int]]:
    import numpy as np

    found, nums = np.unique(values, return_counts=True)
    return [(int(value), int(num)) for value, num in zip(found, nums, strict=True)]


def _sum(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    summed: Counter[str] = Counter()
    for name, num in pairs:
        summed[name] += num
    return dict(summed)
