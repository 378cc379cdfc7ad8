"""From public files to problems that may be trained on: the profile `real` as it stands, in a workspace beside which the files lie."""

import os
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from components.collect.source import Collect
from components.collect.stage import collect
from components.core import overlays, rows
from components.core.errors import UserError
from components.core.params import PARAMS, read
from components.core.types import Dropped, Problem, Topic
from components.curate.canonical import canonical
from components.curate.stage import Curate, CurateCluster, curate
from components.extract.stage import Extract, extract
from components.lib.answers import Contest
from components.lib.engine.config import EngineHosts, Engines
from components.lib.sources import Sources
from components.validate.stage import Validate, validate

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("AIMO_REAL_DATA") or Path(__file__).parents[2] / "shared" / "data")
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="no folder of public data sets here")


class Ran(NamedTuple):
    """A workspace after its first stages."""

    home: Path
    metrics: dict[str, dict[str, Any]]

    def problems(self, path: str) -> dict[str, Problem]:
        return {problem.id: problem for problem in rows.read(self.home / f"{path}.parquet", Problem)}

    def dropped(self, folder: str) -> dict[str, Dropped]:
        return {row.id: row for row in rows.read(self.home / folder / "dropped.parquet", Dropped)}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """`real` over `micro`, which only generates fewer problems; data and code are linked, as they lie around a checkout."""
    around = tmp_path_factory.mktemp("around")
    home = around / "project"
    for link, target in ((around / "shared/data", DATA), (home / "components", ROOT / "components"), (home / "infra", ROOT / "infra")):
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(target)
    overlays.use(["micro", "real"], home)
    with chdir(home):
        yield Ran(home, _stages())


def _stages() -> dict[str, dict[str, Any]]:
    contest, data, work = Contest.load(), Path("data"), Path("work")
    work.mkdir()
    raw, extracted, problems = data / "raw", data / "extracted", data / "problems"
    entries = [Collect.load(key=key) for key in Collect.keys(read(PARAMS), PARAMS)]
    metrics = {entry.name: collect(entry, contest, out=raw / entry.use / entry.name) for entry in entries}
    hosts, where = EngineHosts.load(), CurateCluster.load()
    metrics["extract"] = extract(Extract.load(), Engines.load(), contest, hosts, topics=raw / "topics", out=extracted, work=work)
    metrics["curate"] = curate(
        Curate.load(), Engines.load(), Sources.load(), hosts, where, raw=raw, extracted=extracted, out=problems, work=work
    )
    asked = problems / "exam.parquet"
    metrics["validate"] = validate(Validate.load(key="problems"), contest, data=problems, exam=asked, out=data / "validation.json")
    return metrics


def test_every_exam_problem_is_found_among_the_aime_problems_and_taken_out(ran: Ran) -> None:
    exam = ran.problems("data/problems/exam")
    gone = {name: row.other for name, row in ran.dropped("data/problems").items() if row.reason == "contaminated" and row.other in exam}
    missed = set(exam) - set(gone.values())
    assert not missed, f"still among the training problems: {sorted(missed)}; taken out: {gone}"
    needless = [name for name in gone if not name.startswith(("aime-2024_AIMO_II_", "aime-2025_AIME_"))]
    assert not needless, f"taken out without need: {needless}"
    assert len(gone) == len(exam) == 40, gone


IN_MATH500 = {"1983_AIME_2", "1995_AIME_9", "2001_AIME_II_3", "2002_AIME_I_12", "2006_AIME_II_5", "2010_AIME_I_6", "2015_AIME_II_6"}
IN_MATH500 |= {"2016_AIME_I_10", "2017_AIME_II_7"}
"""AIME problems that MATH-500 asks too, some in other words; read side by side."""


def test_what_another_benchmark_asks_is_taken_out_under_its_name(ran: Ran) -> None:
    gone = {name.removeprefix("aime-"): row.detail for name, row in ran.dropped("data/problems").items() if row.reason == "contaminated"}
    assert {name for name, detail in gone.items() if "math500" in detail} == IN_MATH500
    of_2024 = {name for name in gone if name.startswith("2024_AIME_II_")}
    assert of_2024 == {f"2024_AIME_II_{number}" for number in range(1, 16) if number != 9}  # the file lacks II 9, and all of I
    assert all("aime24: " in gone[name] and "contests-24-25: " in gone[name] for name in of_2024)
    assert len(gone) == 40 + len(IN_MATH500) + len(of_2024)
    index = ran.problems("data/problems/benchmarks")
    assert {problem.source for problem in index.values()} >= {"aimo2", "aime25", "aime24", "amc23", "math500", "gsm8k-test", "minerva"}


