"""A job is taken back: what it did and what stands as it was left, and nothing else."""

from __future__ import annotations

import asyncio
import re

import pytest

from fusebill_async import ConfigurationError, FusebillClient, QuotaPolicy, SettlingPolicy, ValidationError
from fusebill_async.bulk import Tally, read_items
from fusebill_async.testing import Fault, FusebillSimulator
from tests.bulk.undone import undo_updates

_STAMP = re.compile(rb'"modifiedTimestamp":"[^"]*"')


def standing(fusebill, ids):
    """The customers byte for byte, but for the service's timestamp."""
    return {each: _STAMP.sub(b"", fusebill.customer_bytes(each)) for each in ids}


def reasons(journal):
    return {item.customer_id: item.message for item in read_items(journal) if item.tally is Tally.SKIPPED}


@pytest.fixture
def back(journal):
    return journal.with_name("undo.sqlite")


async def test_updates_go_back_to_the_literals_that_were_there(fusebill, client, journal, back, customers):
    fusebill.change(
        1, raw={"reference": b"100986", "companyName": b'"Caf\\u00e9"', "monthlyRecurringRevenue": b"25.9800"}
    )
    fusebill.change(2, customerReference={"reference1": "old", "reference3": "kept"}, companyName=None)
    before = standing(fusebill, customers)
    changes = {"company_name": "New", "reference": "new", "customer_reference": {"reference1": "n"}, "title": "Dr"}
    await client.bulk.update([(each, changes) for each in customers], journal=journal).run()
    assert standing(fusebill, customers) != before
    undo = client.bulk.undo(journal, journal=back)
    plan = await undo.plan()
    assert (plan.operation, plan.items, plan.to_do, plan.calls) == ("customers.update", 10, 10, 20)
    report = await undo.run()
    assert (report.applied, report.items) == (10, 10)
    assert standing(fusebill, customers) == before
    assert (await undo.verify()).held == 10
    assert (await client.bulk.resume(journal).verify()).drifted == 10


async def test_what_others_have_touched_since_is_set_aside(fusebill, client, journal, back, customers):
    fusebill.change(6, companyName="New")
    fusebill.change(7, status="Cancelled")
    before = standing(fusebill, customers)
    await client.bulk.update([(each, {"company_name": "New"}) for each in [*customers, 404]], journal=journal).run()
    fusebill.change(1, companyName="by somebody else")
    fusebill.change(2, firstName="by somebody else")
    fusebill.change(3, companyName="by somebody else", modifiedTimestamp=fusebill.customer(3)["modifiedTimestamp"])
    touched = standing(fusebill, (1, 2, 3))
    report = await client.bulk.undo(journal, journal=back).run()
    assert (report.applied, report.skipped, report.items) == (5, 6, 11)
    assert reasons(back) == {
        1: "it was changed since",
        2: "it was changed since",
        3: "it does not stand as the job left it: company_name",
        6: "it was so before the job",
        7: "the job did nothing to it: it is rejected",
        404: "the job did nothing to it: it is rejected",
    }
    assert standing(fusebill, (1, 2, 3)) == touched
    assert standing(fusebill, range(4, 11)) == {each: before[each] for each in range(4, 11)}
    assert fusebill.received("update", 1) == 1


async def test_replacements(fusebill, client, journal, back, customers):
    before = standing(fusebill, customers)
    read = [await client.customers.get(each) for each in customers]
    for each in read:
        each.company_name, each.primary_email = "New", None
    await client.bulk.replace(read, journal=journal).run()
    fusebill.change(4, lastName="by somebody else")
    report = await client.bulk.undo(journal, journal=back).run()
    assert (report.applied, report.skipped) == (9, 1)
    left = [each for each in customers if each != 4]
    assert standing(fusebill, left) == {each: before[each] for each in left}
    assert fusebill.customer(4)["companyName"] == "New"


