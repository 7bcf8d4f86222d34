"""One request and its answer, and how far it came."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

import aiohttp
from aiohttp.client_middlewares import ClientHandlerType
from aiohttp.connector import Connection

from fusebill_async.errors import FusebillError
from fusebill_async.outcome import Attempt, Phase
from fusebill_async.session.admission import Admission, Permit
from fusebill_async.session.call import Call
from fusebill_async.session.causes import Cause, cause_of
from fusebill_async.session.observed import (
    NotHandedOutError,
    OverdueError,
    RefusedError,
    RepeatedError,
    SessionClosedError,
    StaleConnectionError,
    unwatch,
    watch,
)
from fusebill_async.session.pool import Pool
from fusebill_async.session.sweeper import DeadlineSweeper
from fusebill_async.session.tracebacks import forget_frames

_NO_HEADERS: Mapping[str, str] = {}


class _DroppedError(aiohttp.ClientConnectionError):
    """Stands in for the two errors on which aiohttp would send a GET or a PUT again by itself.

    It is what these two are, too, so that middlewares and traces of the user's hear what they would without us.
    """

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause.reason)
        self.cause = cause


class Line:
    """What every exchange of a session uses.

    Attributes:
        cap: bytes of a body, after decompression.
        spent: exchanges that are over, each kept until another one begins. Many calls at once then drop and make
            their objects in turn. All would be made after all were dropped otherwise, and CPython's cycle collector,
            which counts what is made and not dropped, would run for nothing.
    """

    __slots__ = ("admission", "cap", "now", "pool", "spent", "sweeper")

    def __init__(
        self, pool: Pool, admission: Admission, sweeper: DeadlineSweeper, now: Callable[[], float], cap: int
    ) -> None:
        self.pool = pool
        self.admission = admission
        self.sweeper = sweeper
        self.now = now
        self.cap = cap
        self.spent: deque[Exchange] = deque(maxlen=pool.size)


class Exchange:
    """One attempt: sends a request once, reads the answer, and keeps the facts that rulings rest on."""

    # Defaults stand on the class: an exchange is made for every call, and most of these never change.
    phase: Phase = Phase.CONNECTING
    status: int | None = None
    headers: Mapping[str, str] = _NO_HEADERS
    body: bytes = b""
    reason: str = ""
    received_at: float = 0.0
    expired: bool = False
    """A time limit ended it."""
    lasting: bool = False
    """What ended it would end the next attempt, too."""
    oversized: bool = False
    overdue: bool = False
    """The read that it rests on had become too old. Nothing was sent."""
    refusal: FusebillError | None = None
    """What the check of the call said at the hand-out. Nothing was sent."""
    _observing: bool = False
    _transport: asyncio.WriteTransport | None = None
    # What aiohttp makes for an exchange, kept for what `Line.spent` says.
    _request: aiohttp.ClientRequest | None = None
    _handler: ClientHandlerType | None = None
    _connection: Connection | None = None
    _response: aiohttp.ClientResponse | None = None

    def __init__(self, call: Call, permit: Permit, line: Line) -> None:
        self._call = call
        self._permit = permit
        self._line = line
        timeouts = call.options.timeouts
        started = self.started_at = self.silent_since = line.now()
        self.read_limit = timeouts.read
        self.until = started + timeouts.total - call.spent

    def __call__(self, request: aiohttp.ClientRequest, handler: ClientHandlerType) -> Awaitable[aiohttp.ClientResponse]:
        """As the innermost client middleware: watch the request, and keep everybody from sending it a second time."""
        if self.phase is not Phase.CONNECTING:
            raise RepeatedError("a middleware of the session wanted to send it a second time, which it may not")
        self._observing = True
        self._request, self._handler = request, handler
        # Here it takes the place of what `.netrc` has; earlier aiohttp would refuse to have both.
        request.headers["Authorization"] = self._line.pool.authorization
        watch(request, self.handed_out)
        answered = handler(request)
        # A POST is never sent again by itself, and a coroutine less is felt.
        return answered if request.method == "POST" else _sent_once(answered)

    def __deepcopy__(self, memo: dict[int, Any]) -> Exchange:
        # Mocking libraries copy the arguments of a request, and through this one they would copy the event loop.
        return self

    def handed_out(self, connection: Connection) -> None:
        """A connection is there, and the first byte is about to be written."""
        line = self._line
        call = self._call
        line.pool.check(connection)
        if call.send_by is not None and line.now() > call.send_by:
            self.overdue = True
            raise OverdueError("the read that it rests on had become too old")
        if call.check is not None:
            self.refusal = call.check()
            if self.refusal is not None:
                raise RefusedError(self.refusal.message)
        if line.spent:
            line.spent.popleft()
        self._connection = connection
        # Asked for no class: the transports of uvloop have none of asyncio's.
        self._transport = cast("asyncio.WriteTransport | None", connection.transport)
        self._sending()
        line.sweeper.watch(self, min(self.read_limit, self.until - self.silent_since))

    def _sending(self) -> None:
        """From here on the service may act."""
        call, line = self._call, self._line
        now = self.silent_since = call.sent_at = line.now()
        if not call.first_sent_at:
            call.first_sent_at = now
        self.phase = Phase.SENT
        call.at_risk = True
        self._permit.sent()

    def expire(self, reason: str) -> None:
        """End it by dropping its connection: whoever waits for the answer wakes up with an error."""
        self.expired = True
        self.reason = reason
        if self._transport is not None:
            self._transport.abort()

    async def perform(self, timeout: aiohttp.ClientTimeout) -> None:
        """Send the request and read the answer. Whatever goes wrong is told by the facts, not raised."""
        line, call, request = self._line, self._call, self._call.request
        assert request is not None
        fresh = line.pool.wants_fresh_connection(call.operation)
        response: aiohttp.ClientResponse | None = None
        stale = 0
        try:
            while response is None:
                try:
                    response = await line.pool.send(request, self, timeout, fresh=fresh)
                except StaleConnectionError:
                    stale += 1
                    if stale > line.pool.size:
                        # Every kept connection may turn out to be stale, but not a fresh one.
                        raise
            if self.phase is Phase.CONNECTING:
                # It came from a stand-in for aiohttp, or from a middleware of the user's, which proves nothing.
                self._sending()
            self._response = response
            self.phase = Phase.HEADERS
            self.status = response.status
            self.headers = response.headers
            self.silent_since = line.now()
            content = response.content
            # Most answers are there as a whole by now, and then nothing needs to be awaited.
            chunk = content.read_nowait() if content.is_eof() else await content.readany()
            if content.at_eof() and len(chunk) <= line.cap:
                self.body = chunk
                self.phase = Phase.ANSWERED
            else:
                await self._read_rest(content, chunk)
        except NotHandedOutError as error:
            self.reason = str(error)
            self.lasting = isinstance(error, SessionClosedError)
        except Exception as error:  # noqa: BLE001 (the phase decides what follows, never the type of an exception)
            if not self._observing:
                # A stand-in for aiohttp, as in a user's tests, shows nobody a connection: nothing is proven.
                self._sending()
            if not self.expired:
                cause = error.cause if isinstance(error, _DroppedError) else cause_of(error)
                self.expired, self.lasting, self.reason = cause.timed_out, cause.lasting, cause.reason
            forget_frames(error)
        finally:
            self.received_at = line.now()
            line.sweeper.forget(self)
            self._transport = None
            if self._request is not None and self.phase is Phase.CONNECTING:
                unwatch(self._request)
            if response is not None and self.phase is not Phase.ANSWERED:
                response.close()

    async def _read_rest(self, content: aiohttp.StreamReader, chunk: bytes) -> None:
        """Read the rest of the body up to the cap, which counts what has been decompressed."""
        chunks, size = [chunk], len(chunk)
        while size <= self._line.cap and not content.at_eof():
            self.silent_since = self._line.now()
            chunk = await content.readany()
            chunks.append(chunk)
            size += len(chunk)
        if size > self._line.cap:
            self.oversized = True
            self.reason = f"the answer is larger than {self._line.cap} bytes"
            return
        self.body = b"".join(chunks)
        self.phase = Phase.ANSWERED

    def spend(self) -> None:
        """Let it go: everything that was to be known of it is known."""
        self.body = b""
        self._line.spent.append(self)

    def record(self, number: int, followed: str) -> Attempt:
        """The attempt as errors and responses show it."""
        return Attempt(
            number=number,
            phase=self.phase,
            status=self.status,
            duration=self.received_at - self.started_at,
            reason=self.reason,
            followed=followed,
        )


async def _sent_once(answered: Awaitable[aiohttp.ClientResponse]) -> aiohttp.ClientResponse:
    """The response, or an error on which aiohttp does not send the request again."""
    try:
        return await answered
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _DroppedError(cause_of(error)) from None
