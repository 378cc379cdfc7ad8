"""The nearest problems of the benchmarks, by words and by embeddings, and what a model's word on them does to the sets."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from components.core.types import Problem
from components.curate.canonical import canonical
from components.curate.confirm import Confirm, pairs
from components.curate.leaks import Hit, Index, Look, Quote
from components.curate.marks import Mark
from components.curate.near import Rule
from components.curate.nearest import Nearby, Nearest
from components.lib.similarity import Embedding, Tfidf
from tests.making import problem

DATA = Path(os.environ.get("AIMO_REAL_DATA") or Path(__file__).parents[2] / "shared" / "data")
BY_WORDS = Nearest(vectors=Tfidf(by="tfidf"), least=0.1)


def of(benchmark: str, name: str, statement: str) -> Problem:
    return problem(name, 1, statement).model_copy(update={"source": benchmark})


ASKED = [
    of("aime", "a1", "Find the number of positive divisors of 360 that are perfect squares."),
    of("amc", "c1", "A train leaves the station at noon and travels 60 miles."),
    of("aime", "a2", "How many subsets of a set with nine elements have an even sum?"),
    of("amc", "c2", "How many perfect squares divide 360?"),
]
RETOLD = "Among the divisors of 360, count those that are perfect squares and positive."


def confirm(nearest: Nearest | None) -> Confirm:
    return Confirm(engine="scripted", model="none", nearest=nearest, both_ways=True, max_tokens=16, at_once=2)


def test_each_benchmark_shows_its_nearest_problem_if_that_is_near_enough() -> None:
    (near,) = Nearby(BY_WORDS, ASKED).of([RETOLD])
    assert [(hit.benchmark, hit.problem) for hit in near] == [("aime", "a1"), ("amc", "c2")]
    cosines = [float(hit.how.removeprefix("cosine ")) for hit in near]
    assert cosines[0] > cosines[1] > 0.1
    (strict,) = Nearby(BY_WORDS.model_copy(update={"least": cosines[1] + 0.01}), ASKED).of([RETOLD])
    assert [hit.problem for hit in strict] == ["a1"]
    assert list(Nearby(BY_WORDS, ASKED).of(["zzz"])) == [[]]


def test_who_asks_the_same_stands_at_one() -> None:
    near = Nearby(BY_WORDS, ASKED).of([one.statement for one in ASKED])
    assert [max(hits, key=lambda hit: hit.how).how for hits in near] == ["cosine 1.00"] * 4


def test_a_row_is_put_beside_its_suspect_once_and_beside_no_benchmark_that_it_was_found_in() -> None:
    rows = [(place, problem(f"r{place}", 1, RETOLD)) for place in range(3)]
    suspect = Hit("aime", "Jaccard 0.60, other numbers", "a1")
    looks = {1: Look((), suspect), 2: Look((Hit("aime", "exact", "a1"),), None)}
    made = [(pair.id, pair.hit.problem, pair.hit.how[:7]) for pair in pairs(confirm(BY_WORDS), rows, looks, ASKED)]
    assert made == [
        ("r0", "a1", "cosine "),
        ("r0", "c2", "cosine "),
        ("r1", "a1", "Jaccard"),
        ("r1", "c2", "cosine "),
        ("r2", "c2", "cosine "),
    ]
    assert [pair.id for pair in pairs(confirm(None), rows, looks, ASKED)] == ["r1"]
    assert list(pairs(confirm(BY_WORDS), rows, {}, [])) == []


def test_a_models_embeddings_are_a_way_to_be_near(tmp_path: Path) -> None:
    from transformers import BertConfig, BertModel, BertTokenizerFast

    words = sorted({word.lower().strip(".,?") for one in [*ASKED, problem(statement=RETOLD)] for word in one.statement.split()})
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]), encoding="utf-8")
    BertTokenizerFast(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    small = BertConfig(vocab_size=len(words) + 5, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64)
    BertModel(small).save_pretrained(tmp_path)
    nearby = Nearby(Nearest(vectors=Embedding(by="embedding", model=str(tmp_path)), least=-1.0), ASKED)
    found = list(nearby.of([one.statement for one in ASKED] * 9))  # more than one pass
    assert [{hit.problem for hit in hits} >= {one.id} for hits, one in zip(found, ASKED * 9, strict=True)] == [True] * 36
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
    marks = [Mark(one.id, one.source, f"{one.source}/{one.id}", one.answer, canonical(one.statement)) for one in asked]
    index = Index(marks, Rule(0.5, 0.2, 128, 32, 1), Quote(8, 0.8))
    given = [problem(str(row.get("id")), 1, row["problem"]) for row in lines("nemo_skills_outputs/contamination-example.jsonl")]
    looks = [index.look(canonical(row.statement), row.id) for row in given]
    assert [row.id for row, look in zip(given, looks, strict=True) if not look.hits] == ["aime24-21", "None"]
    nearest = Nearest(vectors=Tfidf(by="tfidf"), least=0.5)
    shown = {(pair.id, pair.hit.problem) for pair in pairs(confirm(nearest), enumerate(given), dict(enumerate(looks)), asked)}
    assert {("aime24-21", "aime24-21"), ("None", "Evaluate $(1+2i)6-3i$.")} <= shown


def lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]
