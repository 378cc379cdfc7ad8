"""The nearest problems of the benchmarks, by words and by embeddings, and what a model's word on them does to the sets."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from components.core.types import Problem
from components.curate.canonical import canonical
from components.curate.contamination import BenchmarkIndex, CanonicalProblem, Match, NgramOverlap, Overlap
from components.curate.llm_decontamination import LlmDecontamination, Nearest, NearestNeighbours, pairs
from components.curate.near_duplicates import MinHashConfig
from components.lib.similarity import Embedding, Tfidf
from tests.row_fixtures import problem

DATA = Path(os.environ.get("AIMO_REAL_DATA") or Path(__file__).parents[2] / "shared" / "data")
BY_WORDS = Nearest(similarity=Tfidf(by="tfidf"), min_similarity=0.1)


def of(benchmark: str, name: str, statement: str) -> Problem:
    return problem(name, 1, statement).model_copy(update={"source": benchmark})


ASKED = [
    of("aime", "a1", "Find the number of positive divisors of 360 that are perfect squares."),
    of("amc", "c1", "A train leaves the station at noon and travels 60 miles."),
    of("aime", "a2", "How many subsets of a set with nine elements have an even sum?"),
    of("amc", "c2", "How many perfect squares divide 360?"),
]
RETOLD = "Among the divisors of 360, count those that are perfect squares and positive."


def llm_decontamination(nearest: Nearest | None) -> LlmDecontamination:
    return LlmDecontamination(engine="scripted", model="none", nearest=nearest, both_orders=True, max_tokens=16, num_concurrent=2)


def test_each_benchmark_shows_its_nearest_problem_if_that_is_near_enough() -> None:
    (near,) = NearestNeighbours(BY_WORDS, ASKED).of([RETOLD])
    assert [(match.benchmark, match.problem) for match in near] == [("aime", "a1"), ("amc", "c2")]
    cosines = [float(match.how.removeprefix("cosine ")) for match in near]
    assert cosines[0] > cosines[1] > 0.1
    (strict,) = NearestNeighbours(BY_WORDS.model_copy(update={"min_similarity": cosines[1] + 0.01}), ASKED).of([RETOLD])
    assert [match.problem for match in strict] == ["a1"]
    assert list(NearestNeighbours(BY_WORDS, ASKED).of(["zzz"])) == [[]]


def test_who_asks_the_same_stands_at_one() -> None:
    near = NearestNeighbours(BY_WORDS, ASKED).of([one.statement for one in ASKED])
    assert [max(matches, key=lambda match: match.how).how for matches in near] == ["cosine 1.00"] * 4


def test_a_row_is_put_beside_its_suspect_once_and_beside_no_benchmark_that_it_was_found_in() -> None:
    rows = [(place, problem(f"r{place}", 1, RETOLD)) for place in range(3)]
    suspect = Match("aime", "Jaccard 0.60, other numbers", "a1")
    overlaps = {1: Overlap((), suspect), 2: Overlap((Match("aime", "exact", "a1"),), None)}
    made = [(pair.id, pair.match.problem, pair.match.how[:7]) for pair in pairs(llm_decontamination(BY_WORDS), rows, overlaps, ASKED)]
    assert made == [
        ("r0", "a1", "cosine "),
        ("r0", "c2", "cosine "),
        ("r1", "a1", "Jaccard"),
        ("r1", "c2", "cosine "),
        ("r2", "c2", "cosine "),
    ]
    assert [pair.id for pair in pairs(llm_decontamination(None), rows, overlaps, ASKED)] == ["r1"]
    assert list(pairs(llm_decontamination(BY_WORDS), rows, {}, [])) == []


def test_a_models_embeddings_are_a_way_to_be_near(tmp_path: Path) -> None:
    from transformers import BertConfig, BertModel, BertTokenizerFast

    words = sorted({word.lower().strip(".,?") for one in [*ASKED, problem(statement=RETOLD)] for word in one.statement.split()})
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]), encoding="utf-8")
    BertTokenizerFast(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    small = BertConfig(vocab_size=len(words) + 5, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64)
    BertModel(small).save_pretrained(tmp_path)
    neighbours = NearestNeighbours(Nearest(similarity=Embedding(by="embedding", model=str(tmp_path)), min_similarity=-1.0), ASKED)
    found = list(neighbours.of([one.statement for one in ASKED] * 9))  # more than one pass
    assert [{match.problem for match in matches} >= {one.id} for matches, one in zip(found, ASKED * 9, strict=True)] == [True] * 36
    assert found[:4] == found[32:]


@pytest.mark.skipif(not DATA.is_dir(), reason="no folder of public data sets here")
def test_the_twins_that_the_rules_miss_are_put_before_the_model() -> None:
    """NeMo-Skills' own example of contamination: ten rows, each of them some benchmark's problem, two of them in other words."""
    asked = [
        *(of("aime24", row["id"], row["problem"]) for row in lines("nemo_skills_contests/aime24.jsonl")),
        *(of("aime25", row["id"], row["problem"]) for row in lines("nemo_skills_contests/aime25.jsonl")),
        *(of("amc23", str(row["id"]), row["question"]) for row in lines("qwen_eval/amc23.jsonl")),
        *(of("math500", row["problem"], row["problem"]) for row in lines("math/math500.jsonl")),
    ]
    entries = [CanonicalProblem(one.id, one.source, f"{one.source}/{one.id}", one.answer, canonical(one.statement)) for one in asked]
    index = BenchmarkIndex(entries, MinHashConfig(0.5, 0.2, 128, 32, 1), NgramOverlap(8, 0.8))
    given = [problem(str(row.get("id")), 1, row["problem"]) for row in lines("nemo_skills_outputs/contamination-example.jsonl")]
    overlaps = [index.overlap(canonical(row.statement), row.id) for row in given]
    assert [row.id for row, overlap in zip(given, overlaps, strict=True) if not overlap.matches] == ["aime24-21", "None"]
    nearest = Nearest(similarity=Tfidf(by="tfidf"), min_similarity=0.5)
    shown = {
        (pair.id, pair.match.problem) for pair in pairs(llm_decontamination(nearest), enumerate(given), dict(enumerate(overlaps)), asked)
    }
    assert {("aime24-21", "aime24-21"), ("None", "Evaluate $(1+2i)6-3i$.")} <= shown


def lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]
