"""What each limit of `Timeouts` counts: in virtual time, so that every second is exact."""

import asyncio
from contextlib import contextmanager

import aiohttp
import pytest

from fusebill_async import FusebillClient, Outcome, PoolSettings, RequestTimeoutError, RetryPolicy, Timeouts
from fusebill_async.session.effects import Effects
from fusebill_async.testing import Fault, FusebillSimulator

KEY = "MDpub3QtYS1yZWFsLWtleQ"
ONCE = RetryPolicy(max_attempts=1)
LATENCY = 0.1
"""Seconds, more than all bytes of a call and the looks of the timer are late together."""

pytestmark = pytest.mark.fusebill_simulated(seed=3)


@pytest.fixture(autouse=True)
async def customers(fusebill):
    fusebill.add_customer(id=1, status="Active")
    fusebill.add_customer(id=2)


def make(fusebill: FusebillSimulator, **options) -> FusebillClient:
    return FusebillClient(KEY, base_url=fusebill.base_url, **{"retry": ONCE, **options})


@contextmanager
def taking(seconds: float, *, late: float = LATENCY):
    started = asyncio.get_running_loop().time()
    yield
    took = asyncio.get_running_loop().time() - started
    assert seconds <= took <= seconds + late, took


class Chance:
    """Draws what it is told to."""

    def __init__(self, chance: float) -> None:
        self.effects = Effects(random=lambda: chance)


async def test_read_is_the_longest_silence(fusebill):
    fusebill.inject(Fault.hang_before_effect(operation="get", times=None))
    async with make(fusebill, timeouts=Timeouts(read=7.0, total=100.0)) as client:
        with taking(7.0, late=0.5), pytest.raises(RequestTimeoutError, match="silent for 7 s"):
            await client.customers.get(1)


async def test_an_answer_that_comes_slowly_but_steadily_is_no_silence(fusebill):
    fusebill.inject(Fault.slow_body(seconds=3.0, chunk=100, operation="get"))
    started = asyncio.get_running_loop().time()
    async with make(fusebill, timeouts=Timeouts(read=7.0, total=1000.0)) as client:
        assert (await client.customers.get(1)).id == 1
    assert asyncio.get_running_loop().time() - started > 2 * 7.0


async def test_total_holds_for_an_answer_that_comes_steadily(fusebill):
    fusebill.inject(Fault.slow_body(seconds=3.0, chunk=1, operation="get"))
    async with make(fusebill, timeouts=Timeouts(read=7.0, total=20.0)) as client:
        with taking(20.0, late=0.5), pytest.raises(RequestTimeoutError, match="deadline of the call"):
            await client.customers.get(1)


async def test_connect_is_for_a_new_connection(fusebill):
    fusebill.inject(Fault.stall_connect(backlog=True))
    async with make(fusebill, timeouts=Timeouts(connect=4.0, read=60.0, total=100.0)) as client:
        with taking(4.0), pytest.raises(RequestTimeoutError, match=r"Timeouts\(connect=\)") as raised:
            await client.customers.hold(1)
        assert raised.value.outcome is Outcome.NOT_SENT
        fusebill.clear_faults()
        assert (await client.customers.hold(1)).status == "Hold"


async def test_connect_is_that_of_the_handle(fusebill):
    """Also after another handle has connected with its own."""
    async with make(fusebill, timeouts=Timeouts(connect=50.0, total=100.0)) as client:
        await client.customers.get(1)
        fusebill.close_idle_connections()
        await asyncio.sleep(1)
        fusebill.inject(Fault.stall_connect(backlog=True))
        for connect in (3.0, 4.5):
            handle = client.with_options(timeouts=Timeouts(connect=connect, total=100.0))
            with taking(connect), pytest.raises(RequestTimeoutError):
                await handle.customers.get(1)
        with taking(50.0, late=1.0), pytest.raises(RequestTimeoutError):
            await client.customers.get(1)


async def test_total_counts_all_attempts_and_the_pauses_between_them(fusebill):
    """503 at once, a pause of 9 s, and silence for the second that is left."""
    fusebill.inject(Fault.status(503, operation="get"), Fault.hang_before_effect(operation="get", times=None))
    retry = RetryPolicy(max_attempts=5, backoff=12.0, backoff_limit=12.0)
    timeouts = Timeouts(read=60.0, total=10.0)
    async with make(fusebill, timeouts=timeouts, retry=retry, effects=Chance(0.75).effects) as client:
        with taking(10.0, late=0.5), pytest.raises(RequestTimeoutError, match="deadline of the call") as raised:
            await client.customers.get(1)
    assert len(raised.value.attempts) == fusebill.received("get", 1) == 2


async def test_connecting_takes_no_longer_than_what_is_left_of_total(fusebill):
    """Silence for 8 s, and a second attempt that can connect for the 2 s that are left."""
    fusebill.inject(Fault.hang_before_effect(operation="get"))
    retry = RetryPolicy(max_attempts=2, backoff=0.0)
    async with make(fusebill, timeouts=Timeouts(connect=8.0, read=8.0, total=10.0), retry=retry) as client:
        call = asyncio.ensure_future(client.customers.get(1))
        await asyncio.sleep(1)
        fusebill.inject(Fault.stall_connect(backlog=True))
        with taking(9.0, late=0.5), pytest.raises(RequestTimeoutError) as raised:
            await call
    assert [attempt.phase for attempt in raised.value.attempts] == ["sent", "connecting"]


