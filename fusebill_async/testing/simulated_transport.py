"""The two ends of a connection in memory, as asyncio's transports."""

from __future__ import annotations

import asyncio
import errno
import math
import os
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterable
from contextvars import Context
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from fusebill_async.testing.network_faults import NetworkFault
from fusebill_async.testing.simulated_process import process_of

if TYPE_CHECKING:
    from fusebill_async.testing.simulated_network import SimulatedNetwork

Address: TypeAlias = tuple[str, int]
T = TypeVar("T")

_WINDOW = 64 * 1024
"""Bytes of one direction that are under way or unread at most; the rest waits at the sender."""

_HIGH_WATER = 64 * 1024
_LINGER_ZERO = struct.pack("ii", 1, 0)


class Signal(Enum):
    """What arrives on a connection besides bytes."""

    END = "end"
    RESET = "reset"


class SimulatedSocket:
    """What a transport shows in place of its socket: the addresses, and options that are set."""

    family = socket.AF_INET
    type = socket.SOCK_STREAM
    proto = socket.IPPROTO_TCP

    def __init__(self, here: Address, there: Address) -> None:
        self._here, self._there = here, there
        self.resets = False
        """Whether closing it sends RST: it lingers for no time."""

    def getsockname(self) -> Address:
        """Return its own address."""
        return self._here

    def getpeername(self) -> Address:
        """Return the address of the other end."""
        return self._there

    def fileno(self) -> int:
        """Return -1: there is no descriptor."""
        return -1

    def getsockopt(self, *_: Any) -> int:
        """Return 0 for every option."""
        return 0

    def setsockopt(self, _level: int, name: int, value: Any) -> None:
        """Take an option; only the time to linger means something."""
        if name == socket.SO_LINGER:
            self.resets = value == _LINGER_ZERO


