"""Settling by one probe at a time: neither an odd end of one nor a customer whom nobody can read holds up others."""

# ruff: noqa: ASYNC110  # what the service saw is looked at, not awaited

from __future__ import annotations

import asyncio

import pytest

from fusebill_async import ConfirmedBy, FusebillClient, OutcomeUnknownError, SettlingPolicy
from fusebill_async.testing import Fault
from tests.conftest import KEY

pytestmark = [
    pytest.mark.fusebill_simulated(seed=5),
    pytest.mark.filterwarnings("ignore::fusebill_async.UnresolvedWritesWarning"),
]


@pytest.fixture(autouse=True)
async def customers(fusebill):
    fusebill.add_customer(id=1, status="Draft")
    fusebill.add_customer(id=2, status="Active")
    fusebill.add_customer(id=3, status="Active")


async def first_read_of(fusebill, customer_id):
    while not fusebill.received("get", customer_id):
        await asyncio.sleep(0.01)


async def test_a_probe_that_is_dropped_lets_the_next_one_through(fusebill):
    """The caller of a write whose probe hangs gives up on it altogether."""
    fusebill.inject(
        Fault.reset_after_effect(operation="activate"), Fault.hang_before_effect(operation="get", customer_id=1)
    )
    async with FusebillClient(KEY, base_url=fusebill.base_url, on_cancel="abort") as client:
        dropped = asyncio.ensure_future(client.customers.activate(1, True, True, False))
        await first_read_of(fusebill, 1)
        dropped.cancel()
        await asyncio.gather(dropped, return_exceptions=True)
        fusebill.inject(Fault.reset_after_effect(operation="hold"))
        async with asyncio.timeout(5):
            response = await client.with_response.customers.hold(2)
        assert response.confirmed_by is ConfirmedBy.READ
        assert [write.customer_id for write in client.unresolved()] == [1]
        await client.resolve_all()
    assert (fusebill.effects("activate", 1), fusebill.effects("hold", 2)) == (1, 1)


async def test_probes_that_fail_become_ever_more_seldom(fusebill):
    fusebill.inject(
        Fault.reset_after_effect(operation="hold", times=None), Fault.status(503, operation="get", times=None)
    )
    settling = SettlingPolicy(retry_delay=1.0, growth=3.0, retry_limit=100.0, give_up=200.0, wait=300.0)
    async with FusebillClient(KEY, base_url=fusebill.base_url, settling=settling) as client:
        ended = await asyncio.gather(client.customers.hold(2), client.customers.hold(3), return_exceptions=True)
        assert [type(one) for one in ended] == [OutcomeUnknownError] * 2
        # At 0, 1, 4, 13, 40 and 121 s for one of them; both share the probes.
        assert 5 <= fusebill.received("get", 2) + fusebill.received("get", 3) <= 8
        fusebill.clear_faults()
        await client.resolve_all()
        assert client.unresolved() == []


async def test_a_customer_that_cannot_be_read_does_not_hold_up_the_others(fusebill):
    fusebill.inject(
        Fault.reset_after_effect(operation="hold", times=None),
        Fault.status(500, operation="get", customer_id=2, times=None),
    )
    settling = SettlingPolicy(retry_delay=20.0, wait=100.0)
    async with FusebillClient(KEY, base_url=fusebill.base_url, settling=settling) as client:
        blind = asyncio.ensure_future(client.customers.hold(2))
        await first_read_of(fusebill, 2)
        await asyncio.sleep(1)
        async with asyncio.timeout(2):
            assert (await client.with_response.customers.hold(3)).confirmed_by is ConfirmedBy.READ
        fusebill.clear_faults()
        assert (await blind).status == "Hold"
    assert (fusebill.effects("hold", 2), fusebill.effects("hold", 3)) == (1, 1)
