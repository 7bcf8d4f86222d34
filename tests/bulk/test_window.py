"""A job sends at the hours that it was given, and waits outside of them."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from fusebill_async import ConfigurationError, FusebillClient
from fusebill_async.bulk import read_standing
from fusebill_async.bulk.window import Window
from fusebill_async.testing import FusebillSimulator, SimulatorQuota, run_simulated
from tests.bulk.worlds import LONG_AGO

NIGHT = Window.of("22:00-06:00", "Europe/Berlin")


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def told(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, UTC).isoformat()[:16]


@pytest.mark.parametrize(
    ("now", "is_open", "turns"),
    [
        ("2026-01-10T12:00", False, "2026-01-10T21:00"),
        ("2026-01-10T20:59:59", False, "2026-01-10T21:00"),
        ("2026-01-10T21:00", True, "2026-01-11T05:00"),
        ("2026-01-11T04:59:59", True, "2026-01-11T05:00"),
        ("2026-01-11T05:00", False, "2026-01-11T21:00"),
        # In summer the same hours come an hour earlier by UTC.
        ("2026-07-10T12:00", False, "2026-07-10T20:00"),
        # The nights in which the clock is set forward, and back.
        ("2026-03-28T22:00", True, "2026-03-29T04:00"),
        ("2026-10-24T21:00", True, "2026-10-25T05:00"),
    ],
)
def test_hours_of_a_zone(now, is_open, turns):
    assert NIGHT.holds(at(now)) is is_open
    assert told(NIGHT.turns_at(at(now))) == turns


@pytest.mark.parametrize(
    ("hours", "now", "turns"),
    [
        # 02:00 to 03:00 does not come: it opens when the clock has jumped, or the day after.
        ("02:30-04:00", "2026-03-29T00:30", "2026-03-29T01:00"),
        ("02:10-02:40", "2026-03-29T00:30", "2026-03-30T00:10"),
        # 02:00 to 03:00 comes twice: it is open twice.
        ("01:00-02:30", "2026-10-24T23:30", "2026-10-25T00:30"),
        ("01:00-02:30", "2026-10-25T00:30", "2026-10-25T01:00"),
        ("01:00-02:30", "2026-10-25T01:00", "2026-10-25T01:30"),
    ],
)
def test_hours_that_do_not_come_or_come_twice(hours, now, turns):
    assert told(Window.of(hours, "Europe/Berlin").turns_at(at(now))) == turns


def test_without_a_zone_it_is_the_clock_of_the_machine(monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert Window.of("09:00-17:00").holds(at("2026-01-10T14:00"))
        assert not Window.of("09:00-17:00").holds(at("2026-01-10T13:59"))
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    "given", [("22-06",), ("22:00-22:00",), ("24:00-06:00",), (7,), ("22:00-06:00", "Berlin"), ("",)]
)
def test_what_is_no_window(client, journal, given):
    with pytest.raises(ConfigurationError, match=r"window=|tz="):
        client.bulk.hold([1], journal=journal, window=given[0], tz=given[1] if len(given) > 1 else None)
    with pytest.raises(ConfigurationError, match="give both"):
        client.bulk.hold([1], journal=journal, tz="Europe/Berlin")


def test_a_job_sends_in_its_window_alone(journal):
    """At a call a second it has sent for ten minutes when its window closes; its calls wait in line for the quota."""
    begins = datetime(2026, 10, 24, 22, 0, tzinfo=UTC)  # midnight in Berlin

    async def main():
        async with FusebillSimulator(quota=SimulatorQuota(per_minute=60, per_day=100_000), latency=0.05) as fusebill:
            for each in range(1, 901):
                fusebill.add_customer(id=each, status="Active", modifiedTimestamp=LONG_AGO)
            async with FusebillClient("key", base_url=fusebill.base_url) as client:
                job = client.bulk.hold(
                    range(1, 901), journal=journal, window="00:30-00:10", tz="Europe/Berlin", snapshot=False
                )
                running = asyncio.create_task(job.run())
                await asyncio.sleep(900)
                held = read_standing(journal)
                report = await running
            assert (report.applied, report.stopped) == (900, "")
            return [effect.at - begins.timestamp() for effect in fusebill.effects_log], held

    times, held = run_simulated(main, start=begins)
    assert len(times) == 900
    assert held.held_for == "its window 00:30-00:10 Europe/Berlin is closed"
    assert held.held_until == begins + timedelta(minutes=30)
    before = [each for each in times if each < 1200]
    assert len(before) > 500
    assert max(before) < 600.2  # what was under way when the window closed
    assert 1800 <= min(each for each in times if each > 1200) < 1810


def test_the_quota_of_a_day_and_the_window_are_one_mechanism(journal):
    """The day's quota opens at 02:00, the window at 03:00: it goes on at 03:00."""
    begins = datetime(2026, 1, 1, tzinfo=UTC)

    async def main():
        quota = SimulatorQuota(per_minute=1000, per_day=50, day_seconds=7200)
        async with FusebillSimulator(quota=quota) as fusebill:
            for each in range(1, 81):
                fusebill.add_customer(id=each, status="Active", modifiedTimestamp=LONG_AGO)
            async with FusebillClient("key", base_url=fusebill.base_url) as client:
                job = client.bulk.hold(range(1, 81), journal=journal, window="03:00-01:00", tz="UTC")
                running = asyncio.create_task(job.run())
                await asyncio.sleep(1800)
                by_quota = read_standing(journal)
                await asyncio.sleep(5400)
                by_window = read_standing(journal)
                assert (await running).applied == 80
            return by_quota, by_window, [effect.at - begins.timestamp() for effect in fusebill.effects_log]

    by_quota, by_window, times = run_simulated(main, start=begins)
    assert (by_quota.held_for, by_quota.held_until) == ("the quota is used up", begins + timedelta(hours=2))
    assert (by_window.held_for, by_window.held_until) == (
        "its window 03:00-01:00 UTC is closed",
        begins + timedelta(hours=3),
    )
    assert not [each for each in times if 600 < each < 3 * 3600]
    assert max(times) < 3 * 3600 + 60
