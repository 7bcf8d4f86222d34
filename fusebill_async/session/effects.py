"""Time, sleep and chance, handed in so that every wait and every choice is exact and instant in a test."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

import attrs


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Effects:
    """What the session takes from the world besides the network.

    Attributes:
        now: a clock in seconds that never goes back; only differences of it mean anything.
        sleep: waits for so many seconds.
        random: draws a number from 0 up to 1.
    """

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: Callable[[], float] = random.random
