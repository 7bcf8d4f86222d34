"""What a user's aiohttp session was made with is honoured, or refused by name; the session is left as it is."""

import asyncio
from contextlib import asynccontextmanager, suppress
from urllib.request import getproxies

import aiohttp
import pytest

from fusebill_async import (
    ConfigurationError,
    ConnectError,
    FusebillClient,
    FusebillError,
    InvalidResponseError,
    NotFoundError,
    Outcome,
    PoolSettings,
    RetryPolicy,
    SettlingPolicy,
)
from fusebill_async.stores import SQLiteStore
from fusebill_async.testing import Fault, FusebillSimulator

KEY = "MDpub3QtYS1yZWFsLWtleQ"
QUICK = SettlingPolicy(first_read=0.005, quiet_period=0.05, retry_delay=0.01, wait=1.0, give_up=1.0, close_wait=0.5)


@pytest.fixture(autouse=True)
async def customers(fusebill):
    fusebill.add_customer(id=1, status="Active")


@asynccontextmanager
async def using(fusebill, *, client=None, **session_options):
    """A session that was made with these options, and a client on it."""
    async with aiohttp.ClientSession(**session_options) as session:
        options = {"base_url": fusebill.base_url, "settling": QUICK, "retry": RetryPolicy(backoff=0.001)}
        async with FusebillClient(KEY, session=session, **{**options, **(client or {})}) as opened:
            yield opened


async def test_it_is_used_as_it_is_and_left_as_it_is(fusebill: FusebillSimulator):
    connector = aiohttp.TCPConnector()
    async with aiohttp.ClientSession(connector=connector, headers={"X-Theirs": "1"}) as session:
        async with FusebillClient(KEY, base_url=fusebill.base_url, session=session) as client:
            await client.customers.get(1)
        headers = fusebill.requests[-1].headers
        assert (headers["X-Theirs"], headers["Authorization"]) == ("1", f"Basic {KEY}")
        assert headers["User-Agent"].startswith("fusebill-async/")
        assert not session.closed
        assert dict(session.headers) == {"X-Theirs": "1"}
        # Its connection is kept for its owner.
        async with session.get(f"{fusebill.base_url}/customers/1") as response:
            assert response.status == 401
        assert fusebill.requests[-1].connection == fusebill.requests[-2].connection
        assert "Authorization" not in fusebill.requests[-1].headers


async def test_a_name_for_the_program_stays(fusebill: FusebillSimulator):
    async with using(fusebill, headers={"User-Agent": "billing/1"}) as client:
        await client.customers.get(1)
    assert fusebill.requests[-1].headers["User-Agent"] == "billing/1"


async def test_cookies(fusebill: FusebillSimulator):
    fusebill.inject(
        Fault.status(200, body=fusebill.customer_bytes(1), headers={"Set-Cookie": "node=b; Path=/"}, operation="get")
    )
    async with using(fusebill, cookie_jar=aiohttp.CookieJar(unsafe=True), cookies={"who": "me"}) as client:
        await client.customers.get(1)
        await client.customers.hold(1)
    first, then = [request.headers["Cookie"] for request in fusebill.requests]
    assert first == "who=me"
    assert sorted(then.split("; ")) == ["node=b", "who=me"]


@pytest.mark.parametrize("how", ["proxy", "environment"])
async def test_a_proxy(fusebill: FusebillSimulator, monkeypatch, how):
    """A request over a proxy names its whole address, so this one here is never asked for directly."""
    for name in getproxies():
        monkeypatch.delenv(f"{name}_proxy", raising=False)
    elsewhere = "http://127.0.0.1:9/v1"
    proxy = fusebill.base_url.removesuffix("/v1")
    options = {"proxy": proxy} if how == "proxy" else {"trust_env": True}
    if how == "environment":
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.delenv("no_proxy", raising=False)
    async with using(fusebill, client={"base_url": elsewhere}, **options) as client:
        with pytest.raises(FusebillError) as raised:
            await client.customers.get(1)
    assert raised.value.outcome is not Outcome.NOT_SENT
    assert fusebill.bytes_received > 0


