"""A network in memory: who listens where, how long bytes travel, and what goes wrong on the way."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import random
import socket
from collections import deque
from collections.abc import Callable, Iterator
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, cast

import attrs

from fusebill_async.testing.network_faults import End, NetworkFault
from fusebill_async.testing.simulated_transport import Address, SimulatedTransport
from fusebill_async.testing.trace import Trace
from fusebill_async.testing.virtual_computer import NotSimulatedError

if TYPE_CHECKING:
    from fusebill_async.testing.virtual_time import VirtualTimeLoop

_FIRST_PORT = 40_001
_FIRST_CLIENT_PORT = 50_001
_CONNECT_GIVES_UP = 130.0
"""Seconds after which a system gives up a connect that nobody answers."""

_MOST_PIECES = 4
_LATEST_FAULT = 4_000
"""A fault that is drawn strikes before so many bytes of its direction have arrived."""

_LONGEST_STALL = 60.0
_ANY_HOST = ("", "0.0.0.0", "::")  # noqa: S104 (no socket is bound)


class SimulatedListener:
    """Who listens at one address; see `SimulatedNetwork.listen`."""

    def __init__(self, network: SimulatedNetwork, address: Address, make: Callable[[], asyncio.BaseProtocol]) -> None:
        self.address = address
        self.make = make
        self.context = copy_context()
        self.hangs = False
        self._network = network

    @property
    def is_open(self) -> bool:
        """Whether a connect is answered."""
        return not self.hangs and self._network.listener(self.address) is self

    def open(self) -> None:
        """Accept connections."""
        self.hangs = False
        self._network.put(self)

    def close(self) -> None:
        """Let every further connect be refused."""
        self._network.take_away(self)

    def hang(self) -> None:
        """Let every further connect hang."""
        self.hangs = True
        self._network.put(self)

    async def settled(self) -> None:
        """Return when every connection that was accepted is made: at once."""


class SimulatedServer(asyncio.AbstractServer):
    """What `loop.create_server` gives."""

    def __init__(self, listener: SimulatedListener, loop: asyncio.AbstractEventLoop) -> None:
        self._listener = listener
        self._loop = loop
        self.sockets = (_Listening(listener.address),)

    def close(self) -> None:
        """Accept no more."""
        self._listener.close()

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the event loop."""
        return self._loop

    def is_serving(self) -> bool:
        """Whether it accepts connections."""
        return self._listener.is_open

    async def start_serving(self) -> None:
        """Accept connections."""
        self._listener.open()

    async def serve_forever(self) -> None:
        """Accept connections until it is cancelled."""
        try:
            await self._loop.create_future()
        finally:
            self.close()

    async def wait_closed(self) -> None:
        """Return at once: connections live on."""


@attrs.frozen
class _Listening:
    """Shows the address of a server."""

    address: Address

    def getsockname(self) -> Address:
        return self.address


