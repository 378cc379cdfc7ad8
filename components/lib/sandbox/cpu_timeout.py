"""The time a cell may take: processor time of its process, so that the same code ends the same way on a busy machine.

One that sleeps runs into the wall clock, at WALL_PER_CPU times the limit. Both ends share this file. Standard library only.
"""

import time

WALL_PER_CPU = 10.0
"""Wall seconds for each processor second allowed."""
GRACE_S = 0.5
"""Processor seconds between the interrupt and the kill."""


class CpuTimeout:
    """The two clocks of one cell of the process `pid`. Methods raise OSError once the process is gone."""

    def __init__(self, pid: int, limit_s: float) -> None:
        self.pid = pid
        self.set(limit_s)

    def set(self, seconds: float) -> None:
        self._limit, self._deadline = self._used() + seconds, time.monotonic() + WALL_PER_CPU * seconds

    def left(self) -> float:
        """Seconds until the time can be over at the soonest."""
        return min(self._limit - self._used(), self._deadline - time.monotonic())

    def _used(self) -> float:
        return time.clock_gettime((~self.pid << 3) | 2)  # clock_getcpuclockid(3): the kernel's number for a process's clock
