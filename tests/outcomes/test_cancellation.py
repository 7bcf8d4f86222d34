"""A caller is cancelled at every tick of the event loop: nothing leaks, and what is told as not sent was not sent.

Each test puts a call into one state and cancels it after 0, 1, 2 ... ticks, until the call is over sooner than that,
and begins anew, until it has cancelled its share of the 10,000.
"""

# ruff: noqa: ASYNC110  # what the service saw is looked at, not awaited

import asyncio
import gc
import warnings
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, nullcontext

import pytest

from fusebill_async import (
    FusebillError,
    Hooks,
    Outcome,
    PoolSettings,
    QuotaPolicy,
    RetryPolicy,
    SettlingPolicy,
    Timeouts,
    UnresolvedWritesWarning,
)
from fusebill_async.stores import MemoryStore
from fusebill_async.testing import Fault
from tests.outcomes.outcome_cases import VERBS, keep_connections, make_client

TOTAL = 10_000
TICKS = 60
NAMES = ("hold", "activate", "unlatch", "update")


class Heard(Hooks):
    """Remembers about whom an attempt was heard of that had been sent."""

    def __init__(self):
        self.sent = set()

    def attempt_ended(self, attempt):
        if attempt.phase is not None and not attempt.phase.nothing_sent and attempt.operation != "customers.get":
            self.sent.add(attempt.customer_id)


def _plain(fusebill, verb, number):
    return nullcontext()


def _in_flight(fusebill, verb, number):
    return fusebill.hold_open(verb.title)


def _settling(fusebill, verb, number):
    fusebill.inject(Fault.reset_after_effect(operation=verb.title, customer_id=number))
    return nullcontext()


def _settling_a_miss(fusebill, verb, number):
    fusebill.inject(Fault.reset_before_effect(operation=verb.title, customer_id=number))
    return nullcontext()


def _paused_by_the_quota(fusebill, verb, number):
    fusebill.inject(Fault.status(429, operation=verb.title, customer_id=number, retry_after=0.001))
    return nullcontext()


@contextmanager
def _backoff(fusebill, verb, number):
    fusebill.close_idle_connections()
    fusebill.inject(Fault.refuse())
    yield
    fusebill.clear_faults()


STATES = {
    "from start to end": (_plain, {}),
    "on a fresh connection": (_plain, {"pool": PoolSettings(fresh_connections="writes")}),
    "in flight": (_in_flight, {}),
    "settling": (_settling, {}),
    "settling a miss": (_settling_a_miss, {}),
    "between two attempts": (_backoff, {}),
    "waiting for the quota": (_paused_by_the_quota, {}),
}
OVER_SOCKETS = ("on a fresh connection", "in flight", "settling", "between two attempts")
"""States in which the event loop's own connecting, writing and reading is cancelled."""
# Two more states, in tests of their own: waiting for the customer's lock, and for a place in the pool.
VIRTUAL = pytest.mark.fusebill_simulated(seed=1)
SHARE = TOTAL // (len(STATES) + 2) + 1


@asynccontextmanager
async def quiet_client(fusebill, **options):
    """A client, and the proof that it leaves nothing behind."""
    heard, store = Heard(), MemoryStore()
    tasks = asyncio.all_tasks()
    settings = {
        "quota": QuotaPolicy.off(),
        "retry": RetryPolicy(backoff=0.002, budget_ratio=1.0, budget_minimum=100_000),
        "settling": SettlingPolicy(first_read=0.0, quiet_period=0.002, retry_delay=0.001, wait=5.0, close_wait=5.0),
        "timeouts": Timeouts(connect=1.0, read=2.0, total=20.0, queue=None),
    }
    client = make_client(fusebill, store=store, hooks=[heard], **{**settings, **options})
    async with client:
        client.heard = heard
        yield client
        await settled(client)
        admission = client._core.session.admission
        assert len(store.locks) == 0
        assert not client.unresolved()
        assert client.quota.waiting == dict.fromkeys(client.quota.waiting, 0)
        assert admission._places == options.get("pool", PoolSettings()).connections
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == tasks
    async with asyncio.timeout(2):
        while fusebill.open_connections:
            await asyncio.sleep(0.001)


