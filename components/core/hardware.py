"""What a machine has to compute with: GPUs and their memory. This one's, or another's as a person writes it: `4x24`.

Asks nvidia-smi, in which CUDA_VISIBLE_DEVICES counts; imports nothing heavy, and does not know what needs how much.
"""

import os
import re
import subprocess
from typing import NamedTuple

from components.core.errors import UserError


class Gpus(NamedTuple):
    """All of one size: of different ones, as many as there are of the smallest."""

    num: int
    gib: float
    """Memory of one, in GiB."""

    def __str__(self) -> str:
        return f"{self.num} x {self.gib:.4g} GiB" if self.num else "no GPU"


def gpus() -> Gpus:
    """Those that this process may use."""
    try:
        asked = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
        told = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):  # no driver: no GPU
        return Gpus(0, 0.0)
    sizes = [float(line) / 1024 for line in told.splitlines() if re.fullmatch(r"\s*\d+\s*", line)]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    num = len(sizes) if visible is None else len([one for one in visible.split(",") if one.strip()])
    return Gpus(min(num, len(sizes)), min(sizes, default=0.0))


def parse(text: str) -> Gpus:
    """`4x24`: four GPUs of 24 GiB; `0`: none. Raises UserError for anything else."""
    found = re.fullmatch(r"(\d+)x(\d+(?:\.\d+)?)|0", text)
    if not found:
        raise UserError(f"--gpus {text}: write how many GPUs of how many GiB, as in 4x24, or 0")
    return Gpus(int(found[1]), float(found[2])) if found[1] else Gpus(0, 0.0)
