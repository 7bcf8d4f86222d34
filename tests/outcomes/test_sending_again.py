"""A write that was settled as not applied is sent again, as long as anything of the call is left, and no longer."""

import pytest

from fusebill_async import (
    BadRequestError,
    FusebillClient,
    FusebillError,
    Hooks,
    NotAppliedError,
    Outcome,
    OutcomeUnknownError,
    PoolSettings,
    RateLimitError,
    RetryPolicy,
    SettlingPolicy,
    Timeouts,
)
from fusebill_async.testing import Fault, FusebillSimulator, run_simulated
from tests.outcomes.outcome_cases import VERBS, make_client


def settling(**options):
    usual = {"first_read": 0.001, "quiet_period": 0.02, "retry_delay": 0.01, "wait": 20.0, "close_wait": 5.0}
    return SettlingPolicy(**{**usual, **options})


@pytest.mark.parametrize("attempts", [1, 2, 4])
async def test_attempts(fusebill, attempts):
    fusebill.add_customer(id=1, status="Active")
    fusebill.inject(Fault.reset_before_effect(operation="hold", times=None))
    retry = RetryPolicy(max_attempts=attempts, backoff=0.001)
    async with make_client(fusebill, settling=settling(), retry=retry) as client:
        with pytest.raises(NotAppliedError) as raised:
            await client.customers.hold(1)
    assert fusebill.received("hold", 1) == len(raised.value.attempts) == attempts


async def test_the_budget(fusebill):
    retry = RetryPolicy(backoff=0.001, budget_ratio=0.0, budget_minimum=3)
    fusebill.inject(Fault.reset_before_effect(operation="hold", times=None))
    async with make_client(fusebill, settling=settling(), retry=retry) as client:
        for number in range(1, 6):
            fusebill.add_customer(id=number, status="Active")
            with pytest.raises(NotAppliedError):
                await client.customers.hold(number)
    # Each may have two attempts more; the budget holds three for all of them.
    assert [fusebill.received("hold", number) for number in range(1, 6)] == [3, 2, 1, 1, 1]


async def test_the_deadline(fusebill):
    fusebill.add_customer(id=1, status="Active")
    fusebill.inject(Fault.hang_before_effect(operation="hold", times=None))
    deadline = Timeouts(read=5.0, total=1.0)
    async with make_client(fusebill, settling=settling(), timeouts=deadline) as client:
        with pytest.raises(NotAppliedError) as raised:
            await client.customers.hold(1)
    assert fusebill.received("hold", 1) == len(raised.value.attempts) == 1


async def test_one_read_decides_on_a_refusal_after_a_lost_attempt(fusebill):
    """What the service has just refused for the state that a customer is in has no effect that is still to come."""
    fusebill.add_customer(id=1, status="Active")
    fusebill.inject(Fault.reset_before_effect(operation="hold"), Fault.status(400, operation="hold"))
    async with make_client(fusebill, settling=settling()) as client:
        with pytest.raises(BadRequestError) as raised:
            await client.customers.hold(1)
    assert raised.value.outcome is Outcome.REJECTED
    assert (fusebill.received("get", 1), fusebill.effects("hold", 1)) == (2 + 1, 0)


@pytest.mark.parametrize("name", ["hold", "activate"])
async def test_a_refusal_after_a_lost_attempt_is_not_believed_as_long_as_nobody_can_read(fusebill, name):
    fusebill.add_customer(id=1, status={"hold": "Active", "activate": "Draft"}[name])
    fusebill.inject(
        Fault.reset_before_effect(operation=name),
        # The effect of the first attempt has come after all.
        Fault.status(400, operation=name, effect="before"),
        Fault.status(200, body=fusebill.customer_bytes(1), operation="get", times=2),
        Fault.status(503, operation="get", times=None),
    )
    async with make_client(fusebill, settling=settling(give_up=0.2)) as client:
        with pytest.raises(OutcomeUnknownError, match="every read failed"):
            await (
                client.customers.hold(1)
                if name == "hold"
                else client.customers.activate(1, True, True, False, resend=True)
            )
        [write] = client.unresolved()
        assert write.state == "unknown"
        fusebill.clear_faults()
        assert (await client.resolve(write)).outcome is Outcome.APPLIED
    assert fusebill.effects(name, 1) == 1


class NobodyListens(Hooks):
    """Takes the service away as soon as the first attempt has been settled."""

    def __init__(self, fusebill):
        self._fusebill = fusebill

    def settling_ended(self, settling):
        self._fusebill.inject(Fault.refuse())


@pytest.mark.parametrize("name", ["hold", "unlatch", "update"])
async def test_what_was_sent_once_is_not_told_as_never_sent(fusebill, name):
    """The second attempt found nobody; the first one did not happen, and that rests on reading."""
    verb = VERBS[name]
    fusebill.add_customer(id=1, status=verb.status)
    fusebill.inject(Fault.reset_before_effect(operation=verb.title))
    pool, hooks = PoolSettings(fresh_connections="writes"), [NobodyListens(fusebill)]
    async with make_client(fusebill, settling=settling(), pool=pool, hooks=hooks) as client:
        with pytest.raises(FusebillError) as raised:
            await verb.call(client.with_response, 1)
        fusebill.clear_faults()
    assert raised.value.outcome is Outcome.NOT_APPLIED
    assert (fusebill.received(verb.title, 1), fusebill.effects(verb.title, 1)) == (1, 0)


async def test_a_refusal_for_the_quota_is_no_answer_to_what_became_of_the_first_attempt(fusebill):
    """It could not wait for the next window; what is known of the first attempt is known from reading."""
    fusebill.add_customer(id=1, status="Active")
    fusebill.inject(
        Fault.reset_before_effect(operation="hold"),
        Fault.status(429, operation="hold", retry_after=30, quota_headers="without"),
    )
    async with make_client(fusebill, settling=settling(), timeouts=Timeouts(queue=0.05)) as client:
        with pytest.raises(RateLimitError) as raised:
            await client.customers.hold(1)
    assert raised.value.outcome is Outcome.NOT_APPLIED
    assert fusebill.received("hold", 1) == fusebill.received("get", 1) == 2


def test_the_time_of_a_further_attempt_is_not_taken_from_the_time_for_settling():
    async def main():
        async with FusebillSimulator() as fusebill:
            fusebill.add_customer(id=1, status="Active", modifiedTimestamp="2020-01-01T00:00:00.1234567Z")
            fusebill.inject(Fault.reset_before_effect(operation="hold"))
            fusebill.inject(Fault.hang_after_effect(operation="hold"))
            settling = SettlingPolicy(quiet_period=10.0, wait=20.0)
            timeouts = Timeouts(read=40.0)
            async with FusebillClient(
                "key", base_url=fusebill.base_url, settling=settling, timeouts=timeouts
            ) as client:
                # Settled for 10 s, sent again, silent for 40 s, and settled by one read.
                answer = await client.with_response.customers.hold(1)
                assert answer.confirmed_by == "read"
            assert fusebill.effects("hold", 1) == 1

    run_simulated(main)
