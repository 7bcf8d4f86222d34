"""Fixed windows, the six headers, refusals."""

from datetime import UTC, datetime, timedelta

import pytest

from fusebill_async.testing import FusebillSimulator, SimulatorQuota
from tests.simulator.plain_wire import ask


class Clock:
    def __init__(self):
        self.now = datetime(2024, 5, 6, 7, 8, 30, tzinfo=UTC)

    def __call__(self):
        return self.now


@pytest.mark.parametrize(
    ("written", "minute", "day"),
    [
        ("iso", "2024-05-06T07:09:00Z", "2024-05-07T00:00:00Z"),
        ("rfc1123", "Mon, 06 May 2024 07:09:00 GMT", "Tue, 07 May 2024 00:00:00 GMT"),
        ("epoch", "1714979340", "1715040000"),
    ],
)
async def test_headers(written, minute, day):
    quota = SimulatorQuota(reset_format=written)
    async with FusebillSimulator(customers=1, quota=quota, clock=Clock()) as fusebill:
        await ask(fusebill, "GET", "/v1/customers/1")
        answer = await ask(fusebill, "GET", "/v1/nothing")
    assert answer.header("Date") == "Mon, 06 May 2024 07:08:30 GMT"
    assert answer.header("X-Rate-Limit-Limit-Minute") == "1000"
    assert answer.header("X-Rate-Limit-Remaining-Minute") == "998"
    assert answer.header("X-Rate-Limit-Reset-Minute") == minute
    assert answer.header("X-Rate-Limit-Limit-Day") == "180000"
    assert answer.header("X-Rate-Limit-Remaining-Day") == "179998"
    assert answer.header("X-Rate-Limit-Reset-Day") == day


async def test_a_full_minute_refuses_until_it_ends():
    clock, quota = Clock(), SimulatorQuota(per_minute=2, per_day=100)
    async with FusebillSimulator(customers=1, quota=quota, clock=clock) as fusebill:
        statuses = [(await ask(fusebill, "POST", "/v1/CustomerHold/1")).status for _ in range(2)]
        refused = await ask(fusebill, "GET", "/v1/customers/1")
        assert statuses == [200, 400]
        assert (refused.status, refused.text) == (429, "The limit of requests per minute has been reached.")
        assert refused.header("X-Rate-Limit-Remaining-Minute") == "0"
        clock.now += timedelta(seconds=30)
        assert (await ask(fusebill, "GET", "/v1/customers/1")).status == 200
    assert (quota.refusals, len(quota.refused_requests)) == (1, 1)
    minutes = [window for window in quota.windows if window.name == "minute"]
    assert [(window.used, window.refused, window.utilisation) for window in minutes] == [
        (2, 1, 1.0),
        (1, 0, 0.5),
    ]
    assert [window.used for window in quota.windows if window.name == "day"] == [3]


async def test_a_full_day_refuses():
    async with FusebillSimulator(customers=1, quota=SimulatorQuota(per_minute=100, per_day=1)) as fusebill:
        await ask(fusebill, "GET", "/v1/customers/1")
        refused = await ask(fusebill, "GET", "/v1/customers/1")
        assert (refused.status, refused.text) == (429, "The limit of requests per day has been reached.")


async def test_a_refused_request_has_no_effect_and_counting_alone_refuses_nothing():
    quota = SimulatorQuota(per_minute=0)
    async with FusebillSimulator(customers=1, quota=quota) as fusebill:
        assert (await ask(fusebill, "POST", "/v1/CustomerHold/1")).status == 429
        assert (fusebill.effects("hold"), fusebill.received("hold", 1)) == (0, 1)
        quota.enforce = False
        assert (await ask(fusebill, "POST", "/v1/CustomerHold/1")).status == 200


async def test_short_windows_and_accounts():
    quota = SimulatorQuota(per_minute=5, minute_seconds=0.5)
    quota.take(100.2)
    assert quota.resets_in("minute", 100.2) == pytest.approx(0.3)
    quota.take(100.6)
    assert [window.used for window in quota.windows if window.name == "minute"] == [1, 1]
    assert b"X-Rate-Limit-Reset-Minute: 1970-01-01T00:01:40.500000Z" in quota.header_lines(100.2)
    assert (SimulatorQuota.sandbox().per_minute, SimulatorQuota.test_drive().per_day) == (50, 500)
