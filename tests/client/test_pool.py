"""What `PoolSettings` and the client's own pool do."""

import asyncio

import pytest

from fusebill_async import FusebillClient, PoolSettings, QuotaPolicy
from fusebill_async.testing import Fault, FusebillSimulator

KEY = "MDpub3QtYS1yZWFsLWtleQ"

pytestmark = pytest.mark.fusebill_simulated(seed=2)


@pytest.fixture(autouse=True)
async def customers(fusebill):
    for number in range(1, 11):
        fusebill.add_customer(id=number, status="Active")


async def connections_of_two_reads(fusebill, pause, **options):
    async with FusebillClient(KEY, base_url=fusebill.base_url, **options) as client:
        await client.customers.get(1)
        await asyncio.sleep(pause)
        await client.customers.get(1)
    return len({request.connection for request in fusebill.requests})


@pytest.mark.parametrize(("keepalive", "pause", "connections"), [(5.0, 4.0, 1), (5.0, 8.0, 2), (60.0, 50.0, 1)])
async def test_an_idle_connection_is_kept_for_keepalive(fusebill: FusebillSimulator, keepalive, pause, connections):
    assert await connections_of_two_reads(fusebill, pause, pool=PoolSettings(keepalive=keepalive)) == connections


@pytest.mark.parametrize(("pause", "connections"), [(10.0, 1), (20.0, 2)])
async def test_which_is_fifteen_seconds(fusebill: FusebillSimulator, pause, connections):
    assert await connections_of_two_reads(fusebill, pause) == connections


@pytest.mark.parametrize("connections", [1, 3])
async def test_no_more_calls_at_once_than_connections(fusebill: FusebillSimulator, connections):
    async with FusebillClient(KEY, base_url=fusebill.base_url, pool=PoolSettings(connections=connections)) as client:
        with fusebill.hold_open("get"):
            calls = [asyncio.ensure_future(client.customers.get(number)) for number in range(1, 11)]
            await asyncio.sleep(1)
            assert fusebill.held_open == connections
        await asyncio.gather(*calls)
    assert len({request.connection for request in fusebill.requests}) == connections


async def test_which_are_usually_a_hundred(fusebill: FusebillSimulator):
    async with FusebillClient(KEY, base_url=fusebill.base_url, quota=QuotaPolicy.off()) as client:
        with fusebill.hold_open("get"):
            calls = [asyncio.ensure_future(client.customers.get(1)) for _ in range(101)]
            await asyncio.sleep(5)
            assert fusebill.held_open == 100
        await asyncio.gather(*calls)


async def test_it_takes_no_cookies(fusebill: FusebillSimulator):
    """A cookie of one answer would tie later calls to one server, or to somebody's session."""
    cookie = {"Set-Cookie": "who=me; Path=/"}
    fusebill.inject(Fault.status(200, body=fusebill.customer_bytes(1), headers=cookie, operation="get"))
    base_url = fusebill.base_url.replace("127.0.0.1", "localhost")
    async with FusebillClient(KEY, base_url=base_url) as client:
        await client.customers.get(1)
        await client.customers.get(1)
        await client.customers.hold(1)
    assert [request.headers.get("Cookie") for request in fusebill.requests] == [None] * 3
