"""Row-wise work over a sealed file: in this process, or on a cluster by Ray Data, with the same function and the same results in order.

Ray is an extra, imported only where a cluster is named; its machines read the file themselves, at the same path. What a batch gives
must fit in memory a few times over; nothing else is held.
"""

import os
import pickle
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from components.core import machine, rows
from components.core.errors import UserError
from components.core.types import Row

K = TypeVar("K", bound=Row)
R = TypeVar("R")
LOCAL = "local"
BATCH = 2048


def map_batches(work: Callable[[list[K]], list[R]], path: Path, kind: type[K], cluster: str | None) -> Iterator[R]:
    """What `work` makes of the file's rows, given in batches of at most BATCH, in order.

    `cluster`: null for this process, `local` for Ray on this machine, or a Ray cluster's address.
    """
    if cluster is None:
        left = rows.read(path, kind)
        while batch := list(islice(left, BATCH)):
            yield from work(batch)
        return
    try:
        import ray.data
    except ImportError:
        raise UserError(
            f"{machine.LOCAL}: curate.cluster: {cluster!r} needs Ray; `pip install 'aimo-forge[cluster]'`, or write null"
        ) from None
    rows.check_format(path)
    started = not ray.is_initialized()
    if started:
        address = None if cluster == LOCAL else cluster
        cores = len(os.sched_getaffinity(0)) if address is None else None
        ray.init(address=address, num_cpus=cores, include_dashboard=False, log_to_driver=False)
    try:
        context = ray.data.DataContext.get_current()
        context.execution_options.preserve_order, context.enable_progress_bars = True, False
        held = ray.put(work)

        def worked(table: Any) -> dict[str, list[bytes]]:
            batch = [rows.validated(record, kind, str(path)) for record in table.to_pylist()]
            return {"made": [pickle.dumps(_fetched(held)(batch))]}

        for made in ray.data.read_parquet(str(path.resolve())).map_batches(worked, batch_size=BATCH, batch_format="pyarrow").iter_rows():
            yield from pickle.loads(made["made"])
    except ray.exceptions.RayTaskError as error:  # it holds the worker's words, not its error
        raise UserError(f"{path}: a batch failed on the cluster: {error}") from None
    finally:
        if started:
            ray.shutdown()


@lru_cache(maxsize=1)
def _fetched(held: Any) -> Any:
    """What was put under the reference; once in each worker."""
    import ray

    return ray.get(held)