async def test_the_key_of_the_client_goes_before_that_of_netrc(fusebill: FusebillSimulator, monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    async with using(fusebill, trust_env=True) as client:
        await client.customers.hold(1)
    assert fusebill.requests[-1].headers["Authorization"] == f"Basic {KEY}"


async def test_traces(fusebill: FusebillSimulator):
    seen = []

    async def started(session, context, params):
        seen.append(str(params.url))
        assert "Authorization" not in params.headers

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(started)
    async with using(fusebill, trace_configs=[trace]) as client:
        await client.customers.get(1)
        await client.customers.hold(1)
    assert seen == [f"{fusebill.base_url}/customers/1", f"{fusebill.base_url}/CustomerHold/1"]


async def test_middlewares(fusebill: FusebillSimulator):
    async def stamp(request, handler):
        request.headers["X-Stamp"] = request.method
        return await handler(request)

    async with using(fusebill, middlewares=(stamp,)) as client:
        await client.customers.get(1)
        await client.customers.hold(1)
    assert [request.headers["X-Stamp"] for request in fusebill.requests] == ["GET", "POST"]


@pytest.mark.parametrize("lost", [False, True], ids=["after an answer", "after a lost answer"])
async def test_a_middleware_sends_nothing_a_second_time(fusebill: FusebillSimulator, lost):
    """Whether anything is sent again is the client's to say."""

    async def twice(request, handler):
        if request.method == "POST":
            with suppress(Exception):
                (await handler(request)).close()
        return await handler(request)

    if lost:
        fusebill.inject(Fault.reset_after_effect(operation="geotab.unlatch"))
    async with using(fusebill, middlewares=(twice,)) as client:
        response = await client.with_response.geotab.unlatch(1)
    assert response.confirmed_by == "read"
    assert "second time" in response.attempts[0].reason
    assert fusebill.received("geotab.unlatch", 1) == fusebill.effects("geotab.unlatch", 1) == 1


@pytest.mark.parametrize("name", ["get", "hold"])
async def test_a_middleware_and_a_trace_hear_of_a_lost_connection_in_words_of_aiohttp(fusebill, name):
    heard = []

    async def listening(request, handler):
        try:
            return await handler(request)
        except aiohttp.ClientConnectionError as error:
            heard.append(error)
            raise

    async def failed(session, context, params):
        heard.append(params.exception)

    trace = aiohttp.TraceConfig()
    trace.on_request_exception.append(failed)
    fusebill.inject(Fault.reset_after_effect(operation=name))
    async with using(fusebill, middlewares=(listening,), trace_configs=[trace]) as client:
        await (client.customers.get(1) if name == "get" else client.customers.hold(1))
    assert len(heard) == 2
    assert all(isinstance(error, aiohttp.ClientConnectionError) for error in heard)


async def test_an_answer_that_a_middleware_made_up_counts_as_sent(fusebill: FusebillSimulator):
    """No connection was handed out, but what the middleware did nobody knows: the customer is read."""

    async def instead(request, handler):
        if request.method == "POST":
            raise OSError("the middleware's own way out is closed")
        return await handler(request)

    async with using(fusebill, middlewares=(instead,), client={"retry": RetryPolicy(max_attempts=1)}) as client:
        with pytest.raises(FusebillError) as raised:
            await client.customers.hold(1)
    assert raised.value.outcome is Outcome.NOT_APPLIED
    assert fusebill.received("hold", 1) == 0
    assert fusebill.received("get", 1) >= 2


LONG = {"X-Long": "a" * 9000}


async def test_limits_of_headers(fusebill: FusebillSimulator):
    fusebill.inject(Fault.status(200, body=fusebill.customer_bytes(1), headers=LONG, operation="get", times=None))
    async with using(fusebill, max_field_size=10_000) as client:
        assert (await client.customers.get(1)).id == 1
    async with using(fusebill) as client:
        with pytest.raises(FusebillError, match="max_field_size"):
            await client.customers.get(1)


async def test_raise_for_status_is_done_by_the_errors_of_the_client(fusebill: FusebillSimulator):
    async with using(fusebill, raise_for_status=True) as client:
        with pytest.raises(NotFoundError, match="Customer with id 7 not found"):
            await client.customers.get(7)


@pytest.mark.parametrize(
    ("made_with", "named"),
    [
        ({"headers": {"authorization": "Bearer theirs"}}, "Authorization header"),
        ({"auto_decompress": False}, "auto_decompress"),
        ({"raise_for_status": lambda response: None}, "raise_for_status"),
    ],
    ids=["Authorization", "auto_decompress", "raise_for_status"],
)
async def test_what_cannot_be_honoured_is_refused_by_name(fusebill: FusebillSimulator, made_with, named):
    async with aiohttp.ClientSession(**made_with) as session:
        with pytest.raises(ConfigurationError, match=named):
            FusebillClient(KEY, base_url=fusebill.base_url, session=session)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_another_login_is_refused(fusebill: FusebillSimulator):
    async with aiohttp.ClientSession(auth=aiohttp.BasicAuth("someone", "else")) as session:
        with pytest.raises(ConfigurationError, match="auth="):
            FusebillClient(KEY, base_url=fusebill.base_url, session=session)


async def test_fresh_connections_need_a_pool_of_the_clients(fusebill: FusebillSimulator):
    async with aiohttp.ClientSession() as session:
        with pytest.raises(ConfigurationError, match="fresh_connections"):
            FusebillClient(
                KEY, base_url=fusebill.base_url, session=session, pool=PoolSettings(fresh_connections="writes")
            )


@pytest.mark.parametrize("when", ["before", "while it waits for its turn"])
async def test_a_call_on_a_closed_session_is_not_sent(fusebill: FusebillSimulator, tmp_path, when):
    path = tmp_path / "store.sqlite"
    session = aiohttp.ClientSession()
    options = {"base_url": fusebill.base_url, "settling": QUICK, "pool": PoolSettings(connections=1)}
    client = FusebillClient(KEY, session=session, store=SQLiteStore(path), **options)
    if when == "before":
        await client.customers.get(1)
        await session.close()
        hold = asyncio.ensure_future(client.customers.hold(1))
    else:
        with fusebill.hold_open("get"):
            reading = asyncio.ensure_future(client.customers.get(1))
            while not fusebill.held_open:  # noqa: ASYNC110 (what the service saw is looked at, not awaited)
                await asyncio.sleep(0.001)
            hold = asyncio.ensure_future(client.customers.hold(1))
            await asyncio.sleep(0.1)
            await session.close()
        await asyncio.gather(reading, return_exceptions=True)
    with pytest.raises(ConnectError, match="session that was handed in is closed") as raised:
        await hold
    assert (raised.value.outcome, len(raised.value.attempts)) == (Outcome.NOT_SENT, 1)
    assert not client.unresolved()
    with pytest.raises(ConnectError, match="session that was handed in is closed"):
        await client.customers.get(1)
    await client.aclose()
    async with FusebillClient(KEY, store=SQLiteStore(path), **options) as following:
        assert not following.unresolved()
    assert fusebill.received("hold", 1) == 0


async def test_a_redirect_is_not_followed(fusebill: FusebillSimulator):
    fusebill.inject(Fault.redirect(to="/v1/customers/1", operation="get", times=None))
    async with using(fusebill) as client:
        with pytest.raises(InvalidResponseError, match="never followed"):
            await client.customers.get(1)
