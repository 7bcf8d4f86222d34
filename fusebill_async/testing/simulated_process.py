"""Processes of a simulated run: each can be killed, stopped and continued at any instant.

What a process schedules carries its name in the context. So the event loop knows whose each callback is, and runs
none of a process that is dead or stopped.
"""

from __future__ import annotations

import asyncio
import sys
import warnings
from collections.abc import Callable, Coroutine, Generator, Iterable
from contextlib import contextmanager, suppress
from contextvars import Context, ContextVar, copy_context
from typing import TYPE_CHECKING, Any, TypeVar

from fusebill_async.stores.effects import Process

if TYPE_CHECKING:
    from fusebill_async.testing.simulated_transport import SimulatedTransport

T = TypeVar("T")

_FIRST_PID = 1000
_WAYS_OUT = 20
"""How often a frame is told to end, at most."""


class KilledError(BaseException):
    """Ends the callback in which a process is killed. What that callback still does reaches nobody."""


class SimulatedProcess:
    """One process of a simulated run.

    `start` runs coroutines in it. All that they start, open and wait for belongs to it.

    Args:
        pid: its process id, which no other process of the run has.

    Attributes:
        is_dead: it was killed.
        is_stopped: nothing of it runs until it is continued; the clocks go on.
    """

    def __init__(self, pid: int = _FIRST_PID) -> None:
        self.identity = Process("simulated", pid, "")
        self.is_dead = self.is_stopped = False
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tasks: list[asyncio.Task[Any]] = []
        self._links: list[SimulatedTransport] = []
        self._at_death: list[Callable[[], None]] = []
        self._parked: list[tuple[list[asyncio.Handle], Callable[..., Any], tuple[Any, ...], Context]] = []

    def start(self, coro: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run a coroutine in it. Its task never ends if the process is killed before: see `wait`."""
        context = copy_context()
        context.run(_PROCESS.set, self)
        return asyncio.get_running_loop().create_task(coro, context=context)

    async def wait(self, task: asyncio.Task[Any]) -> bool:
        """Wait until a task of it has ended or the process is dead; whether the task has ended."""
        await asyncio.wait({task, self._ended}, return_when=asyncio.FIRST_COMPLETED)
        return task.done() and not self.is_dead

    def at_death(self, act: Callable[[], None]) -> None:
        """Let the system do something when the process is dead, such as close a file."""
        self._at_death.append(act)

    # -- what befalls it -----------------------------------------------------------------------------------

    def kill(self) -> None:
        """Kill it, as SIGKILL does: no `finally` runs, its connections are reset, its locks are left as they are."""
        if self.is_dead:
            return
        self.is_dead = True
        self._parked.clear()
        for link in self._links:
            link.vanish()
        for act in self._at_death:
            act()
        self._ended.set_result(None)

    def stop(self) -> None:
        """Stop it, as SIGSTOP does. What arrives for it waits."""
        self.is_stopped = True

    def go_on(self) -> None:
        """Continue it, as SIGCONT does. What was due meanwhile runs now."""
        self.is_stopped = False
        parked, self._parked = self._parked, []
        loop = asyncio.get_running_loop()
        for due, callback, arguments, context in parked:
            loop.call_soon(_unless_cancelled, due[0], callback, arguments, context=context)
        for link in self._links:
            link.wake()

    # -- what the event loop asks ----------------------------------------------------------------------------

    def run(
        self, due: list[asyncio.Handle], callback: Callable[..., Any], arguments: tuple[Any, ...], context: Context
    ) -> None:
        """Run a callback of it, unless it is dead; if it is stopped, later, unless it is cancelled before."""
        if self.is_dead:
            return
        if self.is_stopped:
            self._parked.append((due, callback, arguments, context))
            return
        with suppress(KilledError):
            callback(*arguments)

    def own(self, task: asyncio.Task[Any]) -> None:
        """Keep a task, and with it the frames, until the run ends."""
        self._tasks = [each for each in self._tasks if not each.done()]
        self._tasks.append(task)

    def connected(self, link: SimulatedTransport) -> None:
        """Keep one end of a connection."""
        self._links = [each for each in self._links if not each.is_closing()]
        self._links.append(link)

    def clear_away(self) -> None:
        """Let go of the frames of a dead process when the run has ended.

        What they do on their way reaches no task, no connection and no file that was closed at its death.
        """
        context = copy_context()
        context.run(_PROCESS.set, self)
        with _unheard():
            while self._tasks:
                context.run(_let_go, self._tasks.pop())


def _unless_cancelled(handle: asyncio.Handle, callback: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """Run what was parked. What ran before it may have cancelled it."""
    if not handle.cancelled():
        callback(*arguments)


@contextmanager
def _unheard() -> Generator[None]:
    """What frames complain of on their way is no news: nobody lives who could have done better."""
    heard, sys.unraisablehook = sys.unraisablehook, _ignore
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            yield
    finally:
        sys.unraisablehook = heard


def _ignore(_: object) -> None:
    """Say nothing."""


def _let_go(task: asyncio.Task[Any]) -> None:
    task._log_traceback = task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001 (its switches)
    coro: Any = task.get_coro()
    # A frame that waits once more on its way out is told again.
    for _ in range(_WAYS_OUT):
        with suppress(BaseException):
            coro.close()
            return


_PROCESS: ContextVar[SimulatedProcess | None] = ContextVar("_PROCESS", default=None)


def process_of(context: Context | None = None) -> SimulatedProcess | None:
    """The process that a context belongs to, by default the one that runs; None is the world outside of all."""
    return _PROCESS.get() if context is None else context.get(_PROCESS)


def is_gone(processes: Iterable[SimulatedProcess]) -> Callable[[Process], bool]:
    """For `StoreEffects(is_gone=)`: say whether one of these processes is dead."""

    def ask(process: Process) -> bool:
        return any(each.is_dead for each in processes if each.identity == process)

    return ask
