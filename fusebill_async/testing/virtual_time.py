"""An asyncio event loop in which waiting takes no time: it turns a clock of its own instead."""

from __future__ import annotations

import asyncio
import gc
import selectors
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, copy_context
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from fusebill_async.testing.simulated_network import SimulatedNetwork
from fusebill_async.testing.simulated_process import SimulatedProcess, process_of
from fusebill_async.testing.virtual_computer import NotSimulatedError, VirtualClock, VirtualComputer, not_simulated

T = TypeVar("T")

START = datetime(2026, 1, 1, tzinfo=UTC)
"""When a simulated run begins, on every clock of it."""

LIMIT = 90 * 86_400.0
"""Seconds of virtual time after which a run is taken for one that never ends."""

_TURNS_AT_ONCE = 100
_TURN = 1e-4
"""Seconds that a turn takes after so many in which nothing was waited for."""

_TURNS_PER_COLLECTION = 20_000


class SimulationError(RuntimeError):
    """A simulated run that cannot go on."""


class SimulationDeadlockError(SimulationError):
    """Nothing is scheduled any more, so what is waited for never comes. The message names who waits, and where."""


class SimulationTooLongError(SimulationError):
    """The run went on past its limit of virtual time. The message names who waits, and where."""


class _TurningSelector(selectors.SelectSelector):
    """Looks at no socket. Where another selector would wait, this one turns the clock."""

    def __init__(
        self, clock: VirtualClock, limit: float, stuck: Callable[[type[SimulationError], str], NoReturn]
    ) -> None:
        super().__init__()
        self._clock = clock
        self._until = clock.monotonic() + limit
        self._stuck = stuck
        self._turns = self._at_once = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Turn the clock by `timeout` seconds."""
        if timeout is None:
            self._stuck(SimulationDeadlockError, "deadlock: nothing is scheduled any more")
        self._at_once = 0 if timeout > 0 else self._at_once + 1
        self._clock.advance(timeout if self._at_once < _TURNS_AT_ONCE else _TURN)
        if self._clock.monotonic() > self._until:
            self._stuck(SimulationTooLongError, "the run went past its limit of virtual time")
        self._turns += 1
        if not self._turns % _TURNS_PER_COLLECTION:
            # Python's own schedule depends on what the process did before, and what is collected may act.
            gc.collect(1)
        return []


class _NumberedTask(asyncio.Task[Any]):
    """A task that a set keeps in an order which is the same in every process."""

    def __init__(self, number: int, process: SimulatedProcess | None, coro: Any, **options: Any) -> None:
        self.number = number
        self.process = process
        super().__init__(coro, **options)

    def __hash__(self) -> int:
        return self.number


def _order(task: asyncio.Task[Any]) -> tuple[int, str]:
    return (task.number if isinstance(task, _NumberedTask) else 0, task.get_name())


def _is_dead(task: asyncio.Task[Any]) -> bool:
    process = task.process if isinstance(task, _NumberedTask) else None
    return process is not None and process.is_dead


def _place(task: asyncio.Task[Any]) -> str:
    """Return where a task waits: its coroutine, what that one awaits, and so on."""
    places: list[str] = []
    coro: Any = task.get_coro()
    while (frame := getattr(coro, "cr_frame", None)) is not None:
        places.append(f"{coro.__qualname__} ({Path(frame.f_code.co_filename).name}:{frame.f_lineno})")
        coro = coro.cr_await
    return " > ".join(places)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time over a simulated network. `run_simulated` makes one, and so does the pytest mark.

    While it runs, `time.time`, `time.monotonic`, `time.sleep`, the functions of `random` and `os.urandom` (with it
    `uuid.uuid4`) are virtual for what it runs. Callbacks run in the order in which they were scheduled, as in asyncio.

    Args:
        seed: of everything that is left to chance.
        network: in place of a plain one.
        start: the wall clock at the beginning.
        limit: seconds of virtual time after which the run ends with an error.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        network: SimulatedNetwork | None = None,
        start: datetime = START,
        limit: float = LIMIT,
    ) -> None:
        self.clock = VirtualClock(start)
        self.computer = VirtualComputer(self.clock, seed)
        self.network = SimulatedNetwork() if network is None else network
        self._tasks_made = 0
        self._processes: dict[SimulatedProcess, None] = {}
        super().__init__(_TurningSelector(self.clock, limit, self._stuck))
        self.network.attach(self, seed)
        self.set_task_factory(self._make_task)

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self.clock.monotonic()

    def run_forever(self) -> None:
        """Run until it is stopped."""
        with self.computer:
            super().run_forever()

    def tasks(self) -> list[asyncio.Task[Any]]:
        """Return the tasks that are not done, in the order in which they were made; none of a dead process."""
        return sorted((task for task in asyncio.all_tasks(self) if not _is_dead(task)), key=_order)

    def wind_up(self) -> None:
        """Cancel what is left, one task after the other, and close."""
        try:
            self._clear_away()
            tasks = self.tasks()
            for task in tasks:
                task.cancel()
            if tasks:
                self.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            self.run_until_complete(self.shutdown_asyncgens())
        except SimulationError:
            # It is over: whoever still waits now waits for what never comes.
            pass
        finally:
            self.close()

    def _clear_away(self) -> None:
        """Let go of what dead processes have left. Frames may ask for the running loop on their way."""
        asyncio._set_running_loop(self)  # noqa: SLF001 (documented, for who makes an event loop)
        try:
            for process in self._processes:
                if process.is_dead:
                    process.clear_away()
        finally:
            asyncio._set_running_loop(None)  # noqa: SLF001

    # -- whose each callback is ------------------------------------------------------------------------------

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> asyncio.Handle:  # type: ignore[override]
        """Run a callback in the next turn, if its process lives and runs then."""
        process = process_of(context)
        if process is None:
            return super().call_soon(callback, *args, context=context)
        context = copy_context() if context is None else context
        due: list[asyncio.Handle] = []
        due.append(super().call_soon(process.run, due, callback, args, context, context=context))
        return due[0]

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Context | None = None) -> asyncio.Handle:  # type: ignore[override]
        """The same: there are no threads."""
        return self.call_soon(callback, *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Context | None = None) -> asyncio.TimerHandle:  # type: ignore[override]
        """Run a callback at a time, if its process lives and runs then."""
        process = process_of(context)
        if process is None:
            return super().call_at(when, callback, *args, context=context)
        context = copy_context() if context is None else context
        due: list[asyncio.Handle] = []
        timer = super().call_at(when, process.run, due, callback, args, context, context=context)
        due.append(timer)
        return timer

    # -- connections ---------------------------------------------------------------------------------------

    async def sock_connect(self, sock: Any, address: Any) -> None:
        """Connect a socket to whoever listens in the simulated network; no packet leaves."""
        await self.network.connect_socket(sock, address[:2])

    async def create_connection(  # what is of no use here is refused
        self,
        protocol_factory: Callable[[], Any],
        host: str | None = None,
        port: int | None = None,
        *,
        ssl: Any = None,
        sock: Any = None,
        **options: Any,
    ) -> tuple[asyncio.Transport, Any]:
        """Connect, or take a socket that was connected by `sock_connect`."""
        del options
        if ssl:
            raise NotSimulatedError("TLS is not simulated: use an http:// address")
        if sock is None:
            link = await self.network.connect((host or "127.0.0.1", port or 0))
        else:
            link = self.network.claim(sock)
        protocol = protocol_factory()
        link.start(protocol)
        return link, protocol

    async def create_server(  # what is of no use here is refused
        self,
        protocol_factory: Callable[[], Any],
        host: Any = None,
        port: int | None = None,
        **options: Any,
    ) -> Any:
        """Listen in the simulated network."""
        if options.get("ssl") or options.get("sock"):
            raise NotSimulatedError("a server on TLS or on a socket of its own is not simulated")
        return self.network.serve(protocol_factory, host or "", port or 0)

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> list[Any]:
        """Return the address of a name; see `SimulatedNetwork.resolve`."""
        del options
        return self.network.resolve(host, port)

    # -- how it is stuck, and its tasks ---------------------------------------------------------------------

    def _stuck(self, kind: type[SimulationError], why: str) -> NoReturn:
        waiting = "".join(f"\n  {task.get_name()}: {_place(task)}" for task in self.tasks())
        raise kind(f"{why}; these tasks wait:{waiting or ' none'}")

    def _make_task(
        self, _loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, T] | Generator[Any, None, T], **options: Any
    ) -> asyncio.Task[T]:
        self._tasks_made += 1
        process = process_of(options.get("context"))
        task = _NumberedTask(self._tasks_made, process, coro, loop=self, **options)
        if process is not None:
            self._processes[process] = None
            process.own(task)
        return task


for _name in (
    "add_reader", "remove_reader", "add_writer", "remove_writer", "sock_recv", "sock_recv_into", "sock_recvfrom",
    "sock_recvfrom_into", "sock_sendall", "sock_sendto", "sock_sendfile", "sock_accept", "sendfile", "start_tls",
    "connect_accepted_socket", "create_datagram_endpoint", "create_unix_connection", "create_unix_server",
    "connect_read_pipe", "connect_write_pipe", "subprocess_exec", "subprocess_shell", "run_in_executor",
    "add_signal_handler", "remove_signal_handler",
):  # fmt: skip
    setattr(VirtualTimeLoop, _name, not_simulated(f"loop.{_name}()"))