class SimulatedNetwork:
    """A network in memory. `run_simulated` makes a plain one: only latency is left to chance, nothing goes wrong.

    Each connection meets at most one fault: one that was scripted, or one that is drawn. The chances are from 0 to 1.

    Args:
        seed: of what is left to chance; None takes the seed of the run.
        latency: the least and the most seconds that bytes travel.
        split: the chance that bytes which were sent at once arrive in pieces.
        refuse: the chance that a connect is refused.
        hang: that it hangs, until the system gives it up after 130 s.
        reset: that a connection is reset at some byte.
        half_close: that one of its directions ends at some byte.
        stall: that one of its directions stalls at some byte, up to a minute or for good.
        trace: takes down everything that happens.

    Attributes:
        trace: the same.
        connects: how many connects were tried so far.
    """

    def __init__(
        self,
        *,
        seed: int | None = None,
        latency: tuple[float, float] = (0.0005, 0.01),
        split: float = 0.0,
        refuse: float = 0.0,
        hang: float = 0.0,
        reset: float = 0.0,
        half_close: float = 0.0,
        stall: float = 0.0,
        trace: Trace | None = None,
    ) -> None:
        self.trace = trace
        self.connects = 0
        self._seed = seed
        self._random = random.Random()  # noqa: S311 (seeded once the run is known)
        self._least, self._most = latency
        self._split = split
        self._chances = {"refuse": refuse, "hang": hang, "reset": reset, "half_close": half_close, "stall": stall}
        self._risk = sum(self._chances.values())
        self._script: deque[NetworkFault | None] = deque()
        self._listeners: dict[Address, SimulatedListener] = {}
        self._next_port = _FIRST_PORT
        self._claims: dict[socket.socket, SimulatedTransport] = {}
        self._loop: VirtualTimeLoop | None = None
        self.context = Context()
        """What travels belongs to no process."""

    def attach(self, loop: VirtualTimeLoop, seed: int) -> None:
        """Begin a run.

        Raises:
            RuntimeError: it has been used in one before.
        """
        if self._loop is not None:
            raise RuntimeError("a simulated network serves one run: make another one")
        self._loop = loop
        self._random.seed(f"{seed if self._seed is None else self._seed} network")

    @property
    def loop(self) -> VirtualTimeLoop:
        """The event loop of the run."""
        assert self._loop is not None
        return self._loop

    def script(self, *faults: NetworkFault | None) -> None:
        """Let the next connections meet these faults, one each in their order; None is a connection without one."""
        self._script.extend(faults)

    def note(self, who: str, what: str, data: bytes | str = b"") -> None:
        """Take down an event in the trace, if there is one. Tests may add events of their own."""
        if self.trace is not None:
            self.trace.note(self.loop.clock.elapsed(), who, what, data.encode() if isinstance(data, str) else data)

    # -- listening -----------------------------------------------------------------------------------------

    def listen(self, host: str, port: int, make: Callable[[], asyncio.BaseProtocol]) -> SimulatedListener:
        """Return a listener that is closed yet; port 0 is the next free one.

        Raises:
            OSError: somebody listens there.
        """
        if not port:
            port, self._next_port = self._next_port, self._next_port + 1
        if (host, port) in self._listeners:
            raise OSError(errno.EADDRINUSE, f"somebody listens at {host}:{port} in the simulated network")
        return SimulatedListener(self, (host, port), make)

    def serve(self, make: Callable[[], asyncio.BaseProtocol], host: str, port: int) -> SimulatedServer:
        """Listen as `loop.create_server` does."""
        listener = self.listen(host, port, make)
        listener.open()
        return SimulatedServer(listener, self.loop)

    def put(self, listener: SimulatedListener) -> None:
        """Let a listener answer at its address."""
        self._listeners[listener.address] = listener

    def take_away(self, listener: SimulatedListener) -> None:
        """Let nobody answer there."""
        self._listeners.pop(listener.address, None)

    def listener(self, address: Address) -> SimulatedListener | None:
        """Return who listens at an address."""
        host, port = address
        for candidate in (host, *_ANY_HOST):
            found = self._listeners.get((candidate, port))
            if found is not None:
                return found
        return None

    # -- connecting ----------------------------------------------------------------------------------------

    def resolve(self, host: str | bytes | None, port: int | str | None) -> list[Any]:
        """Return what `getaddrinfo` would: an address in figures, and localhost.

        Raises:
            socket.gaierror: another name.
        """
        name = host.decode() if isinstance(host, bytes) else host
        if not name or name == "localhost":
            name = "127.0.0.1"
        try:
            version = ipaddress.ip_address(name).version
        except ValueError:
            raise socket.gaierror(socket.EAI_NONAME, f"{name!r} is not known in the simulated network") from None
        family = socket.AF_INET6 if version == 6 else socket.AF_INET
        address = (name, int(port or 0)) if version == 4 else (name, int(port or 0), 0, 0)
        return [(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address)]

    async def connect_socket(self, sock: socket.socket, address: Address) -> None:
        """Connect in place of a socket, which stays unused; `claim` gives the connection."""
        self._claims[sock] = await self.connect(address)

    def claim(self, sock: socket.socket) -> SimulatedTransport:
        """Return the end of a connection that was made in place of a socket.

        Raises:
            NotSimulatedError: there is none.
        """
        transport = self._claims.pop(sock, None)
        if transport is None:
            raise NotSimulatedError("a socket that was not connected in the simulated network cannot be used in it")
        sock.close()
        return transport

    async def connect(self, address: Address) -> SimulatedTransport:
        """Connect to whoever listens at an address, and return the client's end.

        Raises:
            OSError: nobody does, or the connect meets a fault.
        """
        self.connects += 1
        number = self.connects
        name = f"connection {number}, "
        host, port = self.resolve(*address)[0][4][:2]
        where = f"{host}:{port}"
        self.note(name + "client", "connects", where)
        fault = self._fault()
        await asyncio.sleep(self.latency())
        listener = self.listener((host, port))
        if listener is None or (fault is not None and fault.kind == "refuse"):
            await asyncio.sleep(self.latency())
            self.note(name + "client", "is refused", where)
            why = "the connect is refused" if listener else f"nobody listens at {where} in the simulated network"
            raise ConnectionRefusedError(errno.ECONNREFUSED, f"Connection refused: {why}")
        if listener.hangs or (fault is not None and fault.kind == "hang"):
            await asyncio.sleep(_CONNECT_GIVES_UP)
            raise TimeoutError(errno.ETIMEDOUT, "Connection timed out")
        here = ("127.0.0.1", _FIRST_CLIENT_PORT + number)
        client = SimulatedTransport(
            self,
            name + "client",
            here,
            (host, port),
            _towards("server", fault),
            accepted=False,
            context=copy_context(),
        )
        server = SimulatedTransport(
            self,
            name + "server",
            (host, port),
            here,
            _towards("client", fault),
            accepted=True,
            context=listener.context.copy(),
        )
        client.peer, server.peer = server, client
        server.start(listener.context.copy().run(listener.make))
        try:
            await asyncio.sleep(self.latency())
        except BaseException:
            client.abort()
            raise
        return client

    # -- chance --------------------------------------------------------------------------------------------

    def latency(self) -> float:
        """Draw how long something travels."""
        return self._least + (self._most - self._least) * self._random.random()

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Cut bytes as they arrive."""
        if self._split and len(data) > 1 and self._random.random() < self._split:
            for _ in range(self._random.randint(1, _MOST_PIECES - 1)):
                if len(data) < 2:
                    break
                at = self._random.randint(1, len(data) - 1)
                yield data[:at]
                data = data[at:]
        yield data

    def _fault(self) -> NetworkFault | None:
        if self._script:
            return self._script.popleft()
        if not self._risk or self._random.random() >= self._risk:
            return None
        kind = self._random.choices(list(self._chances), list(self._chances.values()))[0]
        towards: End = self._random.choice(("client", "server"))
        after = self._random.randint(0, _LATEST_FAULT)
        forever = self._random.random() < 0.5
        seconds = self._random.uniform(0.01, _LONGEST_STALL)
        return NetworkFault(cast("Any", kind), towards, after, float("inf") if forever else seconds)


def _towards(end: End, fault: NetworkFault | None) -> NetworkFault | None:
    return fault if fault is not None and fault.towards == end and fault.kind not in {"refuse", "hang"} else None
