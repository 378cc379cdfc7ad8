"""What is looked at before an engine opens a model: environment, GPUs, memory with its arithmetic, context. Loads nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from components.core.errors import UserError
from components.core.hardware import Gpus
from components.core.machine import LOCAL
from components.core.preflight import Finding
from components.lib import checkpoint
from components.lib.engine import placement, vllm_flags
from components.lib.engine.config import EngineHosts, Engines
from components.lib.engine.placement import GIB, Footprint, Placement
from components.lib.engine.server_config import ServerHost, ServerSettings, vllm_arguments
from components.lib.engine.server_process import missing
from components.lib.model_folder import ModelFolder


class Load(NamedTuple):
    """What an engine will be asked for."""

    attempts: int
    """At once."""
    prompt: int
    """Tokens of the longest."""
    generated: int
    """Tokens of one attempt at most."""
    inserted: int
    """Characters of code output that are put in, each a token at worst."""
    counted: bool
    """Whether the prompt was counted; a guess stops nothing."""

    @property
    def tokens(self) -> int:
        return self.prompt + self.generated + self.inserted


def check(kind: str, engines: Engines, hosts: EngineHosts, model: ModelFolder, load: Load, gpus: Gpus) -> Iterator[Finding]:
    """For an engine that holds a model: `transformers` or `server`."""
    here = kind == "transformers" or (model.weights and not hosts.server.urls)
    if kind == "transformers" and engines.transformers.device == "cuda" and not gpus.num:
        yield Finding("stop", "GPUs", "params.yaml: engines.transformers.device is cuda, this machine has no GPU; write cpu")
    if kind == "server" and here:
        yield from _environment(Path(hosts.server.env))
    known = checkpoint.read_config(model.path).get("max_position_embeddings") if model.path else None
    yield _context(engines.server.max_model_len if kind == "server" else known, known, load)
    if kind == "server" and here:
        yield from _machine(engines.server, hosts.server, model.path, load, gpus)


def command_line(settings: ServerSettings, host: ServerHost, root: Path) -> Finding:
    """Whether vLLM's own parser takes what it will be started with."""
    env = root / host.env
    if missing(env):
        return Finding("warn", "flags", "not looked at: vLLM's environment is not there")
    (error,) = vllm_flags.errors(env, [vllm_arguments(settings, host, settings.tensor_parallel_size or 1)], root)
    if error:
        return Finding("stop", "flags", f"params.yaml: engines.server.flags: vLLM says: {error}; mend the flag, or take it out")
    return Finding("ok", "flags", " ".join(settings.flags) or "none")


def _environment(env: Path) -> Iterator[Finding]:
    said = missing(env)
    yield Finding("stop", "environment", said) if said else Finding("ok", "environment", str(env))


def _context(limit: int | None, known: int | None, load: Load) -> Finding:
    sums = f"prompt {load.prompt:,} + {load.generated:,} generated + {load.inserted:,} of output = {load.tokens:,} tokens"
    if limit is None:
        return Finding("ok", "context", f"{sums}; the model names no limit")
    if known is not None and limit > known:
        return Finding(
            "stop",
            "context",
            f"engines.server.max_model_len is {limit:,}, the model's config.json has max_position_embeddings {known:,}; lower it",
        )
    if load.counted and load.prompt >= limit:
        return Finding("stop", "context", f"the longest prompt has {load.prompt:,} tokens, the context {limit:,}; raise max_model_len")
    if load.tokens > limit:
        return Finding(
            "warn", "context", f"{sums}, the context is {limit:,}: a long attempt ends early; lower max_tokens, or raise max_model_len"
        )
    return Finding("ok", "context", f"{sums} of {limit:,}")


def _machine(settings: ServerSettings, host: ServerHost, model: Path | None, load: Load, gpus: Gpus) -> Iterator[Finding]:
    """GPUs, memory and slots; of a model that is not here yet only what is told of GPUs."""
    size = placement.footprint(model, settings.dtype, tuple(settings.flags)) if model else Footprint(0, 0, 1, 1)
    try:
        placed = placement.place(size, gpus, settings.tensor_parallel_size, host.replicas, host.gpu_memory_utilization)
    except UserError as error:
        yield Finding("stop", "GPUs", str(error))
        return
    if model is None:
        return
    slots = placed.replicas * host.max_num_seqs
    if load.attempts > slots:
        yield Finding(
            "warn", "slots", f"{load.attempts} attempts at once, {slots} slots ({LOCAL}: engines.server.max_num_seqs): the others wait"
        )
    if gpus.num:
        yield _memory(size, placed, gpus, host.gpu_memory_utilization, load, settings.max_model_len)
    else:
        yield Finding("ok", "memory", f"weights {size.weights / GIB:.2f} GiB, {gpus}: vLLM's build for CPUs")


def _memory(size: Footprint, placed: Placement, gpus: Gpus, utilization: float | None, load: Load, limit: int) -> Finding:
    """Weights and, for every attempt at its full length, keys and values, against all GPUs."""
    room = placement.room(size, gpus, placed.tensor_parallel_size, utilization)
    each, length = size.kv_token / GIB, min(load.tokens, limit)
    wanted = load.attempts * length * each
    sums = (
        f"{gpus}, {placed}, each {room.total:.1f} GiB: weights {room.weights:.1f} + left {room.contexts:.1f}; "
        f"{load.attempts} attempts x {length:,} tokens x {size.kv_token / 1024:.0f} KiB = {wanted:.1f} GiB"
    )
    if limit * each > room.contexts:
        return Finding(
            "stop", "memory", f"{sums}; not even one context of {limit:,} tokens ({limit * each:.1f} GiB) is left: take a quantized model, "
            "a shorter max_model_len, --kv-cache-dtype fp8, or more GPUs",
        )  # fmt: skip
    if wanted > placed.replicas * room.contexts:
        fit = int(placed.replicas * room.contexts / (length * each))
        return Finding("warn", "memory", f"{sums}; {fit} of them fit at full length, the others wait or are computed again")
    return Finding("ok", "memory", sums)
