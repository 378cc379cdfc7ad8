"""Stored candidates for tests of what reads them by the pool: only what a pool's reader looks at is said."""

from components.core.types import Candidate


def attempt(problem: str, index: int, answer: int | None = 7, **fields: object) -> Candidate:
    return Candidate.model_validate(
        {
            "problem": problem,
            "index": index,
            "mode": "cot",
            "text": "",
            "answer": answer,
            "abstained": "no box" if answer is None else None,
            "boxed": answer,
            "printed": None,
            "runs": (),
            "num_tokens": 10,
            "entropies": (),
            "seconds": 1.0,
            "ended": "stop",
            "seed": 1,
            "rank": index,
            "isolation": "confined",
            "parent": None,
            **fields,
        }
    )
