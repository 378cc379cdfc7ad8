"""A server process of our own: started in its own environment, watched, stopped with all its children.

Reads nothing; writes the server's log to .aimo/logs/. Knows vLLM's command line, not its protocol. The child leads a process group of
its own (vLLM spawns an engine core and a worker, which outlive a killed server) and asks the kernel for SIGTERM when this process
dies, whatever kills it: vLLM then takes its children down within seconds.
"""

import asyncio
import os
import re
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from components.core.errors import UserError
from components.core.machine import LOCAL
from components.core.runner import HOME
from components.lib.engine.protocol import EngineError

LAUNCHER = (  # in the child rather than in a preexec_fn, which may deadlock beside threads; PR_SET_PDEATHSIG (1) survives the exec
    "import ctypes, os, signal, sys\n"
    "ctypes.CDLL(None).prctl(1, signal.SIGTERM)\n"
    "os.getppid() != int(sys.argv[1]) and sys.exit('parent is gone')\n"
    "os.execv(sys.executable, [sys.executable, *sys.argv[2:]])\n"
)
QUIET = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "VLLM_LOGGING_COLOR": "0"}
ON_CPU = {  # vLLM's CPU backend only. One thread: on a shared machine two wait for each other (a batch of 64: 165 against 1093 tokens/s)
    "OMP_NUM_THREADS": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # "auto" pins every server to the same first cores
}
SECRET = re.compile(r"(^|_)(KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS?)(_|$)")
"""Names of variables that a server of ours is not given: it reads a folder of this machine and listens on it alone."""
GRACE_S = 20.0
"""vLLM ends within about 3 s of SIGTERM; what is left after this is killed."""


class ServerProcess:
    """One server, from start to nothing left."""

    def __init__(self, name: str, port: int, log: Path, process: asyncio.subprocess.Process) -> None:
        self.name, self.url, self.log = name, f"http://127.0.0.1:{port}", log
        self._process = process

    @classmethod
    async def start(cls, name: str, env: Path, model: Path, arguments: Sequence[str], more: Mapping[str, str]) -> "ServerProcess":
        """Starts `vllm.entrypoints.openai.api_server` of the environment `env` with `model`; it is not ready yet.

        `more`: variables of its environment."""
        python, said = env / "bin" / "python", missing(env)
        if said:
            raise UserError(said)
        port = _free_port()
        log = HOME / "logs" / f"{name}-{model.name}-{port}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        command = ["-m", "vllm.entrypoints.openai.api_server", "--model", str(model), "--host", "127.0.0.1", "--port", str(port)]
        around = {**ON_CPU, **{name: value for name, value in os.environ.items() if not SECRET.search(name)}, **QUIET, **more}
        with log.open("wb") as out:
            process = await asyncio.create_subprocess_exec(
                python, "-c", LAUNCHER, str(os.getpid()), *command, *arguments,
                stdin=asyncio.subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, env=around,
            )  # fmt: skip
        return cls(name, port, log, process)

    async def ready(self, limit_s: float) -> None:
        """Waits until /health answers; EngineError with the log's last lines where the server dies or takes longer than `limit_s`."""
        import httpx

        ends = time.monotonic() + limit_s
        async with httpx.AsyncClient(trust_env=False) as client:
            while time.monotonic() < ends:
                if self._process.returncode is not None:
                    raise EngineError(f"{self.name}: the server ended while it started; {self.status()}")
                try:
                    if (await client.get(f"{self.url}/health")).is_success:
                        return
                except httpx.TransportError:
                    pass  # not listening yet
                await asyncio.sleep(0.5)
        raise EngineError(f"{self.name}: not ready after {limit_s:g} s ({LOCAL}: engines.server.startup_s); {self.status()}")

    @property
    def ended(self) -> bool:
        return self._process.returncode is not None

    def status(self, num_lines: int = 15) -> str:
        """How it stands, and the end of its log."""
        code = self._process.returncode
        state = "running" if code is None else f"exit code {code}"
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-num_lines:]
        return "\n  ".join([f"{state}; last lines of {self.log}:", *lines])

    async def stop(self) -> None:
        """SIGTERM to the group, SIGKILL to what is left of it."""
        self._signal(signal.SIGTERM)
        ends = time.monotonic() + GRACE_S
        while self._signal(0) and time.monotonic() < ends:
            await asyncio.sleep(0.1)
        self._signal(signal.SIGKILL)
        await self._process.wait()

    def _signal(self, number: int) -> bool:
        """Whether there was anyone in the group to receive it."""
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return False
        return True


def missing(env: Path) -> str:
    """What to do where an environment is not there; empty where it is."""
    python = env / "bin" / "python"
    if python.exists():
        return ""
    return f"{python}: not there; run `infra/envs/build {env.name}`, or name another, or a running server, in {LOCAL}: engines.server"


def devices(number: int, each: int) -> dict[str, str]:
    """The variable that gives the server of this number `each` GPUs of its own, out of those that we may use."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    ours = visible.split(",") if visible else [str(gpu) for gpu in range((number + 1) * each)]
    mine = ours[number * each : (number + 1) * each]
    if len(mine) < each:
        raise UserError(f"{LOCAL}: engines.server.replicas: {number + 1} servers of {each} GPUs each, but CUDA_VISIBLE_DEVICES={visible}")
    return {"CUDA_VISIBLE_DEVICES": ",".join(mine)}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
