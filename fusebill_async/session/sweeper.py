"""One timer for the deadlines of all attempts, since a timer for each costs a tenth of a call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol


class Expiring(Protocol):
    """What the sweeper watches."""

    silent_since: float
    read_limit: float
    until: float

    def expire(self, reason: str) -> None:
        """Its time is up."""
        ...


class DeadlineSweeper:
    """Looks through the attempts under way a few times in the shortest limit, and ends those whose time is up."""

    _SHORTEST_INTERVAL = 0.005
    _LONGEST_INTERVAL = 0.25
    _LOOKS_PER_LIMIT = 20

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._watched: dict[Expiring, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._interval = self._LONGEST_INTERVAL

    def watch(self, attempt: Expiring, limit: float) -> None:
        """Watch an attempt whose shortest limit is `limit` seconds."""
        self._watched[attempt] = None
        if self._timer is None or limit < self._interval * self._LOOKS_PER_LIMIT:
            self._arm(limit)

    def forget(self, attempt: Expiring) -> None:
        """The attempt has ended."""
        self._watched.pop(attempt, None)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, limit: float) -> None:
        wanted = min(self._LONGEST_INTERVAL, max(self._SHORTEST_INTERVAL, limit / self._LOOKS_PER_LIMIT))
        if self._timer is not None:
            if wanted >= self._interval:
                return
            self._timer.cancel()
        self._interval = wanted
        self._timer = asyncio.get_running_loop().call_later(wanted, self._look)

    def _look(self) -> None:
        self._timer = None
        now = self._now()
        for attempt in list(self._watched):
            if now >= attempt.until:
                self._end(attempt, "the deadline of the call was reached")
            elif now - attempt.silent_since >= attempt.read_limit:
                self._end(attempt, f"the service was silent for {attempt.read_limit:g} s")
        if self._watched:
            self._timer = asyncio.get_running_loop().call_later(self._interval, self._look)
        else:
            self._interval = self._LONGEST_INTERVAL

    def _end(self, attempt: Expiring, reason: str) -> None:
        self.forget(attempt)
        attempt.expire(reason)
