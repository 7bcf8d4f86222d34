"""Time that a test turns: how long a caller waits for settling, and when the window of the quota ends."""

import asyncio
import time

from fusebill_async.session.effects import Effects

WAIT = 4321.0
WINDOW = 30.0
LONG = 5.0
"""Seconds from which a shorter wait, of nothing that a test turns, takes no time."""


class Patience:
    """The effects of a client, but a test says when a caller has waited for `WAIT` s, and when the window turns."""

    def __init__(self):
        self._over = asyncio.Event()
        self._turned = asyncio.Event()
        self._ahead = 0.0
        self.effects = Effects(now=self._now, sleep=self._sleep, random=lambda: 0.0)

    def _now(self):
        return time.monotonic() + self._ahead

    async def _sleep(self, seconds):
        if seconds > 0.5 * WAIT:
            await self._over.wait()
        elif seconds > 0.5 * WINDOW:
            await self._turned.wait()
        elif seconds > LONG:
            self._ahead += seconds
            await asyncio.sleep(0)
        else:
            await asyncio.sleep(seconds)

    async def is_over(self):
        self._over.set()
        for _ in range(10):
            await asyncio.sleep(0)

    def window_turns(self):
        self._ahead += WINDOW
        self._turned.set()
