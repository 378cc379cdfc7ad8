"""How a model is laid over GPUs: how many share its weights (tensor parallel), how many servers hold it, and what is left for contexts.

Reads a model's config.json and the sizes of its weight files, and is told which GPUs there are. A bound, not a measurement: kernels'
workspaces are a constant, and every layer counts as if it attended to the whole context.
"""

from pathlib import Path
from typing import NamedTuple

from components.core.errors import UserError
from components.core.hardware import Gpus
from components.core.machine import LOCAL
from components.lib import checkpoint

GIB = 1 << 30
BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
DEFAULT_UTILIZATION = 0.92
"""vLLM 0.31's own gpu_memory_utilization."""
WORKSPACE_GIB = 1.5
"""Of each GPU, for activations and CUDA graphs; ours, on the safe side for a prefill of a few thousand tokens."""


class Footprint(NamedTuple):
    """What a model takes, in bytes."""

    weights: int
    kv_token: int
    """Keys and values of one token, in all layers."""
    num_heads: int
    num_kv_heads: int

    def splits(self, degree: int) -> bool:
        """Whether so many GPUs can share its heads; key heads are repeated where there are fewer."""
        return self.num_heads % degree == 0 and (self.num_kv_heads % degree == 0 or degree % self.num_kv_heads == 0)


class Placement(NamedTuple):
    """How the servers of one model stand."""

    tensor_parallel_size: int
    replicas: int

    def __str__(self) -> str:
        servers = "1 server" if self.replicas == 1 else f"{self.replicas} servers"
        return f"{servers} of {self.tensor_parallel_size} GPU{'s' * (self.tensor_parallel_size > 1)}"


class Room(NamedTuple):
    """Where the memory of one server goes, in GiB."""

    total: float
    weights: float
    contexts: float
    """What is left for keys and values."""


def footprint(model: Path, dtype: str = "auto", flags: tuple[str, ...] = ()) -> Footprint:
    """Of a model folder, loaded as `dtype` by a server with these flags. Raises UserError where config.json lacks what is needed."""
    config = checkpoint.read_config(model)
    config |= config.get("text_config") or {}
    try:
        heads, layers = int(config["num_attention_heads"]), int(config["num_hidden_layers"])
        head_dim = config.get("head_dim") or config["hidden_size"] // heads
    except (KeyError, TypeError):
        raise UserError(f"{model / 'config.json'}: names no num_attention_heads, num_hidden_layers or hidden_size") from None
    kv_heads = int(config.get("num_key_value_heads") or heads)
    stored = str(config.get("dtype") or config.get("torch_dtype") or "bfloat16")
    computed = stored if dtype == "auto" else dtype
    weights = sum(file.stat().st_size for file in checkpoint.shards(model))
    if checkpoint.format_of(model) is None:
        weights = weights * BYTES.get(computed, 2) // BYTES.get(stored, 2)
    return Footprint(weights, 2 * layers * kv_heads * head_dim * _kv_bytes(computed, flags), heads, kv_heads)


def place(model: Footprint, gpus: Gpus, tensor_parallel_size: int | None, replicas: int | None, utilization: float | None) -> Placement:
    """As told; what is not told (None) is what fits: the least degree at which weights take half of the memory, and a server on the rest.

    Raises UserError where more GPUs are told than there are.
    """
    degree = tensor_parallel_size or _degree(model, gpus, utilization)
    num = replicas or max(1, gpus.num // degree)
    if num * degree > max(1, gpus.num):
        raise UserError(
            f"params.yaml: engines.server.tensor_parallel_size {degree} and {LOCAL}: engines.server.replicas {num} take "
            f"{num * degree} GPUs, this machine has {gpus.num}; write null for as many as fit"
        )
    return Placement(degree, num)


def room(model: Footprint, gpus: Gpus, degree: int, utilization: float | None) -> Room:
    """The memory of one server of so many GPUs."""
    total = degree * (gpus.gib * (utilization or DEFAULT_UTILIZATION) - WORKSPACE_GIB)
    weights = model.weights / GIB
    return Room(total, weights, total - weights)


def _degree(model: Footprint, gpus: Gpus, utilization: float | None) -> int:
    possible = [degree for degree in range(1, gpus.num + 1) if model.splits(degree)] or [1]
    roomy = [degree for degree in possible if model.weights / GIB <= room(model, gpus, degree, utilization).total / 2]
    return roomy[0] if roomy else possible[-1]


def _kv_bytes(dtype: str, flags: tuple[str, ...]) -> int:
    kind = flags[flags.index("--kv-cache-dtype") + 1] if "--kv-cache-dtype" in flags[:-1] else "auto"
    return BYTES.get(dtype if kind == "auto" else kind, 1 if kind != "auto" else 2)
