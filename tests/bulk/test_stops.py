"""What stops a job, what it waits for, and how it goes on."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from fusebill_async import FusebillClient, Outcome, PoolSettings, QuotaPolicy, SettlingPolicy, Timeouts
from fusebill_async.bulk import Tally, read_items, read_report
from fusebill_async.bulk.carrying import LocalCarrier
from fusebill_async.bulk.items import Item
from fusebill_async.bulk.pool import Feed
from fusebill_async.testing import Fault, FusebillSimulator, SimulatorQuota, run_simulated
from tests.bulk.conftest import held
from tests.bulk.worlds import LONG_AGO


async def test_a_refused_key_stops_it_at_once_and_costs_no_item(fusebill, client, journal, customers):
    fusebill.inject(Fault.status(401, operation="hold", times=None))
    report = await client.bulk.hold(range(1, 1001), journal=journal, concurrency=4).run()
    assert "refuses the API key" in report.stopped
    assert report.unprocessed == 1000
    assert fusebill.received("hold") <= 8
    fusebill.clear_faults()
    report = await client.bulk.resume(journal).run()
    assert (report.applied, report.rejected, report.stopped) == (10, 990, "")


@pytest.mark.parametrize(
    ("limit", "why", "most"),
    [({"max_failures": 5}, "max_failures=5", 20), ({"max_failure_percent": 50}, "max_failure_percent=50", 130)],
)
async def test_too_many_failures(fusebill, client, journal, limit, why, most):
    report = await client.bulk.hold(range(1, 1001), journal=journal, concurrency=8, **limit).run()
    assert why in report.stopped
    assert 5 < report.rejected <= most
    assert report.items == 1000


async def test_what_was_rejected_is_tried_again_by_its_message(fusebill, client, journal, customers):
    fusebill.change(1, status="Cancelled")
    await client.bulk.hold([*customers, 404], journal=journal).run()
    assert read_report(journal).rejected == 2
    fusebill.change(1, status="Active")
    fusebill.add_customer(id=404, status="Active")
    report = await client.bulk.resume(journal, retry="rejected", message="ancel").run()
    assert (report.applied, report.rejected, report.runs) == (10, 1, 2)
    report = await client.bulk.resume(journal, retry="rejected").run()
    assert (report.applied, report.rejected) == (11, 0)
    assert {item.attempts for item in read_items(journal) if item.customer_id in {1, 404}} == {2}


def test_a_day_that_is_used_up_stops_it_if_that_is_asked_for(journal):
    async def main():
        quota = SimulatorQuota(per_minute=1000, per_day=50, day_seconds=7200)
        async with FusebillSimulator(quota=quota) as fusebill:
            for each in range(1, 101):
                fusebill.add_customer(id=each, status="Active", modifiedTimestamp=LONG_AGO)
            async with FusebillClient("key", base_url=fusebill.base_url) as client:
                report = await client.bulk.hold(range(1, 101), journal=journal, on_day_end="stop").run()
                assert "used up until" in report.stopped
                assert 40 <= report.applied <= 50
                assert report.applied + report.unprocessed == 100
                report = await client.bulk.resume(journal).run()
                assert report.applied == 100
                assert report.stopped == ""

    run_simulated(main)


def test_a_service_that_is_away_is_waited_for(journal):
    async def main():
        async with FusebillSimulator() as fusebill:
            for each in range(1, 21):
                fusebill.add_customer(id=each, status="Active", modifiedTimestamp=LONG_AGO)
            fusebill.inject(Fault.refuse(seconds=300.0))
            async with FusebillClient("key", base_url=fusebill.base_url, quota=QuotaPolicy.off()) as client:
                report = await client.bulk.hold(range(1, 21), journal=journal).run()
                assert report.applied == 20

    run_simulated(main)


def test_a_service_that_stays_away_stops_it(journal):
    async def main():
        async with FusebillClient("key", base_url="http://127.0.0.1:9/v1", quota=QuotaPolicy.off()) as client:
            report = await client.bulk.hold(range(1, 21), journal=journal, patience=60).run()
            assert "out of reach for 60 s" in report.stopped
            assert report.unprocessed == 20

    run_simulated(main)


async def test_cancelled_once_it_sees_what_is_under_way_to_its_end(fusebill, client, journal, customers):
    with fusebill.hold_open("hold"):
        task = asyncio.create_task(client.bulk.hold(customers, journal=journal, concurrency=4).run())
        await held(fusebill, 4)
        task.cancel()
        await asyncio.sleep(0.1)
        assert not task.done()
    with pytest.raises(asyncio.CancelledError):
        await task
    report = read_report(journal)
    assert (report.applied, report.unprocessed, report.stopped) == (4, 6, "it was cancelled")
    assert fusebill.effects("hold") == 4


def test_cancelled_once_it_waits_for_no_quota(journal):
    async def main():
        async with FusebillSimulator(quota=SimulatorQuota(per_minute=10, per_day=10_000)) as fusebill:
            for each in range(1, 51):
                fusebill.add_customer(id=each, status="Active", modifiedTimestamp=LONG_AGO)
            async with FusebillClient("key", base_url=fusebill.base_url) as client:
                task = asyncio.create_task(client.bulk.hold(range(1, 51), journal=journal, concurrency=16).run())
                await asyncio.sleep(70)
                stopped_at = asyncio.get_running_loop().time()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                # Sixteen calls would wait for a minute and a half.
                assert asyncio.get_running_loop().time() - stopped_at < 2
                report = read_report(journal)
                assert 5 < report.applied == fusebill.effects("hold") < 25
                assert (report.unknown, report.unprocessed) == (0, 50 - report.applied)
                assert (await client.bulk.resume(journal).run()).applied == 50
                assert all(fusebill.effects("hold", each) == 1 for each in range(1, 51))

    run_simulated(main)


async def test_cancelled_while_customers_are_read_ahead(fusebill, journal, customers):
    async with FusebillClient("key", base_url=fusebill.base_url, quota=QuotaPolicy.off()) as client:
        with fusebill.hold_open("list"):
            task = asyncio.create_task(client.bulk.hold(customers, journal=journal).run())
            await held(fusebill, 1)
            task.cancel()
            # The read itself would wait for its answer for longer.
            await asyncio.wait([task], timeout=Timeouts().read / 4)
            assert task.cancelled()
    assert read_report(journal).unprocessed == 10


async def test_cancelled_twice_it_leaves_them_unknown_and_they_are_settled_later(fusebill, client, journal, customers):
    with fusebill.hold_open("hold"):
        task = asyncio.create_task(client.bulk.hold(customers, journal=journal, concurrency=4).run())
        await held(fusebill, 4)
        task.cancel()
        await asyncio.sleep(0.1)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait_for(task, 2)
        assert read_report(journal).unknown == 4
    report = await client.bulk.resume(journal).run()
    assert (report.applied, report.unknown) == (10, 0)
    assert fusebill.effects("hold") == 10


async def test_stop_ends_it_after_what_is_under_way(fusebill, client, journal, customers):
    job = client.bulk.hold(customers, journal=journal, concurrency=4)
    with fusebill.hold_open("hold"):
        task = asyncio.create_task(job.run())
        await held(fusebill, 4)
        job.stop()
    report = await task
    assert (report.applied, report.unprocessed, report.stopped) == (4, 6, "it was stopped")


UNSETTLED = SettlingPolicy(first_read=0.01, give_up=0.2, retry_delay=0.02, quiet_period=0.05)


async def unknown_job(fusebill, journal, deed="hold"):
    """Leave customer 1 unknown: its answer is lost, and nothing can be read."""
    fusebill.inject(Fault.reset_after_effect(operation=deed, customer_id=1))
    fusebill.inject(Fault.status(503, operation="get", customer_id=1, times=None))
    async with FusebillClient(
        "key", base_url=fusebill.base_url, quota=QuotaPolicy.off(), settling=UNSETTLED, timeouts=Timeouts(read=1.0)
    ) as client:
        report = await getattr(client.bulk, deed)([1, 2], journal=journal).run()
    fusebill.clear_faults()
    return report


async def test_an_item_that_stays_unknown_is_told_with_its_reason(fusebill, client, journal, customers):
    report = await unknown_job(fusebill, journal)
    assert (report.applied, report.unknown) == (1, 1)
    first = next(item for item in read_items(journal))
    assert first.tally is Tally.UNKNOWN
    assert "503" in first.message


async def test_only_reading_settles_what_is_unknown_and_sends_nothing(fusebill, client, journal, customers):
    await unknown_job(fusebill, journal)
    fusebill.clear_records()
    report = await client.bulk.resume(journal, retry="unknown").run()
    assert (report.applied, report.unknown) == (2, 0)
    assert fusebill.received("hold") == 0


async def test_only_reading_sends_nothing_even_for_what_did_not_happen(fusebill, client, journal, customers):
    await unknown_job(fusebill, journal)
    fusebill.change(1, status="Active", modifiedTimestamp=LONG_AGO)
    fusebill.clear_records()
    report = await client.bulk.resume(journal, retry="unknown").run()
    assert fusebill.received("hold") == 0
    assert report.unknown + report.not_applied + report.unprocessed == 1


async def test_what_was_settled_as_not_applied_before_a_kill_is_made_again(fusebill, client, journal, customers):
    """It is open again, and not told as not applied: nobody has decided anything about it."""

    class KilledError(BaseException):
        pass

    fusebill.inject(Fault.reset_before_effect(operation="hold", customer_id=1))
    fusebill.inject(Fault.status(503, operation="get", customer_id=1, times=None))
    async with FusebillClient(
        "key", base_url=fusebill.base_url, quota=QuotaPolicy.off(), settling=UNSETTLED, timeouts=Timeouts(read=1.0)
    ) as first:
        assert (await first.bulk.hold([1], journal=journal).run()).unknown == 1
    fusebill.clear_faults()
    send = LocalCarrier._send

    async def die(*_):
        raise KilledError

    LocalCarrier._send = die
    try:
        with pytest.raises(KilledError):
            await client.bulk.resume(journal).run()
    finally:
        LocalCarrier._send = send
    assert read_report(journal).unprocessed == 1
    assert (await client.bulk.resume(journal).run()).applied == 1
    assert fusebill.effects("hold", 1) == 1


async def test_an_item_that_is_made_again_is_not_read_a_second_time(fusebill, client, journal, customers):
    """While it is settled, and before its new intent, it looks as if nothing had been done for it."""
    fusebill.inject(Fault.reset_before_effect(operation="unlatch", customer_id=1))
    fusebill.inject(Fault.status(503, operation="get", customer_id=1, times=None))
    async with FusebillClient(
        "key", base_url=fusebill.base_url, quota=QuotaPolicy.off(), settling=UNSETTLED, timeouts=Timeouts(read=1.0)
    ) as first:
        assert (await first.bulk.unlatch([1], journal=journal, snapshot=False).run()).unknown == 1
    fusebill.clear_faults()
    fusebill.clear_records()
    feed = Feed([Item(number=1, customer_id=1, intent_id="x")], _all_of([1, 2]), lambda: 0.0)
    given = [await feed.next(), await feed.next(), await feed.next()]
    assert [item and item.number for item in given] == [1, 2, None]
    assert (await client.bulk.resume(journal).run()).applied == 1
    assert fusebill.received("unlatch", 1) == 1


def _all_of(numbers):
    async def read(after, limit):
        return [Item(number=each, customer_id=each) for each in numbers if each > after]

    return read


async def test_money_that_was_not_applied_is_sent_again_only_on_demand(fusebill, client, journal):
    fusebill.add_customer(id=1, status="Draft", modifiedTimestamp=LONG_AGO)
    fusebill.inject(Fault.reset_before_effect(operation="activate"))
    flags = {
        "activate_all_subscriptions": True,
        "activate_all_draft_purchases": True,
        "temporarily_disable_auto_post": False,
    }
    report = await client.bulk.activate([1], journal=journal, **flags).run()
    assert report.not_applied == 1
    assert (await client.bulk.resume(journal).run()).not_applied == 1
    assert fusebill.received("activate") == 1
    report = await client.bulk.resume(journal, retry="not_applied").run()
    assert (report.applied, report.not_applied) == (1, 0)
    assert fusebill.effects("activate", 1) == 1
    assert next(item for item in read_items(journal)).outcome is Outcome.APPLIED


async def test_calls_of_a_job_go_behind_those_that_somebody_awaits(fusebill, journal, customers):
    async with FusebillClient(
        "key", base_url=fusebill.base_url, quota=QuotaPolicy.off(), pool=PoolSettings(connections=1)
    ) as client:
        with fusebill.hold_open("hold"):
            job = asyncio.create_task(client.bulk.hold(customers, journal=journal, concurrency=8).run())
            await held(fusebill, 1)
            read = asyncio.create_task(client.customers.get(10))
            await asyncio.sleep(0.05)
        await read
        assert not job.done()
        assert (await job).applied == 10
