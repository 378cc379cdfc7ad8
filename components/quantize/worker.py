"""A worker script in an environment of its own: started clean, followed line by line, ended with the stage.

Knows no quantizer. A worker is `<method>_worker.py` in this folder; it gets one JSON object as its argument and talks by files.
"""

import contextlib
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from components.core.errors import UserError
from components.core.runner import CPU_KERNELS
from components.core.watch import watched

log = logging.getLogger(__name__)
INHERITED = ("PATH", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "CUDA_HOME", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", *CPU_KERNELS)
"""What a worker inherits; everything else, the hub's tokens among it, stays here."""
LAST = 20


def python(env: str | None) -> str:
    """The interpreter of an environment; raises UserError with the cure where there is none."""
    if env is None:
        return sys.executable
    path = Path(env) / "bin" / "python"
    if not path.exists():
        raise UserError(f"{env}: no such environment; build it with `infra/envs/build {Path(env).name}`")
    watched(Path("infra/envs", f"{Path(env).name}.txt"))  # what it was built from
    return str(path.absolute())


def run(env: str | None, method: str, job: Mapping[str, Any], threads: int, device: str) -> None:
    """Runs a worker to its end; RuntimeError with its last lines where it fails. On "cpu" it sees no GPU, on "cuda" all of ours."""
    script = Path(__file__).with_name(f"{method}_worker.py")
    command = [python(env), "-P", str(script), json.dumps({**job, "device": device})]  # -P: `import awq` must not find a file of ours
    last: deque[str] = deque(maxlen=LAST)
    with (
        tempfile.TemporaryDirectory() as home,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,  # held open: when the stage dies, by whatever signal, the worker reads its end and leaves
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=_environment(home, threads) | ({"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {}),
        ) as worker,
    ):
        try:
            for line in worker.stdout or ():
                if line.strip():
                    log.info("%s: %s", method, line.rstrip())
                    last.append(line.rstrip())
            worker.wait()
        except BaseException:
            worker.kill()
            raise
    if worker.returncode:
        raise RuntimeError(f"{script.name} in {env or sys.prefix} failed with {worker.returncode}; its last lines:\n" + "\n".join(last))


def _environment(home: str, threads: int) -> dict[str, str]:
    passed = {name: os.environ[name] for name in INHERITED if name in os.environ}
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HOME": home}
    numbers = {name: str(threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    return {**passed, **offline, **numbers, "TOKENIZERS_PARALLELISM": "false", "PYTHONUNBUFFERED": "1", "PYTHONHASHSEED": "0"}


@contextlib.contextmanager
def work_dir(out: Path) -> Iterator[Path]:
    """A folder inside `out` (same disk, removed with it) for what a worker reads and writes."""
    work = (out / ".work").absolute()
    work.mkdir(parents=True)
    yield work
    shutil.rmtree(work)


def move_weights(written: Path, out: Path) -> None:
    """Moves the weights, and nothing else that the quantizer wrote, into `out`."""
    for file in sorted(written.glob("*.safetensors*")):  # the index of several shards among them
        if file.suffix == ".safetensors":
            _sort_metadata(file)
        file.replace(out / file.name)


def _sort_metadata(file: Path) -> None:
    """Sorts the free-text part of a safetensors header, which the library writes in an order of its own each time; nothing else changes."""
    with file.open("r+b") as data:
        size = int.from_bytes(data.read(8), "little")
        header = json.loads(data.read(size))
        header["__metadata__"] = dict(sorted(header.get("__metadata__", {}).items()))
        data.seek(8)
        data.write(json.dumps(header, separators=(",", ":")).encode().ljust(size))


def copy_tokenizer(start: Path, out: Path) -> None:
    """Copies what is neither weights nor config.json: tokenizer, chat template and generation settings, byte for byte."""
    weights = (".safetensors", ".bin", ".pt", ".pth", ".gguf", ".msgpack", ".h5")
    for file in sorted(start.iterdir()):
        if file.is_file() and file.suffix not in weights and file.name != "config.json" and not file.name.endswith(".index.json"):
            shutil.copyfile(file, out / file.name)