async def test_waiting_in_the_pool_is_queue_and_not_total(fusebill):
    timeouts = Timeouts(connect=2.0, read=60.0, total=5.0, queue=30.0)
    async with make(fusebill, timeouts=timeouts, pool=PoolSettings(connections=1)) as client:
        fusebill.inject(Fault.delay(4.5, operation="get", customer_id=1, times=2))
        one, two = (asyncio.ensure_future(client.customers.get(1)) for _ in range(2))
        await asyncio.sleep(0)
        with taking(9.0, late=0.5):
            assert (await client.customers.get(2)).id == 2
        await asyncio.gather(one, two)
        fusebill.inject(Fault.delay(4.5, operation="get", customer_id=1))
        one = asyncio.ensure_future(client.customers.get(1))
        await asyncio.sleep(0)
        hasty = client.with_options(timeouts=Timeouts(queue=2.0))
        with taking(2.0), pytest.raises(RequestTimeoutError, match="no connection of the pool came free") as raised:
            await hasty.customers.hold(1)
        assert raised.value.outcome is Outcome.NOT_SENT
        await one
    assert fusebill.received("hold", 1) == 0


async def test_waiting_in_the_pool_of_a_users_session_is_no_connecting(fusebill):
    timeouts = Timeouts(connect=2.0, read=60.0, total=100.0, queue=30.0)
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session,
        make(fusebill, timeouts=timeouts, session=session) as client,
    ):
        fusebill.inject(Fault.delay(8.0, operation="get", customer_id=1))
        one = asyncio.ensure_future(client.customers.get(1))
        await asyncio.sleep(0.5)
        with taking(7.5, late=0.5):
            assert (await client.customers.get(2)).id == 2
        await one


async def test_queue_counts_once_for_the_lock_and_the_pool(fusebill):
    timeouts = Timeouts(read=60.0, total=100.0, queue=6.0)
    async with make(fusebill, timeouts=timeouts, pool=PoolSettings(connections=1)) as client:
        fusebill.inject(Fault.delay(4.5, operation="hubspot.unlatch"), Fault.delay(30.0, operation="get"))
        unlatch = asyncio.ensure_future(client.hubspot.unlatch(1))
        await asyncio.sleep(0.1)
        started = asyncio.get_running_loop().time()
        hold = asyncio.ensure_future(client.customers.hold(1))
        # It takes the place of the pool when the unlatch leaves it.
        get = asyncio.ensure_future(client.with_options(timeouts=Timeouts(queue=60.0)).customers.get(2))
        with pytest.raises(RequestTimeoutError, match="no connection of the pool came free"):
            await hold
        assert 6.0 <= asyncio.get_running_loop().time() - started <= 6.1
        await asyncio.gather(unlatch, get)
    assert fusebill.received("hold", 1) == 0


async def test_a_short_limit_is_kept_beside_a_long_one(fusebill):
    """One timer looks after all attempts: it must look more often as soon as one needs that."""
    async with make(fusebill, timeouts=Timeouts(read=60.0, total=100.0)) as client:
        with fusebill.hold_open("get"):
            patient = asyncio.ensure_future(client.customers.get(1))
            await asyncio.sleep(1)
            hasty = client.with_options(timeouts=Timeouts(read=0.1, total=100.0))
            with taking(0.1, late=0.03), pytest.raises(RequestTimeoutError):
                await hasty.customers.get(2)
        await patient


# --- what holds for a client that was told nothing


async def test_usually_a_connection_may_take_10_s(fusebill):
    fusebill.inject(Fault.stall_connect(backlog=True))
    async with make(fusebill) as client:
        with taking(10.0, late=1.0), pytest.raises(RequestTimeoutError):
            await client.customers.get(1)


async def test_usually_the_service_may_be_silent_for_60_s(fusebill):
    fusebill.inject(Fault.hang_before_effect(operation="get"))
    async with make(fusebill) as client:
        with taking(60.0, late=0.5), pytest.raises(RequestTimeoutError, match="silent for 60 s"):
            await client.customers.get(1)


async def test_usually_a_call_may_take_150_s(fusebill):
    fusebill.inject(Fault.slow_body(seconds=30.0, chunk=1, operation="get"))
    async with make(fusebill) as client:
        with taking(150.0, late=0.5), pytest.raises(RequestTimeoutError, match="deadline of the call"):
            await client.customers.get(1)


async def test_usually_a_call_waits_30_s_for_its_turn(fusebill):
    async with make(fusebill, pool=PoolSettings(connections=1)) as client:
        with fusebill.hold_open("get"):
            first = asyncio.ensure_future(client.customers.get(1))
            await asyncio.sleep(1)
            with taking(30.0), pytest.raises(RequestTimeoutError, match="no connection of the pool"):
                await client.customers.get(2)
        await first


async def test_queue_may_be_without_end(fusebill):
    timeouts = Timeouts(read=3600.0, total=7200.0, queue=None)
    async with make(fusebill, timeouts=timeouts, pool=PoolSettings(connections=1)) as client:
        fusebill.inject(Fault.delay(1800.0, operation="get", customer_id=1))
        first = asyncio.ensure_future(client.customers.get(1))
        await asyncio.sleep(0)
        with taking(1800.0, late=1.0):
            assert (await client.customers.get(2)).id == 2
        await first
