"""`python -m components.serve solver KEY --model …` and `… bundle KEY --model … --out …`."""

import logging
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from components.core.errors import MachineError, UserError
from components.core.params import PARAMS

app = typer.Typer(help=__doc__, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
Key = Annotated[str, typer.Argument(help="which entry of params.yaml's solve: its plan, stops and clock")]
Model = Annotated[Path, typer.Option(help="the model's folder")]


@app.command()
def solver(
    key: Key,
    model: Model,
    problems: Annotated[Path | None, typer.Option(help="a CSV to be examined on at once; none: serve until Ctrl-C")] = None,
    out: Annotated[Path, typer.Option(help="where candidates.jsonl and a rehearsal's files go")] = Path("runs/gateway"),
) -> None:
    """Serves the solver at gateway.port, or rehearses on a file of problems."""
    from components.serve.notebook import serve
    from components.serve.solver import solver as opened

    serve(lambda: opened(key, model, PARAMS, out), PARAMS, problems, out)


@app.command()
def bundle(
    key: Key,
    model: Model,
    out: Annotated[Path, typer.Option(help="the folder that is written")],
    mounted_at: Annotated[
        Path | None, typer.Option(help="where the notebook will find the model; none: the same path inside the folder")
    ] = None,
) -> None:
    """Writes the folder that a notebook needs: code, recipe, entry, manifest. The model is uploaded by itself."""
    from components.serve.bundle import write

    print(write(out, key, model, mounted_at or model, PARAMS))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that engine and sandbox are ended in order
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        app()
    except (UserError, MachineError) as error:
        sys.exit(f"error: {error}")
