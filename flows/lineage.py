"""The mirror: what dvc.lock recorded, shown in MLflow, and the way back from a model to its first data. MLflow's only importer.

Reads dvc.lock, reports/accepted.json, reports/metrics/*.json, reports/losses/*.csv, .aimo/ran/*.json, .aimo/live/*.csv. Writes the
tracking store: MLFLOW_TRACKING_URI, or .aimo/mlflow.db. One run per lock entry, found again by its tag `dvc.entry`; a run that is not
FINISHED is the rest of an interrupted mirror and is written anew. Copies no data and no weights: those are DVC's, by md5. A store that
does not answer delays the mirror, nothing else. Does not know how stages are run, nor which model is good.
"""

import contextlib
import fcntl
import json
import logging
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, NamedTuple

from components.core.errors import UserError
from flows import dvc_lock, metric_files
from flows.dvc_lock import Artifact, LockEntry

EXPERIMENT = "aimo-forge"
REGISTERED = "aimo"
CHAMPION = "champion"
HOME = Path(".aimo")
log = logging.getLogger(__name__)


class TrackingUnavailable(UserError):
    """The tracking server does not answer."""


class Store(NamedTuple):
    """An MLflow client and the experiment that holds our runs."""

    client: Any
    experiment: str


@contextlib.contextmanager
def tracking_store(root: Path, uri: str | None = None) -> Iterator[Store]:
    """The tracking store; TrackingUnavailable where it does not answer. Two processes that made a new database at once would spoil it: one
    at a time.
    """
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # seconds; MLflow's own 7 retries take minutes per call
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # two lines for each run that ends on a server
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    home = (root / HOME).resolve()
    home.mkdir(exist_ok=True)
    uri = uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home}/mlflow.db"
    try:
        with _file_lock(home / "lineage.lock"):
            client = MlflowClient(uri)
            known = client.get_experiment_by_name(EXPERIMENT)
            local = (home / "mlartifacts").as_uri() if uri.startswith("sqlite:") else None  # else a folder where we happen to stand
            experiment = known.experiment_id if known else client.create_experiment(EXPERIMENT, artifact_location=local)
        yield Store(client, experiment)
    except MlflowException as error:
        if not str(error).startswith("API request to"):
            raise
        raise TrackingUnavailable(f"{uri}: MLflow does not answer; nothing is lost: start it and run `aimo lineage sync`") from None


@contextlib.contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def register(store: Store, model_id: str, tags: Mapping[str, str]) -> str:
    """A new version of a logged model, by number. MLflow looks a logged model up at its global address, whatever the client's is."""
    import mlflow

    before = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(store.client.tracking_uri)
    try:
        source = f"models:/{model_id}"
        made = store.client.create_model_version(REGISTERED, source, tags=tags, model_id=model_id, await_creation_for=0)
        return str(made.version)  # a server refuses this source without the id; nothing is copied, so there is nothing to wait for
    finally:
        mlflow.set_tracking_uri(before)


# ---- the mirror ---------------------------------------------------------------------------------------------------------


def sync(root: Path, uri: str | None = None, *, strict: bool = False) -> int:
    """Writes what is missing and returns how many runs that took. With the store away: a warning and 0, or TrackingUnavailable when
    `strict`.
    """
    try:
        with tracking_store(root, uri) as store, _file_lock(root / HOME / "mirror.lock"):
            return _mirror(store, root)
    except TrackingUnavailable as away:
        if strict:
            raise
        log.warning("%s", away)
        return 0


def _mirror(store: Store, root: Path) -> int:
    entries, (head, held) = dvc_lock.read(root), dvc_lock.committed(root)
    written = 0
    for entry in entries.values():
        old = _find(store, f"tags.`dvc.entry` = '{entry.key}'")
        finished = [run for run in old if run.info.status == "FINISHED"]
        if not finished:
            _remove(store, [*old, *_find(store, f"tags.`aimo.live` = '{entry.stage}'")])
            _write(store, root, entry._replace(commit=head if entry.key in held or not head else f"{head}-dirty"), entries)
            written += 1
        elif entry.key in held and not finished[0].data.tags["git.commit"].isalnum():
            store.client.set_tag(finished[0].info.run_id, "git.commit", head)  # now a commit holds what was recorded before it
    return written


