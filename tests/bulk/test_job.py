"""A job from its plan to its report."""

from __future__ import annotations

import asyncio
import gc
import re
import sqlite3
import time
from contextlib import closing

import pytest

from fusebill_async import (
    Attribution,
    ConfigurationError,
    FusebillClient,
    Hooks,
    Outcome,
    QuotaPolicy,
    ServiceStartOption,
    SettlingPolicy,
    ValidationError,
)
from fusebill_async.bulk import Tally, read_items, read_report
from fusebill_async.bulk.items import Item
from fusebill_async.operations import OPERATIONS, Safety
from fusebill_async.testing import Fault
from tests.bulk.conftest import held


async def test_a_report_whose_tallies_are_the_input(fusebill, client, journal, customers):
    fusebill.change(3, status="Cancelled")
    report = await client.bulk.hold([*customers, 404, 5], journal=journal).run()
    assert report.tallies == {
        "applied": 9, "rejected": 2, "not_applied": 0, "unknown": 0, "skipped": 0, "unprocessed": 0,
    }  # fmt: skip
    assert (report.items, report.duplicates, report.runs, report.stopped) == (11, 1, 1, "")
    assert report == read_report(journal)
    assert fusebill.effects("hold") == 9


async def test_progress_is_told_in_lines(client, journal, customers, capsys):
    await client.bulk.hold([*customers, 404], journal=journal).run(progress=True)
    (line,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch(
        r"customers\.hold: 11 of 11; [\d.]+ a second, 0:00:00 left; (applied 10, rejected 1|rejected 1, applied 10)",
        line,
    )


async def test_items_as_they_end(client, journal, customers):
    found = {item.customer_id: item async for item in client.bulk.hold([*customers, 404], journal=journal)}
    assert found[1].outcome is Outcome.APPLIED
    assert found[1].attribution is Attribution.OURS
    assert (found[1].attempts, found[1].error, found[1].tally) == (1, None, Tally.APPLIED)
    assert found[404].outcome is Outcome.REJECTED
    assert found[404].status == 404
    assert "404" in found[404].message


async def test_a_plan_sends_no_write_and_reads_the_input(fusebill, client, journal, customers):
    job = client.bulk.hold(iter([*customers, 5, "6"]), journal=journal, skip_bad_rows=True)
    plan = await job.plan()
    # Ten holds, and the read of the ten customers before them.
    assert (plan.items, plan.duplicates, plan.bad_rows, plan.to_do, plan.calls) == (11, 1, 1, 10, 11)
    assert plan.examples == ((12, "customer_id must be an int, not str '6'"),)
    assert [request.target for request in plan.first_requests] == [f"/CustomerHold/{each}" for each in range(1, 6)]
    assert fusebill.effects("hold") == 0
    # The generator is used up, and not needed any more.
    assert (await job.run()).applied == 10


async def test_a_plan_knows_how_long_it_takes(fusebill, journal):
    async with FusebillClient("key", base_url=fusebill.base_url) as paced:
        plan = await paced.bulk.update(range(1, 100_001), journal=journal, company_name="X").plan()
    assert plan.calls == 200_000
    # 178,200 today at 1,000 a minute, and the others when the next day has begun.
    next_day = 86_400 - time.time() % 86_400
    assert plan.seconds == pytest.approx(max(next_day, 178.2 * 60) + 21.8 * 60, abs=30)
    assert plan.days == 2
    async with FusebillClient("key", base_url=fusebill.base_url) as paced:
        plan = await paced.bulk.hold(range(1, 10_001), journal=journal.with_name("h"), snapshot=False).plan()
    assert (plan.seconds, plan.days) == (600.0, 1)


async def test_bad_rows_stop_a_job_before_anything_is_sent(fusebill, client, journal, customers):
    items = [1, "2", 3.0, True, 0, None, (4, "x"), (5, {"colour": "red"})]
    with pytest.raises(ValidationError, match=r"7 rows.*row 2: .*row 3: .*and 2 more.*skip_bad_rows=True") as told:
        await client.bulk.hold(items, journal=journal).run()
    assert told.value.outcome is Outcome.NOT_SENT
    assert fusebill.effects("hold") == 0
    report = await client.bulk.hold(items, journal=journal, skip_bad_rows=True).run()
    assert (report.applied, report.skipped, report.items) == (1, 7, 8)
    why = [item.message for item in read_items(journal) if item.tally is Tally.SKIPPED]
    assert why[0].startswith("customer_id must be an int")


async def test_rows_that_contradict_each_other_are_both_bad(fusebill, client, journal, customers):
    items = [(1, {"company_name": "A"}), (2, {"company_name": "B"}), (1, {"company_name": "C"})]
    job = client.bulk.update(items, journal=journal, skip_bad_rows=True)
    report = await job.run()
    assert (report.applied, report.skipped) == (1, 2)
    assert fusebill.effects("update", 1) == 0
    why = [item.message for item in read_items(journal) if item.tally is Tally.SKIPPED]
    assert why == ["rows 1 and 3 ask for different things for customer 1"] * 2


async def test_input_that_was_corrected_takes_the_place_of_what_nothing_was_sent_for(client, journal, customers):
    with pytest.raises(ValidationError):
        await client.bulk.hold(["x", 1], journal=journal).run()
    assert (await client.bulk.hold([1, 2], journal=journal).run()).applied == 2


async def test_an_async_iterable_of_customers(fusebill, client, journal, customers):
    report = await client.bulk.hold(client.customers.list(query={"status": "Active"}), journal=journal).run()
    assert report.applied == 10


async def test_a_customer_that_was_read_before_tells_whose_effect_it_was(fusebill, client, journal, customers):
    read = [await client.customers.get(each) for each in (1, 2)]
    fusebill.inject(Fault.reset_after_effect(operation="hold", customer_id=1))
    await client.bulk.hold(read, journal=journal).run()
    assert next(item for item in read_items(journal)).attribution is Attribution.OURS


async def test_options_of_the_job_and_of_a_row(fusebill, client, journal, customers):
    await client.bulk.hold([1, 2], journal=journal.with_name("hold.sqlite")).run()
    one, other = list(ServiceStartOption)[:2]
    items = [1, (2, {"service_start_option": other})]
    with pytest.raises(ValidationError, match="service_start_option"):
        client.bulk.release_hold(items, journal=journal, service_start_option="Never")
    with pytest.raises(ValidationError, match=r"'colour' is no option: customers\.release_hold takes"):
        client.bulk.release_hold([1], journal=journal, colour="red")
    with pytest.raises(ValidationError, match="needs service_start_option"):
        await client.bulk.release_hold([1], journal=journal).run()
    job = client.bulk.release_hold(items, journal=journal, service_start_option=one)
    sent = [request.body for request in (await job.plan()).first_requests]
    assert one.encode() in sent[0]
    assert other.encode() in sent[1]
    assert (await job.run()).applied == 2


async def test_updates_lay_changes_over_what_is_there(fusebill, client, journal, customers):
    fusebill.change(1, primaryEmail="a@example.com")
    items = [(each, {"company_name": f"N{each}"}) for each in customers]
    report = await client.bulk.update(items, journal=journal).run()
    assert report.applied == 10
    assert fusebill.customer(1)["companyName"] == "N1"
    assert fusebill.customer(1)["primaryEmail"] == "a@example.com"


async def test_an_update_that_a_guard_refuses_is_rejected_and_told(fusebill, client, journal, customers):
    read = await client.customers.get(1)
    fusebill.change(1, companyName="by somebody else")
    items = [(read, {"company_name": "Grok"}), (2, {"company_name": "Grok"})]
    found = {item.customer_id: item async for item in client.bulk.update(items, journal=journal)}
    assert found[1].tally is Tally.REJECTED
    assert found[1].outcome is Outcome.NOT_SENT
    assert type(found[1].error).__name__ == "ConcurrentModificationError"
    assert (await client.bulk.resume(journal).report()).rejected == 1
    assert fusebill.customer(1)["companyName"] == "by somebody else"


async def test_replace_takes_whole_customers(fusebill, client, journal, customers):
    read = await client.customers.get(1)
    read.company_name = "Grok"
    with pytest.raises(ValidationError):
        await client.bulk.replace([1], journal=journal).run()
    assert (await client.bulk.replace([read], journal=journal).run()).applied == 1
    assert fusebill.customer(1)["companyName"] == "Grok"


async def test_every_write_of_the_table_has_a_verb(client, journal):
    special = {"hubspot.unlatch": "unlatch"}
    for operation in OPERATIONS:
        if operation.writes and operation.safety is not Safety.CREATE:
            plain = operation.name if operation.resource == "customers" else f"{operation.resource}_{operation.name}"
            assert hasattr(client.bulk, plain), operation.title
            assert hasattr(client.bulk, special.get(operation.title, plain))


async def test_hooks_are_told_of_items_and_of_the_job(fusebill, journal, customers):
    told = []

    class Heard(Hooks):
        def item(self, item):
            told.append((item.operation, item.customer_id, item.outcome))

        def job(self, job):
            told.append((job.state, job.reason))

    hooks = [Heard()]
    async with FusebillClient("key", base_url=fusebill.base_url, quota=QuotaPolicy.off(), hooks=hooks) as client:
        await client.bulk.hold([1], journal=journal).run()
    assert told == [("began", ""), ("customers.hold", 1, Outcome.APPLIED), ("ended", "")]


@pytest.mark.parametrize("items", [5, "123", b"1", {"id": 1}, None])
async def test_what_is_no_input(client, journal, items):
    with pytest.raises(ValidationError):
        client.bulk.hold(items, journal=journal)


@pytest.mark.parametrize(
    "setting",
    [
        {"concurrency": 0}, {"concurrency": True}, {"concurrency": 1.5}, {"max_failures": -1}, {"patience": 0},
        {"max_failure_percent": 0}, {"max_failure_percent": 101}, {"on_day_end": "never"}, {"journal": ""},
        {"journal": 7},
    ],
)  # fmt: skip
async def test_settings_that_cannot_work(client, journal, setting):
    with pytest.raises(ConfigurationError):
        client.bulk.hold([1], **({"journal": journal} | setting))


async def test_nothing_of_a_person_stays_after_wipe(fusebill, client, journal, customers):
    job = client.bulk.update([(1, {"company_name": "Personal Name"})], journal=journal)
    await job.run()
    await job.wipe()
    assert b"Personal Name" not in journal.read_bytes()
    assert [item.outcome for item in read_items(journal)] == [Outcome.APPLIED]


async def test_the_journal_holds_no_key_and_is_private(client, journal, customers):
    await client.bulk.hold(customers, journal=journal).run()
    assert b"MDpub3QtYS1yZWFsLWtleQ" not in journal.read_bytes()
    assert journal.stat().st_mode & 0o777 == 0o600


async def test_what_an_update_was_based_on_is_kept(fusebill, client, journal, customers):
    fusebill.change(1, companyName="Before")
    await client.bulk.update([(1, {"company_name": "After"})], journal=journal).run()
    with closing(sqlite3.connect(journal)) as connection, connection:
        assert '"Before"' in connection.execute("SELECT before FROM outcomes").fetchone()[0]


async def test_no_item_is_kept_after_its_end(fusebill, client, journal):
    alive, done = [], 0
    async for _ in client.bulk.hold(range(1, 2001), journal=journal):
        done += 1
        if done in {500, 1900}:
            gc.collect()
            alive.append(sum(isinstance(each, Item) for each in gc.get_objects()))
    # Those that were read ahead, and those that are under way.
    assert max(alive) <= 600


async def test_one_unknown_item_holds_up_nobody(fusebill, journal, customers):
    """Its settling takes a while; the worker goes on meanwhile."""
    fusebill.inject(Fault.reset_before_effect(operation="hold", customer_id=1))
    settling = SettlingPolicy(first_read=0.4, quiet_period=0.0)
    async with FusebillClient("key", base_url=fusebill.base_url, quota=QuotaPolicy.off(), settling=settling) as client:
        order = [item.customer_id async for item in client.bulk.hold(customers, journal=journal, concurrency=1)]
    assert order.index(1) >= 3


async def test_not_more_than_so_many_calls_at_once(fusebill, client, journal, customers):
    with fusebill.hold_open("hold"):
        task = asyncio.create_task(client.bulk.hold(customers, journal=journal, concurrency=3).run())
        await held(fusebill, 3)
        await asyncio.sleep(0.1)
        assert fusebill.held_open == 3
    assert (await task).applied == 10


async def test_a_loop_that_is_left_early_sees_what_is_under_way_to_its_end(fusebill, client, journal, customers):
    job = client.bulk.hold(customers, journal=journal, concurrency=2)
    async for _ in job:
        break
    for _ in range(100):
        report = read_report(journal)
        if report.stopped:
            break
        await asyncio.sleep(0.02)
    assert report.stopped
    assert report.unknown == 0
    assert report.applied == fusebill.effects("hold") < 10
    assert (await client.bulk.resume(journal).run()).applied == 10
