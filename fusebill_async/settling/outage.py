"""In an outage one probe reads, and the others wait for what it finds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import TypeVar

from fusebill_async.session.effects import Effects
from fusebill_async.settings import SettlingPolicy

T = TypeVar("T")


class ProbeGate:
    """Lets settling reads through one at a time until one has succeeded, and all at once from then on.

    A write that went unanswered is the first sign of an outage, so every one of them closes the gate; a thousand
    of them then cost the service one read, not a thousand.
    """

    def __init__(self, policy: SettlingPolicy, effects: Effects) -> None:
        self._policy = policy
        self._effects = effects
        self._probe = asyncio.Lock()
        self._healthy = False
        self._failures = 0
        self._failed: set[Hashable] = set()

    def suspect(self) -> None:
        """Something went unanswered: the next read goes alone."""
        self._healthy = False

    async def read(
        self, attempt: Callable[[], Awaitable[T | None]], *, about: Hashable, give_up: float
    ) -> T | None:
        """Read once, in turn. None if it failed: the pause that follows a failure has then passed already.

        Args:
            attempt: reads; None says that it failed.
            about: whom it reads.
            give_up: the time at which waiting for a turn is of no use any more.
        """
        if not self._healthy:
            async with self._probe:
                # Another probe may have found the service well while this one waited.
                if not self._healthy:
                    if self._effects.now() >= give_up:
                        return None
                    result = await self._noted(attempt, about)
                    if result is not None:
                        return result
                    if len(self._failed) > 1:
                        # The gate is held meanwhile, so that nobody asks a service that answers nobody.
                        await self._pause(give_up)
                        return None
            if self._failed:
                # It may be this customer alone: the next probe is about another one, and tells.
                await self._pause(give_up)
                return None
        result = await self._noted(attempt, about)
        if result is None:
            self._healthy = False
            await self._pause(give_up)
        return result

    async def _noted(self, attempt: Callable[[], Awaitable[T | None]], about: Hashable) -> T | None:
        result = await attempt()
        if result is None:
            self._failures += 1
            self._failed.add(about)
            return None
        self._healthy = True
        self._failures = 0
        self._failed.clear()
        return result

    async def _pause(self, give_up: float) -> None:
        policy = self._policy
        delay = min(policy.retry_limit, policy.retry_delay * policy.growth ** min(self._failures - 1, 30))
        await self._effects.sleep(max(0.0, min(delay, give_up - self._effects.now())))
