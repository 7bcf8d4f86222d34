"""An error says in words why there is no answer and what to do about it, and what cannot mend is not tried again."""

import asyncio
import re
import socket
import ssl
import struct
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import aiohttp
import pytest
import trustme
from aiohttp.abc import AbstractResolver

from fusebill_async import (
    ConnectError,
    ConnectionLostError,
    FusebillClient,
    FusebillError,
    Outcome,
    OutcomeUnknownError,
    PoolSettings,
    RequestTimeoutError,
    RetryPolicy,
    SettlingPolicy,
    Timeouts,
)
from tests.outcomes.outcome_cases import KEY

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
HASTY = SettlingPolicy(first_read=0.001, quiet_period=0.02, retry_delay=0.01, wait=0.1, give_up=0.1, close_wait=0.01)

pytestmark = pytest.mark.filterwarnings("ignore::fusebill_async.UnresolvedWritesWarning")


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


def certified(authority, *names, **validity):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, **validity).configure_cert(context)
    return context


def trusting(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


class Server:
    """Does one thing with each connection, and counts them."""

    def __init__(self, do, context=None):
        self._do = do
        self._context = context
        self.connections = 0
        self._tasks = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        self.connections += 1
        try:
            await self._do(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def after_the_request(answer):
    async def do(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    return do


def after_the_hello(answer):
    async def do(reader, writer):
        await reader.read(100)
        writer.write(answer)
        await writer.drain()

    return do


async def reset(reader, writer):
    await reader.read(100)
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


async def nothing(reader, writer):
    await asyncio.sleep(60)


@asynccontextmanager
async def asking(url, *, connector=None):
    """A client, perhaps on a connector of the test's."""
    options = {
        "base_url": url,
        "retry": RetryPolicy(backoff=0.001),
        "settling": HASTY,
        "timeouts": Timeouts(connect=0.3, read=1.0, total=10.0),
    }
    if connector is None:
        async with FusebillClient(KEY, **options) as client:
            yield client
        return
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        FusebillClient(KEY, session=session, **options) as client,
    ):
        yield client


async def told_of_a_read_and_a_hold(client):
    errors = []
    for call in (client.customers.get(1), client.customers.hold(1)):
        with pytest.raises(FusebillError) as raised:
            await call
        assert KEY not in str(raised.value)
        errors.append(raised.value)
    return errors


EXPIRED = {"not_before": datetime(2019, 1, 1, tzinfo=UTC), "not_after": datetime(2020, 1, 1, tzinfo=UTC)}


@pytest.mark.parametrize(
    ("name", "validity", "trusted", "words"),
    [
        ("localhost", {}, False, "unable to get local issuer certificate"),
        ("elsewhere.example", {}, True, "not valid for 'localhost'"),
        ("localhost", EXPIRED, True, "certificate has expired"),
    ],
    ids=["untrusted", "another name", "expired"],
)
async def test_a_certificate_that_is_not_accepted_is_tried_once(authority, name, validity, trusted, words):
    connector = aiohttp.TCPConnector(ssl=trusting(authority)) if trusted else None
    async with (
        Server(after_the_request(b""), certified(authority, name, **validity)) as server,
        asking(f"https://localhost:{server.port}/v1", connector=connector) as client,
    ):
        errors = await told_of_a_read_and_a_hold(client)
    for error in errors:
        assert type(error) is ConnectError
        assert (error.outcome, len(error.attempts)) == (Outcome.NOT_SENT, 1)
        assert "the certificate of localhost was not accepted: " in str(error)
        assert words in str(error)
        assert "Check base_url" in str(error)


async def test_neither_is_one_that_is_not_the_pinned_one(authority):
    async with Server(after_the_request(b""), certified(authority, "localhost")) as server:
        pinned = aiohttp.TCPConnector(ssl=aiohttp.Fingerprint(b"0" * 32))
        async with asking(f"https://localhost:{server.port}/v1", connector=pinned) as client:
            errors = await told_of_a_read_and_a_hold(client)
    assert [(type(error), len(error.attempts)) for error in errors] == [(ConnectError, 1)] * 2
    assert "not the one that the session's connector wants" in str(errors[0])


@pytest.mark.parametrize(
    ("do", "words"),
    [
        (
            after_the_hello(HEAD + b"\r\n"),
            r"no TLS connection: wrong version number. Check that the port of base_url speaks",
        ),
        (after_the_hello(b"\x15\x03\x01\x00\x02\x02\x28"), "agree on no TLS connection: .*handshake failure"),
        (after_the_hello(b""), r"ended the connection while it was made\. Check base_url, and what stands between"),
        (reset, "ended the connection while it was made: Connection reset by peer"),
    ],
    ids=["speaks HTTP", "an alert", "closed", "reset"],
)
async def test_a_tls_handshake_that_fails_is_no_connection(do, words):
    async with Server(do) as server:
        async with asking(f"https://localhost:{server.port}/v1") as client:
            errors = await told_of_a_read_and_a_hold(client)
        for error in errors:
            assert type(error) is ConnectError
            assert (error.outcome, len(error.attempts)) == (Outcome.NOT_SENT, 3)
        assert server.connections == 6
    with pytest.raises(ConnectError, match=words):
        raise errors[0]


async def test_a_handshake_that_does_not_end_is_a_connect_that_took_too_long():
    async with Server(nothing) as server, asking(f"https://localhost:{server.port}/v1") as client:
        errors = await told_of_a_read_and_a_hold(client)
    assert [(type(error), error.outcome) for error in errors] == [(RequestTimeoutError, Outcome.NOT_SENT)] * 2
    assert "Timeouts(connect=)" in str(errors[0])


async def test_nobody_there():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with asking(f"http://127.0.0.1:{port}/v1") as client:
        errors = await told_of_a_read_and_a_hold(client)
    assert [(type(error), error.outcome) for error in errors] == [(ConnectError, Outcome.NOT_SENT)] * 2
    assert f"nobody takes connections at 127.0.0.1, port {port}. Check base_url" in str(errors[0])


class NoNames(AbstractResolver):
    async def resolve(self, host, port=0, family=socket.AF_INET):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def close(self):
        pass


async def test_a_name_that_is_not_found():
    connector = aiohttp.TCPConnector(resolver=NoNames())
    async with asking("https://nowhere.invalid/v1", connector=connector) as client:
        errors = await told_of_a_read_and_a_hold(client)
    assert [(type(error), error.outcome) for error in errors] == [(ConnectError, Outcome.NOT_SENT)] * 2
    assert "the name nowhere.invalid was not found: " in str(errors[0])
    assert "Check base_url and the network" in str(errors[0])


@pytest.mark.parametrize(
    ("do", "words"),
    [
        (reset, r"the connection was lost: Connection reset by peer\. If that happens often, .*keepalive"),
        (after_the_request(b""), r"closed the connection without an answer\. If that happens often, .*keepalive"),
        (
            after_the_request(HEAD + b"Content-Length: 9\r\n\r\n{}"),
            r"the connection ended within the answer\. If that happens often, ",
        ),
        (
            after_the_request(HEAD + b"Content-Encoding: gzip\r\nContent-Length: 20\r\n\r\n" + 20 * b"a"),
            r"the answer could not be decompressed\. Check base_url, and what stands between",
        ),
        (
            after_the_request(b"SSH-2.0-x " + KEY.encode() + b"\r\n\r\n"),
            r"what came is no HTTP answer\. Check base_url, and what stands between",
        ),
        (
            after_the_request(HEAD + b"X-Long: " + KEY.encode() + 9000 * b"a" + b"\r\n\r\n"),
            "head is longer than 8190 bytes: a session= whose .*max_field_size.* takes it",
        ),
        (after_the_request(HEAD + 300 * b"X-Many: a\r\n" + b"\r\n"), "has too many headers: a session= whose"),
    ],
    ids=["reset", "closed", "cut", "compression", "no HTTP", "long header", "many headers"],
)
async def test_why_an_answer_was_lost(do, words):
    async with Server(do) as server, asking(f"http://127.0.0.1:{server.port}/v1") as client:
        reading, holding = await told_of_a_read_and_a_hold(client)
    with pytest.raises(ConnectionLostError, match=words):
        raise reading
    with pytest.raises(OutcomeUnknownError, match=words):
        raise holding


async def test_a_proxy_that_makes_no_connection(authority):
    refuses = after_the_request(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
    async with Server(refuses) as server, aiohttp.ClientSession(proxy=f"http://127.0.0.1:{server.port}") as session:
        options = {"base_url": "https://localhost:9/v1", "retry": RetryPolicy(backoff=0.001), "settling": HASTY}
        async with FusebillClient(KEY, session=session, **options) as client:
            errors = await told_of_a_read_and_a_hold(client)
    assert [(type(error), error.outcome) for error in errors] == [(ConnectError, Outcome.NOT_SENT)] * 2
    assert "the proxy makes no connection: it answered 407. Check its user and password" in str(errors[0])


async def test_a_silent_service_and_a_deadline_name_their_settings():
    async def says_nothing(reader, writer):
        await reader.read()

    async with Server(says_nothing) as server:
        options = {"base_url": f"http://127.0.0.1:{server.port}/v1", "settling": HASTY}
        for timeouts, words in (
            (Timeouts(read=0.1), "the service was silent for 0.1 s, see Timeouts(read=)"),
            (Timeouts(total=0.1), "the deadline of the call was reached, see Timeouts(total=)"),
        ):
            async with FusebillClient(KEY, timeouts=timeouts, retry=RetryPolicy(max_attempts=1), **options) as client:
                errors = await told_of_a_read_and_a_hold(client)
            assert all(words in str(error) for error in errors), errors


async def test_a_proxy_that_is_not_there():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        proxy = f"http://127.0.0.1:{free.getsockname()[1]}"
    options = {"base_url": "https://localhost:9/v1", "retry": RetryPolicy(backoff=0.001), "settling": HASTY}
    async with FusebillClient(KEY, pool=PoolSettings(proxy=proxy), **options) as client:
        errors = await told_of_a_read_and_a_hold(client)
    assert [type(error) for error in errors] == [ConnectError] * 2
    assert re.search(r"the proxy was not reached: .*\. Check its address and the network", str(errors[0]))
