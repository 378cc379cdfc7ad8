"""Rows for tests: real row types, only what a test is about is said."""

from typing import Any

from components.core.types import Candidate, Check, CodeRun, Inserted, Judgement, Problem, QuestionRecord
from components.lib.sources import Sources
from components.lib.tool_syntax import OPENMATH, output_block
from components.lib.votes.config import VoteConfig


def problem(name: str = "p", answer: int | None = 7, statement: str = "What is 3 + 4?") -> Problem:
    return Problem(id=name, statement=statement, answer=answer, source="test", licence="Apache-2.0", group=name)


def sources(uses: dict[str, str]) -> Sources:
    """Entries in this order, each with its use."""
    return Sources.model_validate({"generated": {}, "files": {name: {"use": use} for name, use in uses.items()}, "hub": {}})


def run(code: str = "print(7)", output: str = "7", status: str = "ok") -> CodeRun:
    return CodeRun.model_validate({"code": code, "output": output, "status": status})


def solution(answer: int | None, thought: str = "Add.", runs: tuple[CodeRun, ...] = ()) -> str:
    """The text of an attempt as the loop writes it."""
    cells = "".join(f"{OPENMATH.begin}\n{cell.code}\n{OPENMATH.end}{output_block(cell.output)}" for cell in runs)
    return f"<think>\n{thought}\n</think>\n{cells}" + ("" if answer is None else f"The answer is \\boxed{{{answer}}}.")


def inserted(text: str, runs: tuple[CodeRun, ...]) -> tuple[Inserted, ...]:
    """Where the outputs of these runs stand in the text, as far as they do."""
    spans, at = [], 0
    for cell in runs:
        block = output_block(cell.output)
        begin = text.find(block, at)
        if begin < 0:
            break
        at = begin + len(block)
        spans.append(Inserted(begin=begin, end=at, output=True))
    return tuple(spans)


def candidate(answer: int | None = 7, name: str = "p", index: int = 0, **fields: object) -> Candidate:
    runs: Any = fields.get("runs", ())
    text: Any = fields.get("text", solution(answer, runs=runs))
    return Candidate.model_validate(
        {
            "problem": name,
            "index": index,
            "mode": "tir" if runs else "cot",
            "text": text,
            "answer": answer,
            "abstained": None if answer is not None else "no box",
            "boxed": answer,
            "printed": None,
            "runs": runs,
            "num_tokens": 10,
            "entropies": (),
            "seconds": 1.0,
            "finish_reason": "stop",
            "seed": 1,
            "rank": index,
            "isolation": "confined",
            "parent": None,
            "inserted": inserted(text, runs),
            **fields,
        }
    )


def question_record(name: str = "p", limit_s: float = 350.0, given_up: bool = False) -> QuestionRecord:
    return QuestionRecord(problem=name, place=0, limit_s=limit_s, used_s=1.0, planned=1, stopped_by=None, given_up=given_up)


def judgement(chosen: int, name: str = "p", index: int = 0, shown: tuple[int, ...] = (0, 1), round: int = 0) -> Judgement:
    return Judgement(
        problem=name, index=index, round=round, shown=shown, seed=1, text="", parsed=shown.index(chosen), chosen=chosen, answer=None
    )


def check(index: int, score: float | None, kind: str = "rerun", name: str = "p") -> Check:
    return Check.model_validate({"problem": name, "candidate": index, "kind": kind, "score": score, "detail": ""})


NUMBERS: dict[str, Any] = {
    "strategies": ["majority"],
    "fallback": None,
    "fallback_out_of_time": None,
    "seed": 1,
    "weighted": {"up_to": 20, "multiple_of": 100, "weight": 0.6},
    "code_first": {"printed": 1.0, "boxed_alone": 1.0, "boxed_beside": 0.0},
    "agreement": {"bonus": 3.0, "short_chars": 20, "short": 0.5, "small_up_to": 10, "small": 0.5},
    "distinct": {"prefix_chars": 40, "weight": 0.5},
    "tail_entropy": {"tokens": 256, "share": 2.0, "confidence": 0.3, "consensus": 0.5},
    "verified": {"top": 3, "gain": 1.0},
}


def votes(**fields: object) -> VoteConfig:
    """Section `vote` with the sources' numbers."""
    return VoteConfig.model_validate({**NUMBERS, **fields})


def attempt(problem: str, index: int, answer: int | None = 7, **fields: object) -> Candidate:
    """A candidate of which only the verdict matters."""
    return candidate(answer, problem, index, **{"mode": "cot", "text": "", **fields})
