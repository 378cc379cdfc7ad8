"""What a server computes, which params.yaml says, and where it does, which infra/machine.yaml says."""

from typing import Annotated, Any

from pydantic import Field

from components.core.params import Settings
from components.lib.engine.backends import BackendName

STREAM_INTERVAL = 8
"""Tokens that vLLM sends at once: one client keeps up with several servers. On a clock of steps each comes by itself."""


class ServerSettings(Settings):
    """What a server computes; where it does is ServerHost's."""

    backend: BackendName
    dtype: str
    max_model_len: int
    tensor_parallel_size: Annotated[int, Field(gt=0)] | None
    """GPUs that share the weights: their partial sums add up in another order. null: what fits (placement.py); the engine's name tells."""
    flags: list[str]
    """Further flags of the server, as they are: [--kv-cache-dtype, fp8], a draft model."""
    extra_body: dict[str, Any]
    """Further fields of each request, as they are: {skip_special_tokens: false}."""
    chat_template_kwargs: dict[str, Any]
    """Arguments of the model's chat template: {reasoning_effort: high}."""
    step_s: float | None


class ServerHost(Settings):
    """Where servers run, or how those that are started here share this machine."""

    urls: list[str]
    """Of running servers (["http://host:8000"]); empty: start vLLM from `env`, and stop it at the end."""
    env: str
    replicas: Annotated[int, Field(gt=0)] | None
    """Servers that are started for one model, each on GPUs of its own, and share the requests; null: as many as there are GPUs for."""
    gpu_memory_utilization: float | None = Field(gt=0, le=1)
    """Share of a GPU's memory; null: vLLM's own default."""
    max_num_seqs: int = Field(gt=0)
    """Requests that one server decodes at once; more wait."""
    startup_s: float
    """Seconds to become ready in."""
    silence_s: float
    """The longest silence of a stream, a wait for a slot included; then the request is asked again."""
    retry_s: float
    """Seconds for which a request that fails is asked again; the start of a server of ours does not count."""


def vllm_arguments(settings: ServerSettings, host: ServerHost, tensor_parallel_size: int) -> list[str]:
    """The words of vLLM's command line that do not depend on the model."""
    interval = [] if settings.step_s else ["--stream-interval", str(STREAM_INTERVAL)]
    share = [] if host.gpu_memory_utilization is None else ["--gpu-memory-utilization", str(host.gpu_memory_utilization)]
    return [
        "--dtype", settings.dtype, "--max-model-len", str(settings.max_model_len), "--tensor-parallel-size", str(tensor_parallel_size),
        *share, "--max-num-seqs", str(host.max_num_seqs), "--disable-uvicorn-access-log", *interval, *settings.flags,
    ]  # fmt: skip
