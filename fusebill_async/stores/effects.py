"""What a store takes from the world besides its file or its server."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import Awaitable, Callable

import attrs

from fusebill_async.stores.processes import Process


# Each is looked up anew with every call, since a simulated run puts others in their place.
def _monotonic() -> float:
    return time.monotonic()


def _wall() -> float:
    return time.time()


def _new_name() -> str:
    return uuid.uuid4().hex


@attrs.frozen(kw_only=True)
class StoreEffects:
    """Clocks, waiting, chance, names, threads and the life of processes, handed in so that a test can choose them.

    Attributes:
        monotonic: a clock in seconds that never goes back; it may stand still while the machine sleeps.
        wall: the system's clock, in epoch seconds; it may be set, and it counts the machine's sleep.
        sleep: waits for so many seconds.
        random: draws a number from 0 up to 1.
        new_name: gives a name that nobody else has.
        threads: write to a SQLite file in a thread. Without, and where there are no threads, as in a simulated run,
            the event loop waits for the disk.
        this_process: says who this process is.
        is_gone: says whether a process has certainly ended.
    """

    monotonic: Callable[[], float] = _monotonic
    wall: Callable[[], float] = _wall
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: Callable[[], float] = random.random
    new_name: Callable[[], str] = _new_name
    threads: bool = True
    this_process: Callable[[], Process] = Process.this
    is_gone: Callable[[Process], bool] = Process.is_gone

    def between(self, shortest: float, longest: float) -> float:
        """A number of seconds by chance."""
        return shortest + (longest - shortest) * self.random()
