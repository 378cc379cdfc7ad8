"""Small rows for tests: real row types, only what a test is about is said."""

from components.core.types import Candidate, CodeRun, Judgement, Problem
from components.lib.tool_syntax import BEGIN, END, output_block


def problem(name: str = "p", answer: int | None = 7, statement: str = "What is 3 + 4?") -> Problem:
    return Problem(id=name, statement=statement, answer=answer, source="test", licence="Apache-2.0", group=name)


def run(code: str = "print(7)", output: str = "7", status: str = "ok") -> CodeRun:
    return CodeRun.model_validate({"code": code, "output": output, "status": status})


def solution(answer: int | None, thought: str = "Add.", runs: tuple[CodeRun, ...] = ()) -> str:
    """The text of an attempt as the loop writes it."""
    cells = "".join(f"{BEGIN}\n{cell.code}\n{END}{output_block(cell.output)}" for cell in runs)
    return f"<think>\n{thought}\n</think>\n{cells}" + ("" if answer is None else f"The answer is \\boxed{{{answer}}}.")


def candidate(answer: int | None = 7, name: str = "p", index: int = 0, **fields: object) -> Candidate:
    runs = fields.get("runs", ())
    return Candidate.model_validate(
        {
            "problem": name,
            "index": index,
            "mode": "tir" if runs else "cot",
            "text": solution(answer, runs=runs),  # type: ignore[arg-type]
            "answer": answer,
            "abstained": None if answer is not None else "no box",
            "boxed": answer,
            "printed": None,
            "runs": runs,
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


def judgement(chosen: int, name: str = "p", index: int = 0, shown: tuple[int, ...] = (0, 1)) -> Judgement:
    return Judgement(problem=name, index=index, shown=shown, seed=1, text="", parsed=shown.index(chosen), chosen=chosen, answer=None)
