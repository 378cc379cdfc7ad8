"""How many tokens an attempt at a problem will take, guessed from its statement: the length model of the clock `tokens`.

    python -m components.lib.rules.length_model --problems problems.parquet --candidates candidates.parquet --out length.json

Ridge regression of the logarithm of a problem's mean length on hashed words and word pairs. The original (9th place of AIMO-2) fine-tunes
ModernBERT-base; a linear model on words is trained in seconds from a few hundred problems, needs no GPU in the hour of the exam, has one
closed solution (so the same candidates give the same bytes) and its file is some kilobytes. How strongly weights are held back is chosen by
leave-one-out error, which ridge regression has in closed form. Reads problems and stored candidates; writes one JSON file.
Does not know what a clock makes of the guess.
"""

import argparse
import json
import math
import re
import sys
import zlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from components.core import rows
from components.core.errors import UserError
from components.core.types import Candidate, Problem
from components.core.watch import watched

if TYPE_CHECKING:
    import numpy as np

    Numbers = np.ndarray[Any, np.dtype[Any]]

NUM_FEATURES = 1024
PENALTIES = tuple(10.0**power for power in range(-3, 4))


class LengthModel(NamedTuple):
    """A fitted model: tokens = exp(base + features · weights), never outside what training saw."""

    base: float
    weights: tuple[float, ...]
    shortest: float
    longest: float

    def predict(self, statement: str) -> float:
        """Expected generated tokens of one attempt."""
        guess = self.base + float(features([statement])[0] @ self.weights)
        return min(self.longest, max(self.shortest, math.exp(min(guess, 700.0))))

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self._asdict()) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "LengthModel":
        if not watched(path).is_file():
            raise UserError(f"{path}: no length model; train one: python -m components.lib.rules.length_model --help")
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            return cls(stored["base"], tuple(stored["weights"]), stored["shortest"], stored["longest"])
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}: not a length model ({error!r}); train it again") from None


def train(problems: Iterable[Problem], candidates: Iterable[Candidate]) -> LengthModel:
    """A model of the mean length of the attempts that ended by themselves or at a limit (a cancelled one's length is unknown)."""
    lengths: dict[str, list[int]] = defaultdict(list)
    for candidate in candidates:
        if candidate.finish_reason != "cancelled" and candidate.num_tokens:
            lengths[candidate.problem].append(candidate.num_tokens)
    known = [(problem.statement, sum(seen) / len(seen)) for problem in problems if (seen := lengths.get(problem.id))]
    if len(known) < 10:
        raise UserError(f"{len(known)} problems with finished attempts: too few to learn lengths from; store at least 10")
    return fit([statement for statement, _ in known], [length for _, length in known])


def fit(statements: Sequence[str], tokens: Sequence[float]) -> LengthModel:
    """Ridge regression in its dual form: as many unknowns as problems."""
    import numpy as np

    x, y = features(statements), np.log(np.asarray(tokens, float))
    middle, base = x.mean(0), y.mean()
    values, vectors = np.linalg.eigh((x - middle) @ (x - middle).T)
    turned = vectors.T @ (y - base)

    def left_out(penalty: float) -> float:
        """Mean squared error on each problem when it alone is left out."""
        kept = vectors * (values / (values + penalty))
        residuals = (y - base) - kept @ turned
        leverage = (kept * vectors).sum(1) + 1 / len(y)
        return float(np.mean((residuals / np.maximum(1e-9, 1 - leverage)) ** 2))

    penalty = min(PENALTIES, key=left_out)
    weights = (x - middle).T @ (vectors @ (turned / (values + penalty)))
    rounded = tuple(round(float(weight), 6) for weight in weights)
    return LengthModel(round(float(base - middle @ weights), 6), rounded, float(min(tokens)), float(max(tokens)))


def features(statements: Sequence[str]) -> "Numbers":
    """[statements, NUM_FEATURES]: signed hashed counts of words and word pairs, each row of length 1; numbers count by their digits."""
    import numpy as np

    table = np.zeros((len(statements), NUM_FEATURES))
    for row, statement in zip(table, statements, strict=True):
        words = [f"<{len(word)} digits>" if word.isdigit() else word for word in re.findall(r"\w+|[^\w\s]", statement.lower())]
        for gram in [*words, *(f"{a} {b}" for a, b in pairwise(words))]:
            hashed = zlib.crc32(gram.encode())
            row[hashed % NUM_FEATURES] += 1.0 if hashed >> 31 else -1.0
        row /= max(1.0, float(np.sqrt(row @ row)))
    return table


def main() -> None:
    """Trains a length model from a problem set and what a run stored on it."""
    parser = argparse.ArgumentParser(prog="python -m components.lib.rules.length_model", description=main.__doc__)
    for flag in ("--problems", "--candidates", "--out"):
        parser.add_argument(flag, type=Path, required=True)
    given = parser.parse_args()
    train(rows.read(given.problems, Problem), rows.read(given.candidates, Candidate)).save(given.out)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
