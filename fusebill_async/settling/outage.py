"""In an outage one settling read probes the service, and the other reads wait for its result."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import TypeVar

from fusebill_async.session.effects import Effects
from fusebill_async.settings import SettlingPolicy

T = TypeVar("T")


class ProbeGate:
    """Lets settling reads through one at a time until one has succeeded, and all at once from then on.

    A write that went unanswered is the first sign of an outage, so it closes the gate, unless a read has succeeded
    a moment ago; a thousand of them then cost the service one read, not a thousand.
    """

    def __init__(self, policy: SettlingPolicy, effects: Effects) -> None:
        self._policy = policy
        self._effects = effects
        self._probing = False
        self._probe_ended = asyncio.Event()
        self._healthy = False
        self._well_at = float("-inf")
        self._failures = 0
        self._failed: set[Hashable] = set()

    def suspect(self) -> None:
        """A write went unanswered: let the next read go alone."""
        if self._effects.now() > self._well_at + self._policy.retry_delay:
            self._healthy = False

    async def read(
        self, attempt: Callable[[], Awaitable[T | None]], *, about: Hashable, failures: int, give_up: float
    ) -> T | None:
        """Read once, in turn. None if it failed: the pause that follows a failure has then passed already.

        Args:
            attempt: reads; None says that it failed.
            about: whom it reads.
            failures: how often that has failed before, for the length of the pause.
            give_up: the time at which waiting for a turn is of no use any more.
        """
        while not self._healthy:
            if self._probing:
                await self._probe_ended.wait()
            elif self._effects.now() >= give_up:
                return None
            else:
                return await self._read_alone(attempt, about, failures, give_up)
        result = await self._noted(attempt, about)
        if result is None:
            await self._pause(failures, give_up)
        return result

    async def _read_alone(
        self, attempt: Callable[[], Awaitable[T | None]], about: Hashable, failures: int, give_up: float
    ) -> T | None:
        self._probing = True
        self._probe_ended.clear()
        try:
            result = await self._noted(attempt, about)
            outage = len(self._failed) > 1
            if outage:
                # The gate is held meanwhile, so that nobody asks a service that answers nobody.
                await self._pause(failures, give_up)
        finally:
            self._probing = False
            self._probe_ended.set()
        if result is None and not outage:
            # It may be this customer alone: the next probe is about another one, and tells.
            await self._pause(failures, give_up)
        else:
            # Those that waited have been woken, and go first.
            await asyncio.sleep(0)
        return result

    async def _noted(self, attempt: Callable[[], Awaitable[T | None]], about: Hashable) -> T | None:
        asked_at = self._effects.now()
        result = await attempt()
        self._healthy = result is not None
        if self._healthy:
            self._well_at = max(self._well_at, asked_at)
            self._failures = 0
            self._failed.clear()
        else:
            self._failures += 1
            self._failed.add(about)
        return result

    async def _pause(self, failures: int, give_up: float) -> None:
        delay = self._policy.pause_after(max(failures + 1, self._failures))
        await self._effects.sleep(max(0.0, min(delay, give_up - self._effects.now())))
