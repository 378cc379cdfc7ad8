"""Forum topics to problems: what replies say, the whole stage on our corpus, what goes on after a kill."""

import asyncio
import json
from pathlib import Path

import pytest

from components.collect.stage import collect
from components.core import rows
from components.core.errors import UserError
from components.core.types import Dropped, Problem, Topic
from components.extract import parsing, stage
from components.extract.stage import Extract, extract, extract_topics
from components.extract.topic import ExtractedTopic, join_posts
from components.lib.engine.config import EngineHosts, Engines
from components.lib.engine.protocol import Completion, EngineError, Sampling
from components.lib.engine.scripted import ScriptedEngine, ScriptedSettings
from tests.collect_fixtures import CONTEST, entry

ROOT = Path(__file__).parents[1]
PARAMS = ROOT / "params.yaml"
REPLIES = ROOT / "infra/corpus/replies.jsonl"
CONFIG = Extract(engine="scripted", model=str(REPLIES), seed=1, max_tokens=2048, num_concurrent=4, shards=1, convert_proofs=False)
GREEDY = Sampling(0.0, 1.0, 0, 0.0, 2048, ())


@pytest.fixture(scope="module")
def topics(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("raw")
    fields = {"path": str(ROOT / "infra/corpus/topics.jsonl"), "sha256": None, "licence": "Apache-2.0", "max_tokens": 24_000}
    collect(entry("files.forum", kind="forum", use="topics", **fields), CONTEST, out=out / "forum")
    return out


def run(topics: Path, out: Path, config: Extract = CONFIG) -> dict[str, object]:
    (out.parent / "work").mkdir(exist_ok=True)
    return extract(config, Engines.load(PARAMS), CONTEST, EngineHosts.load(ROOT), topics=topics, out=out, work=out.parent / "work")


def scripted(path: Path) -> ScriptedEngine:
    return ScriptedEngine(ScriptedSettings(step_s=0.5), path)


# ---- replies -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "wanted"),
    [
        ("Problem 1: What is 1 + 1?", ["What is 1 + 1?"]),
        ("Sure!\n\nProblem 1: A\nmore\n\nProblem 2 : B", ["A\nmore", "B"]),
        ("**Problem 1:** A\n### Problem 2: B", ["A", "B"]),
        ("Problem 1: In problem 2: of the book, find x.", ["In problem 2: of the book, find x."]),
        ("No problems identified", []),
        ("There is only chat here.\nNo problems identified.", []),
        ("It asks for the sum.", None),
        ("Problem 1:", None),
        ("", None),
    ],
)
def test_problems_are_read_from_headings(reply: str, wanted: list[str] | None) -> None:
    assert parsing.problems(reply) == wanted


@pytest.mark.parametrize(
    ("kind", "reply", "wanted"),
    [
        ("proof", "proof", True),
        ("proof", "  Proof.\nIt asks to show.", True),
        ("proof", "not proof", False),
        ("proof", "**Proof**", True),
        ("proof", "_not_ proof", False),
        ("proof", "Proofreading is needed.", None),
        ("proof", "This is a proof.", None),
        ("proof", "nothing", None),
        ("proof", "", None),
        ("invalid", "Not invalid", False),
        ("invalid", "INVALID", True),
    ],
)
def test_a_class_is_what_the_reply_begins_with(kind: str, reply: str, wanted: bool | None) -> None:
    assert parsing.classification(kind, reply) is wanted


@pytest.mark.parametrize(
    ("reply", "wanted"),
    [
        ("Output:\nAnswer: 42", "42"),
        ("Answer: 42", "42"),
        ("Post 2 says answer: 7, corrected later.\nOutput:\nAnswer: 42\nbecause", "42"),
        ("**Output:**\n**Answer:** $\\boxed{42}$", "$\\boxed{42}$"),
        ("Output:\nAnswer: **42**", "42"),
        ("Output:\nAnswer not found", None),
        ("Output:\nAnswer: Answer not found", None),
        ("Output:\nAnswer: not found", None),
        ("Output:\nAnswer:", None),
        ("The answer is 42.", None),
        ("", None),
    ],
)
def test_the_answer_is_the_line_after_its_word(reply: str, wanted: str | None) -> None:
    assert parsing.answer(reply) == wanted


# ---- the whole stage -----------------------------------------------------------------------------------------------------


