"""`aimo`: the few commands around the graph. What the user must mend is told in one line; everything heavy is imported where it is used."""

import contextlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import typer

from components.core.errors import UserError

ROOT = Path()
PASS_THROUGH = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""For commands whose words are a component's own."""
app = typer.Typer(help=__doc__, add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
lineage_app = typer.Typer(help="The mirror of dvc.lock in MLflow.", no_args_is_help=True)
ui_app = typer.Typer(help="The pages of MLflow and Prefect, on this machine.", no_args_is_help=True)
app.add_typer(lineage_app, name="lineage")
app.add_typer(ui_app, name="ui")


def main() -> None:
    """The console script."""
    logging.getLogger("flows").addHandler(logging.StreamHandler())  # warnings of the mirror; Prefect silences the root logger
    with _errors_in_one_line():
        app()


@app.command()
def run(flow: Annotated[str, typer.Argument(help="build-data, finetune, quantize, evaluate, exam or retrain")] = "retrain") -> None:
    """Brings a part of the graph up to date; what is up to date is not run again."""
    from flows import subgraphs
    from flows.graph import Graph
    from flows.walk import end_orphans
    from flows.workspace import prefect_environment, workspace_lock

    with workspace_lock(ROOT):
        end_orphans(ROOT)
        graph, changed = Graph.read_with_changes(ROOT)
        stages = subgraphs.stages(graph, flow)
        if not changed & stages:
            _nothing_changed(flow, [name for name in graph.order if name in stages])
            return
    prefect_environment(ROOT)
    from flows import pipeline

    pipeline.FLOWS[flow](str(ROOT.resolve()))


def _nothing_changed(flow: str, stages: list[str]) -> None:
    """What a run does when no stage has to run: seconds, and no Prefect server."""
    from flows import subgraphs, summary
    from flows.walk import Outcome

    print("nothing changed, no stage runs")
    outcomes = [Outcome(name, "cached", 0.0) for name in stages]
    summary.write(ROOT, flow, outcomes)
    if flow == "retrain":
        print(*subgraphs.publish(ROOT, promote=True), sep="\n")
    summary.show(ROOT, outcomes)


@app.command()
def exam(
    model: Annotated[str, typer.Option(help="a folder, a .gguf file, OWNER/NAME[@REVISION] of the hub, or a server's address")],
    problems: Annotated[str, typer.Option(help="benchmarks (infra/benchmarks.yaml), files, or NAME=FILE, with commas between")],
    recipe: Annotated[list[str] | None, typer.Option(help="a recipe, or a .yaml file of your own; may be given again")] = None,
    profile: Annotated[list[str] | None, typer.Option(help="a profile that lies below: gpu; may be given again")] = None,
    attempts: Annotated[int | None, typer.Option(min=1, help="at each problem")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="only the first so many problems of each set")] = None,
    engine: Annotated[Literal["server", "transformers"] | None, typer.Option(help="default: server, which is vLLM")] = None,
    tokenizer: Annotated[Path | None, typer.Option(help="of a server's model: the folder with its tokenizer and config.json")] = None,
) -> None:
    """Examines a model as it is, nothing trained: writes params.yaml, runs that part of the graph, shows the results."""
    from flows import exam as words
    from flows import exam_table
    from flows.workspace import workspace_lock

    request = words.ExamRequest(model, problems, attempts, limit, tokenizer, engine, profile or [], recipe or [])
    with workspace_lock(ROOT):
        taken = words.prepare(ROOT, request)
    print(f"params.yaml is now {' + '.join(map(str, taken))}; `aimo run exam` runs it again")
    run("exam")
    exam_table.show(ROOT)


@app.command()
def use(
    names: Annotated[list[str], typer.Argument(help="profiles, recipes, .yaml files of yours, laid over `tiny` in this order")],
) -> None:
    """Writes profiles and recipes into params.yaml, and what they say of the machine beside your own settings of it; checked first."""
    from components.core import machine, overlays
    from components.core.hardware import Gpus
    from components.core.preflight import Facts
    from flows import preflight
    from flows.promote import Promote
    from flows.walk import Flow

    taken = overlays.use(names, ROOT, [Promote, Flow])
    print(f"params.yaml is now {' + '.join(map(str, taken))}; `git diff params.yaml` shows it, `aimo run` runs it")
    for blank in preflight.blanks(Facts.of(ROOT, Gpus(0, 0.0))):
        print(f"still to be filled in: {blank}")
    for path, says in ((machine.PROFILE, "says where it runs, over {}"), (machine.LOCAL, "is yours, and lies over both")):
        if (ROOT / path).exists():
            print(f"{path} {says.format(machine.DEFAULTS)}")


