"""MLflow shows what dvc.lock recorded: once, whole, linked, and traceable from a model back to its first rows."""

import json
import logging
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from components.core.errors import UserError
from flows import dvc_lock, lineage
from tests import lineage_fixtures


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = lineage_fixtures.workspace(tmp_path_factory.mktemp("mirrored"))
    assert lineage.sync(root) == len(dvc_lock.read(root)) == 17
    return root


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    return lineage_fixtures.workspace(tmp_path / "fresh")


def runs(root: Path, wanted: str = "") -> list[Any]:
    with lineage.tracking_store(root) as store:
        return list(store.client.search_runs([store.experiment], wanted, max_results=100))


def run(root: Path, stage: str) -> Any:
    (found,) = runs(root, f"tags.`dvc.stage` = '{stage}'")
    with lineage.tracking_store(root) as store:
        return store.client.get_run(found.info.run_id)  # a search leaves linked models out


def test_a_second_mirror_writes_nothing(mirrored: Path) -> None:
    assert lineage.sync(mirrored) == 0
    assert len(runs(mirrored)) == 17


def test_makers_come_before_readers_though_the_lock_has_them_the_other_way_round(mirrored: Path) -> None:
    order = list(dvc_lock.read(mirrored))
    assert order.index("fetch@base") < order.index("train@cot") < order.index("quantize@awq") < order.index("vote@awq")
    assert order.index("curate") < order.index("exam@base")


def test_datasets_are_inputs_with_dvcs_md5_as_digest(mirrored: Path) -> None:
    (rows,) = run(mirrored, "train@cot").inputs.dataset_inputs
    entry = dvc_lock.read(mirrored)["train@cot"]
    assert (rows.dataset.name, rows.dataset.digest) == ("data/sft/cot", next(dep.md5 for dep in entry.deps if dep.path == "data/sft/cot"))


def test_params_metrics_and_the_loss_curve_are_there(mirrored: Path) -> None:
    found = run(mirrored, "train@cot")
    assert found.data.params == {"models.train.cot.lr": "0.002", "models.train.cot.steps": "[1, 2]"}
    assert found.data.metrics["loss.last"] == 0.5
    with lineage.tracking_store(mirrored) as store:
        history = store.client.get_metric_history(found.info.run_id, "loss")
    assert [(point.step, point.value) for point in history] == [(1, 2.5), (2, 1.5)]


def test_where_a_stage_ran_is_told_by_tags_unless_it_is_the_note_of_another_run(fresh: Path) -> None:
    metrics = next(out for out in dvc_lock.read(fresh)["train@cot"].outs if out.path.startswith("reports/metrics/"))
    told = {"ended": 1.0, "seconds": 2.0, "machine": {"host": "there", "train": {"launch": "infra/launch/one.yaml"}}}
    (fresh / ".aimo/ran").mkdir(parents=True)
    (fresh / ".aimo/ran/train@cot.json").write_text(json.dumps(told | {"metrics": metrics.md5}))
    (fresh / ".aimo/ran/vote@awq.json").write_text(json.dumps(told | {"metrics": "of an earlier run"}))
    lineage.sync(fresh)
    tags = run(fresh, "train@cot").data.tags
    assert {name: tags[name] for name in tags if name.startswith("machine.")} == {
        "machine.host": "there", "machine.train.launch": "infra/launch/one.yaml",
    }  # fmt: skip
    assert not [name for name in run(fresh, "vote@awq").data.tags if name.startswith("machine.")]


def test_a_model_is_linked_to_its_parent_model(mirrored: Path) -> None:
    with lineage.tracking_store(mirrored) as store:
        made = {model.model_id: model.name for model in store.client.search_logged_models([store.experiment])}
        (parent,) = run(mirrored, "quantize@awq").inputs.model_inputs
        (child,) = run(mirrored, "quantize@awq").outputs.model_outputs
    assert (made[parent.model_id], made[child.model_id]) == ("genselect", "awq")


def test_a_votes_score_is_linked_to_the_model_and_to_the_exam(mirrored: Path) -> None:
    exam = next(dep for dep in dvc_lock.read(mirrored)["vote@awq"].deps if dep.path.endswith("exam.parquet"))
    with lineage.tracking_store(mirrored) as store:
        (model,) = store.client.search_logged_models(
            [store.experiment], "metrics.`majority` > 0.4", datasets=[{"dataset_name": exam.path, "dataset_digest": exam.md5}]
        )
    assert (model.name, model.metrics[0].value) == ("awq", 0.45)