async def settled(client):
    async with asyncio.timeout(10):
        while client.unresolved() or client._core.writing.writer._open_writes.under_way:
            await asyncio.sleep(0)


async def cancel_after(client, fusebill, verb, number, ticks):
    """Cancel a call after so many ticks. True if it was not over before."""
    task = asyncio.ensure_future(verb.call(client.with_response, number))
    for _ in range(ticks):
        await asyncio.sleep(0)
        if task.done():
            break
    if not task.cancel():
        error = task.exception()
        assert error is None or error.outcome in {Outcome.NOT_SENT, Outcome.NOT_APPLIED}
        return False
    before = asyncio.get_running_loop().time()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.get_running_loop().time() - before < 1.0
    at_risk = any(write.customer_id == number for write in client.unresolved())
    # Nothing says that it was sent: neither the list of open writes, nor an attempt that has ended.
    if not at_risk and number not in client.heard.sent:
        client.not_sent.append(number)
    return True


def check_effects(client, fusebill, verb, numbers):
    for number in client.not_sent:
        assert fusebill.received(verb.title, number) == 0
        assert fusebill.effects(verb.title, number) == 0
    for number in numbers:
        assert fusebill.effects(verb.title, number) <= 1


@pytest.mark.parametrize(
    ("state", "share"),
    [
        *(pytest.param(state, SHARE, id=state, marks=VIRTUAL) for state in STATES),
        *(pytest.param(state, 1, id=f"{state}, once over sockets") for state in OVER_SOCKETS),
    ],
)
async def test_cancelled_at_every_tick(fusebill, state, share):
    asyncio.get_running_loop().set_debug(False)
    enter, options = STATES[state]
    done = number = 0
    while done < share:
        for name in NAMES:
            verb = VERBS[name]
            first = number
            async with quiet_client(fusebill, **options) as client:
                client.not_sent = []
                await keep_connections(client, fusebill.add_customer(id=1_000_000))
                for ticks in range(TICKS):
                    number += 1
                    fusebill.add_customer(id=number, status=verb.status)
                    with enter(fusebill, verb, number):
                        alive = await cancel_after(client, fusebill, verb, number, ticks)
                    done += alive
                    if not alive:
                        break
                await settled(client)
                check_effects(client, fusebill, verb, range(first + 1, number + 1))
                assert client.not_sent, "the first ticks come before the first byte"
            fusebill.clear_faults()
            fusebill.clear_records()


@VIRTUAL
@pytest.mark.parametrize("waits_for", ["the customer's lock", "the pool"])
async def test_cancelled_at_every_tick_while_it_waits_for(fusebill, waits_for):
    asyncio.get_running_loop().set_debug(False)
    done = number = 0
    verb = VERBS["unlatch"]
    pool = PoolSettings(connections=1 if waits_for == "the pool" else 10)
    while done < SHARE:
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(quiet_client(fusebill, pool=pool))
            client.not_sent = []
            fusebill.add_customer(id=2_000_000, status="Active")
            for ticks in range(TICKS):
                number += 1
                fusebill.add_customer(id=number, status=verb.status)
                busy = number if waits_for == "the customer's lock" else 2_000_000
                with fusebill.hold_open("customers.update" if busy == number else "get"):
                    holder = asyncio.ensure_future(client.customers.update(busy, company_name=f"Holder {number}"))
                    while not fusebill.held_open:
                        await asyncio.sleep(0)
                    alive = await cancel_after(client, fusebill, verb, number, ticks)
                    assert alive
                await holder
                done += alive
            await settled(client)
            check_effects(client, fusebill, verb, range(1, number + 1))
            # It was dropped while it waited: none of them was ever sent.
            assert fusebill.received(verb.title) == 0
        fusebill.clear_records()


# --- what goes on without its caller


async def under_way(fusebill, operation, number=1):
    while not (fusebill.received(operation, number) or fusebill.held_open):
        await asyncio.sleep(0)


