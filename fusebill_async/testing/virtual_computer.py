"""What a simulated run sees of its computer: the clocks, chance, and that there are no threads.

The functions of `time`, `random` and `os` are stood in for while the run lasts, and in its thread alone.
"""

from __future__ import annotations

import gc
import os
import random
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NoReturn

_BEGIN = 1000.0
"""What the monotonic clock shows when a run begins. Not 0, which code may take for "never"."""


class NotSimulatedError(NotImplementedError):
    """Something was asked for that a simulated run does not have, such as a real socket, a thread or a process."""


class VirtualClock:
    """The clocks of a simulated computer.

    Args:
        start: what the wall clock shows at the beginning.

    Attributes:
        skew: seconds by which the wall clock is ahead of the right time; it may be set at any moment, and be negative.
    """

    def __init__(self, start: datetime) -> None:
        self.skew = 0.0
        self._start = start
        self._epoch = start.timestamp() - _BEGIN
        self._monotonic = _BEGIN
        self._suspended = 0.0

    def monotonic(self) -> float:
        """Return the seconds on the clock that never goes back, and that stands still while it is suspended."""
        return self._monotonic

    def elapsed(self) -> float:
        """Return the seconds since the run began."""
        return self._monotonic - _BEGIN + self._suspended

    def wall(self) -> float:
        """Return the seconds since 1970 as the computer believes."""
        return self.right() + self.skew

    def right(self) -> float:
        """Return the seconds since 1970 as they are."""
        return self._epoch + self._monotonic + self._suspended

    def now(self) -> datetime:
        """Return the right time; as `FusebillSimulator(clock=)` it makes a service whose clock is not skewed."""
        return self._start + timedelta(seconds=self.elapsed())

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass in which nothing runs, as if the process was stopped. What is due then is late."""
        self._monotonic += seconds

    def suspend(self, seconds: float) -> None:
        """Let the computer sleep for so many seconds: they pass on the wall clock, but not on the monotonic one."""
        self._suspended += seconds


class VirtualComputer:
    """Stands in for the clocks and the chance of the computer, as a context manager that may be entered again.

    Args:
        clock: what shows the time.
        seed: of everything that is left to chance.
    """

    def __init__(self, clock: VirtualClock, seed: int) -> None:
        self.clock = clock
        self._random = random.Random(f"{seed} random").getstate()  # noqa: S311 (it must be repeatable)
        self._bytes = random.Random(f"{seed} urandom")  # noqa: S311 (it must be repeatable)
        self._was_collecting = False
        self._outside: object = None

    def randbytes(self, number: int) -> bytes:
        """Return bytes in place of those of `os.urandom`."""
        return self._bytes.randbytes(number)

    def __enter__(self) -> None:
        _stand_in()
        _running.computer = self
        self._outside = random.getstate()
        random.setstate(self._random)
        # What is collected may act, and when it is depends on what the process did before.
        self._was_collecting = gc.isenabled()
        gc.disable()

    def __exit__(self, *raised: object) -> None:
        if self._was_collecting:
            gc.enable()
        self._random = random.getstate()
        random.setstate(self._outside)  # type: ignore[arg-type]
        _running.computer = None
        _stand_back()


class _Running(threading.local):
    """The computer that the code of this thread runs on; None is the real one."""

    computer: VirtualComputer | None = None


_running = _Running()
_real_time, _real_time_ns = time.time, time.time_ns
_real_monotonic, _real_monotonic_ns = time.monotonic, time.monotonic_ns
_real_sleep, _real_urandom, _real_start = time.sleep, os.urandom, threading.Thread.start


# A module that is imported while a run lasts may keep one of these for good: each is the real one outside of a run.
def _time() -> float:
    return _real_time() if _running.computer is None else _running.computer.clock.wall()


def _time_ns() -> int:
    return _real_time_ns() if _running.computer is None else int(_running.computer.clock.wall() * 1e9)


def _monotonic() -> float:
    return _real_monotonic() if _running.computer is None else _running.computer.clock.monotonic()


def _monotonic_ns() -> int:
    return _real_monotonic_ns() if _running.computer is None else int(_running.computer.clock.monotonic() * 1e9)


def _sleep(seconds: float, /) -> None:
    if _running.computer is None:
        _real_sleep(seconds)
    else:
        _running.computer.clock.advance(seconds)


def _urandom(size: int, /) -> bytes:
    return _real_urandom(size) if _running.computer is None else _running.computer.randbytes(size)


def _start(thread: threading.Thread) -> None:
    if _running.computer is not None:
        raise NotSimulatedError(f"there are no threads in a simulated run, and {thread.name!r} was to be started")
    _real_start(thread)


_STAND_INS: list[tuple[Any, str, Callable[..., Any]]] = [
    (time, "time", _time),
    (time, "time_ns", _time_ns),
    (time, "monotonic", _monotonic),
    (time, "monotonic_ns", _monotonic_ns),
    (time, "sleep", _sleep),
    (os, "urandom", _urandom),
    (threading.Thread, "start", _start),
]
_BY_NAME = [("aiohttp.connector", "monotonic", _monotonic)]
"""Where a module has taken the name of a function, and does not ask the event loop: how long a connection is kept."""

_replaced: list[tuple[Any, str, Any]] = []
_runs = 0
_lock = threading.Lock()


def _stand_in() -> None:
    global _runs  # noqa: PLW0603 (the functions of a module are global, too)
    with _lock:
        _runs += 1
        if _runs > 1:
            return
        named = [(sys.modules[module], name, function) for module, name, function in _BY_NAME if module in sys.modules]
        for place, name, function in _STAND_INS + named:
            _replaced.append((place, name, getattr(place, name)))
            setattr(place, name, function)


def _stand_back() -> None:
    global _runs  # noqa: PLW0603
    with _lock:
        _runs -= 1
        if _runs:
            return
        while _replaced:
            setattr(*_replaced.pop())


def not_simulated(name: str) -> Callable[..., NoReturn]:
    """Return a method that stands in for one which a simulated run does not have."""

    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise NotSimulatedError(f"{name} is not simulated: a simulated run has no real sockets, threads or processes")

    return refuse
