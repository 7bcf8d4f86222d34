"""What was handed no connection was not sent, and a hand-out that nobody saw counts as sent.

These go red when aiohttp writes a request in another way than `session/aiohttp_transport.py` leans on.
"""

import asyncio
import time

import aiohttp
import pytest

from fusebill_async import (
    FusebillClient,
    NotAppliedError,
    Outcome,
    OutcomeUnknownError,
    PoolSettings,
    RetryPolicy,
    SettlingPolicy,
    Timeouts,
)
from fusebill_async.outcome import Phase
from fusebill_async.session import aiohttp_transport
from fusebill_async.session.aiohttp_transport import AiohttpTransport
from fusebill_async.session.transport import Limits
from fusebill_async.testing import Fault, FusebillSimulator
from fusebill_async.wire.redact import HiddenText
from fusebill_async.wire.request import Request

KEY = "MDpub3QtYS1yZWFsLWtleQ"
QUICK = SettlingPolicy(first_read=0.01, quiet_period=0.05, retry_delay=0.01, wait=2.0)
READ = Request("GET", "/customers/1")


@pytest.fixture
async def fusebill():
    async with FusebillSimulator() as simulator:
        simulator.add_customer(id=1, status="Draft")
        yield simulator


@pytest.fixture
async def transport(fusebill):
    made = AiohttpTransport(
        key=HiddenText(KEY), base_url=fusebill.base_url, settings=PoolSettings(), now=time.monotonic
    )
    yield made
    await made.aclose()


def limits(*, fresh=False):
    return Limits(connect=1.0, read=1.0, total=2.0, fresh=fresh)


def nothing_learned():
    """A callback for what is not looked at."""


@pytest.mark.parametrize("fresh", [False, True])
async def test_a_connection_is_handed_out_before_the_first_byte(fusebill, transport, fresh):
    seen = []
    for _ in range(3):
        exchange = await transport.exchange(READ, limits(fresh=fresh), lambda: seen.append(fusebill.received("get", 1)))
        assert exchange.phase is Phase.ANSWERED
        assert exchange.started_at <= exchange.sent_at <= exchange.ended_at
    assert seen == [0, 1, 2]
    assert len({request.connection for request in fusebill.requests}) == (3 if fresh else 1)


async def test_whoever_refuses_at_the_hand_out_sends_nothing(fusebill, transport):
    """Also with an error that aiohttp would take for one of its own."""

    def refuse():
        raise TimeoutError("not now")

    with pytest.raises(TimeoutError, match="not now"):
        await transport.exchange(READ, limits(), refuse)
    assert fusebill.received("get") == 0
    assert (await transport.exchange(READ, limits(), nothing_learned)).status == 200


async def test_what_found_nobody_was_not_sent():
    transport = AiohttpTransport(
        key=HiddenText(KEY), base_url="http://127.0.0.1:1/v1", settings=PoolSettings(), now=time.monotonic
    )
    seen = []
    exchange = await transport.exchange(READ, limits(), lambda: seen.append("handed out"))
    await transport.aclose()
    assert (exchange.phase, exchange.sent_at, seen) == (Phase.CONNECTING, None, [])
    assert "nobody takes connections" in exchange.reason


def blind(monkeypatch):
    """aiohttp that asks the connector in another way than ours sees."""
    monkeypatch.delattr(aiohttp_transport._WatchedConnector, "connect")


async def test_a_lost_activation_is_settled_and_never_sent_again_if_no_hand_out_was_seen(fusebill, monkeypatch):
    blind(monkeypatch)
    fusebill.inject(Fault.reset_after_effect(operation="activate"))
    async with FusebillClient(KEY, base_url=fusebill.base_url, settling=QUICK) as client:
        response = await client.with_response.customers.activate(1, True, True, False)
    assert (response.confirmed_by, response.value.customer.status) == ("read", "Active")
    assert fusebill.effects("activate", 1) == fusebill.received("activate", 1) == 1


async def test_without_a_hand_out_nothing_is_told_as_not_sent(fusebill, monkeypatch):
    blind(monkeypatch)
    fusebill.inject(Fault.reset_before_effect(operation="activate"))
    async with FusebillClient(KEY, base_url=fusebill.base_url, settling=QUICK) as client:
        with pytest.raises(NotAppliedError) as lost:
            await client.customers.activate(1, True, True, False)
    assert lost.value.outcome is Outcome.NOT_APPLIED
    assert fusebill.received("activate", 1) == 1


@pytest.mark.filterwarnings("ignore::fusebill_async.UnresolvedWritesWarning")
async def test_a_cancelled_caller_whose_hand_out_was_not_seen_leaves_an_open_write(fusebill, monkeypatch):
    blind(monkeypatch)
    fusebill.inject(Fault.hang_after_effect(operation="activate"))
    settling = SettlingPolicy(close_wait=0.0)
    client = FusebillClient(KEY, base_url=fusebill.base_url, settling=settling, on_cancel="abort")
    call = asyncio.ensure_future(client.customers.activate(1, True, True, False))
    while not fusebill.received("activate", 1):  # noqa: ASYNC110 (what the service saw is looked at, not awaited)
        await asyncio.sleep(0.001)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await asyncio.sleep(0.05)
    assert [write.operation for write in client.unresolved()] == ["customers.activate"]
    await client.aclose()


async def test_nothing_is_sent_to_a_service_that_is_away(fusebill):
    await fusebill.aclose()
    retry = RetryPolicy(max_attempts=2, backoff=0.0)
    async with FusebillClient(KEY, base_url=fusebill.base_url, retry=retry, timeouts=Timeouts(connect=0.5)) as client:
        with pytest.raises(Exception, match="was not sent") as away:
            await client.customers.activate(1, True, True, False)
    assert away.value.outcome is Outcome.NOT_SENT
    assert not isinstance(away.value, OutcomeUnknownError)


async def test_the_connector_is_asked_once_for_each_request(fusebill, transport, monkeypatch):
    asked = []
    connect = aiohttp.TCPConnector.connect

    async def counted(self, request, *arguments, **options):
        asked.append(request.method)
        return await connect(self, request, *arguments, **options)

    monkeypatch.setattr(aiohttp.TCPConnector, "connect", counted)
    for request in (READ, Request("POST", "/customers/unHold", b"{}"), READ):
        await transport.exchange(request, limits(), nothing_learned)
    assert asked == ["GET", "POST", "GET"] == [request.method for request in fusebill.requests]


async def test_a_connection_on_which_somebody_elses_answer_came_is_used_no_more(fusebill):
    """Its own answer may still be to come there, and the next request would take that for its own."""
    fusebill.add_customer(id=2)
    fusebill.inject(Fault.other_id(other=2, operation="get", times=1))
    async with FusebillClient(KEY, base_url=fusebill.base_url, retry=RetryPolicy(backoff=0.0)) as client:
        assert (await client.customers.get(1)).id == 1
        await client.customers.get(1)
    crossed, again, then = [request.connection for request in fusebill.requests]
    assert crossed != again == then