class SimulatedTransport(asyncio.Transport):
    """One end of a connection.

    Args:
        network: what it is part of.
        name: for the trace.
        here, there: the addresses of the two ends.
        fault: what befalls the bytes that this end sends.
        accepted: whether it is the end of who listened.
        context: in which its protocol is told of everything: that of the process which has this end.
    """

    def __init__(
        self,
        network: SimulatedNetwork,
        name: str,
        here: Address,
        there: Address,
        fault: NetworkFault | None,
        *,
        accepted: bool,
        context: Context,
    ) -> None:
        self._context = context
        self._process = process_of(context)
        if self._process is not None:
            self._process.connected(self)
        self._socket = SimulatedSocket(here, there)
        extra: dict[str, Any] = {"peername": there, "sockname": here}
        if accepted:
            # A client that looked into its socket would find a descriptor that is none.
            extra["socket"] = self._socket
        super().__init__(extra)
        self.name = name
        self.peer = self
        self._network = network
        self._loop = network.loop
        self._protocol: Any = None
        self._closing = False
        self._lost = False
        # What it sends.
        self._fault = fault
        self._sent = 0
        self._unsent = bytearray()
        self._under_way = 0
        self._travelling: deque[tuple[Callable[[Any], None], bytes | Signal]] = deque()
        self._arrives_at = 0.0
        self._dead = False
        self._end_asked = False
        self._end_sent = False
        self._high, self._low = _HIGH_WATER, _HIGH_WATER // 4
        self._paused_writing = False
        # What it receives.
        self._reading = False
        self._unread: deque[bytes | Signal] = deque()
        self._unread_size = 0

    def start(self, protocol: asyncio.BaseProtocol) -> None:
        """Give it to its protocol, and with that what has arrived so far."""
        self._protocol = protocol
        self._note("is connected")
        self._tell(protocol.connection_made, self)
        self.resume_reading()

    # -- what a protocol calls -----------------------------------------------------------------------------

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return who is told."""
        return cast("asyncio.BaseProtocol", self._protocol)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Tell somebody else from now on."""
        self._protocol = protocol

    def is_closing(self) -> bool:
        """Whether it is closed, or about to be."""
        return self._closing

    def is_reading(self) -> bool:
        """Whether what arrives is handed on."""
        return self._reading and not self._closing

    def pause_reading(self) -> None:
        """Let what arrives wait; the other end can send no more than a window then."""
        self._reading = False

    def resume_reading(self) -> None:
        """Hand on what waited, and what arrives."""
        if self._closing or self._reading:
            return
        self._reading = True
        self.wake()

    def wake(self) -> None:
        """Hand on what waited."""
        if self._unread:
            self._loop.call_soon(self._read_on, context=self._network.context)

    def vanish(self) -> None:
        """Its process is dead: the system resets the connection, and nobody is told here."""
        if self._lost:
            return
        self._closing = self._lost = True
        self._unsent.clear()
        self._unread.clear()
        self._send_reset()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes."""
        if self._end_asked:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._closing or not data:
            return
        self._unsent += data
        self._pump()
        if len(self._unsent) > self._high and not self._paused_writing:
            self._paused_writing = True
            self._protocol.pause_writing()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Send pieces as one."""
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """Whether one direction can end on its own: always."""
        return True

    def write_eof(self) -> None:
        """End this direction once everything is sent; the other one goes on."""
        if not self._closing and not self._end_asked:
            self._end_asked = True
            self._pump()

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait to be sent."""
        return len(self._unsent)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the sizes of what waits at which writing goes on, and is paused."""
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the sizes at which writing is paused and goes on."""
        self._high = (_HIGH_WATER if low is None else 4 * low) if high is None else high
        self._low = self._high // 4 if low is None else low

    def close(self) -> None:
        """Close once everything is sent."""
        if self._closing:
            return
        self._closing = True
        if not self._unsent:
            self._loop.call_soon(self._lose, None, context=self._network.context)

    def abort(self) -> None:
        """Close at once; what was not sent is dropped."""
        if self._lost:
            return
        self._closing = True
        self._unsent.clear()
        self._loop.call_soon(self._lose, None, context=self._network.context)

    # -- sending -------------------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Send what there is room for on the way."""
        while self._unsent and not self._dead:
            room = _WINDOW - self._under_way - self.peer._unread_size  # noqa: SLF001 (the other end)
            if room < min(len(self._unsent), _WINDOW // 4):
                # As any system: a window that opens by a few bytes is not filled with as many small pieces.
                return
            data = bytes(self._unsent[:room])
            del self._unsent[:room]
            for piece in self._network.pieces(data):
                self._send(piece)
        if self._paused_writing and len(self._unsent) <= self._low:
            self._paused_writing = False
            self._tell(self._protocol.resume_writing)
        if not self._unsent:
            if self._closing and not self._lost:
                self._loop.call_soon(self._lose, None, context=self._network.context)
            if self._end_asked:
                self._send_end()

    def _send(self, piece: bytes) -> None:
        if self._dead:
            return
        if self._network.trace is not None:
            self._note("sends", piece)
        fault = self._fault
        if fault is not None and self._sent + len(piece) > fault.after:
            self._fault = None
            arriving = piece[: max(0, fault.after - self._sent)]
            if arriving:
                self._dispatch(arriving)
            self._befall(fault)
            piece = piece[len(arriving) :]
            if self._dead:
                return
        self._sent += len(piece)
        self._dispatch(piece)

    def _dispatch(self, piece: bytes) -> None:
        self._under_way += len(piece)
        self._post(self._arrive, piece)

    def _befall(self, fault: NetworkFault) -> None:
        self._note(f"meets a fault: {fault.kind}")
        if fault.kind == "stall" and math.isfinite(fault.seconds):
            self._arrives_at = max(self._arrives_at, self._loop.time()) + fault.seconds
            return
        self._dead = True
        if fault.kind == "reset":
            self._post(self.peer._take, Signal.RESET)  # noqa: SLF001
            self._post(self._take, Signal.RESET)
        elif fault.kind == "half_close":
            self._post(self.peer._take, Signal.END)  # noqa: SLF001

    def _send_end(self) -> None:
        if not self._end_sent and not self._dead:
            self._end_sent = True
            self._note("ends")
            self._post(self.peer._take, Signal.END)  # noqa: SLF001

    def _send_reset(self) -> None:
        if not self._dead:
            self._dead = True
            self._note("resets")
            self._post(self.peer._take, Signal.RESET)  # noqa: SLF001

    def _post(self, take: Callable[[Any], None], what: bytes | Signal) -> None:
        """Let something be taken once it has travelled, and after all that was sent before."""
        at = self._arrives_at = max(self._arrives_at, self._loop.time() + self._network.latency())
        # Timers of one instant have no order, what travels has.
        self._travelling.append((take, what))
        self._loop.call_at(at, self._deliver, context=self._network.context)

    def _deliver(self) -> None:
        take, what = self._travelling.popleft()
        take(what)

    def _arrive(self, piece: bytes) -> None:
        self._under_way -= len(piece)
        self.peer._take(piece)  # noqa: SLF001 (the other end)
        if self._unsent:
            self._pump()

    # -- receiving -----------------------------------------------------------------------------------------

    def _take(self, what: bytes | Signal) -> None:
        """Take what arrives."""
        if self._closing:
            if isinstance(what, bytes) and self._lost:
                # Nobody has the socket any more: the system answers for it.
                self._send_reset()
            elif what is Signal.RESET:
                self._lose(self._reset_error())
            return
        if self._reading and not self._unread and not self._is_stopped:
            self._hand_on(what)
            return
        self._unread.append(what)
        if isinstance(what, bytes):
            self._unread_size += len(what)

    def _read_on(self) -> None:
        while self._unread and self._reading and not self._closing and not self._is_stopped:
            what = self._unread.popleft()
            if isinstance(what, bytes):
                self._unread_size -= len(what)
            self._hand_on(what)
        self.peer._pump()  # noqa: SLF001 (there may be room again)

    def _hand_on(self, what: bytes | Signal) -> None:
        if what is Signal.RESET:
            self._note("is reset")
            self._lose(self._reset_error())
            return
        try:
            if isinstance(what, bytes):
                if self._network.trace is not None:
                    self._note("receives", what)
                self._tell(self._protocol.data_received, what)
            else:
                self._note("receives the end")
                if not self._tell(self._protocol.eof_received):
                    self.close()
        except Exception as error:  # noqa: BLE001 (as asyncio: the protocol's fault ends the connection)
            self._loop.call_exception_handler(
                {
                    "message": "Fatal error: a protocol failed",
                    "exception": error,
                    "transport": self,
                    "protocol": self._protocol,
                }
            )
            self._closing = True
            self._unsent.clear()
            self._loop.call_soon(self._lose, error, context=self._network.context)

    def _reset_error(self) -> ConnectionResetError:
        return ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))

    def _lose(self, error: Exception | None) -> None:
        """It is closed: the other end learns it, and so does the protocol."""
        if self._lost:
            return
        self._closing = self._lost = True
        if error is not None and not self._dead:
            self._dead = isinstance(error, ConnectionResetError)
        if self._socket.resets or self._unread:
            # A socket that is closed with something unread, or that does not linger, sends RST.
            self._send_reset()
        else:
            self._send_end()
        self._unsent.clear()
        self._unread.clear()
        self._note("is closed")
        if self._protocol is not None:
            self._tell(self._protocol.connection_lost, error)

    @property
    def _is_stopped(self) -> bool:
        return self._process is not None and self._process.is_stopped

    def _tell(self, method: Callable[..., T], *arguments: Any) -> T:
        """Tell its protocol, in the context of its process. That may have been entered already: then it is current."""
        if process_of() is self._process:
            return method(*arguments)
        return self._context.run(method, *arguments)

    def _note(self, what: str, data: bytes = b"") -> None:
        self._network.note(self.name, what, data)

    def __repr__(self) -> str:
        return f"<SimulatedTransport {self.name}{' closing' if self._closing else ''}>"
