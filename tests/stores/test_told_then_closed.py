"""An intent is closed after its caller was told: callers told and intents found open are together all effects."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from fusebill_async import FusebillClient, FusebillError, OutcomeUnknownError, SettlingPolicy
from fusebill_async.testing import Fault, FusebillSimulator

IMPATIENT = SettlingPolicy(first_read=0.01, give_up=0.1, quiet_period=0.1, wait=0.2)


@pytest.mark.parametrize("wrapped", [False, True])
async def test_a_kill_among_many_answers_leaves_no_effect_that_nobody_knows_of(place, child, make_store, wrapped):
    count = 120
    async with FusebillSimulator() as fusebill:
        with fusebill.hold_open("create"):
            process = await child("create", place, base_url=fusebill.base_url, count=count, wrapped=wrapped)
            async with asyncio.timeout(30):
                while fusebill.held_open < count:  # noqa: ASYNC110 (nobody tells of it)
                    await asyncio.sleep(0.01)
        told = asyncio.create_task(process.rest())
        async with FusebillClient("key", base_url=fusebill.base_url, store=make_store(place)) as client:
            while not told.done() and len(client.unresolved()) > count // 2:  # noqa: ASYNC110 (another process)
                await asyncio.sleep(0.001)
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            numbers = {int(line.split()[1]) for line in await told}
            found = {int(write.reference.partition("-")[2]) for write in client.unresolved()}
        assert fusebill.effects("create") == count
        assert numbers | found == set(range(count))


@pytest.fixture
async def fusebill():
    async with FusebillSimulator() as simulator:
        simulator.add_customer(id=1, status="Active")
        yield simulator


@pytest.fixture
async def order(request, fusebill, place, make_store, quick):
    """A client, and the order in which its callers were told and its intents were closed."""
    store = make_store(place)
    happened = []
    close = store.ledger.close

    def closed(intent, *ended):
        happened.append("closed")
        close(intent, *ended)

    store.ledger.close = closed
    settling = getattr(request, "param", quick)
    async with FusebillClient("key", base_url=fusebill.base_url, store=store, settling=settling) as client:
        yield client, happened


async def until_closed(happened):
    async with asyncio.timeout(2):
        while "closed" not in happened:  # noqa: ASYNC110 (nobody tells of it)
            await asyncio.sleep(0)


def awaited(call):
    return call


def with_wait_for(call):
    return asyncio.wait_for(call, 5.0)


def with_gather(call):
    return asyncio.gather(call)


def twice_wrapped(call):
    return asyncio.wait_for(asyncio.shield(call), 5.0)


@pytest.mark.parametrize("wrapper", [awaited, with_wait_for, with_gather, twice_wrapped])
@pytest.mark.parametrize("end", ["answered", "lost", "refused"])
async def test_the_caller_comes_first(fusebill, order, wrapper, end):
    client, happened = order
    if end == "lost":
        fusebill.inject(Fault.reset_after_effect(operation="hold", times=1))
    elif end == "refused":
        fusebill.change(1, status="Draft")
    with contextlib.suppress(FusebillError):
        await wrapper(client.customers.hold(1))
    happened.append("told")
    # It is not listed any more in this process, whatever stands in the store.
    assert client.unresolved() == []
    await until_closed(happened)
    assert happened == ["told", "closed"]


@pytest.mark.parametrize("order", [IMPATIENT], ids=["impatient"], indirect=True)
async def test_whoever_resolves_comes_first(fusebill, order):
    client, happened = order
    fusebill.inject(Fault.reset_after_effect(operation="hold", times=1))
    fusebill.inject(Fault.status(503, operation="get", times=None))
    with pytest.raises(OutcomeUnknownError) as unknown:
        await client.customers.hold(1)
    fusebill.clear_faults()
    async with asyncio.timeout(5):
        while client.unresolved()[0].state != "unknown":  # noqa: ASYNC110 (nobody tells of it)
            await asyncio.sleep(0.01)
    assert happened == []
    await client.resolve(unknown.value)
    happened.append("told")
    assert client.unresolved() == []
    await until_closed(happened)
    assert happened == ["told", "closed"]


async def test_a_write_whose_caller_is_gone_is_closed_all_the_same(fusebill, order):
    client, happened = order
    with fusebill.hold_open("hold"):
        call = asyncio.create_task(client.customers.hold(1))
        async with asyncio.timeout(5):
            while not fusebill.held_open:  # noqa: ASYNC110 (nobody tells of it)
                await asyncio.sleep(0.005)
        call.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await call
    await until_closed(happened)
    assert happened == ["closed"]
    assert client.unresolved() == []


async def test_closing_the_client_right_away_leaves_nothing_open(fusebill, place, make_store):
    async with FusebillClient("key", base_url=fusebill.base_url, store=make_store(place)) as client:
        await client.customers.hold(1)
    async with FusebillClient("key", base_url=fusebill.base_url, store=make_store(place)) as client:
        assert client.unresolved() == []