def test_our_topics_give_known_problems_and_reasons(topics: Path, tmp_path: Path) -> None:
    measured = run(topics, tmp_path / "out")
    problems = {problem.id: problem for problem in rows.read(tmp_path / "out/problems.parquet", Problem)}
    dropped = {row.id: row.reason for row in rows.read(tmp_path / "out/dropped.parquet", Dropped)}
    assert measured == {
        "engine": "scripted (replies.jsonl)",
        "topics": 38,
        "requests": 205,
        "tokens": measured["tokens"],
        "unparsed": 1,
        "problems": 25,
        "without_answer": 3,
        "dropped": 17,
        "reasons": {
            "proof": 4,
            "mcq": 2,
            "binary": 2,
            "invalid": 2,
            "no problem": 2,
            "reply not understood": 1,
            "answer not an integer": 3,
            "answer out of range": 1,
        },
    }
    assert join_posts(("a", "b\nc")) == "Post 1:\na\n\nPost 2:\nb\nc"
    assert problems["blocked-crossing-1"].answer == 66
    assert problems["three-in-one-2"].answer == 24
    assert problems["farmer-field-1"].answer == 756
    assert problems["last-two-digits-1"].answer == 7
    assert problems["bigger-exponent-2"].answer == 1
    assert problems["no-one-knows-1"].answer is None
    assert dropped["three-in-one-3"] == "proof"
    assert dropped["product-of-parts-1"] == "answer out of range"
    assert dropped["first-book"] == "no problem"
    assert all(problem.group == problem.id and problem.licence == "Apache-2.0" for problem in problems.values())


@pytest.mark.parametrize(
    ("reply", "wanted"),
    [
        ("Question: What is 1 + 1?", "What is 1 + 1?"),
        ("**Question:** Find $x$.\nIt is odd.", "Find $x$.\nIt is odd."),
        ("Question:", None),
        ("No question", None),
        ("The question: what is 1?", None),
    ],
)
def test_a_question_follows_its_word(reply: str, wanted: str | None) -> None:
    assert parsing.question(reply) == wanted


def told(tmp_path: Path, said: dict[str, str], config: Extract) -> tuple[dict[str, object], list[Problem], list[Dropped]]:
    """One topic, and what a model says of it."""
    rows.write(tmp_path / "raw/forum/topics.parquet", [Topic(id="t", posts=("Prove it.",), source="forum", licence="CC0-1.0")], Topic)
    lines = [json.dumps({"key": f"t{key}", "reply": reply}) for key, reply in said.items()]
    (tmp_path / "said.jsonl").write_text("\n".join(lines), encoding="utf-8")
    measured = run(tmp_path / "raw", tmp_path / "out", config.model_copy(update={"model": str(tmp_path / "said.jsonl")}))
    dropped = list(rows.read(tmp_path / "out/dropped.parquet", Dropped))
    return measured, list(rows.read(tmp_path / "out/problems.parquet", Problem)), dropped


PROOF = {"/extract": "Problem 1: Prove that 3 divides $n^3 - n$.", "-1/classify-proof": "proof"}


def test_a_proof_becomes_a_question_without_an_answer_where_params_say_so(tmp_path: Path) -> None:
    said = {**PROOF, "-1/convert": "Question: What is the largest number that divides $n^3 - n$ for all $n$?"}
    _, (problem,), (dropped,) = told(tmp_path, said, CONFIG.model_copy(update={"convert_proofs": True}))
    assert (problem.id, problem.answer, problem.source, problem.group) == ("t-1-question", None, "forum-converted", "t-1")
    assert problem.statement.startswith("What is the largest")
    assert (dropped.statement, dropped.reason, dropped.other) == ("Prove that 3 divides $n^3 - n$.", "proof", "t-1-question")


def test_a_proof_that_makes_no_question_is_dropped(tmp_path: Path) -> None:
    said = {**PROOF, "-1/convert": "No question"}
    _, problems, (dropped,) = told(tmp_path, said, CONFIG.model_copy(update={"convert_proofs": True}))
    assert (problems, dropped.reason, dropped.detail) == ([], "proof", "No question")


def test_a_classifier_that_says_neither_yes_nor_no_is_counted(tmp_path: Path) -> None:
    unparsed = {"-1/classify-proof": "It looks like a proof.", "-1/classify-mcq": "", "-1/classify-binary": "not binary"}
    said = {"/extract": PROOF["/extract"], **unparsed, "-1/classify-invalid": "not invalid", "-1/answer": "Output:\nAnswer: 3"}
    measured, (problem,), _ = told(tmp_path, said, CONFIG)
    assert (problem.answer, measured["unparsed"]) == (3, 2)


def test_how_many_are_read_at_once_changes_nothing(topics: Path, tmp_path: Path) -> None:
    for num_concurrent in (1, 64):
        (tmp_path / str(num_concurrent)).mkdir()
        run(topics, tmp_path / str(num_concurrent) / "out", CONFIG.model_copy(update={"num_concurrent": num_concurrent}))
    for name in ("problems.parquet", "dropped.parquet"):
        assert (tmp_path / "1/out" / name).read_bytes() == (tmp_path / "64/out" / name).read_bytes()


