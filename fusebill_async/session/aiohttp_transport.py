"""The transport over aiohttp: the only file of the package that knows aiohttp.

What it leans on beyond the documented parts of aiohttp and asyncio, and the tests that go red if that changes:

- `BaseConnector.connect(request, traces, timeout)` is awaited before each time that a request is written. Nothing is
  written before it returns (`tests/transport/test_hand_out.py`).
- `ClientRequest.send(connection)` is looked up on the request, and writes all of it: how the hand-out is seen on a
  user's session (`tests/client/test_users_session.py`).
- `ClientSession._retry_connection`: without it aiohttp would send a GET or a PUT again by itself when a kept
  connection was lost. The second hand-out is refused, too (`tests/outcomes/test_replay.py`).
- `ClientSession._middlewares`: a request of ours adds two to those of a user's session (the same file).
- `Connection.protocol.should_close`, and a socket that can be polled behind `Connection.transport`: how a kept
  connection is looked into (`tests/outcomes/test_idle_connections.py`).
"""

from __future__ import annotations

import errno
import math
import re
import select
import ssl
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, TypeAlias
from weakref import WeakSet

import aiohttp
import attrs
from aiohttp.client_exceptions import ClientConnectorDNSError
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http_exceptions import ContentEncodingError
from multidict import CIMultiDict
from yarl import URL

from fusebill_async._version import __version__
from fusebill_async.errors import ConfigurationError, shown
from fusebill_async.outcome import Phase
from fusebill_async.session.transport import BODY_LIMIT, Exchange, Limits
from fusebill_async.settings import PoolSettings
from fusebill_async.wire.redact import HiddenText
from fusebill_async.wire.request import Request

ClientSession: TypeAlias = aiohttp.ClientSession

_TOO_LONG = re.compile(r"more than (\d+) bytes")


@attrs.frozen
class Cause:
    """Why there is no answer.

    Attributes:
        reason: in words.
        lasting: the next attempt would meet it again, so there is none.
        timed_out: a limit of time ended it.
    """

    reason: str
    lasting: bool = False
    timed_out: bool = False


@attrs.define(eq=False)
class _UnderWay:
    """An exchange while it lasts.

    Attributes:
        on_handed_out: told before the first byte; it may raise to prevent that.
        watched: the hand-out of a connection would be seen. Without that its absence proves nothing.
        withheld: what `on_handed_out` has raised; nothing is written.
    """

    on_handed_out: Callable[[], None]
    limits: Limits
    now: Callable[[], float]
    watched: bool = False
    withheld: BaseException | None = None
    sent_at: float | None = None
    response: aiohttp.ClientResponse | None = None
    body: bytes | None = None
    cause: Cause = Cause("")
    oversized: bool = False
    protocol: ResponseHandler | None = None

    @property
    def phase(self) -> Phase:
        """How far it came. It fails closed: what was not watched counts as sent."""
        if self.body is not None:
            return Phase.ANSWERED
        if self.response is not None:
            return Phase.HEADERS
        return Phase.CONNECTING if self.watched and self.sent_at is None else Phase.SENT

    def hand_out(self) -> None:
        """A connection is there, and the first byte is about to be written."""
        if self.sent_at is not None:
            raise _LostError(Cause("a middleware of the session wanted to send it a second time, which it may not"))
        try:
            self.on_handed_out()
        except BaseException as error:  # noqa: BLE001 (raised again, past aiohttp)
            # aiohttp would take an error that is a TimeoutError for one of its own.
            self.withheld = error
            raise _WithheldError from None
        self.sent_at = self.now()

    def facts(self, started_at: float) -> Exchange:
        """What became of it. It lets go of all else, since cancelled timers keep the context that knows it for a while.

        Without that a hundred ended calls would stay in memory, and the garbage collector would go through them.
        """
        response, body = self.response, self.body
        exchange = Exchange(
            phase=self.phase,
            started_at=started_at,
            sent_at=self.sent_at,
            ended_at=self.now(),
            status=None if response is None else response.status,
            headers={} if response is None else CIMultiDict(response.headers),
            body=body or b"",
            reason=self.cause.reason,
            timed_out=self.cause.timed_out,
            lasting=self.cause.lasting,
            oversized=self.oversized,
            connection=self.protocol,
        )
        self.response = self.body = self.protocol = None
        self.on_handed_out = _nobody_listens
        return exchange

    def close(self) -> None:
        """Tell of what was not watched and counts as sent, also to a caller that was cancelled."""
        if self.phase is not Phase.CONNECTING and self.sent_at is None and self.withheld is None:
            self.sent_at = self.now()
            with suppress(Exception):
                self.on_handed_out()


