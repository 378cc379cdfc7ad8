"""Which side of the split a group is on: decided by the group's name alone, so that a new row moves no other."""

import hashlib


def is_practice(group: str, *, share: float, seed: int) -> bool:
    """Whether a group is held out from training; over many groups the `share` of them that are."""
    drawn = int.from_bytes(hashlib.sha256(f"{seed}:{group}".encode()).digest()[:8])
    return drawn < share * 2**64
