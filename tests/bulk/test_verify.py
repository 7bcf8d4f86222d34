"""A job is proven afterwards: every customer that stands otherwise is named, and no other."""

from __future__ import annotations

import pytest

from fusebill_async import ConfigurationError
from fusebill_async.bulk.id_sets import MOST_IDS, parted
from fusebill_async.testing import Fault
from fusebill_async.testing.messages import Reply


def shows(fusebill, monkeypatch, rows):
    """Whatever is asked for, the list is this one."""
    monkeypatch.setattr(fusebill.service._listing, "answer", lambda options: Reply(200, rows))


async def test_drift_is_named_and_nothing_else(fusebill, client, journal):
    ids = range(1, 1001)
    for each in ids:
        fusebill.add_customer(id=each, status="Active")
    job = client.bulk.hold(ids, journal=journal)
    await job.run()
    for each in range(7, 1001, 100):
        fusebill.change(each, status="Active")
    # What others change besides is no drift.
    fusebill.change(8, companyName="Grok")
    fusebill.clear_records()
    check = await job.verify()
    assert check.counts == {"held": 990, "drifted": 10, "unreadable": 0}
    assert [drift.customer_id for drift in check.drifts] == list(range(7, 1001, 100))
    drift = check.drifts[0]
    assert (drift.field, drift.expected, drift.found) == ("status", "Hold", "Active")
    assert drift.modified == fusebill.customer(7)["modifiedTimestamp"]
    assert fusebill.received("list") == 5
    assert fusebill.received("get") == 0


async def test_fields_of_an_update(fusebill, client, journal, customers):
    changes = {"company_name": "Grok", "customer_reference": {"reference1": "A-1"}, "reference": None}
    await client.bulk.update([(each, changes) for each in customers], journal=journal).run()
    fusebill.change(1, companyName="by somebody else")
    fusebill.change(2, customerReference={"reference1": None, "reference2": "x"})
    fusebill.change(3, customerReference={"reference2": "x"}, reference="new")
    check = await client.bulk.resume(journal).verify()
    assert check.counts == {"held": 7, "drifted": 3, "unreadable": 0}
    assert [(drift.customer_id, drift.field, drift.expected, drift.found) for drift in check.drifts] == [
        (1, "company_name", "Grok", "by somebody else"),
        (2, "customer_reference.reference1", "A-1", None),
        (3, "reference", None, "new"),
    ]


async def test_fields_of_a_replacement(fusebill, client, journal, customers):
    read = [await client.customers.get(each) for each in (1, 2, 3)]
    for each in read:
        each.company_name = "Grok"
    await client.bulk.replace(read, journal=journal).run()
    fusebill.change(2, firstName="by somebody else")
    check = await client.bulk.resume(journal).verify()
    assert check.counts == {"held": 2, "drifted": 1, "unreadable": 0}
    assert check.drifts[0].field == "first_name"


async def test_latches(fusebill, client, journal, customers):
    latches = [(each, {"hubspot_id": each, "hubspot_company_id": None}) for each in customers]
    job = client.bulk.hubspot_latch(latches, journal=journal)
    await job.run()
    fusebill.change(4, hubSpotId=99)
    check = await job.verify()
    assert [(drift.customer_id, drift.field, drift.expected, drift.found) for drift in check.drifts] == [
        (4, "hubspot_id", 4, 99)
    ]
    unlatch = client.bulk.unlatch(customers, journal=journal.with_name("unlatch.sqlite"))
    await unlatch.run()
    fusebill.change(5, hubSpotCompanyId=1)
    check = await unlatch.verify()
    assert [(drift.customer_id, drift.field) for drift in check.drifts] == [(5, "hubspot_company_id")]


