"""What stands around the service: replicas that are behind, clocks that are apart, proxies that send twice."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest

from fusebill_async.testing import ClockSkew, Fault, FusebillSimulator, SimulatorQuota
from tests.simulator.plain_wire import ask

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Hand:
    """A clock that stands still until it is turned."""

    def __init__(self):
        self.time = NOON

    def __call__(self):
        return self.time

    def turn(self, seconds):
        self.time += timedelta(seconds=seconds)


@pytest.fixture
def hand():
    return Hand()


@pytest.fixture
async def turned(hand):
    async with FusebillSimulator(clock=hand) as simulator:
        yield simulator


async def test_a_read_that_lags_shows_what_was(turned, hand):
    turned.add_customer(id=1, company_name="First")
    turned.inject(Fault.lagging_read(5, times=None))
    for at, name in ((0, "Second"), (3, "Third")):
        hand.turn(at)
        turned.change(1, company_name=name)
    seen = []
    for seconds in (0, 2, 3, 2):
        hand.turn(seconds)
        seen.append((await ask(turned, "GET", "/v1/customers/1")).json["companyName"])
    assert seen == ["First", "Second", "Third", "Third"]


async def test_lists_and_overviews_lag_too_and_writes_do_not(turned, hand):
    turned.add_customer(id=1, reference="here")
    turned.inject(Fault.lagging_read(5, times=None))
    made = await ask(turned, "POST", "/v1/customers", {"reference": "new"})
    held = await ask(turned, "POST", "/v1/CustomerHold/1")
    assert (made.status, held.json["status"]) == (200, "Hold")

    async def seen():
        listed = await ask(turned, "GET", "/v1/customers?query=reference:new")
        read = await ask(turned, "GET", f"/v1/customers/{made.json['id']}")
        overview = await ask(turned, "GET", "/v1/customers/1/Overview")
        return len(listed.json), read.status, overview.json["status"]

    assert await seen() == (0, 404, "Active")
    hand.turn(5)
    assert await seen() == (1, 200, "Hold")
    assert turned.effects("hold", 1) == 1


@pytest.mark.parametrize(("answer", "status"), [("first", 200), ("second", 400)])
async def test_a_proxy_sends_a_request_twice(fusebill, answer, status):
    fusebill.add_customer(id=1)
    fusebill.add_customer(id=2)
    fusebill.inject(Fault.doubled_request(operation="hold", answer=answer))
    fusebill.inject(Fault.doubled_request(operation="unlatch", answer=answer))
    assert (await ask(fusebill, "POST", "/v1/CustomerHold/1")).status == status
    assert (await ask(fusebill, "POST", "/v1/HubSpot/UnlatchCustomer/2")).status == 200
    await fusebill.wait_for_late_effects()
    # The state refuses a second hold; nothing refuses a second unlatch.
    assert (fusebill.effects("hold", 1), fusebill.effects("unlatch", 2)) == (1, 2)
    assert fusebill.late_effects == 0


async def test_clocks_that_are_apart(hand):
    skew = ClockSkew(date=-3.0, database=7.0, limiter=70.0)
    quota = SimulatorQuota(per_minute=10, per_day=100)
    async with FusebillSimulator(clock=hand, clock_skew=skew, quota=quota) as simulator:
        simulator.add_customer(id=1)
        hand.turn(0.25)
        held = await ask(simulator, "POST", "/v1/CustomerHold/1")
        assert held.json["modifiedTimestamp"].startswith("2026-01-01T12:00:07.250000")
        assert parsedate_to_datetime(held.header("date")) == NOON - timedelta(seconds=3)
        assert held.header("x-rate-limit-reset-minute") == "2026-01-01T12:02:00Z"
        hand.turn(50)
        read = await ask(simulator, "GET", "/v1/customers/1")
        assert parsedate_to_datetime(read.header("date")) == NOON + timedelta(seconds=47)
        assert (read.header("x-rate-limit-reset-minute"), read.header("x-rate-limit-remaining-minute")) == (
            "2026-01-01T12:03:00Z", "9",
        )  # fmt: skip


async def test_an_answer_without_a_date(hand):
    async with FusebillSimulator(clock=hand, clock_skew=ClockSkew(date=None)) as simulator:
        simulator.add_customer(id=1)
        simulator.inject(Fault.status(503, quota_headers="without"))
        refused, read = [await ask(simulator, "GET", "/v1/customers/1") for _ in range(2)]
        assert [answer.header("date") for answer in (refused, read)] == [None, None]
        assert read.header("x-rate-limit-remaining-minute")
        assert refused.header("x-rate-limit-remaining-minute") is None


async def test_a_copy_comes_although_the_client_has_gone(fusebill):
    fusebill.add_customer(id=1)
    fusebill.inject(Fault.doubled_request(operation="unlatch", answer="first", after=0.05))
    await ask(fusebill, "POST", "/v1/HubSpot/UnlatchCustomer/1")
    await asyncio.sleep(0)
    assert fusebill.late_effects == 1
    await fusebill.wait_for_late_effects()
    assert fusebill.effects("unlatch", 1) == 2
