"""A server as a client sees it: whether it answers, rests after a failure or is still starting, and how many requests are open there.

Knows no request's words. A server that failed is left alone for a while, twice as long each time, until it answers.
"""

import time
from typing import Any

from components.core.machine import redact_url
from components.lib.engine.server_process import ServerProcess

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 15.0


class ServerLost(Exception):
    """One server failed in a way that another one, or the same one later, may not."""


class Endpoint:
    """One server and its client."""

    def __init__(self, url: str, client: Any, process: ServerProcess | None) -> None:
        self.url, self.client = redact_url(url), client
        self.process = process
        """Where it is one of ours."""
        self.starting = process is not None
        self.model = ""
        """What it calls the model."""
        self.open = 0
        self.failure = ""
        """How it failed last."""
        self.rests_until = 0.0
        """Of time.monotonic."""
        self._pause_s = FIRST_PAUSE_S

    async def ready(self, limit_s: float) -> None:
        """Returns when it has started; raises EngineError where it does not within `limit_s`."""
        if self.starting and self.process is not None:
            await self.process.ready(limit_s)
            self.starting = False

    def answered(self) -> None:
        """It brought a whole completion."""
        self._pause_s = FIRST_PAUSE_S

    def failed(self, how: str) -> bool:
        """Lets it rest; whether that is news: requests that fail together are one failure."""
        self.failure = how
        if time.monotonic() < self.rests_until:
            return False
        self.rests_until = time.monotonic() + self._pause_s
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        return True
