"""What a settling read proves, and what it does not."""

# ruff: noqa: ASYNC110  # what the service saw is looked at, not awaited

import asyncio
import json
import time
import warnings
from datetime import UTC, datetime, timedelta

import pytest

from fusebill_async import Hooks, NotAppliedError, Outcome, OutcomeUnknownError, PoolSettings, SettlingPolicy
from fusebill_async.session.effects import Effects
from fusebill_async.settings import Priority
from fusebill_async.testing import Fault, FusebillSimulator
from tests.outcomes.outcome_cases import make_client

HASTY = {"first_read": 0.001, "quiet_period": 0.02, "retry_delay": 0.01, "wait": 20.0, "close_wait": 5.0}


def settling(**options):
    return SettlingPolicy(**{**HASTY, **options})


@pytest.mark.parametrize("keys", [("hubSpotId",), ("hubSpotCompanyId",), ("hubSpotId", "hubSpotCompanyId")], ids=str)
async def test_a_read_that_does_not_show_what_was_changed_proves_nothing(fusebill, keys):
    fusebill.add_customer(id=1, status="Active")
    assert set(keys) < fusebill.customer(1).keys()
    shown = {key: value for key, value in fusebill.customer(1).items() if key not in keys}
    body = json.dumps(shown, default=str)
    async with make_client(fusebill, settling=settling()) as client:
        fusebill.inject(
            Fault.reset_before_effect(operation="hubspot.unlatch"),
            Fault.status(200, body=body, operation="get", times=None),
        )
        with pytest.raises(OutcomeUnknownError, match="no read can tell"):
            await client.hubspot.unlatch(1)
        fusebill.clear_faults()
        assert (await client.resolve(client.unresolved()[0])).outcome is Outcome.NOT_APPLIED
    assert fusebill.received("hubspot.unlatch", 1) == 1


async def test_a_404_that_is_not_the_services_own_says_nothing_about_the_customer(fusebill):
    """A gateway in between has lost its way for a while, longer than a quiet period."""
    fusebill.add_customer(id=1, status="Active")
    fusebill.inject(
        Fault.reset_after_effect(operation="hold"),
        Fault.status(404, body="<html>No such page</html>", operation="get", times=3),
    )
    async with make_client(fusebill, settling=settling(quiet_period=0.001)) as client:
        response = await client.with_response.customers.hold(1)
    assert response.confirmed_by == "read"
    assert fusebill.effects("hold", 1) == fusebill.received("hold", 1) == 1


@pytest.mark.parametrize("misses", [2, 5])
async def test_so_many_reads_must_miss_also_without_a_quiet_period(fusebill, misses):
    fusebill.add_customer(id=1, status="Draft")
    fusebill.inject(Fault.reset_before_effect(operation="activate"))
    async with make_client(fusebill, settling=settling(quiet_period=0.0, misses=misses)) as client:
        with pytest.raises(NotAppliedError):
            await client.customers.activate(1, True, True, False)
    assert fusebill.received("get", 1) == misses


async def test_an_outage_that_comes_after_good_days_is_probed_by_one_read_at_a_time(fusebill):
    for number in range(1, 12):
        fusebill.add_customer(id=number, status="Active")
    fusebill.inject(Fault.reset_after_effect(operation="hold", times=None))
    async with make_client(fusebill, settling=settling()) as client:
        await client.customers.hold(1)
        await asyncio.sleep(2 * HASTY["retry_delay"])
        with fusebill.hold_open("get"):
            holds = [asyncio.ensure_future(client.customers.hold(number)) for number in range(2, 12)]
            while len(client.unresolved()) < 10 or not fusebill.held_open:
                await asyncio.sleep(0)
            await asyncio.sleep(0.05)
            assert fusebill.held_open == 1
        await asyncio.gather(*holds)
    assert [fusebill.effects("hold", number) for number in range(1, 12)] == [1] * 11


class Listening(Hooks):
    """Counts how often settling has begun."""

    def __init__(self):
        self.settlings = 0

    def settling_begun(self, settling):
        self.settlings += 1


