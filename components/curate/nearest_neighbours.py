"""The problem of each benchmark that a row is nearest to, whatever their words: a candidate for a model's eyes, no verdict.

NeMo-Skills decontaminates so: the nearest problem of each benchmark by embedding, then a model's word on the pair. No score alone decides:
of its ten examples the rules (contamination.py) miss two, whose twins are the nearest at a TF-IDF cosine of 0.74 and 0.85, and 1.5 %
and 1 % of the AIME problems of 1983 to 2019 come as near to some problem. 23 % of them come within 0.5, 89 % within 0.3.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Annotated

from pydantic import Field

from components.core.params import Settings
from components.core.types import Problem
from components.curate.contamination import Match
from components.lib.similarity import Embedding, Tfidf, cosines


class Nearest(Settings):
    """How rows and problems are compared."""

    similarity: Annotated[Tfidf | Embedding, Field(discriminator="by")]
    min_similarity: float = Field(ge=-1, le=1)
    """A cosine below this is not shown to the model (NeMo-Skills: none is)."""


class NearestNeighbours:
    """All benchmarks' problems as vectors."""

    def __init__(self, config: Nearest, asked: Sequence[Problem]) -> None:
        self._config, self._asked = config, asked
        statements = [problem.statement for problem in asked]
        self._vectors = config.similarity.fitted(statements)
        self._held = self._vectors(statements)
        self._benchmarks: dict[str, list[int]] = defaultdict(list)
        for place, problem in enumerate(asked):
            self._benchmarks[problem.source].append(place)

    def of(self, statements: Sequence[str]) -> Iterator[list[Match]]:
        """For each statement the nearest problem of each benchmark, where it is near enough; of equals the first."""
        for row in cosines(self._vectors(statements), self._held):
            matches = []
            for benchmark, places in self._benchmarks.items():
                best = places[int(row[places].argmax())]
                if row[best] >= self._config.min_similarity:
                    matches.append(Match(benchmark, f"cosine {row[best]:.2f}", self._asked[best].id))
            yield matches