@app.command()
def check(gpus: Annotated[str | None, typer.Option(help="of another machine: 4x24 is four of 24 GiB, 0 none")] = None) -> None:
    """Says in seconds, without a GPU, what would go wrong: ok, warn or stop, each with its cure; ends with 1 where there is a stop."""
    from components.core import hardware
    from components.core.preflight import Facts, lines
    from flows import preflight

    found = list(preflight.findings(Facts.of(ROOT, None if gpus is None else hardware.parse(gpus))))
    print(*lines(found), sep="\n")
    sys.exit(any(one.level == "stop" for one in found))


@app.command()
def profiles() -> None:
    """Lists profiles; `aimo recipes` lists recipes."""
    from components.core import overlays

    for name, path in overlays.available(ROOT).items():
        if path.parent != ROOT / overlays.RECIPES:
            print(f"{name:16} {overlays.description(path)}")


@app.command()
def recipes() -> None:
    """Lists recipes: how ranked systems took their exam, and what of that is not the same here."""
    from flows import recipes as listed

    print(*listed.lines(ROOT), sep="\n")


@app.command()
def accept(stages: Annotated[list[str], typer.Argument(help="stages of dvc.yaml, or patterns: 'judge@*'")]) -> None:
    """Keeps outputs that a change of code does not alter: dvc.lock takes the new code, and lineage says so."""
    from flows import acceptance
    from flows.walk import end_orphans
    from flows.workspace import workspace_lock

    with workspace_lock(ROOT):
        end_orphans(ROOT)
        print(*acceptance.accept(ROOT, stages), sep="\n")


@lineage_app.command("sync")
def lineage_sync() -> None:
    """Mirrors what dvc.lock records into MLflow."""
    from flows import lineage

    print(f"{lineage.sync(ROOT, strict=True)} new runs")


@app.command()
def trace(name: Annotated[str, typer.Argument(help="a model (awq, models/awq) or the alias champion")]) -> None:
    """Everything that a model was made from, back to the first data."""
    from flows import lineage

    print(lineage.show(lineage.trace(ROOT, name)))


@app.command()
def promote() -> None:
    """Registers the models and lets the gate choose the champion."""
    from flows import promote as gate
    from flows import subgraphs

    subgraphs.invalidate(ROOT)
    print(gate.show(gate.promote(ROOT)))


@app.command()
def rollback() -> None:
    """Makes the champion before this one champion again."""
    from flows import promote as gate
    from flows import subgraphs

    subgraphs.invalidate(ROOT)
    print(f"champion is version {gate.rollback(ROOT).number} again")


@app.command()
def gateway(
    problems: Annotated[Path, typer.Argument(help="a CSV file: id, question and, for a score, answer")],
    out: Annotated[Path, typer.Option(help="where submission.parquet, result.json, run.json and score.json go")] = Path("runs/gateway"),
) -> None:
    """Examines the inference server at gateway.host and gateway.port, as Kaggle's gateway does."""
    score = out / "score.json"
    words = ["--problems", str(problems), "--out", str(out), "--metrics", str(score)]
    ended = subprocess.run(_component("gateway", *words), check=False).returncode
    if ended:
        sys.exit(ended)
    failed = [name for name in json.loads(score.read_text(encoding="utf-8"))["failures"] if name]
    if failed:
        raise UserError(f"the run failed ({', '.join(failed)}); result.json in {out} says why")


@app.command(context_settings=PASS_THROUGH)
def serve(context: typer.Context) -> None:
    """Serves the solver of a recipe as a Kaggle inference server, or rehearses with it on a file (`aimo serve --help`)."""
    words = _component("serve", "solver", *context.args)
    os.execv(words[0], words)


@app.command(context_settings=PASS_THROUGH)
def submit_bundle(context: typer.Context) -> None:
    """Writes the folder that a notebook needs to submit the solver of a recipe (`aimo submit-bundle --help`)."""
    words = _component("serve", "bundle", *context.args)
    os.execv(words[0], words)


def _component(name: str, *words: str) -> list[str]:
    return [sys.executable, "-m", f"components.{name}", *words]


@ui_app.command("mlflow")
def ui_mlflow(port: int = 5000) -> None:
    """MLflow's page over this project's store."""
    from flows import servers

    servers.exec_server(servers.mlflow(ROOT, port))


@ui_app.command("prefect")
def ui_prefect(port: int = 4200) -> None:
    """Prefect's page over this project's runs."""
    from flows import servers

    servers.exec_server(servers.prefect(ROOT, port))


@app.command()
def up(port: int = 4200) -> None:
    """A Prefect server with the weekly retraining deployed on it (infra/prefect.yaml), and a worker; until Ctrl-C."""
    from flows import servers

    servers.up(ROOT, port)


@contextlib.contextmanager
def _errors_in_one_line() -> Iterator[None]:
    from flows.walk import StageFailed

    try:
        yield
    except (UserError, StageFailed) as error:
        sys.exit(f"error: {error}")
    except SystemExit as ended:
        if ended.code == 130:  # typer's answer to Ctrl-C
            print("interrupted: the stages that ran are ended, `aimo run` goes on from here", file=sys.stderr)
        raise


if __name__ == "__main__":
    main()
