"""Two models' exams and the small files of a run, all made by hand, and the report on them: what tests of the report share."""

import json
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from components.core import rows
from components.core.models import Exam, Examinee, Models
from components.core.types import Candidate, CodeRun, Judgement, Problem, Support, Vote
from components.lib.sources import Sources
from components.report.stage import Report, report
from tests.row_fixtures import candidate, judgement, problem

X = "cancelled"
"""An attempt that the early stop ended."""
Tries = Sequence[int | str | None]
GOLD = 7
FIRST: list[Tries] = [[7, 7, 3, X], [3, 3, 7, 7], [X, X, X, 7], []]
TOKENS = [[10, 20, 30, 5], [10, 10, 10, 10], [4, 50, 4, 12], []]
VOTED = {"majority": [7, 3, 7, None], "genselect": [7, 7, 7, None]}
SECOND: list[Tries] = [[7, 7, 7, None]] * 4
NASTY = "<script>alert(1)</script> {{ 7*7 }} {% raw %} </pre></details>"
MEASURED: dict[str, Any] = {
    "generate@exam": {"problems": 4, "dropped": 0, "reasons": {}, "repeats": 3, "other_split_class": 10},
    "collect@forum": {"topics": 5, "posts": 12, "posts_truncated": 0, "dropped": 1, "reasons": {"topic empty": 1}},
    "extract": {"topics": 5, "problems": 3, "dropped": 2, "reasons": {"proof": 2}, "requests": 9, "tokens": 80, "without_answer": 0},
    "curate": {
        "read": {"generated": 1500, "exam": 4},
        "dropped": {"duplicate": {"generated": 20, "extracted": 2}, "contaminated": {"generated": 1}},
        "kept": {"generated": 1479},
        "written": {"train": 1300, "practice": 179, "exam": 4, "dropped": 23, "suspects": 99},
    },
    "compose@cot": {"rows": 1100, "dropped": {"wrong answer": 90}},
    "train@first": {
        "rows": 1100, "too_long": 3, "tokens": 64000, "loss_tokens": 40000, "steps": 275, "first_loss": 5.1, "last_loss": 0.21,
    },
    "exam@first": {
        "engine": f"transformers {NASTY}", "isolation": "confined", "problems": 4, "candidates": 12, "finished": 8, "tokens": 175,
        "questions_stopped_early": 2, "attempt_accuracy": 0.6, "questions_unasked": 1, "duplicates": 3,
        "finish_reason": {"stop": 8, "cancelled": 4}, "abstained": {"no box": 1},
        "code_runs": {"ok": 9, "error": 1},
    },
    "judge@first": {
        "problems_judged": 2, "problems_unanimous": 1, "judgements": 8, "unparsed": 1, "correct": 6, "correct_by_chance": 4.5,
        "chosen_by_position": {"0": 4, "1": 3},
    },
    "quantize@second": {
        "bytes_before": 3023360, "bytes_after": 1204224, "ratio": 0.3983, "kl_divergence": 0.0412,
        "top1_agreement": 0.9312, "kl_divergence_rtn": 0.0703,
        "top1_agreement_rtn": 0.91,
    },
}  # fmt: skip
HOLDS = {"suite": "problems", "expectation": "expect_column_values_to_be_unique", "column": "id", "severity": "critical", "success": True,
         "rows": 4, "unexpected": 0, "first": []}  # fmt: skip
VALIDATED = {
    "problems": {
        "data": "data/problems",
        "passed": True,
        "expectations": [
            HOLDS,
            {**HOLDS, "column": "wording", "severity": "warning", "success": False, "unexpected": 2, "first": ["p1", NASTY]},
        ],
    }
}
CONFIG = {"k_values": [3], "problems_shown": 40, "confidence": 0.95,
          "resamples": 500, "seed": 1}  # fmt: skip


def exam(root: Path, statement: str = "What is 3 + 4?") -> list[Problem]:
    made = [problem(f"p{number}", GOLD, statement) for number in range(4)]
    rows.write(root / "problems/exam.parquet", made, Problem)
    return made


def write_exam(
    root: Path, model: str, tries: Sequence[Tries], voted: Mapping[str, Sequence[int | None]],
    tokens: Sequence[Sequence[int]] | None = None, cells: tuple[CodeRun, ...] = (), **fields: object,
) -> None:  # fmt: skip
    """One model's exam: its attempts per problem, and what each strategy answered."""
    made = []
    for number, attempts in enumerate(tries):
        for index, answer in enumerate(attempts):
            cancelled = {"finish_reason": "cancelled", "rank": None, "abstained": "cancelled"} if answer == X else {}
            spent = {"num_tokens": tokens[number][index]} if tokens else {}
            right = None if answer == X else answer
            made.append(candidate(right, f"p{number}", index, runs=cells, **cancelled, **spent, **fields))  # type: ignore[arg-type]
    rows.write(root / f"runs/exam/{model}/candidates.parquet", made, Candidate)
    rows.write(root / f"runs/exam/{model}/judgements.parquet", [judgement(2, "p0", shown=(2, 0))], Judgement)
    votes = [
        Vote(problem=f"p{number}", strategy=strategy, answer=answer, fallback=False, gold=GOLD, correct=answer == GOLD,
             support=() if answer is None else (Support(answer=answer, weight=2.0, candidates=(0,)),))
        for number in range(len(tries)) for strategy, answer in ((name, answers[number]) for name, answers in voted.items())
    ]  # fmt: skip
    rows.write(root / f"runs/exam/{model}/votes.parquet", votes, Vote)


def small_files(root: Path, measured: Mapping[str, Any], validated: Mapping[str, Any], curve: bool) -> None:
    for folder, files in (("metrics", measured), ("validation", validated)):
        (root / folder).mkdir(parents=True)
        for name, data in files.items():
            (root / folder / f"{name}.json").write_text(json.dumps(data), encoding="utf-8")
    (root / "losses").mkdir()
    if curve:
        (root / "losses/first.csv").write_text("step,loss,learning_rate,grad_norm\n1,2.5,0.1,1.0\n2,1.5,0.05,1.0\n", encoding="utf-8")


def workspace(root: Path) -> Path:
    exam(root)
    write_exam(root, "first", FIRST, VOTED, TOKENS)
    write_exam(root, "second", SECOND, dict.fromkeys(VOTED, [7] * 4))
    small_files(root, MEASURED, VALIDATED, curve=True)
    return root


def reported(root: Path, **over: object) -> dict[str, Any]:
    names: Any = over.pop("examined", ["first", "second"])
    config = Report.model_validate({**CONFIG, **over})
    models = Models.check(
        {"models": {"fetch": {"first": {}, "other": {}}, "import": {}, "train": {"second": {"start": "first"}}, "quantize": {}}},
        Path("params.yaml"),
    )
    sources = Sources.check(
        {"sources": {"generated": {"exam": {"use": "exam"}}, "files": {"forum": {"use": "topics"}}, "hub": {}}}, Path("params.yaml")
    )
    who = Exam(examinees={name: Examinee(model=name, solve="exam-tir", judge=name) for name in names})
    return report(
        config, sources, models, who,
        runs=root / "runs/exam", problems=root / "problems", validation=root / "validation", measured=root / "metrics",
        losses=root / "losses", page=root / "index.html", plots=root / "plots",
    )  # fmt: skip


class Tags(HTMLParser):
    """All tags of a page with their attributes, and all its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data
