"""Projects as `aimo check` sees them: params of any profile and recipe, models of real shapes whose weights take no room on disk."""

import gzip
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.core import machine, overlays
from components.core.hardware import Gpus
from components.core.preflight import Facts, Finding
from flows.preflight import findings

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("AIMO_REAL_DATA") or ROOT.parent / "shared" / "data")
COMMIT = "0123456789abcdef0123456789abcdef01234567"
GIB = 1 << 30
L4S, H100S = Gpus(4, 24.0), Gpus(8, 80.0)


class Shape(dict[str, Any]):
    """A model's config.json, and how many bytes its weights have."""

    def __init__(self, size: float, layers: int, heads: int, kv_heads: int, head_dim: int, positions: int = 131072, **more: Any) -> None:
        self.size = size
        shape = {"num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": kv_heads, "head_dim": head_dim}
        super().__init__(**shape, hidden_size=heads * head_dim, max_position_embeddings=positions, dtype="bfloat16", **more)


SHAPES = {  # from the models' own config.json; sizes of their files
    "1.5b": Shape(3.09e9, 28, 12, 2, 128),
    "7b": Shape(15.2e9, 28, 28, 4, 128),
    "14b": Shape(29.5e9, 48, 40, 8, 128),
    "32b": Shape(65.5e9, 64, 40, 8, 128),
    "gpt-oss": Shape(65.2e9, 36, 64, 8, 64, quantization_config={"quant_method": "mxfp4"}),
}
CHATS = {"qwen2.5": "Qwen-Qwen2.5-7B-Instruct", "gptoss": "openai-gpt-oss-120b"}
"""Tokenizers of the public data, each with its template."""


def model(folder: Path, shape: Shape, chat: str = "qwen2.5", template: str | None = None) -> Path:
    """A model folder of this shape: a real tokenizer and template, and a file of weights that is all hole."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(shape), encoding="utf-8")
    with (folder / "model.safetensors").open("wb") as weights:
        weights.truncate(int(shape.size))
    tokenizer = DATA / "chat/tokenizers" / chat
    (folder / "tokenizer.json").write_bytes(gzip.decompress((tokenizer / "tokenizer.json.gz").read_bytes()))
    (folder / "tokenizer_config.json").write_bytes((tokenizer / "tokenizer_config.json").read_bytes())
    text = (DATA / "chat/templates" / f"{CHATS[chat]}.jinja").read_text(encoding="utf-8") if template is None else template
    (folder / "chat_template.jinja").write_text(text, encoding="utf-8")
    return folder


def project(root: Path, *names: str, gpus: Gpus = H100S, filled: bool = True, over: Mapping[str, Any] | None = None) -> Facts:
    """What `aimo use NAMES` would write at `root`, `over` laid over it (`machine:` over the machine), commits and paths filled in."""
    root.mkdir(exist_ok=True)
    for name in ("components", "infra", ".envs"):
        if not (root / name).exists():
            (root / name).symlink_to(ROOT / name)
    laid = overlays.merged(names, ROOT)
    own = dict(over or {})
    where = machine.merged(machine.merged(machine.layers(ROOT, own=False)[0][1], laid.machine), own.pop("machine", {}))
    params = machine.merged(laid.params, own)
    if filled:
        _fill(root, params)
    return Facts(root, params, where, gpus, 1000 * GIB)


def _fill(root: Path, params: dict[str, Any]) -> None:
    for entry in [*params["models"]["fetch"].values(), *params["sources"]["hub"].values()]:
        if "revision" in entry:
            entry["revision"] = COMMIT
    for entry in params["sources"]["files"].values():
        path = root / entry["path"]
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()


def found(facts: Facts, level: str) -> list[Finding]:
    return [one for one in findings(facts) if one.level == level]