async def test_what_the_list_does_not_show_is_read_singly(fusebill, client, journal, customers, monkeypatch):
    job = client.bulk.hold(customers, journal=journal)
    await job.run()
    stale = fusebill.customer_bytes(1).replace(b'"Hold"', b'"Active"')
    stale = stale.replace(fusebill.customer(1)["modifiedTimestamp"].encode(), b"2001-01-01T00:00:00Z")
    bare = b'{"id":2,"modifiedTimestamp":"%b"}' % fusebill.customer(2)["modifiedTimestamp"].encode()
    rows = b"[%b,%b]" % (stale, bare)
    shows(fusebill, monkeypatch, rows)
    fusebill.clear_records()
    check = await job.verify()
    assert check.counts == {"held": 10, "drifted": 0, "unreadable": 0}
    assert fusebill.received("get") == 10


async def test_a_customer_that_is_gone_is_unreadable(fusebill, client, journal, customers):
    job = client.bulk.hold(customers, journal=journal)
    await job.run()
    fusebill._store._customers.pop(3)  # the API deletes nobody
    check = await job.verify()
    assert check.counts == {"held": 9, "drifted": 0, "unreadable": 1}
    assert (check.unread[0].customer_id, check.unread[0].reason) == (3, "there is no such customer")


async def test_a_service_that_refuses_the_filter(fusebill, client, journal, customers):
    job = client.bulk.hold(customers, journal=journal)
    await job.run()
    fusebill.inject(Fault.status(400, operation="list", times=None))
    with pytest.raises(ConfigurationError, match=r"does not filter by ids.*single_reads=True"):
        await job.verify()
    assert (await client.bulk.resume(journal, single_reads=True).verify()).held == 10


@pytest.mark.parametrize("rows", ["[]", "others"])
async def test_a_service_that_does_not_heed_the_filter(fusebill, client, journal, customers, rows, monkeypatch):
    job = client.bulk.hold(customers[2:], journal=journal)
    await job.run()
    shows(fusebill, monkeypatch, b"[]" if rows == "[]" else b"[%b]" % fusebill.customer_bytes(1))
    with pytest.raises(ConfigurationError, match="does not filter by ids"):
        await job.verify()
    assert (await client.bulk.resume(journal, single_reads=True).verify()).held == 8


async def test_reads_that_fail_are_told(fusebill, client, journal, customers):
    job = client.bulk.hold(customers, journal=journal)
    await job.run()
    fusebill.inject(Fault.status(503, operation="list", times=None))
    check = await job.verify()
    assert check.counts == {"held": 0, "drifted": 0, "unreadable": 10}


async def test_a_sample(fusebill, client, journal):
    ids = range(1, 301)
    for each in ids:
        fusebill.add_customer(id=each, status="Active")
    job = client.bulk.hold(ids, journal=journal)
    await job.run()
    assert sum((await job.verify(0.1)).counts.values()) == 30
    assert sum((await job.verify(0.001)).counts.values()) == 1
    assert sum((await job.verify(1)).counts.values()) == 300
    for sample in (0, 1.1, "1%"):
        with pytest.raises(ConfigurationError, match="sample="):
            await job.verify(sample)


async def test_only_what_was_applied_is_verified(fusebill, client, journal, customers):
    fusebill.change(3, status="Cancelled")
    job = client.bulk.hold([*customers, 404], journal=journal)
    await job.run()
    check = await job.verify()
    assert (check.applied, check.counts) == (9, {"held": 9, "drifted": 0, "unreadable": 0})


async def test_a_wiped_journal_proves_nothing(client, journal, customers):
    job = client.bulk.update([(1, {"company_name": "X"})], journal=journal)
    await job.run()
    await job.wipe()
    with pytest.raises(ConfigurationError, match="was wiped"):
        await job.verify()


async def test_no_read_can_tell_of_some_operations(client, journal, customers):
    job = client.bulk.activate_items([1], journal=journal)
    await job.run()
    with pytest.raises(ConfigurationError, match="no read can tell"):
        await job.verify()


def test_sets_fit_into_an_address():
    small, large = list(range(1, 1001)), [2**63 - each for each in range(1, 1001)]
    for ids in (small, large, small + large):
        sets = list(parted(ids))
        assert [each for one in sets for each in one] == ids
        assert all(len(one) <= MOST_IDS and len(",".join(map(str, one))) <= 1_850 for one in sets)
    assert len(list(parted(small))) == 5
