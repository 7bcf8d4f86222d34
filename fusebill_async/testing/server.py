"""The socket side: connections that read requests and play scripts, and the listening socket.

Written on `asyncio.Protocol` and not on a server library, since faults need the socket itself: RST, half an
answer, two answers. Answers run on callbacks, not on tasks: a test may count the tasks of its client.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from functools import partial
from typing import TYPE_CHECKING, Protocol, cast

from fusebill_async.testing.listener import Entry, SocketEntry
from fusebill_async.testing.messages import Request, render
from fusebill_async.testing.parsing import BadRequestError, Parser
from fusebill_async.testing.scripts import End, Script

if TYPE_CHECKING:
    from fusebill_async.testing.simulated_network import SimulatedNetwork

# On, with no time to linger: close() then sends RST and throws away what was not sent.
_LINGER_ZERO = struct.pack("ii", 1, 0)


_LEAVE_AFTER = 0.5
"""Seconds in which a client that was refused can read why."""


class Application(Protocol):
    """What the server asks: the simulator implements it."""

    def accepted(self, number: int) -> Script | None:
        """Return what befalls a new connection, None if nothing does."""
        ...

    def first_bytes(self, number: int) -> Script | None:
        """Return what befalls a connection on its first bytes, None if nothing does."""
        ...

    def respond(self, request: Request, connection: Connection) -> bytes | Script | None:
        """Return an answer, or a script to play; None if the answer is given to `connection.resume` later."""
        ...

    def standing(self, *, quota: bool = True) -> bytes:
        """Return the header lines that every answer carries."""
        ...


class Connection(asyncio.Protocol):
    """One connection: one request at a time, then the next."""

    __slots__ = (
        "_application", "_busy", "_continued", "_data", "_deaf", "_fresh", "_keep_alive", "_parser", "_server",
        "_timer", "_transport", "number",
    )  # fmt: skip

    def __init__(self, server: Server, application: Application, parser: Parser) -> None:
        self.number = 0
        self._server = server
        self._application = application
        self._parser = parser
        self._transport: asyncio.Transport | None = None
        self._data = b""
        self._busy = False
        self._deaf = False
        self._fresh = True
        self._keep_alive = True
        self._continued = False
        self._timer: asyncio.TimerHandle | None = None

    # -- what asyncio calls --------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection, and see whether something befalls it."""
        self._transport = cast("asyncio.Transport", transport)
        self.number = self._server.count(self)
        script = self._application.accepted(self.number)
        if script is not None:
            self.play(script)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        """Stop whatever was being played."""
        self._transport = None
        self._stop_timer()
        self._server.forget(self)

    def data_received(self, data: bytes) -> None:
        """Take bytes, and answer as many requests as they complete."""
        self._server.bytes_received += len(data)
        if self._deaf:
            return
        self._data = self._data + data if self._data else data
        if self._fresh and not self._busy:
            self._fresh = False
            script = self._application.first_bytes(self.number)
            if script is not None:
                self._deaf = True
                self.play(script)
                return
        if not self._busy:
            self._serve()

    def eof_received(self) -> bool:
        """Close as soon as the client does: nobody reads the answer."""
        return False

    # -- requests ------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        while self._data and not self._busy and self._transport is not None:
            try:
                parsed = self._parser.parse(self._data, self.number)
            except BadRequestError as error:
                self._refuse(error)
                return
            if parsed is None:
                if not self._continued and self._parser.expects_continue(self._data):
                    self._continued = True
                    self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                return
            self._data = parsed.rest
            self._continued = False
            self._keep_alive = parsed.keep_alive
            answer = self._application.respond(parsed.request, self)
            if isinstance(answer, bytes):
                self._transport.write(answer)
                self._finish()
            else:
                self._busy = True
                if answer is not None:
                    self.play(answer)

    def _refuse(self, error: BadRequestError) -> None:
        if self._transport is not None:
            self._transport.write(render(error.reply, self._application.standing() + b"Connection: close\r\n"))
            # What is still on its way is read and dropped: a close would make it an RST, and the answer be lost.
            self._deaf, self._data = True, b""
            self._timer = asyncio.get_running_loop().call_later(_LEAVE_AFTER, self.close)

    def _finish(self) -> None:
        if not self._keep_alive and self._transport is not None:
            self._transport.close()

    # -- scripts -------------------------------------------------------------------------------------------

    def play(self, script: Script) -> None:
        """Play the steps of a script; while it lasts no further request is read."""
        self._busy = True
        self._timer = None
        for step in script:
            if self._transport is None:
                return
            if isinstance(step, End):
                self._end(step)
                return
            if isinstance(step, bytes):
                self._transport.write(step)
            elif step > 0:
                self._timer = asyncio.get_running_loop().call_later(step, self.play, script)
                return
        self._busy = False
        self._finish()
        self._serve()

    def resume(self, answer: bytes | Script) -> None:
        """Give the answer that was not ready when the request was read."""
        self.play(iter((answer,)) if isinstance(answer, bytes) else answer)

    def _end(self, end: End) -> None:
        if end is End.CLOSE:
            self.close()
        elif end is End.RESET:
            self.reset()
        else:
            # It hangs: the rest of its life it is read, so that its end is noticed, but not answered.
            self._deaf = True

    def close(self) -> None:
        """Send what is left, then FIN."""
        self._stop_timer()
        self._deaf = True
        if self._transport is not None:
            self._transport.close()

    def leave(self) -> None:
        """End at once, in peace where that does not depend on the other side."""
        if self.idle and self._transport is not None and not self._transport.get_write_buffer_size():
            self.close()
        else:
            self.reset()

    def reset(self) -> None:
        """Send RST."""
        self._stop_timer()
        self._deaf = True
        if self._transport is not None:
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
            self._transport.abort()

    @property
    def idle(self) -> bool:
        """Whether no request is being answered."""
        return not self._busy

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Server:
    """The listening socket and its connections.

    Attributes:
        opened: how many connections were accepted so far.
        connections: those that are open, by number.
        bytes_received: over all connections.
    """

    def __init__(self, application: Application) -> None:
        self.opened = 0
        self.connections: dict[int, Connection] = {}
        self.bytes_received = 0
        self._stopped = False
        self._application = application
        self._parser = Parser()
        self._entry: Entry | None = None
        self._empty: asyncio.Event | None = None

    @property
    def port(self) -> int:
        """The port that is, or was last, listened on."""
        return 0 if self._entry is None else self._entry.address[1]

    async def start(self, host: str, port: int) -> None:
        """Listen; port 0 is any free one."""
        if self._entry is not None and not self._stopped:
            return
        loop = asyncio.get_running_loop()
        # A simulated run has a network of its own in place of the computer's sockets.
        network: SimulatedNetwork | None = getattr(loop, "network", None)
        listen = partial(SocketEntry, loop) if network is None else network.listen
        entry = listen(host, port, lambda: Connection(self, self._application, self._parser))
        entry.open()
        self._entry, self._stopped = entry, False

    async def stop(self) -> None:
        """Stop listening and end every connection; return when all are gone."""
        self.stop_listening()
        self._stopped = True
        if self._entry is not None:
            await self._entry.settled()
        if self.connections:
            self._empty = asyncio.Event()
            for connection in list(self.connections.values()):
                connection.leave()
            await self._empty.wait()

    def stop_listening(self) -> None:
        """Let every further connect be refused; what is open stays open."""
        if self._entry is not None:
            self._entry.close()

    def fill_backlog(self) -> None:
        """Let every further connect hang: the queue of the listening socket is full and nobody accepts."""
        if self._entry is not None:
            self._entry.hang()

    def listen_again(self) -> None:
        """Undo `stop_listening` and `fill_backlog`: from here on a connect is queued, and accepted soon."""
        if self._entry is not None and not self._stopped and not self._entry.is_open:
            self._entry.open()

    def reset_connections(self, *, idle_only: bool = False) -> None:
        """Send RST on every connection, or on those that wait for a request."""
        for connection in list(self.connections.values()):
            if connection.idle or not idle_only:
                connection.reset()

    def close_connections(self, *, idle_only: bool = False) -> None:
        """Send FIN on every connection, or on those that wait for a request."""
        for connection in list(self.connections.values()):
            if connection.idle or not idle_only:
                connection.close()

    def count(self, connection: Connection) -> int:
        """Note a new connection and return its number."""
        self.opened += 1
        self.connections[self.opened] = connection
        return self.opened

    def forget(self, connection: Connection) -> None:
        """Note that a connection is gone."""
        self.connections.pop(connection.number, None)
        if self._empty is not None and not self.connections:
            self._empty.set()