def _nobody_listens() -> None:
    """The exchange has ended."""


_under_way: ContextVar[_UnderWay] = ContextVar("fusebill_async_exchange")


class _WatchedConnector(aiohttp.TCPConnector):
    """Tells the exchange under way when it is handed a connection, and hands out none that spoke unasked.

    aiohttp writes a request only after `connect` has returned, so what was handed no connection was not sent.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(limit=0, **options)  # pyright: ignore[reportUnknownMemberType]
        self._carried: WeakSet[ResponseHandler] = WeakSet()

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Any], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        exchange = _under_way.get()
        if exchange.sent_at is not None:
            raise _LostError(Cause(f"the connection was lost before an answer came. {_IF_OFTEN}"))
        exchange.watched = True
        connection = await super().connect(req, traces, timeout)
        while not self._is_new(connection) and _speaks_unasked(connection):
            connection.close()
            connection = await super().connect(req, traces, timeout)
        try:
            exchange.hand_out()
        except BaseException:
            connection.close()
            raise
        exchange.protocol = connection.protocol
        return connection

    def _is_new(self, connection: Connection) -> bool:
        # Over TLS session tickets may wait on a new connection, and they are no answer: it is not looked into.
        protocol = connection.protocol
        if protocol is None or protocol in self._carried:
            return False
        self._carried.add(protocol)
        return True


def _speaks_unasked(connection: Connection) -> bool:
    """Whether something waits on a kept connection: an end of file, or an answer that nobody asked for.

    aiohttp looks when a connection comes back, not when it is used again, and would take what came meanwhile for the
    answer to the next request.
    """
    if connection.protocol is None or connection.protocol.should_close:
        return True
    transport = connection.transport
    socket = None if transport is None else transport.get_extra_info("socket")
    if socket is None or socket.fileno() < 0:
        return False
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(socket.fileno(), select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([socket], [], [], 0)[0])


class _WithheldError(Exception):
    """The request is not to be sent; `_UnderWay.withheld` says why."""


class _LostError(aiohttp.ClientConnectionError):
    """Stands in for an error on which aiohttp would send a GET or a PUT again by itself.

    It is what these are, too, so that middlewares and traces of the user's hear what they would without us.
    """

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause.reason)
        self.cause = cause


async def _send_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """The outermost middleware on a user's session: aiohttp would send a GET or a PUT again by itself on these."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _LostError(cause_of(error, _under_way.get().limits)) from None


_HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json",
    "Accept-Encoding": "gzip, deflate",
    "User-Agent": f"fusebill-async/{__version__}",
}


def _authorization(key: HiddenText) -> HiddenText:
    """The header's value. Middlewares put it in last, so that no frame before holds it."""
    return HiddenText(f"Basic {key}")


