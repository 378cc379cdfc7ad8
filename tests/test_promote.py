"""The gate moves the champion on evidence only: paired, per problem, on the same exam; and there is a way back."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from components.core.errors import UserError
from flows import lineage, promote, registry, subgraphs
from tests import recorded_workspace


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = recorded_workspace.workspace(tmp_path_factory.mktemp("registered"))
    promote.register(root)
    return root


@pytest.fixture
def root(registered: Path, tmp_path: Path) -> Path:
    """A copy of its own: to mirror the same workspace anew for each test would take most of the time."""
    return Path(shutil.copytree(registered, tmp_path / "root"))


def verdicts(outcome: promote.Promotion) -> list[tuple[str, str, str]]:
    return [(one.gate, one.candidate, one.verdict) for one in outcome.comparisons]


def again(root: Path, *, exam_seed: int = 2, gate: dict[str, Any] | None = None, **skills: float) -> promote.Promotion:
    """The workspace after a new run, judged."""
    recorded_workspace.workspace(root, recorded_workspace.SKILLS | skills, exam_seed, gate)
    return promote.promote(root)


def champion(root: Path) -> registry.Version:
    with lineage.tracking_store(root) as store:
        found = registry.champion(store)
    assert found
    return found


def test_the_first_champion_is_no_worse_than_its_start_and_better_than_the_base(root: Path) -> None:
    outcome = promote.promote(root)
    assert verdicts(outcome) == [
        ("start", "awq", "not worse"), ("start", "fp8", "not worse"), ("base", "awq", "better"), ("base", "fp8", "better"),
    ]  # fmt: skip
    assert (outcome.promoted, outcome.champion) == ("awq", champion(root).number)
    assert champion(root).model.path == "models/awq"
    told = json.loads((root / "reports/promotion.json").read_text())
    assert (told["promoted"], told["comparisons"][2]["verdict"]) == ("awq", "better")
    assert told["comparisons"][2]["found"]["low"] > 0
    assert next(step.stage for step in lineage.trace(root, "champion")) == "quantize@awq"


def test_registering_twice_makes_no_second_version_and_points_at_the_bytes(root: Path) -> None:
    first = promote.register(root)
    assert promote.register(root) == first
    assert set(first) == {"base", "genselect", "awq", "fp8"}
    assert first["awq"].commit == recorded_workspace.git(root, "rev-parse", "HEAD").strip()
    with lineage.tracking_store(root) as store:
        (found,) = store.client.search_model_versions(f"name = 'aimo' and tags.`dvc.md5` = '{first['awq'].model.md5}'")
    assert found.source.startswith("models:/m-")
    assert (found.tags["dvc.path"], found.tags["gate"]) == ("models/awq", "not judged")


def test_a_candidate_that_lost_too_much_is_refused_with_the_numbers(root: Path) -> None:
    outcome = again(root, awq=0.3, fp8=0.3)
    assert verdicts(outcome) == [("start", "awq", "worse"), ("start", "fp8", "worse")]
    assert (outcome.promoted, outcome.champion) == (None, None)
    assert outcome.comparisons[0].found
    assert outcome.comparisons[0].found.high < 0
    assert "start genselect" in promote.show(outcome)


def test_the_next_in_preference_follows_where_the_first_fails(root: Path) -> None:
    assert again(root, awq=0.3).promoted == "fp8"


def test_undecided_moves_nothing(root: Path) -> None:
    outcome = again(root, gate={"margin": 0.02})  # equal answers on 120 problems leave ±0.03 open
    assert verdicts(outcome) == [("start", "awq", "undecided"), ("start", "fp8", "undecided")]
    assert outcome.promoted is None


def test_a_candidate_no_better_than_the_base_is_no_first_champion(root: Path) -> None:
    outcome = again(root, base=0.5)
    assert verdicts(outcome)[2:] == [("base", "awq", "not worse"), ("base", "fp8", "not worse")]
    assert outcome.promoted is None


def test_a_better_model_follows_and_rollback_brings_the_former_champion_back(root: Path) -> None:
    promote.promote(root)
    former = champion(root)
    outcome = again(root, genselect=0.65, awq=0.65, fp8=0.65)
    assert verdicts(outcome)[2] == ("champion", "awq", "better")
    assert champion(root).previous == former.number != champion(root).number
    assert promote.rollback(root).number == champion(root).number == former.number
    with pytest.raises(UserError, match="no earlier champion"):
        promote.rollback(root)


def test_a_champion_that_is_preferred_stays(root: Path) -> None:
    promote.promote(root)
    outcome = promote.promote(root)
    assert outcome.promoted is None
    assert "champion already" in outcome.reason


def test_a_model_no_worse_follows_only_if_it_is_smaller(root: Path) -> None:
    assert again(root, gate={"challengers": ["fp8"]}).promoted == "fp8"
    outcome = again(root, gate={"challengers": ["awq"]})
    assert verdicts(outcome)[1] == ("champion", "awq", "not worse")
    assert outcome.promoted == "awq"
    outcome = again(root, gate={"challengers": ["fp8"]})
    assert outcome.promoted is None
    assert outcome.comparisons[1].note == "and no smaller: nothing is gained"


def test_a_champion_of_another_exam_is_not_compared(root: Path) -> None:
    promote.promote(root)
    former = champion(root)
    outcome = again(root, exam_seed=3, genselect=0.7, awq=0.7, fp8=0.7)
    assert outcome.comparisons[2].verdict == "undecided"
    assert "took another exam" in outcome.comparisons[2].note
    assert champion(root).number == former.number


def test_any_other_strategy_is_scored_by_its_votes(root: Path) -> None:
    outcome = again(root, gate={"strategy": "random"})
    assert outcome.promoted == "awq"
    with pytest.raises(UserError, match=r"nobody voted by 'majorty'.*there are: random"):
        again(root, gate={"strategy": "majorty"})


def test_an_unknown_candidate_is_told_what_there_is(root: Path) -> None:
    with pytest.raises(UserError, match=r"'gptq' has not taken the exam.*awq"):
        again(root, gate={"challengers": ["gptq"]})


def test_rows_that_dvc_lock_does_not_record_are_no_evidence(root: Path) -> None:
    (root / "runs/exam/awq/candidates.parquet").write_bytes(b"better ones")
    with pytest.raises(UserError, match="dvc checkout"):
        promote.promote(root)


def test_what_is_mirrored_and_judged_is_not_asked_again_until_something_moves(root: Path) -> None:
    first = subgraphs.publish(root, promote=True)
    assert first[-1] == "awq is champion (version 3)"
    told = subgraphs.publish(root, promote=True)
    assert told[0].startswith("MLflow: nothing new since ")
    assert told[1:] == first[1:]
    again(root, fp8=0.3)  # by hand: the store is another one now
    assert subgraphs.publish(root, promote=True)[-1] == "awq is champion already (version 3)"
    params = json.loads((root / "params.yaml").read_text())
    (root / "params.yaml").write_text(json.dumps(params | {"promote": recorded_workspace.GATE | {"challengers": ["awq"]}}))
    assert [line.split()[0] for line in subgraphs.publish(root, promote=True)] == ["MLflow:", "awq", "awq"]
    recorded_workspace.commit(root)
    assert subgraphs.publish(root, promote=True)[0] == "MLflow: 0 new runs"
    subgraphs.forget(root)
    assert subgraphs.publish(root, promote=True)[0] == "MLflow: 0 new runs"


def test_a_mirror_that_failed_is_not_taken_for_done(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subgraphs.publish(root, promote=True)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    for _ in range(2):
        assert subgraphs.publish(root, promote=True)[-1].startswith("no promotion: http://127.0.0.1:9: MLflow does not answer")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    (root / "runs/exam/awq/candidates.parquet").write_bytes(b"better ones")
    subgraphs.forget(root)
    for _ in range(2):
        with pytest.raises(UserError, match="dvc checkout"):
            subgraphs.publish(root, promote=True)
