"""Training rows as token ids: what the model reads in an exam run, for calibration and for measuring.

Reads examples.parquet of one composed set. Knows the chat, not the quantizer. Memory holds only the rows drawn.
"""

import hashlib
import heapq
import random
from pathlib import Path
from typing import NamedTuple

from components.core import rows
from components.core.errors import UserError
from components.core.types import Example
from components.lib import tokenization
from components.lib.engine.chat_template import ChatTokenizer


class Samples(NamedTuple):
    """Token ids; no row is in both."""

    windows: list[list[int]]
    """One per calibration row, at a drawn place in it."""
    held_out: list[list[int]]
    """The beginnings of other rows."""


def sample(folder: Path, chat: ChatTokenizer, *, seed: int, windows: int, length: int, held_out: int, tokens: int) -> Samples:
    """Draws `held_out` rows and `windows` others by a hash of seed and id, so that the order of the file plays no part."""
    path = folder / "examples.parquet"
    if not path.exists():
        raise UserError(f"{folder}: no examples.parquet in it; `dvc repro` makes what calibration reads")
    wanted = held_out + windows
    examples = heapq.nsmallest(wanted, rows.read(path, Example), key=lambda row: hashlib.sha256(f"{seed}:{row.id}".encode()).digest())
    if len(examples) < wanted:
        raise UserError(
            f"{path}: {len(examples)} rows, but quantize wants {held_out} to measure on and {windows} others to calibrate with; "
            "lower quantize.kl_divergence.num_rows or the method's max_calib_samples"
        )
    texts = [tokenization.encode(example, chat).input_ids for example in examples]
    place = random.Random(seed)
    return Samples([_window(ids, length, place) for ids in texts[held_out:]], [ids[:tokens] for ids in texts[:held_out]])


def _window(ids: list[int], length: int, place: random.Random) -> list[int]:
    at = place.randint(0, max(0, len(ids) - length))
    return ids[at : at + length]
