"""A model from a hub: one pinned revision, safetensors only.

Pickled weights (.bin, .pt) are never downloaded: they run code when they are read. The files come through the hub client's own cache,
so a revision that was fetched once is there offline too; address and token are the client's environment variables.
"""

import fnmatch
import json
import math
import re
import shutil
import struct
from pathlib import Path
from typing import Literal

from components.core.errors import UserError
from components.core.runner import Metrics
from components.fetch.kind import Fetch

WANTED = ("*.json", "*.safetensors", "*.jinja", "*.model", "merges.txt", "vocab.txt", "LICENSE*", "README.md")
SUBFOLDERS = "*/*"
"""Other forms of the same weights (onnx/, original/) stand there."""
COMMIT = re.compile(r"[0-9a-f]{40}")


class Kind(Fetch, section="models", keyed=True):
    """What to download."""

    kind: Literal["hub"]
    repo: str
    """owner/name"""
    revision: str | None
    """The full commit hash: a branch or tag may move, and with it the meaning of every later result."""

    def write(self, out: Path) -> Metrics:
        return download(self, out)


def download(config: Kind, out: Path) -> Metrics:
    """Writes the model folder; raises UserError where the repository, the revision or a needed file is missing."""
    if not COMMIT.fullmatch(config.revision or ""):
        raise UserError(
            f"params.yaml: models.fetch: revision {config.revision!r} does not pin {config.repo}; "
            "write the full commit hash (40 hexadecimal digits), as the hub shows it under the repository's history"
        )
    snapshot = _snapshot(config.repo, config.revision or "")
    _check(snapshot, f"{config.repo} at {config.revision}")
    shutil.copytree(snapshot, out, ignore=_unwanted)
    weights = sorted(out.glob("*.safetensors"))
    return {
        "num_parameters": sum(map(count_parameters, weights)),
        "bytes": sum(file.stat().st_size for file in weights),
        "files": len(weights),
    }


def count_parameters(file: Path) -> int:
    """Numbers in a safetensors file, from its header alone: 8 bytes of length, then JSON."""
    with file.open("rb") as data:
        (length,) = struct.unpack("<Q", data.read(8))
        header = json.loads(data.read(length))
    return sum(math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")


def _snapshot(repo: str, revision: str) -> Path:
    from huggingface_hub import errors, snapshot_download

    try:
        return Path(snapshot_download(repo, revision=revision, allow_patterns=list(WANTED), ignore_patterns=[SUBFOLDERS]))
    except errors.GatedRepoError:
        raise UserError(f"models.fetch: {repo} is gated: accept its terms on the hub and set HF_TOKEN") from None
    except errors.RevisionNotFoundError:
        raise UserError(f"models.fetch: {repo} has no commit {revision}") from None
    except (errors.RepositoryNotFoundError, errors.HFValidationError):
        raise UserError(f"models.fetch: the hub has no {repo}, or it is private: check the name, or set HF_TOKEN") from None
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled):
        raise UserError(
            f"models.fetch: {repo} at {revision} is not in the local cache and the hub cannot be reached: "
            "unset HF_HUB_OFFLINE, or fill the cache (HF_HOME) on a machine that is online"
        ) from None


def _unwanted(_: str, names: list[str]) -> list[str]:
    """The client's cache is shared: it may hold what another program fetched."""
    return [name for name in names if not any(fnmatch.fnmatch(name, pattern) for pattern in WANTED)]


def _check(folder: Path, name: str) -> None:
    """Refuses what no later stage could use."""
    needs = {
        "a config.json": ["config.json"],
        "safetensors weights (pickled ones are not loaded)": ["*.safetensors"],
        "a tokenizer": ["tokenizer.json", "tokenizer.model", "vocab.json"],
        "a tokenizer_config.json": ["tokenizer_config.json"],
    }
    for what, patterns in needs.items():
        if not any(any(folder.glob(pattern)) for pattern in patterns):
            raise UserError(f"models.fetch: {name} holds no {what.removeprefix('a ')}: choose another repository or revision")
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    if not (folder / "chat_template.jinja").exists() and "chat_template" not in settings:
        raise UserError(f"models.fetch: {name} has no chat template: choose a repository that does (instruct models do)")
