"""What the guide on outcomes says of the time that a lost activation takes, with the settings as they come."""

from __future__ import annotations

import asyncio

import pytest

from fusebill_async import FusebillClient, NotAppliedError, Outcome, OutcomeUnknownError, SettlingPolicy
from fusebill_async.testing import Fault, FusebillSimulator

pytestmark = pytest.mark.fusebill_simulated(seed=7)


@pytest.fixture
def service(fusebill_simulator: FusebillSimulator) -> FusebillSimulator:
    fusebill_simulator.add_customer(id=1, status="Draft")
    return fusebill_simulator


async def test_one_that_did_not_happen_is_unknown_after_30_s_and_resolved_in_a_minute(service: FusebillSimulator):
    service.inject(Fault.reset_before_effect(operation="activate"))
    now = asyncio.get_running_loop().time
    async with FusebillClient("key", base_url=service.base_url) as client:
        began = now()
        with pytest.raises(OutcomeUnknownError) as raised:
            await client.customers.activate(1, True, True, False)
        assert 30 <= now() - began < 31
        settled = await client.resolve(raised.value)
        assert 60 <= now() - began < 62
    assert settled.outcome == Outcome.NOT_APPLIED
    service.assert_effects("activate", 1, 0)


async def test_a_caller_that_waits_90_s_is_told(service: FusebillSimulator):
    service.inject(Fault.reset_before_effect(operation="activate"))
    async with FusebillClient("key", base_url=service.base_url, settling=SettlingPolicy(wait=90)) as client:
        with pytest.raises(NotAppliedError):
            await client.customers.activate(1, True, True, False)
    service.assert_effects("activate", 1, 0)


async def test_one_that_happened_is_told_within_a_second(service: FusebillSimulator):
    service.inject(Fault.reset_after_effect(operation="activate"))
    now = asyncio.get_running_loop().time
    async with FusebillClient("key", base_url=service.base_url) as client:
        began = now()
        answer = await client.with_response.customers.activate(1, True, True, False)
        assert now() - began < 1
    assert answer.confirmed_by == "read"
    service.assert_effects("activate", 1, 1)
