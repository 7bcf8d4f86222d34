"""The life of a client: opened by its first call, in one event loop, and closed once."""

import asyncio
import sqlite3
from contextlib import closing

import aiohttp
import pytest

from fusebill_async import ClientStateError, FusebillClient, Outcome, PoolSettings, RetryPolicy, Timeouts
from fusebill_async.stores import SQLiteStore
from fusebill_async.testing import Fault, FusebillSimulator

KEY = "MDpub3QtYS1yZWFsLWtleQ"


async def test_closed_client(fusebill: FusebillSimulator):
    client = FusebillClient(KEY, base_url=fusebill.base_url)
    await client.aclose()
    await client.aclose()
    with pytest.raises(ClientStateError, match="closed"):
        await client.customers.get(1)
    with pytest.raises(ClientStateError, match="closed"):
        await client.customers.hold(1)
    with pytest.raises(ClientStateError, match="closed"):
        async with client:
            pytest.fail("it was opened again")
    assert not fusebill.requests


def test_client_of_another_loop():
    client = FusebillClient(KEY, base_url="http://127.0.0.1:9/v1", retry=RetryPolicy(max_attempts=1))

    async def use() -> None:
        await client.__aenter__()

    async def use_elsewhere() -> None:
        with pytest.raises(ClientStateError, match="another event loop"):
            await client.customers.get(1)

    async def use_and_keep_open() -> asyncio.AbstractEventLoop:
        await use()
        return asyncio.get_running_loop()

    first = asyncio.new_event_loop()
    try:
        first.run_until_complete(use_and_keep_open())
        asyncio.run(use_elsewhere())
        first.run_until_complete(client.aclose())
    finally:
        first.close()


async def closing_while_a_hold_is_under_way(fusebill: FusebillSimulator):
    fusebill.add_customer(id=1, status="Active")
    fusebill.add_customer(id=2, status="Active")
    client = FusebillClient(KEY, base_url=fusebill.base_url)
    fusebill.inject(Fault.delay(5.0, operation="hold"))
    hold = asyncio.ensure_future(client.customers.hold(1))
    while not fusebill.received("hold", 1):  # noqa: ASYNC110 (what the service saw is looked at, not awaited)
        await asyncio.sleep(0.01)
    closing = asyncio.ensure_future(client.aclose())
    await asyncio.sleep(1)
    assert not closing.done()
    return client, hold, closing


@pytest.mark.fusebill_simulated
async def test_no_call_begins_while_it_closes(fusebill: FusebillSimulator):
    client, hold, closing = await closing_while_a_hold_is_under_way(fusebill)
    for call in (client.customers.get(2), client.customers.hold(2), client.request("GET", "/customers/2")):
        with pytest.raises(ClientStateError) as raised:
            await call
        assert raised.value.outcome is Outcome.NOT_SENT
    assert (await hold).status == "Hold"
    await closing
    assert {request.path for request in fusebill.requests} == {"/v1/CustomerHold/1"}


@pytest.mark.fusebill_simulated
async def test_calls_that_wait_end_as_not_sent_when_it_closes(fusebill: FusebillSimulator):
    for number in (1, 2, 3):
        fusebill.add_customer(id=number, status="Active")
    pool, timeouts = PoolSettings(connections=1), Timeouts(queue=None)
    client = FusebillClient(KEY, base_url=fusebill.base_url, timeouts=timeouts, pool=pool)
    fusebill.inject(Fault.delay(5.0, operation="hold"))
    hold = asyncio.ensure_future(client.customers.hold(1))
    await asyncio.sleep(1)
    bulk = client.with_options(priority="bulk")
    waiting = [
        asyncio.ensure_future(call) for call in (client.customers.get(2), bulk.customers.get(2), bulk.customers.hold(3))
    ]
    await asyncio.sleep(1)
    assert not any(call.done() for call in waiting)
    closing = asyncio.ensure_future(client.aclose())
    for call in waiting:
        with pytest.raises(ClientStateError) as raised:
            await call
        assert raised.value.outcome is Outcome.NOT_SENT
        assert not hold.done()  # they are told at once, and not when the last write has ended
    await closing
    assert (await hold).status == "Hold"
    assert {request.path for request in fusebill.requests} == {"/v1/CustomerHold/1"}


@pytest.mark.fusebill_simulated
async def test_closing_twice_at_once_closes_once(fusebill: FusebillSimulator):
    client, hold, closing = await closing_while_a_hold_is_under_way(fusebill)
    await asyncio.gather(closing, client.aclose())
    assert (await hold).status == "Hold"
    with pytest.raises(ClientStateError, match="closed"):
        await client.customers.get(1)


async def test_a_pool_that_fails_to_close_leaves_the_store_closed(fusebill, tmp_path, monkeypatch):
    fusebill.add_customer(id=1)
    path = tmp_path / "store.sqlite"
    client = FusebillClient(KEY, base_url=fusebill.base_url, store=SQLiteStore(path))
    await client.geotab.unlatch(1)
    close = aiohttp.TCPConnector.close

    async def close_and_fail(connector, **options):
        await close(connector, **options)
        raise OSError("no way to close it")

    with monkeypatch.context() as broken:
        broken.setattr(aiohttp.TCPConnector, "close", close_and_fail)
        with pytest.raises(OSError, match="no way"):
            await client.aclose()
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute("SELECT count(*) FROM owners").fetchone() == (0,)
