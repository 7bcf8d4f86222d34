"""The connection pool: two aiohttp sessions of our own, or the user's as it is."""

from __future__ import annotations

import select
from collections.abc import Awaitable, Sequence
from http.cookies import BaseCookie
from typing import Any
from weakref import WeakKeyDictionary

import aiohttp
from aiohttp.client_middlewares import ClientMiddlewareType
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from yarl import URL

from fusebill_async._version import __version__
from fusebill_async.errors import ConfigurationError
from fusebill_async.operations import Operation, Safety
from fusebill_async.session.observed import SessionClosedError, StaleConnectionError
from fusebill_async.settings import PoolSettings
from fusebill_async.shown import shown
from fusebill_async.wire.redact import HiddenText
from fusebill_async.wire.request import Request

_READ_SIZE = 64 * 1024
"""Bytes that asyncio reads at most at once, in place of its own 256 KiB. It makes room for as many before every read,
and glibc gets so large a piece from the kernel and gives it back each time: two page faults and some system calls, a
tenth of a call. Where a loop has no such setting, as uvloop has not, nothing is set."""


class Kept:
    """A connection that is kept, and how to look into it."""

    __slots__ = ("_poll",)

    def __init__(self, connection: Connection) -> None:
        self._poll: select.poll | None = None
        transport = connection.transport
        socket = transport.get_extra_info("socket") if transport is not None else None
        if socket is not None and hasattr(select, "poll"):
            # Made once: it holds for as long as the connection does.
            self._poll = select.poll()
            self._poll.register(socket.fileno(), select.POLLIN)

    def something_waits(self) -> bool:
        """Whether something, an end of file included, waits in the kernel and the event loop has not seen it yet."""
        return self._poll is not None and bool(self._poll.poll(0))


def _limit_reads(transport: Any) -> None:
    """Let a connection that is new read in smaller pieces; see `_READ_SIZE`."""
    reader: Any
    for reader in (transport, getattr(transport, "_ssl_protocol", None)):
        if getattr(reader, "max_size", 0) > _READ_SIZE:
            reader.max_size = _READ_SIZE


class _NoCookies(aiohttp.DummyCookieJar):
    """Takes no cookies and has none: one empty bag for all requests."""

    def __init__(self) -> None:
        super().__init__()
        self._none = super().filter_cookies(URL())

    def filter_cookies(self, request_url: URL) -> BaseCookie[str]:
        """The cookies of a request."""
        del request_url
        return self._none


def check_session(session: Any, settings: PoolSettings) -> None:
    """Refuse what is no session of aiohttp, and one that was made with something which no call could honour.

    Raises:
        ConfigurationError: it names what that is.
    """
    if session is None:
        return
    if not isinstance(session, aiohttp.ClientSession):
        raise ConfigurationError(f"session= must be an aiohttp.ClientSession, not {shown(session)}")
    if settings.fresh_connections not in {None, "never"}:
        raise ConfigurationError("fresh_connections needs a pool of the client's own: leave session= out")
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


class Pool:
    """Connections, and the aiohttp session over them. Made inside a running event loop."""

    def __init__(
        self, *, key: str, base_url: str, settings: PoolSettings, users_session: aiohttp.ClientSession | None
    ) -> None:
        self._settings = settings
        self._base = URL(base_url)
        self._path = self._base.raw_path
        self.authorization = HiddenText(f"Basic {key}")
        self._headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "gzip, deflate",
            "User-Agent": f"fusebill-async/{__version__}",
        }
        self._shared = users_session is not None
        self._users_headers: dict[str, str] | None = None
        self._users_middlewares: Sequence[ClientMiddlewareType] = ()
        self._fresh = settings.fresh_connections or ("never" if self._shared else "money")
        if users_session is not None:
            self._session = self._fresh_session = users_session
            own = {name: text for name, text in self._headers.items() if name != "User-Agent"}
            self._users_headers = own if "User-Agent" in users_session.headers else self._headers
            self._users_middlewares = users_session._middlewares  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # told nowhere else
        else:
            self._session = self._make_session()
            self._fresh_session = self._session if self._fresh == "never" else self._make_session(fresh=True)
        self.size = settings.connections
        self._kept: WeakKeyDictionary[ResponseHandler, Kept] = WeakKeyDictionary()

    def _make_session(self, *, fresh: bool = False) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=self._settings.connections,
            force_close=fresh,
            keepalive_timeout=None if fresh else self._settings.keepalive,
        )
        return aiohttp.ClientSession(
            connector=connector,
            headers=self._headers,
            cookie_jar=_NoCookies(),
            timeout=aiohttp.ClientTimeout(total=None),
        )

    def url(self, request: Request) -> URL:
        """The address of a request, without parsing or quoting it anew."""
        target = request.target
        if "?" not in target:
            return self._base.with_path(self._path + target, encoded=True)
        path, _, query = target.partition("?")
        return URL.build(
            scheme=self._base.scheme,
            authority=self._base.raw_authority,
            path=self._path + path,
            query_string=query,
            encoded=True,
        )

    def send(
        self, request: Request, observer: ClientMiddlewareType, timeout: aiohttp.ClientTimeout, *, fresh: bool
    ) -> Awaitable[aiohttp.ClientResponse]:
        """Start a request; awaiting the result gives the response, its body still unread.

        Raises:
            SessionClosedError: the session is closed. Nothing was sent.
        """
        session = self._fresh_session if fresh else self._session
        if session.closed:
            raise SessionClosedError(
                "the aiohttp session that was handed in is closed" if self._shared else "the client is closed"
            )
        return session.request(
            request.method,
            self.url(request),
            data=request.body,
            headers=self._users_headers,
            allow_redirects=False,
            raise_for_status=False,
            timeout=timeout,
            # Innermost, so that it sees what the user's own send.
            middlewares=(*self._users_middlewares, observer),
        )

    def wants_fresh_connection(self, operation: Operation) -> bool:
        """Whether a call gets a connection that has carried no other request."""
        if self._fresh == "writes":
            return operation.writes
        return self._fresh == "money" and (operation.moves_money or operation.safety is Safety.CREATE)

    def check(self, connection: Connection) -> None:
        """Refuse a kept connection on which something is wrong, before a byte is written to it.

        aiohttp looks at a connection when it comes back to the pool, not when it leaves it, and would take an
        answer that arrived on an idle connection for the answer to the next request.

        Raises:
            StaleConnectionError: the connection must not be used. Nothing was sent.
        """
        protocol = connection.protocol
        if protocol is None or protocol.should_close:
            raise StaleConnectionError("something waited on the connection before it was asked")
        kept = self._kept.get(protocol)
        if kept is None:
            self._kept[protocol] = Kept(connection)
            _limit_reads(connection.transport)
        elif kept.something_waits():
            raise StaleConnectionError("the service closed the idle connection, or spoke unasked")

    async def aclose(self) -> None:
        """Close what is ours."""
        self._kept.clear()
        if self._shared:
            return
        try:
            await self._session.close()
        finally:
            await self._fresh_session.close()