async def test_latches_and_unlatches_go_back_to_the_ids_of_the_snapshot(fusebill, client, journal, back, customers):
    fusebill.change(2, hubSpotId=None)
    fusebill.change(3, hubSpotId=None, hubSpotCompanyId=None)
    before = standing(fusebill, customers)
    await client.bulk.unlatch(customers, journal=journal).run()
    fusebill.change(4, hubSpotId=99)
    report = await client.bulk.undo(journal, journal=back).run()
    assert (report.applied, report.skipped) == (8, 2)
    assert reasons(back) == {3: "it was so before the job", 4: "it was changed since"}
    after = standing(fusebill, customers)
    assert after.pop(4) != before.pop(4)
    assert after == before
    latched, unlatched = journal.with_name("3.sqlite"), journal.with_name("4.sqlite")
    await client.bulk.hubspot_latch([(each, {"hubspot_id": 70 + each}) for each in (1, 2, 3)], journal=latched).run()
    assert (await client.bulk.undo(latched, journal=unlatched).run()).applied == 3
    assert {each: standing(fusebill, [each])[each] for each in (1, 2, 3)} == {each: before[each] for each in (1, 2, 3)}


@pytest.mark.parametrize(
    ("verb", "field", "before", "options", "effect"),
    [
        ("netsuite_latch", "netsuiteId", None, {"netsuite_id": "5"}, "netsuite.unlatch"),
        ("netsuite_unlatch", "netsuiteId", "7", {"netsuite_id": "7"}, "netsuite.latch"),
        ("salesforce_latch", "salesforceId", "A", {"salesforce_id": "B", "force_latch": True}, "salesforce.latch"),
        ("geotab_latch", "geotabId", None, {"geotab_id": "5"}, "geotab.unlatch"),
        ("geotab_unlatch", "geotabId", "7", {}, "geotab.latch"),
        ("netsuite_disable_sync", "netsuiteSynchStatus", "Enabled", {}, "netsuite.enable_sync"),
    ],
)
async def test_the_other_integrations(fusebill, client, journal, back, verb, field, before, options, effect):
    fusebill.add_customer(id=1, status="Active", **{field: before})
    assert (await getattr(client.bulk, verb)([1], journal=journal, **options).run()).applied == 1
    assert fusebill.customer(1)[field] != before
    report = await client.bulk.undo(journal, journal=back).run()
    assert report.applied == 1, list(read_items(back))
    assert fusebill.customer(1)[field] == before
    assert fusebill.effects(effect, 1) == 1 + (verb == "salesforce_latch")


async def test_a_latch_that_cannot_be_taken_back_says_so(fusebill, client, journal, back):
    fusebill.add_customer(id=1, status="Active", salesforceId=None)
    await client.bulk.salesforce_latch([(1, {"salesforce_id": "B"})], journal=journal).run()
    assert (await client.bulk.undo(journal, journal=back).run()).skipped == 1
    assert "nothing that unlatches" in reasons(back)[1]


async def test_a_hold_is_released_with_the_option_that_was_named(fusebill, client, journal, back, customers):
    await client.bulk.hold(customers, journal=journal).run()
    with pytest.raises(ValidationError, match="service_start_option="):
        client.bulk.undo(journal, journal=back)
    with pytest.raises(ValidationError):
        client.bulk.undo(journal, journal=back, service_start_option="Never")
    fusebill.change(3, companyName="by somebody else")
    undo = client.bulk.undo(journal, journal=back, service_start_option="NoChargesForMissedPeriods")
    report = await undo.run()
    assert (report.applied, report.skipped) == (9, 1)
    assert fusebill.customer(3)["status"] == "Hold"
    assert fusebill.effects("release_hold") == 9


async def test_a_cancellation_only_if_charges_were_agreed_to(fusebill, client, journal, back, customers):
    fusebill.change(2, status="Hold")
    await client.bulk.cancel([1, 2], journal=journal, cancellation_option="None").run()
    with pytest.raises(ValidationError, match="allow_charges=True"):
        client.bulk.undo(journal, journal=back)
    report = await client.bulk.undo(journal, journal=back, allow_charges=True).run()
    assert (report.applied, report.skipped) == (1, 1)
    assert reasons(back) == {2: "it was Hold before, and uncancel leads to Active"}
    assert fusebill.customer(1)["status"] == "Active"


