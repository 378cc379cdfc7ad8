"""An entry `models.import.mine` through the stage that writes it, and an engine on what that wrote."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from components.core.params import PARAMS
from components.fetch.kind import Fetch
from components.lib.engine.config import EngineHosts, Engines, kind_for, open_engine
from components.lib.engine.protocol import Completion, Sampling
from tests.stage_fixtures import run, write_params

OUT = Path("models/mine")
GREEDY = Sampling(1.0, 1.0, 1, 0.0, 8, ())


def imported(**entry: object) -> None:
    """The stage's command on `models.import.mine`."""
    done = command(entry)
    assert done.returncode == 0, done.stderr


def refused(**entry: object) -> str:
    """Its error."""
    done = command(entry)
    assert done.returncode == 1 and done.stderr.startswith("error: "), done.stderr
    assert not OUT.exists()
    return done.stderr


def command(entry: Mapping[str, object]) -> CompletedProcess[str]:
    write_params(lambda whole: whole["models"].update({"import": {"mine": entry}}))
    return run("fetch", "import.mine", "--out", str(OUT), "--metrics", "m.json")


def written(out: Path = OUT, **entry: object) -> Path:
    """The same in this process, which saves the seconds of importing torch."""
    Fetch.check({"models": {"import": {"mine": entry}}}, PARAMS, "import.mine").write(out)
    return out


def opened(usual: str, hosts: EngineHosts) -> Any:
    return open_engine(kind_for(OUT, usual, {}), Engines.load(), hosts, OUT)


def asked(engine: Any) -> Completion:
    async def scene() -> Completion:
        async with engine:
            with engine.announce():
                return await engine.complete(engine.encode("abc"), GREEDY, key="p/0/0", seed=1)

    return asyncio.run(scene())