def test_the_exam_is_whole(ran: Ran) -> None:
    exam = ran.problems("data/problems/exam")
    assert sum(problem.source == "aimo2" for problem in exam.values()) == 10
    assert sum(problem.source == "aime25" for problem in exam.values()) == 30
    assert all(problem.answer is not None and problem.licence for problem in exam.values())


def test_no_exam_statement_is_left_to_train_or_practise_on(ran: Ran) -> None:
    asked = {canonical(problem.statement): name for name, problem in ran.problems("data/problems/exam").items()}
    for side in ("train", "practice"):
        held = ran.problems(f"data/problems/{side}")
        shared = {name: asked[form] for name, problem in held.items() if (form := canonical(problem.statement)) in asked}
        assert not shared, f"{side} holds exam problems: {shared}"
        assert {"generated", "gsm8k", "aime"} <= {problem.source for problem in held.values()}


def test_answers_beyond_the_contest_s_range_are_left_out_and_told(ran: Ran) -> None:
    dropped = ran.dropped("data/raw/train/gsm8k")
    assert {row.reason for row in dropped.values()} == {"answer out of range"}
    assert "448000 is outside 0..999" in dropped["gsm8k-16"].detail
    assert not ran.dropped("data/raw/train/aime")
    assert len(dropped) == 63
    assert len(ran.problems("data/raw/train/gsm8k/problems")) == 600 - 63
    assert len(ran.problems("data/raw/train/aime/problems")) == 982


def test_every_topic_is_accounted_for(ran: Ran) -> None:
    topics = {topic.id for topic in rows.read(ran.home / "data/raw/topics/forum/topics.parquet", Topic)}
    answers = {name: problem.answer for name, problem in ran.problems("data/extracted/problems").items()}
    reasons = {name: row.reason for name, row in ran.dropped("data/extracted").items()}
    assert {name.rpartition("-")[0] for name in [*answers, *reasons]} == topics == {f"forum-{number}" for number in range(1, 11)}
    assert answers == {"forum-3-2": 1, "forum-7-1": None, "forum-10-2": None, "forum-10-3": 9, "forum-10-4": None}
    proofs = dict.fromkeys((f"forum-{number}-1" for number in (1, 3, 4, 5, 6, 8, 9)), "proof")
    assert reasons == {**proofs, "forum-2-1": "invalid", "forum-10-1": "answer not an integer"}


def test_the_replies_reword_what_the_posts_ask(ran: Ran) -> None:
    posts = {
        topic.id: " ".join(" ".join(topic.posts).split()) for topic in rows.read(ran.home / "data/raw/topics/forum/topics.parquet", Topic)
    }
    extracted = {name: problem.statement for name, problem in ran.problems("data/extracted/problems").items()}
    for name, statement in {**extracted, **{name: row.statement for name, row in ran.dropped("data/extracted").items()}}.items():
        words = statement.split()
        runs = [" ".join(words[at : at + 8]) for at in range(len(words) - 7)]
        copied = [run for run in runs if run in posts[name.rpartition("-")[0]]]
        assert not copied, f"{name}: {copied}"


def test_nothing_is_lost_between_the_sources_and_the_sets(ran: Ran) -> None:
    curated = ran.metrics["curate"]
    read, written = curated["read"], curated["written"]
    assert read == {
        "generated": ran.metrics["generated"]["problems"],
        "gsm8k": 600 - 63,
        "aime": 982,
        "extracted": ran.metrics["extract"]["problems"],
        "aimo2": 10,
        "aime25": 30,
    }
    assert sum(read.values()) == sum(written[side] for side in ("train", "practice", "exam", "dropped"))
    assert ran.metrics["validate"]["warnings"] == 0


def test_another_file_under_a_known_name_stops_collect(ran: Ran) -> None:
    whole = read(PARAMS)
    files = whole["sources"]["files"]
    files["aimo2"]["sha256"] = files["aime25"]["sha256"]
    with pytest.raises(UserError, match=r"aimo2_reference\.csv: its SHA-256 is da9df02c.*, but .*sources\.files\.aimo2 names 12d45bc6"):
        collect(Collect.check(whole, PARAMS, "files.aimo2"), Contest.load(), out=Path("data/raw/other"))
