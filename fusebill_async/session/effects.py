"""Time, sleep and chance, handed in so that every wait and every choice is exact and instant in a test."""

from __future__ import annotations

import asyncio
import random as chance
import time
from collections.abc import Awaitable, Callable

import attrs


@attrs.frozen(kw_only=True)
class Effects:
    """What the session takes from the world besides the network.

    Attributes:
        now: a clock in seconds that never goes back; only differences of it mean anything.
        wall: the system's clock in epoch seconds: unlike `now` it goes on while a machine is suspended.
        sleep: waits for so many seconds.
        random: draws a number from 0 up to 1.
    """

    # Looked up when a client is made, so that a simulation can hand in its own.
    now: Callable[[], float] = attrs.field(factory=lambda: time.monotonic)
    wall: Callable[[], float] = attrs.field(factory=lambda: time.time)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: Callable[[], float] = chance.random