class _OwnSessions:
    """Two pools: one keeps its connections, the other makes one for each request. The slots are their only limit."""

    def __init__(self, key: HiddenText, settings: PoolSettings) -> None:
        self._authorization = _authorization(key)
        self._keeping = self._make(settings, keepalive_timeout=settings.keepalive)
        self._fresh = self._make(settings, force_close=True)

    def _make(self, settings: PoolSettings, **options: Any) -> aiohttp.ClientSession:
        session = aiohttp.ClientSession(
            connector=_WatchedConnector(ssl=settings.ssl or True, **options),
            headers=_HEADERS,
            cookie_jar=aiohttp.DummyCookieJar(),
            middlewares=(self._authorize,),
            proxy=settings.proxy,
            trust_env=settings.trust_env,
        )
        session._retry_connection = False  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] # no other switch
        return session

    async def _authorize(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Put the key in, in place of what a `.netrc` has for the service."""
        request.headers["Authorization"] = self._authorization
        return await handler(request)

    def request(self, request: Request, url: URL, limits: Limits) -> Any:
        session = self._fresh if limits.fresh else self._keeping
        timeout = aiohttp.ClientTimeout(
            total=limits.total, connect=limits.connect, sock_read=limits.read, ceil_threshold=math.inf
        )
        return session.request(
            request.method, url, data=request.body, headers=request.headers, allow_redirects=False, timeout=timeout
        )

    async def aclose(self) -> None:
        try:
            await self._keeping.close()
        finally:
            await self._fresh.close()


class _UsersSession:
    """A session that the user handed in, used as it is: with its proxy, traces, middlewares, cookies and limits."""

    def __init__(self, key: HiddenText, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._authorization = _authorization(key)
        # A name that the user's program goes by is kept.
        kept = {"User-Agent"} if "User-Agent" in session.headers else set[str]()
        self._headers = {name: text for name, text in _HEADERS.items() if name not in kept}
        self._middlewares = session._middlewares  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] # told nowhere else

    def request(self, request: Request, url: URL, limits: Limits) -> Any:
        # The user's pool may make us wait inside aiohttp, where that counts as connecting.
        timeout = aiohttp.ClientTimeout(
            total=limits.total, sock_connect=limits.connect, sock_read=limits.read, ceil_threshold=math.inf
        )
        return self._session.request(
            request.method,
            url,
            data=request.body,
            headers={**self._headers, **request.headers},
            allow_redirects=False,
            raise_for_status=False,
            timeout=timeout,
            middlewares=(_send_once, *self._middlewares, self._watch),
        )

    async def _watch(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Put the key in, in place of what a `.netrc` has, and see the request being handed its connection."""
        exchange = _under_way.get()
        request.headers["Authorization"] = self._authorization

        def send(connection: Connection) -> Coroutine[Any, Any, aiohttp.ClientResponse]:
            # Seen once: the request and its watcher would keep each other alive otherwise.
            del vars(request)["send"]
            exchange.hand_out()
            exchange.protocol = connection.protocol
            return request.send(connection)

        vars(request)["send"] = send
        exchange.watched = True
        try:
            return await handler(request)
        finally:
            vars(request).pop("send", None)

    async def aclose(self) -> None:
        """It is the user's to close."""


def check_session(session: Any, settings: PoolSettings) -> None:
    """Refuse a user's session that is none, or that was made with something which no call could honour.

    Raises:
        ConfigurationError: it names what that is.
    """
    if session is None:
        return
    if not isinstance(session, aiohttp.ClientSession):
        raise ConfigurationError(f"session= must be an aiohttp.ClientSession, not {shown(session)}")
    own = {
        "fresh_connections": settings.fresh_connections in {"money", "writes"},
        "proxy": settings.proxy is not None,
        "trust_env": settings.trust_env,
        "ssl": settings.ssl is not None,
    }
    for name, given in own.items():
        if given:
            raise ConfigurationError(
                f"PoolSettings({name}=) is for a pool of the client's own: leave it or session= out"
            )
    cannot = {
        "auth=": session.auth is not None,
        "an Authorization header": "Authorization" in session.headers,
        "a function as raise_for_status=": callable(session.raise_for_status),
        "auto_decompress=False": not session.auto_decompress,
    }
    for name, found in cannot.items():
        if found:
            raise ConfigurationError(
                f"session= was made with {name}, which a call to Fusebill cannot honour: hand in another session"
            )


class AiohttpTransport:
    """Sends requests over pooled connections. Made inside a running event loop, and belongs to it."""

    def __init__(
        self,
        *,
        key: HiddenText,
        base_url: str,
        settings: PoolSettings,
        now: Callable[[], float],
        users_session: aiohttp.ClientSession | None = None,
    ) -> None:
        self._base = URL(base_url)
        self._now = now
        self._users_session = users_session
        self._sessions = _OwnSessions(key, settings) if users_session is None else _UsersSession(key, users_session)

    async def exchange(self, request: Request, limits: Limits, on_handed_out: Callable[[], None]) -> Exchange:
        """Send a request once, and read its answer; see `Transport`."""
        under_way = _UnderWay(on_handed_out, limits, self._now)
        started_at = self._now()
        if self._users_session is not None and self._users_session.closed:
            under_way.watched = True
            under_way.cause = Cause("the aiohttp session that was handed in is closed", lasting=True)
        else:
            token = _under_way.set(under_way)
            try:
                await self._perform(under_way, request, limits)
            finally:
                _under_way.reset(token)
                under_way.close()
        return under_way.facts(started_at)

    async def _perform(self, under_way: _UnderWay, request: Request, limits: Limits) -> None:
        try:
            async with self._sessions.request(request, self._url(request), limits) as response:
                under_way.response = response
                under_way.body = await _read_body(response)
                if under_way.body is None:
                    under_way.oversized = True
                    under_way.cause = Cause(f"the answer is larger than {BODY_LIMIT} bytes")
        except _WithheldError:
            assert under_way.withheld is not None
            raise under_way.withheld from None
        except Exception as error:  # noqa: BLE001
            # What follows is decided by the phase, never by the type of the error: that gives the words alone.
            forget_frames(error)
            under_way.cause = error.cause if isinstance(error, _LostError) else cause_of(error, limits)

    def _url(self, request: Request) -> URL:
        path, _, query = request.target.partition("?")
        if not query:
            return self._base.with_path(self._base.raw_path + path, encoded=True)
        return URL.build(
            scheme=self._base.scheme,
            authority=self._base.raw_authority,
            path=self._base.raw_path + path,
            query_string=query,
            encoded=True,
        )

    def drop(self, connection: object) -> None:
        """Use a connection never again; see `Transport`."""
        if isinstance(connection, ResponseHandler):
            connection.close()

    async def aclose(self) -> None:
        """Close the connections that belong to it."""
        await self._sessions.aclose()


async def _read_body(response: aiohttp.ClientResponse) -> bytes | None:
    """The body of an answer, decompressed; None if it is larger than the limit."""
    chunks: list[bytes] = []
    size = 0
    while chunk := await response.content.readany():
        chunks.append(chunk)
        size += len(chunk)
        if size > BODY_LIMIT:
            response.close()
            return None
    return b"".join(chunks)


def forget_frames(error: BaseException) -> None:
    """Drop the traceback of an error that goes no further, and of those that it came from.

    The function that collects the errors of several addresses, under aiohttp, keeps a list of them in its frame, and
    each of them knows that frame. In an outage such a ring keeps the request of every attempt until the cycle
    collector comes.
    """
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.__traceback__ = None
        waiting += [one.__context__, one.__cause__, getattr(one, "os_error", None)]
        waiting += getattr(one, "exceptions", ())


# --- Why a request got no answer, in words: what happened, and what to do about it. They never hold the key: they are
# made of what the system and the TLS library say, and never of an error's `repr` or of bytes that came.


_BETWEEN = "Check base_url, and what stands between you and the service: a proxy, a gateway, a firewall"
_IF_OFTEN = (
    "If that happens often, something between you and the service ends idle connections: a PoolSettings(keepalive=) "
    "below its idle time helps"
)
_CUT = f"the connection ended within the answer. {_IF_OFTEN}"
_TLS = "Check that the port of base_url speaks TLS, and that nothing in between takes it apart"
_WHAT_A_PROXY_WANTS = "Check its user and password, and that it lets base_url through"
_FILES = "Raise its limit (ulimit -n), or lower PoolSettings(connections=)"


def cause_of(error: BaseException, limits: Limits) -> Cause:
    """What an error of aiohttp, or of the system under it, means.

    Args:
        error: what was raised.
        limits: of the exchange that it ended.
    """
    match error:
        case aiohttp.ConnectionTimeoutError():
            return Cause(f"none was made within {limits.connect:g} s, see Timeouts(connect=)", timed_out=True)
        case aiohttp.SocketTimeoutError():
            return Cause(f"the service was silent for {limits.read:g} s, see Timeouts(read=)", timed_out=True)
        case TimeoutError():
            return Cause("the deadline of the call was reached, see Timeouts(total=)", timed_out=True)
        case aiohttp.ClientConnectorCertificateError():
            told = getattr(error.certificate_error, "verify_message", "") or _said(error.certificate_error)
            return Cause(
                f"the certificate of {error.host} was not accepted: {told.rstrip('.')}. Check base_url, the clock of "
                "this machine and the certificates that it trusts",
                lasting=True,
            )
        case aiohttp.ServerFingerprintMismatch():
            return Cause(
                f"the certificate of {error.host} is not the one that the session's connector wants", lasting=True
            )
        case aiohttp.ClientProxyConnectionError():
            return Cause(f"the proxy was not reached: {_said(error.os_error)}. Check its address and the network")
        case aiohttp.ClientHttpProxyError():
            return Cause(f"the proxy makes no connection: it answered {error.status}. {_WHAT_A_PROXY_WANTS}")
        case aiohttp.ClientConnectorError():
            return _not_connected(error)
        case aiohttp.ServerDisconnectedError():
            return Cause(f"the service closed the connection without an answer. {_IF_OFTEN}")
        case aiohttp.ClientPayloadError():
            broken = isinstance(error.__cause__, ContentEncodingError)
            return Cause(f"the answer could not be decompressed. {_BETWEEN}" if broken else _CUT)
        case aiohttp.ClientResponseError():
            return Cause(_not_http(error.message))
        case aiohttp.ClientConnectionError() if type(error) is aiohttp.ClientConnectionError:
            # The words are aiohttp's own, such as "Connector is closed."
            return Cause(f"the connection failed: {error}")
        case OSError():
            if isinstance(error, aiohttp.ClientOSError):
                return Cause(f"the connection was lost: {_said(error)}. {_IF_OFTEN}")
            return Cause(f"the system refused: {_said(error)}")
        case _:
            return Cause(type(error).__name__)


def _not_connected(error: aiohttp.ClientConnectorError) -> Cause:
    system = error.os_error
    if isinstance(error, ClientConnectorDNSError):
        return Cause(f"the name {error.host} was not found: {_said(system)}. Check base_url and the network")
    if isinstance(system, ssl.SSLError):
        return Cause(f"{error.host} and this machine agree on no TLS connection: {_said(system)}. {_TLS}")
    if isinstance(system, ConnectionRefusedError):
        return Cause(f"nobody takes connections at {error.host}, port {error.port}. Check base_url")
    if isinstance(system, ConnectionError):
        told = f": {system.strerror}" if system.strerror else ""
        return Cause(f"{error.host} ended the connection while it was made{told}. {_BETWEEN}")
    if system.errno in {errno.EMFILE, errno.ENFILE}:
        return Cause(f"this process has no file left for a connection: {_said(system)}. {_FILES}")
    return Cause(f"no connection to {error.host}: {_said(system)}. Check base_url and the network")


def _not_http(message: str) -> str:
    """What aiohttp's parser found wrong. Its message shows what came, so only the kind is told."""
    hint = "a session= whose max_line_size, max_field_size and max_headers are larger takes it"
    if found := _TOO_LONG.search(message):
        return f"a line of the answer's head is longer than {found[1]} bytes: {hint}"
    if "Too many headers" in message:
        return f"the answer has too many headers: {hint}"
    return f"what came is no HTTP answer. {_BETWEEN}"


def _said(error: BaseException) -> str:
    """The system's or the TLS library's own words."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