def test_a_killed_run_goes_on_after_the_last_topic(topics: Path, tmp_path: Path) -> None:
    source, kept = topics / "forum/topics.parquet", tmp_path / "extracted.jsonl"
    asyncio.run(extract_topics(CONFIG, scripted(REPLIES), CONTEST, [source], kept))
    whole = kept.read_bytes()
    kept.write_bytes(whole[: len(whole) // 2])
    asyncio.run(extract_topics(CONFIG, scripted(REPLIES), CONTEST, [source], kept))
    assert kept.read_bytes() == whole
    assert [row.topic for row in rows.read(kept, ExtractedTopic)] == [topic.id for topic in rows.read(source, Topic)]


def test_every_recorded_reply_is_asked_for(topics: Path, tmp_path: Path) -> None:
    measured = run(topics, tmp_path / "out")
    assert measured["requests"] == len(REPLIES.read_text(encoding="utf-8").splitlines())


def test_a_reply_without_an_end_is_not_read(topics: Path, tmp_path: Path) -> None:
    run(topics, tmp_path / "out", CONFIG.model_copy(update={"max_tokens": 12}))
    dropped = {row.id: row.reason for row in rows.read(tmp_path / "out/dropped.parquet", Dropped)}
    assert dropped["chess-club"] == "reply cut off"


def test_a_folder_without_topics_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no folder with a topics\.parquet"):
        run(tmp_path, tmp_path / "out")


def test_forums_are_read_in_the_order_of_their_names_and_share_no_topic(tmp_path: Path) -> None:
    for forum, name in (("b", "two"), ("a", "one"), ("c", "two")):
        topic = Topic(id=name, posts=("Hello.",), source=forum, licence="CC0-1.0")
        rows.write(tmp_path / f"raw/{forum}/topics.parquet", [topic], Topic)
    with pytest.raises(UserError, match=r"c.topics\.parquet: the topic 'two' is one of .*b.topics\.parquet, too"):
        list(stage._topics(sorted(tmp_path.glob("raw/*/topics.parquet"))))
    (tmp_path / "raw/c/topics.parquet").unlink()
    assert [topic.id for topic in stage._topics(sorted(tmp_path.glob("raw/*/topics.parquet")))] == ["one", "two"]


# ---- recorded replies ----------------------------------------------------------------------------------------------------


def ask(path: Path, key: str, sampling: Sampling = GREEDY) -> object:
    async def once() -> object:
        async with scripted(path) as engine:
            return await engine.complete(engine.encode("any prompt"), sampling, key=key, seed=0)

    return asyncio.run(once())


@pytest.mark.parametrize(
    ("max_tokens", "stop", "wanted"),
    [
        (9, (), Completion("one two </tool_call> three", 7, "stop", None)),
        (9, ("</tool_call>",), Completion("one two </tool_call>", 5, "stop", "</tool_call>")),
        (2, ("</tool_call>",), Completion("one two", 2, "length", None)),
    ],
)
def test_a_recorded_reply_ends_as_the_request_says(tmp_path: Path, max_tokens: int, stop: tuple[str, ...], wanted: object) -> None:
    path = tmp_path / "replies.jsonl"
    path.write_text(json.dumps({"key": "a/0/0", "reply": "one two </tool_call> three"}), encoding="utf-8")
    assert ask(path, "a/0/0", GREEDY._replace(max_tokens=max_tokens, stop=stop)) == wanted


def test_a_missing_reply_names_its_key_and_file(topics: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"'nothing/extract' in .*replies\.jsonl"):
        ask(REPLIES, "nothing/extract")
    lines = REPLIES.read_text(encoding="utf-8").splitlines()
    (tmp_path / "fewer.jsonl").write_text("\n".join(line for line in lines if "zeros-127-1/answer" not in line), encoding="utf-8")
    with pytest.raises(EngineError, match=r"'zeros-127-1/answer'"):
        run(topics, tmp_path / "out", CONFIG.model_copy(update={"model": str(tmp_path / "fewer.jsonl")}))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no such file of recorded replies"),
        ('{"key": "a", "reply": "b"}\n{"key": "a", "reply": "c"}\n', "two replies for the key 'a'"),
        ('{"key": "a"}\n', "row 1: reply"),
        ('{"key": \n', "line 1: not JSON"),
    ],
)
def test_a_wrong_file_of_replies_is_named(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "replies.jsonl"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        ask(path, "a")


def test_replies_share_one_clock_on_which_they_run_side_by_side() -> None:
    async def clocks() -> tuple[float, float]:
        async with scripted(REPLIES) as engine:

            async def once(key: str) -> float:
                await engine.complete(engine.encode(""), GREEDY, key=key, seed=0)
                return engine.now()

            long, short = await asyncio.gather(once("thirty-1/classify-proof"), once("heights-1/classify-proof"))
            return long, short

    assert asyncio.run(clocks()) == (0.5 * 8, 0.5 * 2)
