"""The Ray cluster of RAY_ADDRESS, or of this machine alone: how it is entered, and what one of its machines has.

Each machine needs the project, and models under the same path. Ray is an extra (`pip install aimo-forge[cluster]`).
Knows nothing of what runs there.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from components.core.errors import UserError

RETRIES = 3
"""Workers that a piece of work may outlive."""


class Machines(NamedTuple):
    """What a piece of work reserves, so that a machine holds one at a time, and how many machines have it."""

    num: int
    num_cpus: float
    num_gpus: float

    def options(self) -> dict[str, Any]:
        """For a task or an actor."""
        return {"num_cpus": self.num_cpus, "num_gpus": self.num_gpus, "scheduling_strategy": "SPREAD"}


def machines(ray: Any) -> Machines:
    """What the smallest has; those without a GPU do not count where others have one."""
    has = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    has = [one for one in has if one.get("GPU")] or [one for one in has if one.get("CPU")]
    return Machines(len(has), min(one["CPU"] for one in has), min(one.get("GPU", 0) for one in has))


@contextmanager
def cluster() -> Iterator[Any]:
    """Ray, connected; left as it was found."""
    ray = installed()
    if ray.is_initialized():
        yield ray
        return
    ray.init(include_dashboard=False, logging_level=logging.WARNING)
    try:
        yield ray
    finally:
        ray.shutdown()


def installed() -> Any:
    """Ray; raises UserError where it is not there."""
    try:
        import ray
        import ray.exceptions
    except ModuleNotFoundError:
        raise UserError("params.yaml: shards: more than one needs Ray: `pip install aimo-forge[cluster]`, or write shards: 1") from None
    return ray
