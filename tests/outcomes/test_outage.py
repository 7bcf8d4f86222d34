"""A total outage: the client does not multiply the load, asks once at a time, and settles all when it is over."""

# ruff: noqa: ASYNC110  # what the service saw is looked at, not awaited

import asyncio

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
)
from fusebill_async.testing import Fault
from tests.outcomes.outcome_cases import make_client

CALLS = 400
SILENCE = 0.1

OUTAGES = {
    "503": Fault.status(503, times=None),
    "reset": Fault.reset_before_effect(times=None),
    "closed": Fault.close_before_effect(times=None),
    "html": Fault.html(code=502, effect="none", times=None),
    "hangs": Fault.hang_before_effect(times=None),
}


class FirstSettling(Hooks):
    """Notes when the client began to read."""

    at = float("inf")

    def settling_begun(self, settling):
        self.at = min(self.at, asyncio.get_running_loop().time())


@pytest.mark.parametrize("name", OUTAGES)
async def test_hundreds_of_calls_in_an_outage(fusebill, name):
    asyncio.get_running_loop().set_debug(False)
    for number in range(1, CALLS + 1):
        fusebill.add_customer(id=number, status="Active")
    began = FirstSettling()
    client = make_client(
        fusebill,
        hooks=[began],
        pool=PoolSettings(connections=200),
        quota=QuotaPolicy.off(),
        timeouts=Timeouts(connect=20.0, read=SILENCE, total=60.0, queue=None),
        retry=RetryPolicy(backoff=0.001),
        settling=SettlingPolicy(
            first_read=0.005,
            quiet_period=0.05,
            retry_delay=0.005,
            retry_limit=0.02,
            wait=0.3,
            give_up=600,
            close_wait=60,
        ),
    )
    async with client:
        # Every read hangs for as long as the client waits for it, and the pauses between them are short: one at a time
        # cannot exceed a number of them that two at a time would nearly double.
        fusebill.inject(Fault.hang_before_effect(operation="get", times=None), OUTAGES[name])
        ended = await asyncio.gather(
            *(client.customers.hold(number) for number in range(1, CALLS + 1)), return_exceptions=True
        )
        assert {error.outcome for error in ended if isinstance(error, FusebillError)} == {Outcome.UNKNOWN}
        assert len(client.unresolved()) == CALLS
        assert fusebill.received("hold") <= 1.10 * CALLS

        await asyncio.sleep(10 * SILENCE)
        # Counted, not timed: on a stalled machine the service sees a probe late, and the next one soon after it.
        probes = fusebill.received("get")
        possible = (asyncio.get_running_loop().time() - began.at) / SILENCE + 1
        assert 2 < probes <= possible, "more than one probe at a time"

        fusebill.clear_faults()
        async with asyncio.timeout(30):
            while client.unresolved():
                await asyncio.sleep(0.05)
        assert fusebill.received("hold") <= 1.10 * CALLS
        for number in range(1, CALLS + 1):
            assert fusebill.effects("hold", number) <= 1


async def test_nobody_listens_and_the_budget_holds_the_attempts_down(fusebill):
    asyncio.get_running_loop().set_debug(False)
    fusebill.inject(Fault.refuse())
    async with make_client(fusebill, retry=RetryPolicy(backoff=0.001), quota=QuotaPolicy.off()) as client:
        ended = await asyncio.gather(
            *(client.customers.hold(number) for number in range(1, CALLS + 1)), return_exceptions=True
        )
        assert {error.outcome for error in ended} == {Outcome.NOT_SENT}
        assert sum(len(error.attempts) for error in ended) <= 1.10 * CALLS
        assert not client.unresolved()
    fusebill.clear_faults()


async def test_a_steady_share_of_lost_answers_is_no_outage(fusebill):
    """One customer whose reads fail for good holds up nobody else."""
    asyncio.get_running_loop().set_debug(False)
    fusebill.add_customer(id=1, status="Active")
    fusebill.inject(
        Fault.reset_after_effect(operation="hold", times=None),
        Fault.status(500, operation="get", customer_id=1, times=None),
    )
    settling = SettlingPolicy(first_read=0.005, quiet_period=0.05, retry_delay=0.3, wait=5.0, give_up=30, close_wait=0)
    client = make_client(fusebill, settling=settling)
    blind = asyncio.ensure_future(client.customers.hold(1))
    for number in range(2, 202):
        fusebill.add_customer(id=number, status="Active")
    async with asyncio.timeout(4):
        responses = await asyncio.gather(*(client.with_response.customers.hold(number) for number in range(2, 202)))
    assert {response.confirmed_by for response in responses} == {"read"}
    blind.cancel()
    with pytest.warns(RuntimeWarning, match="customer 1"):
        await client.aclose()
