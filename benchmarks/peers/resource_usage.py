"""What a piece of work costs in the process that does it, ours or a peer's. Knows only the standard library."""

import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple


class ResourceUsage(NamedTuple):
    wall_s: float
    cpu_s: float
    """Of this process and of those that it started and that have ended."""
    peak_mb: float


def measure_usage(work: Callable[[], object]) -> ResourceUsage:
    begun, before = time.monotonic(), _cpu_s()
    work()
    return ResourceUsage(time.monotonic() - begun, _cpu_s() - before, _peak_mb())


def _cpu_s() -> float:
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _peak_mb() -> float:
    """Of this process; getrusage would answer with its parent's peak where that was higher, as it outlives an exec."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 2**10