class Later(Hooks):
    """Moves the clocks of both sides ahead when a write has been settled; an effect comes in between."""

    def __init__(self):
        self.ahead = 0.0
        self.effect = None

    def now(self):
        return time.monotonic() + self.ahead

    def service_now(self):
        return datetime.now(UTC) + timedelta(seconds=self.ahead)

    def settling_ended(self, settling):
        if self.effect is not None:
            self.ahead += 5.0
            self.effect()
            self.ahead += 5.0
            self.effect = None


async def test_an_effect_of_the_first_attempt_that_came_before_the_second_was_refused_is_unproven():
    """It is older than the latest attempt, and still not "already so": times are compared with the first."""
    later = Later()
    async with FusebillSimulator(clock=later.service_now) as fusebill:
        fusebill.add_customer(id=1, status="Active")
        fusebill.inject(Fault.reset_before_effect(operation="hold"))
        effects = Effects(now=later.now)
        async with make_client(fusebill, settling=settling(), effects=effects, hooks=[later]) as client:
            await client.customers.get(1)
            later.effect = lambda: fusebill.change(1, status="Hold")
            response = await client.with_response.customers.hold(1)
        assert fusebill.received("hold", 1) == 2
    assert (response.confirmed_by, response.attribution) == ("read", "unproven")


async def test_it_goes_before_every_call_that_waits(fusebill):
    fusebill.add_customer(id=1, status="Active")
    fusebill.add_customer(id=2)
    fusebill.inject(Fault.reset_after_effect(operation="hold"))
    async with make_client(fusebill, settling=settling(), pool=PoolSettings(connections=1)) as client:
        hold = asyncio.ensure_future(client.customers.hold(1))
        while not fusebill.received("hold", 1):
            await asyncio.sleep(0)
        with fusebill.hold_open("get"):
            others = [asyncio.ensure_future(client.customers.get(2)) for _ in range(8)]
            while client.quota.waiting[Priority.SETTLING] == 0 and fusebill.received("get", 1) == 0:
                await asyncio.sleep(0)
        await asyncio.gather(hold, *others)
    # At most the one that had the place already came before it.
    read = [request.path.rsplit("/", 1)[-1] for request in fusebill.requests if request.method == "GET"]
    assert read.index("1") <= 1
    assert len(read) == 9


async def test_closing_lets_it_through(fusebill):
    fusebill.add_customer(id=1, status="Draft")
    fusebill.inject(Fault.reset_after_effect(operation="activate"))
    listening = Listening()
    client = make_client(fusebill, settling=settling(first_read=0.02), hooks=[listening])
    activate = asyncio.ensure_future(client.customers.activate(1, True, True, False))
    while not listening.settlings:
        await asyncio.sleep(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        await client.aclose()
    assert (await activate).customer.status == "Active"


@pytest.mark.parametrize(
    "fault", [Fault.reset_before_effect(operation="hold"), Fault.empty(operation="hold")], ids=repr
)
async def test_what_was_so_when_it_was_last_seen_is_not_taken_for_ours(fusebill, fault):
    """It was put on hold within the second before the send, so the times cannot tell; what was seen before can."""
    fusebill.add_customer(id=1, status="Active")
    fusebill.change(1, status="Hold")
    fusebill.inject(fault)
    async with make_client(fusebill, settling=settling()) as client:
        await client.customers.get(1)
        response = await client.with_response.customers.hold(1)
    assert (response.confirmed_by, response.attribution) == ("read", "already")


@pytest.mark.parametrize(
    ("reads", "words"), [(0, "every read failed"), (1, "one read showed no effect, and afterwards every read failed")]
)
async def test_why_reading_has_told_nothing(fusebill, reads, words):
    fusebill.add_customer(id=1, status="Active")
    seen = Fault.status(200, body=fusebill.customer_bytes(1), operation="get", times=reads)
    fusebill.inject(
        Fault.reset_before_effect(operation="hold"),
        *([seen] if reads else []),
        Fault.status(503, operation="get", times=None),
    )
    async with make_client(fusebill, settling=settling(quiet_period=0.1, give_up=0.3)) as client:
        with pytest.raises(OutcomeUnknownError, match=words) as raised:
            await client.customers.hold(1)
        assert (raised.value.reading is not None) == bool(reads)
        assert "every read failed, the last one with: 503" in str(raised.value)
        fusebill.clear_faults()
        await client.resolve_all()
