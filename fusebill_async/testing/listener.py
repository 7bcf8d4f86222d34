"""Where the simulator is reached: its address, and the accepting side of its socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Protocol

_AT_ONCE = 1024
"""Connections that are accepted in one turn of the event loop, at most."""

_BACKLOG = 1024

_FILLERS = 4
"""More connects than a queue of length 0 takes, so that it is surely full."""

_PAUSE = 0.1
"""Seconds until it is tried again where the system has no descriptor left."""


class Listener:
    """Accepts connections on one socket after the other, or on none.

    Not an `asyncio.Server`: that one loses a connection which it is accepting when it is closed.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, make: Callable[[], asyncio.Protocol]) -> None:
        self._loop = loop
        self._make = make
        self._socket: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_open(self) -> bool:
        """Whether it accepts."""
        return self._socket is not None

    def open(self, listening: socket.socket) -> None:
        """Accept on a socket that listens already and does not block."""
        self._socket = listening
        try:
            self._loop.add_reader(listening, self._accept, listening)
        except NotImplementedError:
            # The loop that is usual on Windows has no readers.
            self._accepting = self._keep(self._accept_each(listening))

    def close(self) -> None:
        """Accept no more. Connections that were accepted live on."""
        if self._socket is None:
            return
        if self._accepting is None:
            self._loop.remove_reader(self._socket)
        else:
            self._accepting.cancel()
            self._accepting = None
        self._socket.close()
        self._socket = None

    async def settled(self) -> None:
        """Wait until every connection that was accepted has been made."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(_AT_ONCE):
            try:
                accepted, _ = listening.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError:
                self._loop.remove_reader(listening)
                self._loop.call_later(_PAUSE, self._resume, listening)
                return
            self._keep(self._take(accepted))

    def _resume(self, listening: socket.socket) -> None:
        if listening is self._socket:
            self._loop.add_reader(listening, self._accept, listening)

    async def _accept_each(self, listening: socket.socket) -> None:
        while listening is self._socket:
            try:
                accepted, _ = await self._loop.sock_accept(listening)
            except OSError:
                # Who came has gone again.
                await asyncio.sleep(_PAUSE)
            else:
                self._keep(self._take(accepted))

    async def _take(self, accepted: socket.socket) -> None:
        accepted.setblocking(False)
        try:
            await self._loop.connect_accepted_socket(self._make, accepted)
        except OSError:
            accepted.close()

    def _keep(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


class Entry(Protocol):
    """An address at which connects are answered, refused, or left hanging."""

    address: tuple[str, int]

    @property
    def is_open(self) -> bool:
        """Whether connects are answered."""
        ...

    def open(self) -> None:
        """Answer connects."""
        ...

    def close(self) -> None:
        """Refuse them. Connections that were accepted live on."""
        ...

    def hang(self) -> None:
        """Let them hang."""
        ...

    async def settled(self) -> None:
        """Return when every connection that was accepted has been made."""
        ...


class SocketEntry:
    """An address of this computer."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, host: str, port: int, make: Callable[[], asyncio.Protocol]
    ) -> None:
        self.address = (host, port)
        self._listener = Listener(loop, make)
        self._fillers: list[socket.socket] = []

    @property
    def is_open(self) -> bool:
        """Whether connects are answered."""
        return self._listener.is_open

    def open(self) -> None:
        """Answer connects: from here on one is queued, and accepted soon."""
        self.close()
        listening = self._bind(_BACKLOG)
        self.address = (self.address[0], listening.getsockname()[1])
        self._listener.open(listening)

    def close(self) -> None:
        """Refuse connects."""
        self._listener.close()
        for filler in self._fillers:
            filler.close()
        self._fillers.clear()

    def hang(self) -> None:
        """Let connects hang: the queue of the listening socket is full, and nobody accepts."""
        self.close()
        listening = self._bind(0)
        self._fillers.append(listening)
        for _ in range(_FILLERS):
            filler = socket.socket(listening.family)
            filler.setblocking(False)
            filler.connect_ex(listening.getsockname())
            self._fillers.append(filler)

    async def settled(self) -> None:
        """Return when every connection that was accepted has been made."""
        await self._listener.settled()

    def _bind(self, backlog: int) -> socket.socket:
        # By hand and not by asyncio: it listens at once, so there is no moment in which a connect is refused.
        family = socket.AF_INET6 if ":" in self.address[0] else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(self.address)
        except OSError:
            listening.close()
            raise
        listening.listen(backlog)
        listening.setblocking(False)
        return listening
