"""The effects that a store needs besides its file or server: clocks, chance, threads, and which processes live."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import attrs

T = TypeVar("T")

_PROC = Path("/proc")


@attrs.frozen
class Process:
    """A process, so exactly that no later one is mistaken for it.

    Attributes:
        host: names the machine, its boot and its namespace of process ids.
        pid: the process id there.
        started: when it started, in the kernel's words; "" where the system does not tell.
    """

    host: str
    pid: int
    started: str

    @classmethod
    def this(cls) -> Process:
        """The process that runs this."""
        return cls(_host(), os.getpid(), _state_and_start(os.getpid())[1])

    def is_gone(self) -> bool:
        """Whether it has certainly ended. False also means "cannot be told", as for one on another machine."""
        if os.name != "posix" or self.host != _host():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            pass  # it lives, under another user
        state, started = _state_and_start(self.pid)
        # Z and X are processes that run no more and whose parent has not asked for their exit status.
        return state in {"Z", "X"} or bool(self.started and started and started != self.started)


def machine_name() -> str:
    """The name of this machine, which it keeps when it is started anew."""
    return socket.gethostname()


def _host() -> str:
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{(_PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return machine_name()


def _state_and_start(pid: int) -> tuple[str, str]:
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return "", ""
    # The name stands in brackets and may hold spaces and brackets itself.
    fields = text.rpartition(")")[2].split()
    return fields[0], fields[19]


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

    async def off_loop(self, work: Callable[[], T]) -> T:
        """Do work that waits for the disk outside the event loop, where there are threads."""
        if self.threads:
            # A simulated run has none, and says so.
            with suppress(NotImplementedError):
                return await asyncio.to_thread(work)
        return work()

    def between(self, shortest: float, longest: float) -> float:
        """A number of seconds by chance."""
        return shortest + (longest - shortest) * self.random()
