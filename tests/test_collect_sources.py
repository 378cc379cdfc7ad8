"""The entries of `sources`, and the sources that need no map of columns: generated problems and the topics of a forum."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.collect.source import Collect
from components.collect.sources.files.forum import strip_quotes
from components.collect.stage import collect
from components.core import rows
from components.core.errors import UserError
from components.core.params import read
from components.core.types import Dropped, Topic
from components.lib import arithmetic
from components.lib.sources import Sources
from tests.collect_fixtures import CONTEST, DATA, FILE, entry, jsonl, problems, real_data

ROOT = Path(__file__).parents[1]
GENERATED = {"use": "train", "licence": "Apache-2.0", "seed": 1, "num_problems": 40, "classes": [1, 2]}


# ---- the section ---------------------------------------------------------------------------------------------------------


def test_every_entry_of_the_project_is_a_source() -> None:
    keys = Collect.keys(read(ROOT / "params.yaml"), ROOT / "params.yaml")
    assert keys == ["generated.generated", "generated.exam", "files.forum"]
    assert {key: Collect.load(ROOT / "params.yaml", key).use for key in keys} == dict(zip(keys, ["train", "exam", "topics"], strict=True))


@pytest.mark.parametrize(
    ("key", "fields", "message"),
    [
        ("files.it", {**FILE, "path": "x", "kind": "tabel"}, r"sources\.files\.it\.kind: no kind of file 'tabel', did you mean 'table'"),
        ("files.it", {"use": "train"}, r"sources\.files\.it\.kind: no kind of file None"),
        ("files.it", {**FILE, "path": "x", "use": "topics"}, r"sources\.files\.it\.use"),
        ("files.it", {**FILE, "path": "x", "use": "trian"}, r"sources\.files\.it\.use"),
        ("files.it", {**FILE, "path": "x", "name": "other"}, r"sources\.files\.it: unknown key 'name'"),
        ("files.it", {"kind": "table", "path": "x"}, r"sources\.files\.it: 'use' is missing"),
        (
            "generated.it",
            {**GENERATED, "num_problms": 3},
            r"generated\.it: unknown key 'num_problms', did you mean 'num_problems'",
        ),
        ("generated.it", {**GENERATED, "classes": [8]}, r"sources\.generated\.it\.classes\.0"),
        ("generated.it", {**GENERATED, "classes": []}, r"sources\.generated\.it\.classes"),
        ("files.it", {**FILE, "path": "x", "on_bad_answer": "ignore"}, r"sources\.files\.it\.on_bad_answer"),
        ("files.it", {**FILE, "path": "x", "answer_pattern": "#### .+"}, "exactly one group"),
        ("files.it", {**FILE, "path": "x", "answer_pattern": "(#### .+"}, "not a regular expression"),
        ("files.a b", {**FILE, "path": "x"}, r"sources\.files\.a b: the name of an entry becomes a folder's and a stage's"),
        (
            "files.extracted",
            {**FILE, "path": "x"},
            r"sources\.files\.extracted: the name 'extracted' is that of the problems from",
        ),
        ("file.it", {**FILE, "path": "x"}, r"params\.yaml: sources: unknown key 'file', did you mean 'files'"),
    ],
)
def test_a_wrong_entry_is_named(key: str, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        entry(key, **fields)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("files.forums", r"sources\.files: no entry 'forums', did you mean 'forum'"),
        ("forum", r"sources: 'forum' names no entry; write one of generated\.NAME, files\.NAME, hub\.NAME"),
    ],
)
def test_an_unknown_key_is_named(key: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Collect.load(ROOT / "params.yaml", key)


def test_a_name_stands_for_one_source() -> None:
    whole = read(ROOT / "params.yaml")
    whole["sources"]["hub"] = {"forum": {"use": "train"}}
    with pytest.raises(UserError, match=r"sources\.hub\.forum: the name 'forum' is that of sources\.files\.forum, too; rename one"):
        Sources.check(whole, Path("params.yaml"))


def test_sources_are_told_by_their_use_in_the_order_of_the_params() -> None:
    groups = {"generated": {"b": "train", "a": "exam"}, "files": {"z": "train", "t": "topics"}, "hub": {"c": "train", "m": "benchmark"}}
    whole = {"sources": {group: {name: {"use": use, "more": 1} for name, use in some.items()} for group, some in groups.items()}}
    sources = Sources.check(whole, Path("params.yaml"))
    assert [sources.with_use(use) for use in ("train", "exam", "benchmark", "topics")] == [["b", "z", "c"], ["a"], ["m"], ["t"]]


@pytest.mark.parametrize(
    ("key", "fields"),
    [
        ("generated.it", GENERATED),
        ("files.it", {**FILE, "path": "nowhere.jsonl"}),
        ("files.it", {"kind": "forum", "use": "topics", "path": "nowhere.jsonl", "sha256": None, "max_tokens": 10}),
    ],
)
def test_a_licence_that_is_not_on_the_list_is_refused_before_anything_is_read(tmp_path: Path, key: str, fields: dict[str, Any]) -> None:
    said = r"sources\.\w+\.it: the licence 'unknown' is not among collect\.licences \(Apache-2\.0, CC0-1\.0, MIT\); add"
    with pytest.raises(UserError, match=said):
        collect(entry(key, **{**fields, "licence": "unknown"}), CONTEST, out=tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


# ---- generated -----------------------------------------------------------------------------------------------------------


def test_generated_problems_are_different_and_of_their_classes(tmp_path: Path) -> None:
    kept, dropped, measured = problems(entry("generated.ours", **GENERATED), tmp_path / "out")
    assert len(kept) == len({problem.statement for problem in kept}) == measured["problems"] == 40
    assert {arithmetic.split_class(problem.group) for problem in kept} <= {1, 2}
    assert {problem.source for problem in kept} == {"ours"}
    assert not dropped
    drawn = arithmetic.problem(int(kept[0].id.removeprefix("generated-")))
    assert (drawn.statement, drawn.answer) == (kept[0].statement, kept[0].answer)


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        collect(entry("generated.ours", **GENERATED), CONTEST, out=tmp_path / name)
    assert (tmp_path / "one/problems.parquet").read_bytes() == (tmp_path / "two/problems.parquet").read_bytes()


def test_a_generator_that_runs_dry_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.collect.sources.generated.PATIENCE", 200)
    with pytest.raises(UserError, match="lower num_problems or add classes"):
        collect(entry("generated.ours", **{**GENERATED, "num_problems": 100_000, "classes": [0]}), CONTEST, out=tmp_path / "out")


# ---- forum ---------------------------------------------------------------------------------------------------------------


def forum(path: Path, max_tokens: int = 24_000) -> Collect:
    return entry("files.talk", kind="forum", use="topics", path=str(path), sha256=None, licence="Apache-2.0", max_tokens=max_tokens)


def topics(config: Collect, out: Path) -> Iterator[Topic]:
    collect(config, CONTEST, out=out)
    return rows.read(out / "topics.parquet", Topic)


@pytest.mark.parametrize(
    ("post", "wanted"),
    [
        ("[quote]a[/quote] b", "b"),
        ('x [QUOTE="me"]a[/quote] b', "x  b"),
        ("[quote]a [quote=you]b[/quote] c[/quote]d", "d"),
        ("[quote]never closed", "[quote]never closed"),
        ("[quote]open [quote]a[/quote] b", "[quote]open  b"),
        ("closed[/quote] twice", "closed twice"),
        ("[b]bold[/b] [quoted] <sub>1</sub> $x$", "[b]bold[/b] [quoted] <sub>1</sub> $x$"),
    ],
)
def test_quotes_are_cut_out_and_all_else_stays(post: str, wanted: str) -> None:
    assert strip_quotes(post) == wanted


def test_topics_keep_posts_up_to_the_limit(tmp_path: Path) -> None:
    path = jsonl(
        tmp_path / "topics.jsonl",
        {"id": "a", "posts": ["x" * 30, "[quote]gone[/quote]", "y" * 10, "z"]},
        {"id": "b", "posts": ["x" * 41]},
        {"id": "c", "posts": ["[quote]only[/quote]", " "]},
        {"id": "d", "posts": []},
    )
    kept = list(topics(forum(path, max_tokens=10), tmp_path / "out"))
    assert [(topic.id, topic.posts) for topic in kept] == [("a", ("x" * 30, "y" * 10))]
    dropped = {row.id: row.reason for row in rows.read(tmp_path / "out/dropped.parquet", Dropped)}
    assert dropped == {"b": "first post too long", "c": "no text", "d": "no text"}


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([{"id": "a", "posts": "text"}], "row 1: posts must be a list of texts"),
        ([{"id": "a"}], "row 1: no field 'posts'; it has: id"),
        ([{"forum_post": "a"}], "no field 'forum_discussions'"),
        ([{"id": "a", "posts": ["x"]}, {"id": "a", "posts": ["y"]}], "row 2: the id 'a' is there twice"),
    ],
)
def test_a_wrong_topic_is_named(tmp_path: Path, records: list[Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        collect(forum(jsonl(tmp_path / "topics.jsonl", *records)), CONTEST, out=tmp_path / "out")


def test_a_discussion_is_cut_where_the_next_number_begins(tmp_path: Path) -> None:
    text = "Post 1:\nsee Post 2:\r\nabove\n\nPost 3: is odd\n\nPost 2:\nyes\n\nPost 3:\nend"
    path = jsonl(tmp_path / "topics.jsonl", {"forum_post": "question", "forum_discussions": text})
    (topic,) = topics(forum(path), tmp_path / "out")
    assert (topic.id, topic.source) == ("talk-1", "talk")
    assert topic.posts == ("question", "see Post 2:\r\nabove\n\nPost 3: is odd", "yes", "end")


@real_data
def test_topics_of_nemo_skills_are_read(tmp_path: Path) -> None:
    kept = list(topics(forum(DATA / "forum_topics/nemo_skills_forum_10.jsonl"), tmp_path / "out"))
    assert [len(topic.posts) for topic in kept] == [4, 1, 3, 4, 2, 2, 1, 3, 3, 5]
