"""Row-wise work over batches: in this process, or on a Ray cluster, with the same function and the same results in the same order.

Ray is an extra, imported only where a cluster is named. What a task returns must fit in memory a few times over; nothing else is held.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from components.core.errors import UserError

T = TypeVar("T")
R = TypeVar("R")
LOCAL = "local"
BATCH = 2048


def batches(rows: Iterable[T]) -> Iterator[list[T]]:
    """The rows in lists of BATCH, the last one shorter."""
    left = iter(rows)
    while batch := list(islice(left, BATCH)):
        yield batch


def mapped(work: Callable[[list[T]], R], given: Iterable[list[T]], cluster: str | None) -> Iterator[R]:
    """`work` on each batch, in order. `cluster`: null for this process, `local` for Ray on this machine, or a Ray cluster's address."""
    if cluster is None:
        yield from map(work, given)
        return
    try:
        import ray
    except ImportError:
        raise UserError(f"params.yaml: cluster: {cluster!r} needs Ray; `pip install ray`, or write null") from None
    started = not ray.is_initialized()
    if started:
        address = None if cluster == LOCAL else cluster
        cores = len(os.sched_getaffinity(0)) if address is None else None
        ray.init(address=address, num_cpus=cores, include_dashboard=False, log_to_driver=False)
    try:
        held = ray.put(work)
        task: Any = ray.remote(_worked)
        width, waiting = 2 * max(1, int(ray.cluster_resources().get("CPU", 1))), deque[Any]()
        for batch in given:
            waiting.append(task.remote(held, batch))
            if len(waiting) >= width:
                yield ray.get(waiting.popleft())
        while waiting:
            yield ray.get(waiting.popleft())
    finally:
        if started:
            ray.shutdown()


def _worked(work: Callable[[list[T]], R], batch: list[T]) -> R:
    return work(batch)