async def test_a_write_under_way_is_finished_and_settled_without_its_caller(fusebill):
    fusebill.add_customer(id=1, status="Draft")
    fusebill.inject(Fault.reset_after_effect(operation="activate"))
    async with quiet_client(fusebill) as client:
        with fusebill.hold_open("activate"):
            task = asyncio.ensure_future(client.customers.activate(1, True, True, False))
            await under_way(fusebill, "activate")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            [write] = client.unresolved()
            assert (write.operation, write.customer_id, write.state) == ("customers.activate", 1, "in flight")
        resolution = await client.resolve(write)
        assert resolution.outcome is Outcome.APPLIED
    assert fusebill.effects("activate", 1) == 1


async def test_abort_drops_the_connection_and_leaves_it_unknown(fusebill):
    fusebill.add_customer(id=1, status="Draft")
    async with quiet_client(fusebill) as client:
        with fusebill.hold_open("activate"):
            handle = client.with_options(on_cancel="abort")
            task = asyncio.ensure_future(handle.customers.activate(1, True, True, False))
            await under_way(fusebill, "activate")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.sleep(0.01)
            [write] = client.unresolved()
            assert write.state == "unknown"
        resolution = await client.resolve(write)
        assert resolution.outcome is (Outcome.APPLIED if fusebill.effects("activate", 1) else Outcome.NOT_APPLIED)


async def test_closing_waits_for_what_is_under_way(fusebill):
    fusebill.add_customer(id=1, status="Draft")
    fusebill.inject(Fault.delay(0.2, operation="activate"))
    client = make_client(fusebill)
    task = asyncio.ensure_future(client.customers.activate(1, True, True, False))
    await under_way(fusebill, "activate")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        await client.aclose()
    assert (await task).customer.status == "Active"


async def test_closing_waits_no_longer_than_it_may_and_names_what_is_open(fusebill):
    fusebill.add_customer(id=7, status="Draft")
    fusebill.inject(Fault.hang_after_effect(operation="activate"))
    settling = SettlingPolicy(close_wait=0.1)
    client = make_client(fusebill, settling=settling, timeouts=Timeouts(read=60))
    task = asyncio.ensure_future(client.customers.activate(7, True, True, False))
    await under_way(fusebill, "activate", 7)
    started = asyncio.get_running_loop().time()
    with pytest.warns(UnresolvedWritesWarning, match=r"customers\.activate of customer 7"):
        await client.aclose()
    assert asyncio.get_running_loop().time() - started < 1.0
    with pytest.raises(FusebillError) as raised:
        await task
    assert raised.value.outcome is Outcome.UNKNOWN


async def test_a_queued_write_is_never_sent_by_closing(fusebill):
    fusebill.add_customer(id=1, status="Active")
    fusebill.add_customer(id=2, status="Active")
    client = make_client(fusebill, pool=PoolSettings(connections=1))
    with fusebill.hold_open("get"):
        reading = asyncio.ensure_future(client.customers.get(2))
        while not fusebill.held_open:
            await asyncio.sleep(0)
        queued = asyncio.ensure_future(client.customers.hold(1))
        await asyncio.sleep(0.01)
        closing = asyncio.ensure_future(client.aclose())
        with pytest.raises(FusebillError) as raised:
            await queued
        assert raised.value.outcome is Outcome.NOT_SENT
    await asyncio.gather(reading, closing, return_exceptions=True)
    await asyncio.sleep(0.05)
    assert fusebill.received("hold", 1) == 0


@pytest.mark.parametrize("ticks", range(1, 6))
@pytest.mark.parametrize("store", ["quick", "slow"])
async def test_closing_that_is_cancelled_closes_every_connection(fusebill, ticks, store, monkeypatch):
    client = make_client(fusebill)
    await keep_connections(client, fusebill.add_customer(id=1))
    if store == "slow":
        # As where others share the quota, and are told that one leaves.
        monkeypatch.setattr(client._core.session.admission, "aclose", lambda: asyncio.sleep(30))
    closing = asyncio.ensure_future(client.aclose())
    for _ in range(ticks):
        await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait({closing})
    async with asyncio.timeout(2):
        while fusebill.open_connections:
            await asyncio.sleep(0.001)
    del client
    gc.collect()
