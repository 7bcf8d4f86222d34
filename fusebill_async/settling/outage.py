"""In an outage one probe reads, and the others wait for what it finds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from fusebill_async.settings import SettlingPolicy

T = TypeVar("T")


class ProbeGate:
    """Lets settling reads through one at a time until one has succeeded, and all at once from then on.

    A write that went unanswered is the first sign of an outage, so every one of them closes the gate; a thousand
    of them then cost the service one read, not a thousand.
    """

    def __init__(self, policy: SettlingPolicy, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._policy = policy
        self._sleep = sleep
        self._probe = asyncio.Lock()
        self._healthy = False
        self._failures = 0

    def suspect(self) -> None:
        """Something went unanswered: the next read goes alone."""
        self._healthy = False

    async def read(self, attempt: Callable[[], Awaitable[T | None]]) -> T | None:
        """Read once, in turn. None if it failed: the pause that follows a failure has then passed already."""
        if not self._healthy:
            async with self._probe:
                # Another probe may have found the service well while this one waited.
                if not self._healthy:
                    return await self._read_alone(attempt)
        result = await attempt()
        if result is None:
            self._healthy = False
        return result

    async def _read_alone(self, attempt: Callable[[], Awaitable[T | None]]) -> T | None:
        result = await attempt()
        self._healthy = result is not None
        if self._healthy:
            self._failures = 0
            return result
        policy = self._policy
        delay = min(policy.retry_limit, policy.retry_delay * policy.growth ** min(self._failures, 30))
        self._failures += 1
        # The gate is held meanwhile, so that nobody else asks a service that has just failed to answer.
        await self._sleep(delay)
        return None
