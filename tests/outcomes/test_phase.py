"""Not sent is proven: as long as no connection was handed out, not one byte has reached the service."""

# ruff: noqa: ASYNC110  # what the service saw is looked at, not awaited

import asyncio
from pathlib import Path

import aiohttp
import pytest

from fusebill_async import (
    FusebillClient,
    FusebillError,
    Outcome,
    Phase,
    PoolSettings,
    QuotaPolicy,
    RetryPolicy,
    SettlingPolicy,
    Timeouts,
)
from fusebill_async.testing import Fault
from tests.outcomes.outcome_cases import WRITES, make_client

# In virtual time: what is silent or slow here would take a minute.
pytestmark = pytest.mark.fusebill_simulated(seed=1)

SAMPLE = Path(__file__).parent.parent / "samples" / "customer_hold_200.json"
QUICK = Timeouts(connect=0.05, read=0.3, total=1.0, queue=0.05)


async def not_sent(client, verb, fusebill):
    before = fusebill.bytes_received
    with pytest.raises(FusebillError) as raised:
        await verb.call(client.with_options(timeouts=QUICK).with_response, 1)
    assert raised.value.outcome is Outcome.NOT_SENT
    assert all(attempt.phase.nothing_sent for attempt in raised.value.attempts)
    assert fusebill.received(verb.title, 1) == 0
    return fusebill.bytes_received - before


PLAIN = [verb for verb in WRITES if verb.name not in {"replace", "update"}]


@pytest.mark.parametrize("verb", PLAIN, ids=str)
@pytest.mark.parametrize("fault", [Fault.refuse(), Fault.stall_connect(backlog=True)], ids=repr)
async def test_no_connection(fusebill, verb, fault):
    fusebill.add_customer(id=1, status=verb.status)
    async with make_client(fusebill) as client:
        fusebill.inject(fault)
        assert await not_sent(client, verb, fusebill) == 0
        fusebill.clear_faults()


@pytest.mark.parametrize("verb", PLAIN, ids=str)
async def test_no_place_in_the_pool(fusebill, verb):
    fusebill.add_customer(id=1, status=verb.status)
    fusebill.add_customer(id=2)
    async with make_client(fusebill, pool=PoolSettings(connections=1)) as client:
        with fusebill.hold_open("get"):
            holder = asyncio.ensure_future(client.customers.get(2))
            while not fusebill.held_open:
                await asyncio.sleep(0.001)
            assert await not_sent(client, verb, fusebill) == 0
        await holder


@pytest.mark.parametrize("verb", PLAIN, ids=str)
async def test_no_quota(fusebill, verb):
    fusebill.add_customer(id=1, status=verb.status)
    fusebill.add_customer(id=2)
    async with make_client(fusebill, quota=QuotaPolicy(per_minute=1, burst=0)) as client:
        fusebill.inject(Fault.status(429, retry_after=30, operation="get", quota_headers="without"))
        with pytest.raises(FusebillError):
            await client.with_options(timeouts=Timeouts(queue=0.05)).customers.get(2)
        assert await not_sent(client, verb, fusebill) == 0


@pytest.mark.parametrize("verb", PLAIN, ids=str)
async def test_no_turn_at_the_customer(fusebill, verb):
    fusebill.add_customer(id=1, status="Active")
    async with make_client(fusebill) as client:
        with fusebill.hold_open("update"):
            holder = asyncio.ensure_future(client.customers.update(1, company_name="First Ltd"))
            while not fusebill.held_open:
                await asyncio.sleep(0.001)
            assert await not_sent(client, verb, fusebill) == 0
        await holder


@pytest.mark.parametrize("verb", WRITES, ids=str)
async def test_an_attempt_that_was_sent_is_never_told_as_not_sent(fusebill, verb):
    """The second attempt finds nobody there; the first one was sent all the same."""
    fusebill.add_customer(id=1, status=verb.status)

    def nobody_there():
        fusebill.inject(Fault.refuse())

    async with make_client(fusebill, retry=RetryPolicy(backoff=0.001, max_attempts=2)) as client:
        fusebill.inject(Fault.status(429, operation=verb.title, headers={"Connection": "close"}, retry_after=0.2))
        call = asyncio.ensure_future(verb.call(client.with_response, 1))
        while not fusebill.received(verb.title, 1):
            await asyncio.sleep(0.001)
        nobody_there()
        fusebill.close_idle_connections()
        with pytest.raises(FusebillError) as raised:
            await call
        fusebill.clear_faults()
    assert raised.value.outcome is not Outcome.NOT_SENT
    assert fusebill.effects(verb.title, 1) == 0


@pytest.mark.parametrize("verb", PLAIN, ids=str)
async def test_a_byte_at_the_server_is_never_told_as_not_sent(fusebill, verb):
    """Connections that end at every moment around the hand-out, fresh and kept ones."""
    moments = [
        Fault.reset_on_accept(), Fault.close_on_accept(), Fault.stall_connect(seconds=0.01), Fault.tls_trouble(),
        Fault.reset_in_headers(), Fault.close_in_headers(),
    ]  # fmt: skip
    # How long reading takes is not what is tested.
    hasty = SettlingPolicy(first_read=0.001, quiet_period=0.01, retry_delay=0.005, wait=20.0)
    async with make_client(fusebill, retry=RetryPolicy(max_attempts=1), settling=hasty) as client:
        for number in range(1, 61):
            fusebill.add_customer(id=number, status=verb.status)
            fusebill.clear_faults()
            if number % 3:
                fusebill.close_idle_connections(reset=number % 2 == 0)
            fusebill.inject(moments[number % len(moments)])
            before = fusebill.bytes_received
            phases: set[Phase] = set()
            try:
                response = await verb.call(client.with_response, number)
            except FusebillError as error:
                outcome = error.outcome
                phases = {attempt.phase for attempt in error.attempts}
            else:
                outcome = Outcome.APPLIED
                assert response.value is not None
            if outcome is Outcome.NOT_SENT:
                assert fusebill.bytes_received == before, phases
            assert fusebill.effects(verb.title, number) == (outcome is Outcome.APPLIED)


@pytest.mark.parametrize("error", [aiohttp.ClientConnectionError(), ConnectionRefusedError(), TimeoutError()], ids=repr)
async def test_a_stand_in_for_aiohttp_that_fails_proves_nothing(mocked, error):
    """It shows nobody a connection, so whether anything was sent is not known, whatever the error is called."""
    base_url = "https://secure.fusebill.com/v1"
    mocked.post(f"{base_url}/CustomerHold/12000750", exception=error)
    mocked.get(f"{base_url}/customers/12000750", body=SAMPLE.read_bytes(), repeat=True)
    settling = SettlingPolicy(first_read=0.001, quiet_period=0.01)
    async with FusebillClient("key", base_url=base_url, settling=settling) as client:
        response = await client.with_response.customers.hold(12000750)
    assert response.confirmed_by == "read"
    assert sum(len(calls) for (method, _), calls in mocked.requests.items() if method == "POST") == 1
