"""What a server computes, which params.yaml says, and where it does, which infra/machine.yaml says."""

from typing import Any

from pydantic import Field

from components.core.params import Settings
from components.lib.engine.backends import BackendName


class ServerSettings(Settings):
    """What a server computes; where it does is ServerHost's."""

    backend: BackendName
    dtype: str
    max_model_len: int
    tensor_parallel_size: int = Field(gt=0)
    """GPUs that share the weights: their partial sums add up in another order."""
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
    replicas: int = Field(gt=0)
    """Servers that are started for one model, each on GPUs of its own, and share the requests."""
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