def _write(store: Store, root: Path, entry: LockEntry, entries: dict[str, LockEntry]) -> None:
    client = store.client
    run_id = client.create_run(store.experiment, run_name=entry.stage, tags=_tags(entry) | _machine_tags(root, entry)).info.run_id
    _log_params(client, run_id, entry)
    _log_inputs(store, run_id, entry)
    made = [_log_model(store, run_id, entry, out) for out in entry.outs if dvc_lock.is_model(out.path)]
    about = dvc_lock.evaluated(entry, entries)
    model, data = (find_model(store, about[0]), about[1]) if about and not made else (made[0] if made else None, None)
    for out in entry.outs:
        if out.path.startswith("reports/metrics/"):
            log_numbers(client, run_id, [(0, metric_files.metrics(root, out))], model, data)
        if out.path.startswith("reports/losses/"):
            log_numbers(client, run_id, metric_files.losses(root, out))
    client.set_terminated(run_id, "FINISHED")


def _tags(entry: LockEntry) -> dict[str, str]:
    return {
        "dvc.entry": entry.key,
        "dvc.stage": entry.stage,
        "dvc.deps": json.dumps(entry.deps),
        "dvc.outs": json.dumps(entry.outs),
        "dvc.needs": json.dumps(entry.needs),
        "git.commit": entry.commit,
        **({"dvc.accepted_from": entry.accepted_from} if entry.accepted_from else {}),
    }


def _machine_tags(root: Path, entry: LockEntry) -> dict[str, str]:
    """Where it ran, as tags: what it computed are params."""
    ran = metric_files.stage_run(root, entry.stage, [out.md5 for out in entry.outs if out.path.startswith("reports/metrics/")])
    return {_name(f"machine.{key}"): str(value) for key, value in (ran.machine if ran else {}).items()}


def _log_params(client: Any, run_id: str, entry: LockEntry) -> None:
    from mlflow.entities import Param

    params = [Param(_name(key), str(value)) for key, value in metric_files.flatten(entry.params)]
    for start in range(0, len(params), 100):  # MLflow's limit for one call
        client.log_batch(run_id, params=params[start : start + 100])


def _log_inputs(store: Store, run_id: str, entry: LockEntry) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelInput

    role = [InputTag("mlflow.data.context", "training" if entry.stage.startswith("train") else "input")]
    datasets = [DatasetInput(Dataset(dep.path, dep.md5, "dvc", json.dumps(dep._asdict())), role) for dep in entry.datasets]
    models = [LoggedModelInput(found) for dep in entry.models if (found := find_model(store, dep))]
    store.client.log_inputs(run_id, datasets, models)


def _log_model(store: Store, run_id: str, entry: LockEntry, out: Artifact) -> str:
    from mlflow.entities import LoggedModelOutput

    tags = {"dvc.path": out.path, "dvc.md5": out.md5, "dvc.size": str(out.size), "git.commit": entry.commit}
    name = out.path.removeprefix("models/").replace("/", "-")
    model = store.client.create_logged_model(store.experiment, name=name, source_run_id=run_id, tags=tags, model_type=entry.stage)
    store.client.finalize_logged_model(model.model_id, "READY")
    store.client.log_outputs(run_id, [LoggedModelOutput(model.model_id, 0)])
    return str(model.model_id)


def log_numbers(
    client: Any, run_id: str, steps: Sequence[tuple[int, Mapping[str, float]]], model: str | None = None, data: Artifact | None = None
) -> None:
    """Numbers of one or many steps, linked to the model they are about and to the data it was measured on."""
    from mlflow.entities import Metric

    now, (name, digest) = int(time.time() * 1000), (data.path, data.md5) if data and model else (None, None)
    metrics = [Metric(_name(key), value, now, step, model, name, digest, run_id) for step, row in steps for key, value in row.items()]
    for start in range(0, len(metrics), 1000):  # MLflow's limit for one call
        client.log_batch(run_id, metrics=metrics[start : start + 1000])


def find_model(store: Store, piece: Artifact) -> str | None:
    """The newest logged model with this path and md5."""
    wanted = f"tags.`dvc.path` = '{piece.path}' AND tags.`dvc.md5` = '{piece.md5}'"
    found = store.client.search_logged_models([store.experiment], wanted, max_results=1)  # newest first
    return str(found[0].model_id) if found else None


def _find(store: Store, wanted: str) -> list[Any]:
    return list(store.client.search_runs([store.experiment], wanted, max_results=100))


def _remove(store: Store, runs: Sequence[Any]) -> None:
    for run in runs:
        for model in store.client.search_logged_models([store.experiment], f"source_run_id = '{run.info.run_id}'"):
            store.client.delete_logged_model(model.model_id)
        store.client.delete_run(run.info.run_id)


