"""An opened sandbox for tests that are plain functions: one event loop, kept between calls."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psutil

from components.core.types import CodeRun
from components.lib.sandbox.local import LAYERS, LocalSandbox, LocalSession, SandboxConfig
from components.lib.sandbox.protocol import PLAIN, OutputForm, SandboxError

__all__ = ["LAYERS", "Box", "LocalSession", "SandboxError", "config", "opened"]
T = TypeVar("T")


def config(**fields: Any) -> SandboxConfig:
    usual = {"timeout_s": 1.0, "interrupt": True, "memory_mb": 1024, "output_chars": 400, "allow_weak": False}
    return SandboxConfig.model_validate({**usual, **fields})


class Box:
    """The sandbox, driven from outside its loop."""

    def __init__(self, runner: asyncio.Runner, sandbox: LocalSandbox) -> None:
        self.runner, self.sandbox = runner, sandbox

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def session(self, seed: int = 1) -> LocalSession:
        return self.do(self.sandbox.session(seed))

    def cells(self, *codes: str, seed: int = 1, form: OutputForm = PLAIN) -> list[CodeRun]:
        """The cells of one session."""

        async def story() -> list[CodeRun]:
            session = await self.sandbox.session(seed, form=form)
            try:
                return [await session.run(code) for code in codes]
            finally:
                await session.close()

        return self.do(story())

    def cell(self, code: str) -> CodeRun:
        return self.cells(code)[0]

    def processes(self) -> list[psutil.Process]:
        """The zygote's, whoever their parent is now: forks keep its command line, which names the sandbox's own folder."""
        found = []
        for process in psutil.process_iter():
            try:
                ours = any(str(self.sandbox.server.root) in word for word in process.cmdline()) and process.name() != "bwrap"
                if ours and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.NoSuchProcess:
                continue
        return found

    def folders(self) -> list[str]:
        """The sessions' own, as the zygote sees them: inside bubblewrap nobody else does."""
        zygote = min(process.pid for process in self.processes())
        return [path.name for path in Path(f"/proc/{zygote}/root/{self.sandbox.server.root}").iterdir() if path.is_dir()]


@contextmanager
def opened(layers: tuple[str, ...] = LAYERS, warm: bool = True, sessions: int = 64, **fields: Any) -> Iterator[Box]:
    with asyncio.Runner() as runner:
        sandbox = LocalSandbox(config(**fields), sessions, layers, warm)
        runner.run(sandbox.__aenter__())
        try:
            yield Box(runner, sandbox)
        finally:
            runner.run(sandbox.__aexit__(None, None, None))