async def test_an_activation_cannot_be_undone(fusebill, client, journal, back):
    fusebill.add_customer(id=1, status="Draft")
    flags = dict.fromkeys(
        ("activate_all_subscriptions", "activate_all_draft_purchases", "temporarily_disable_auto_post"), False
    )
    await client.bulk.activate([1], journal=journal, **flags).run()
    with pytest.raises(ConfigurationError, match=r"customers\.activate cannot be undone: no customer becomes a draft"):
        client.bulk.undo(journal, journal=back)


async def test_what_needs_the_snapshot_and_has_none_is_set_aside(fusebill, client, journal, back, customers):
    await client.bulk.unlatch(customers, journal=journal, snapshot=False).run()
    assert (await client.bulk.undo(journal, journal=back).run()).skipped == 10
    assert set(reasons(back).values()) == {"no snapshot was kept of it"}


async def test_what_is_unknown_is_set_aside(fusebill, journal, back, customers):
    settling = SettlingPolicy(enabled=False)
    async with FusebillClient("key", base_url=fusebill.base_url, quota=QuotaPolicy.off(), settling=settling) as client:
        fusebill.inject(Fault.reset_after_effect(operation="update", customer_id=1))
        report = await client.bulk.update([1, 2], journal=journal, company_name="New").run()
        assert report.unknown == 1
        await client.bulk.undo(journal, journal=back).run()
    assert reasons(back) == {1: "what became of it is unknown: resume the job first"}


async def test_an_undo_is_resumed_without_its_input(fusebill, client, journal, back, customers):
    await client.bulk.update(customers, journal=journal, company_name="New").run()
    fusebill.change(1, companyName="x")
    await client.bulk.undo(journal, journal=back).plan()
    journal.unlink()
    report = await client.bulk.resume(back).run()
    assert (report.applied, report.skipped) == (9, 1)


async def test_what_is_read_late_is_read_again(fusebill, client, journal, back, customers):
    await client.bulk.update([1], journal=journal, company_name="New").run()
    async with FusebillClient("key", base_url=fusebill.base_url, quota=QuotaPolicy.off()) as other:
        fusebill.inject(Fault.lagging_read(3600.0, operation="get", times=2))
        report = await other.bulk.undo(journal, journal=back).run()
    assert report.applied == 1


async def test_an_undo_is_undone(fusebill, client, journal, back, customers):
    await client.bulk.update(customers, journal=journal, company_name="New").run()
    await client.bulk.undo(journal, journal=back).run()
    report = await client.bulk.undo(back, journal=journal.with_name("redo.sqlite")).run()
    assert report.applied == 10
    assert {fusebill.customer(each)["companyName"] for each in customers} == {"New"}


async def test_what_cannot_be_an_undo(fusebill, client, journal, back, customers):
    with pytest.raises(ConfigurationError, match="no journal"):
        client.bulk.undo(journal, journal=back)
    await client.bulk.update(customers, journal=journal, company_name="New").run()
    with pytest.raises(ConfigurationError, match="another file"):
        client.bulk.undo(journal, journal=journal)
    with pytest.raises(ValidationError, match="takes no service_start_option"):
        client.bulk.undo(journal, journal=back, service_start_option="NoChargesForMissedPeriods")
    async with FusebillSimulator() as elsewhere, FusebillClient("key", base_url=elsewhere.base_url) as other:
        with pytest.raises(ConfigurationError, match="is of a job at"):
            other.bulk.undo(journal, journal=back)
    await client.bulk.resume(journal).wipe()
    with pytest.raises(ConfigurationError, match="was wiped"):
        client.bulk.undo(journal, journal=back)


@pytest.mark.parametrize("kills", [0, 12])
def test_an_undo_that_is_killed_again_and_again(kills):
    """The whole: `python -m tests.bulk --undo 20000`."""
    found = undo_updates(200, kills=kills)
    assert not found.wrong, found
    assert found.kills >= kills
    assert (found.report.applied, found.report.skipped) == (198, 2)


async def test_nothing_of_a_person_stays_after_wipe(fusebill, client, journal, back, customers):
    fusebill.change(1, companyName="Personal Name")
    await client.bulk.update([1], journal=journal, company_name="New").run()
    undo = client.bulk.undo(journal, journal=back)
    await undo.run()
    await undo.wipe()
    assert b"Personal Name" not in await asyncio.to_thread(back.read_bytes)