def _name(key: str) -> str:
    return re.sub(r"[^\w\-. /]", "_", key)  # MLflow takes no other characters


# ---- while a stage runs, and the way back ---------------------------------------------------------------------------------


def stream_loss_curve(root: Path, stage: str, stop: threading.Event, uri: str | None = None, every_s: float = 5.0) -> None:
    """Shows a training stage's growing loss curve until `stop` is set, in a run of its own that the mirror of the stage replaces."""
    path, began, sent, run_id = root / HOME / "live" / f"{stage.partition('@')[2]}.csv", time.time(), 0, None
    stopped = False
    try:
        while not stopped:
            stopped = stop.wait(every_s)
            if not path.exists() or path.stat().st_mtime < began:  # what an earlier run left
                continue
            rows = metric_files.curve(path.read_text(encoding="utf-8"))
            if len(rows) == sent:
                continue
            with tracking_store(root, uri) as store:
                run_id = run_id or _live_run(store, stage)
                log_numbers(store.client, run_id, rows[sent if sent < len(rows) else 0 :])
            sent = len(rows)
        if run_id:
            with tracking_store(root, uri) as store:
                store.client.set_terminated(run_id, "KILLED")  # it stands only where the stage did not end well
    except TrackingUnavailable as away:
        log.warning("%s", away)


def _live_run(store: Store, stage: str) -> str:
    _remove(store, _find(store, f"tags.`aimo.live` = '{stage}'"))
    tags = {"aimo.live": stage, "dvc.stage": stage}
    return str(store.client.create_run(store.experiment, run_name=f"{stage} (running)", tags=tags).info.run_id)


def trace(root: Path, name: str, uri: str | None = None) -> list[LockEntry]:
    """The recorded entries behind a model (`awq`, `models/awq`, or the alias `champion`), readers before makers."""
    with tracking_store(root, uri) as store:
        model = find_model(store, piece := _resolve(store, root, name))
        if not model:
            raise UserError(f"{piece.path} with md5 {piece.md5} is not in MLflow; run `aimo lineage sync`")
        return _upstream(store, store.client.get_run(store.client.get_logged_model(model).source_run_id))


def _upstream(store: Store, run: Any) -> list[LockEntry]:
    found, ahead = {}, [_read_entry(run)]
    while ahead:
        entry = ahead.pop()
        found[entry.key] = entry
        for key in set(entry.needs) - set(found):
            ahead += map(_read_entry, _find(store, f"tags.`dvc.entry` = '{key}' AND attributes.status = 'FINISHED'")[:1])
    order = TopologicalSorter({key: entry.needs for key, entry in sorted(found.items())}).static_order()
    return [found[key] for key in order if key in found][::-1]


def _resolve(store: Store, root: Path, name: str) -> Artifact:
    registered = store.client.search_registered_models(f"name = '{REGISTERED}'")
    number = registered[0].aliases.get(name) if registered else None
    if number:
        tags = store.client.get_model_version(REGISTERED, number).tags
        return Artifact(tags["dvc.path"], tags["dvc.md5"], 0)
    made = {out.path: out for entry in dvc_lock.read(root).values() for out in entry.outs if dvc_lock.is_model(out.path)}
    path = f"models/{name.removeprefix('models/')}"
    if path not in made:
        raise UserError(f"no alias '{name}' in the registry, and dvc.lock records no {path}; there are: {', '.join(made) or 'no models'}")
    return made[path]


def _read_entry(run: Any) -> LockEntry:
    tags = run.data.tags
    deps, outs = (tuple(Artifact(*piece) for piece in json.loads(tags[f"dvc.{kind}"])) for kind in ("deps", "outs"))
    needs, accepted_from = tuple(json.loads(tags["dvc.needs"])), tags.get("dvc.accepted_from", "")
    return LockEntry(tags["dvc.stage"], tags["dvc.entry"], deps, outs, {}, needs, tags["git.commit"], accepted_from)


def show(entries: Sequence[LockEntry]) -> str:
    """The way back as text: each stage with what it made, the models, rows and code it read, and the commit that holds its record."""
    lines = []
    for entry in entries:
        kept = f"; made as {entry.accepted_from}, accepted when its code had changed" if entry.accepted_from else ""
        lines.append(f"{entry.stage}  (git {entry.commit or 'unknown'}{kept})")
        kinds = (("made", entry.outs), ("model", entry.models), ("rows", entry.datasets), ("code", entry.code))
        lines += [f"  {kind:6}{piece.md5:37}{piece.path}" for kind, pieces in kinds for piece in pieces]
    return "\n".join(lines)
