"""Customers are read ahead of their items: kept as they were, and set aside where nothing is left to do."""

from __future__ import annotations

import sqlite3
import zlib
from contextlib import closing

import pytest

from fusebill_async import Attribution, ConfigurationError, Outcome
from fusebill_async.bulk import Tally, read_items
from fusebill_async.testing import Fault
from fusebill_async.testing.messages import Reply


def kept(journal):
    """What a journal keeps of the customers of before, by item."""
    with closing(sqlite3.connect(journal)) as connection, connection:
        rows = connection.execute("SELECT item, wire FROM snapshots ORDER BY item").fetchall()
    return {item: zlib.decompress(wire) for item, wire in rows}


async def test_customers_are_kept_byte_for_byte(fusebill, client, journal, customers):
    before = {each: fusebill.customer_bytes(each) for each in customers}
    report = await client.bulk.unlatch(customers, journal=journal).run()
    assert report.applied == 10
    assert kept(journal) == before
    assert fusebill.received("list") == 1
    assert fusebill.received("get") == 0


async def test_not_of_an_update_whose_own_read_is_kept(fusebill, client, journal, customers):
    await client.bulk.update([(1, {"company_name": "X"})], journal=journal).run()
    assert kept(journal) == {}
    other = journal.with_name("other.sqlite")
    await client.bulk.update([(1, {"company_name": "Y"})], journal=other, snapshot=True).run()
    assert b'"X"' in kept(other)[1]


async def test_it_can_be_left_out(fusebill, client, journal, customers):
    await client.bulk.hold(customers, journal=journal, snapshot=False).run()
    assert fusebill.received("list") == 0
    with pytest.raises(ConfigurationError, match="skip_done"):
        client.bulk.hold(customers, journal=journal, snapshot=False, skip_done=True)


async def test_it_is_read_in_sets_shortly_before_the_items(fusebill, client, journal):
    ids = range(1, 1001)
    for each in ids:
        fusebill.add_customer(id=each, status="Active")
    taken, most = 0, 0
    async for _ in client.bulk.hold(ids, journal=journal, concurrency=4):
        taken += 1
        most = max(most, 200 * fusebill.received("list") - taken)
    assert fusebill.received("list") == 5
    # The next set is read when 50 items are left.
    assert most <= 200 + 50 + 20


async def test_it_tells_whose_an_effect_was(fusebill, client, journal, customers):
    fusebill.change(1, hubSpotId=None, hubSpotCompanyId=None, modifiedTimestamp="2020-01-01T00:00:00.1234567Z")
    fusebill.inject(Fault.reset_after_effect(operation="unlatch", customer_id=1))
    fusebill.inject(Fault.reset_after_effect(operation="unlatch", customer_id=2))
    await client.bulk.unlatch([1, 2], journal=journal).run()
    # The simulator moves the timestamp at every unlatch, so nothing proves that it was not undone and done again.
    assert [item.attribution for item in read_items(journal)] == [Attribution.UNPROVEN, Attribution.OURS]


async def test_what_is_done_is_skipped_without_a_call(fusebill, client, journal):
    ids = range(1, 401)
    for each in ids:
        fusebill.add_customer(id=each, status="Active" if each % 10 == 0 else "Hold")
    found = {item.customer_id: item async for item in client.bulk.hold([*ids, 404], journal=journal, skip_done=True)}
    assert len(found) == 401
    assert (found[1].tally, found[1].outcome, found[1].attempts) == (Tally.SKIPPED, Outcome.NOT_SENT, 0)
    assert found[1].message == "it was so already before this job"
    assert found[404].tally is Tally.REJECTED
    report = await client.bulk.resume(journal).report()
    assert (report.applied, report.skipped, report.rejected) == (40, 360, 1)
    assert fusebill.received("hold") == 41
    assert fusebill.received("hold") + fusebill.received("list") <= 0.12 * 401


async def test_an_update_is_skipped_only_where_nothing_at_all_is_different(fusebill, client, journal, customers):
    fusebill.change(1, companyName="Grok", reference="1")
    fusebill.change(2, companyName="Grok ", reference="1")
    fusebill.change(3, companyName="Grok", raw={"reference": b"1"})
    items = [(each, {"company_name": "Grok", "reference": "1"}) for each in (1, 2, 3, 4)]
    report = await client.bulk.update(items, journal=journal, skip_done=True).run()
    assert report.skipped == 1
    assert [item.customer_id for item in read_items(journal) if item.tally is Tally.SKIPPED] == [1]
    assert fusebill.customer(4)["companyName"] == "Grok"


async def test_what_a_row_does_not_show_is_not_skipped(fusebill, client, journal, customers, monkeypatch):
    fusebill.change(1, reference="1")
    row = b'{"id":1,"companyName":"Grok"}'
    monkeypatch.setattr(fusebill.service._listing, "answer", lambda options: Reply(200, b"[%b]" % row))
    items = [(1, {"company_name": "Grok", "reference": None})]
    report = await client.bulk.update(items, journal=journal, skip_done=True).run()
    assert (report.applied, report.skipped) == (1, 0)


async def test_a_service_that_refuses_the_filter(fusebill, client, journal, customers):
    fusebill.inject(Fault.status(400, operation="list", times=None))
    job = client.bulk.hold(customers, journal=journal)
    report = await job.run()
    assert report.applied == 10
    assert report.notes[0].startswith("no snapshot was kept: the service does not filter by ids (")
    assert kept(journal) == {}
    for each in customers:
        fusebill.change(each, status="Active")
    with pytest.raises(ConfigurationError, match="single_reads=True"):
        await client.bulk.hold(customers, journal=journal.with_name("2.sqlite"), skip_done=True).run()
    singly = journal.with_name("3.sqlite")
    report = await client.bulk.hold(customers, journal=singly, skip_done=True, single_reads=True).run()
    assert (report.applied, report.notes) == (10, ())
    assert len(kept(singly)) == 10


async def test_an_outage_of_the_list_is_waited_out(fusebill, client, journal, customers):
    fusebill.inject(Fault.status(503, operation="list", times=4))
    report = await client.bulk.hold(customers, journal=journal).run()
    assert report.applied == 10
    assert len(kept(journal)) == 10
    fusebill.inject(Fault.status(503, operation="list", times=None))
    other = client.bulk.unlatch(customers, journal=journal.with_name("2.sqlite"), patience=1)
    report = await other.run()
    assert report.unprocessed == 10
    assert "out of reach" in report.stopped


async def test_a_list_row_is_never_the_base_of_a_put(fusebill, client, journal, customers):
    await client.bulk.hold([1], journal=journal).run()
    fusebill.inject(Fault.status(404, operation="hold", times=None))
    await client.bulk.hold([2], journal=journal.with_name("2.sqlite")).run()
    (row,) = [customer async for customer in client.customers.list(query={"id": [2]})]
    fusebill.clear_records()
    await client.customers.update(row, company_name="X")
    assert fusebill.received("get") == 1


async def test_nothing_of_a_person_stays_after_wipe(fusebill, client, journal, customers):
    fusebill.change(1, primaryEmail="person@example.com")
    job = client.bulk.hold(customers, journal=journal)
    await job.run()
    assert kept(journal)
    await job.wipe()
    assert kept(journal) == {}