def test_a_trace_goes_back_to_the_first_rows_prompts_and_code(mirrored: Path) -> None:
    steps = lineage.trace(mirrored, "awq")
    stages = [step.stage for step in steps]
    assert stages[0] == "quantize@awq"
    assert set(stages) == {
        "quantize@awq", "train@genselect", "train@cot", "compose@cot", "curate", "fetch@base", "generate@generated", "generate@exam",
    }  # fmt: skip
    assert all(stages.index(reader) < stages.index(maker) for reader, maker in [("train@cot", "fetch@base"), ("compose@cot", "curate")])
    text = lineage.show(steps)
    raw = next(out for out in dvc_lock.read(mirrored)["generate@generated"].outs)
    assert f"{raw.md5} data/raw/train/generated" in text
    assert "components/lib/prompts/cot.md" in text and "code/quantize.json" in text
    assert lineage_fixtures.git(mirrored, "rev-parse", "HEAD").strip() in text


def test_an_unknown_name_is_told_what_there_is(mirrored: Path) -> None:
    with pytest.raises(UserError, match=r"no alias 'akw'.*models/awq"):
        lineage.trace(mirrored, "akw")


def test_a_half_written_run_and_its_model_are_replaced(fresh: Path) -> None:
    entry = dvc_lock.read(fresh)["fetch@base"]
    with lineage.tracking_store(fresh) as store:
        half = store.client.create_run(store.experiment, tags={"dvc.entry": entry.key, "dvc.stage": "fetch@base"}).info.run_id
        store.client.create_logged_model(store.experiment, name="base", source_run_id=half)
    lineage.sync(fresh)
    assert run(fresh, "fetch@base").info.run_id != half
    with lineage.tracking_store(fresh) as store:
        (base,) = store.client.search_logged_models([store.experiment], "name = 'base'")
    assert base.source_run_id != half


def test_a_commit_is_noted_once_it_holds_the_entry(fresh: Path) -> None:
    before = lineage_fixtures.git(fresh, "rev-parse", "HEAD").strip()
    lineage_fixtures.workspace(fresh, lineage_fixtures.SKILLS | {"awq": 0.4})
    assert lineage.sync(fresh) == 17
    assert run(fresh, "quantize@awq").data.tags["git.commit"] == f"{before}-dirty"
    after = lineage_fixtures.commit(fresh)
    assert lineage.sync(fresh) == 0
    assert run(fresh, "quantize@awq").data.tags["git.commit"] == after
    assert run(fresh, "fetch@base").data.tags["git.commit"] == before


def test_an_edited_metrics_file_does_not_speak_for_the_entry(fresh: Path, caplog: pytest.LogCaptureFixture) -> None:
    (fresh / "reports/metrics/train@cot.json").write_text('{"loss": {"last": 0.0001}}')
    lineage.sync(fresh)
    assert "loss.last" not in run(fresh, "train@cot").data.metrics
    assert "left out" in caplog.text


def test_a_stage_that_still_reads_older_rows_is_not_traced_to_the_newer_ones(fresh: Path) -> None:
    lock = json.loads((fresh / "dvc.lock").read_text())
    lock["stages"]["compose@cot"]["outs"][0]["md5"] = "0" * 32 + ".dir"
    (fresh / "dvc.lock").write_text(json.dumps(lock))
    entries = dvc_lock.read(fresh)
    assert entries["compose@cot"].key not in entries["train@cot"].needs


def test_with_the_server_away_the_run_goes_on_and_a_strict_mirror_says_so(
    fresh: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with caplog.at_level(logging.WARNING):
        assert lineage.sync(fresh, "http://127.0.0.1:9") == 0
    assert "aimo lineage sync" in caplog.text
    with pytest.raises(UserError, match="does not answer"):
        lineage.sync(fresh, "http://127.0.0.1:9", strict=True)


def test_a_growing_loss_curve_is_shown_live_and_then_replaced_by_the_mirror(fresh: Path) -> None:
    path, stop = fresh / ".aimo/live/cot.csv", threading.Event()
    path.parent.mkdir()
    shown = threading.Thread(target=lineage.stream_loss_curve, args=(fresh, "train@cot", stop), kwargs={"every_s": 0.05})
    shown.start()
    path.write_text("step,loss\n1,3.0\n2,2.0\n3,1.")
    deadline = time.monotonic() + 30
    while not (found := runs(fresh, "tags.`aimo.live` = 'train@cot'")) or "loss" not in found[0].data.metrics:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert (found[0].info.status, found[0].data.metrics["loss"]) == ("RUNNING", 2.0)
    path.write_text("step,loss\n1,3.0\n2,2.0\n3,1.5\n")
    stop.set()
    shown.join(30)
    (ended,) = runs(fresh, "tags.`aimo.live` = 'train@cot'")
    assert (ended.info.status, ended.data.metrics["loss"]) == ("KILLED", 1.5)
    lineage.sync(fresh)
    assert run(fresh, "train@cot").info.status == "FINISHED"
