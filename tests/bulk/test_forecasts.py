"""What a job would do is told before it does it: what would change, and what would be invoiced."""

from __future__ import annotations

from decimal import Decimal

import pytest

from fusebill_async import AuthenticationError, ConfigurationError, Customer, PreviewChangedStateError
from fusebill_async.bulk import Verdict
from fusebill_async.testing import Fault
from fusebill_async.testing.messages import Reply

FLAGS = {
    "activate_all_subscriptions": True,
    "activate_all_draft_purchases": True,
    "temporarily_disable_auto_post": False,
}
FREE = {"service_start_option": "NoChargesForMissedPeriods"}


async def all_of(forecasts):
    return {each.customer_id: each async for each in forecasts}


def fields(forecast):
    return [(change.field, change.before, change.after) for change in forecast.changes]


async def test_what_an_update_would_change_is_what_it_changes(fusebill, client, journal, customers):
    fusebill.change(2, companyName="Grok", customerReference={"reference1": "A-1", "reference2": None})
    fusebill.change(3, status="Cancelled")
    asked = {"company_name": "Grok", "customer_reference": {"reference1": "A-1"}, "primary_email": None}
    before = {each: fusebill.customer(each) for each in customers}
    job = client.bulk.update([(each, asked) for each in (1, 2, 3, 404)], journal=journal)
    found = await all_of(job.diff())
    assert fusebill.received("list") == 1
    assert fusebill.effects("update") == 0
    assert sorted(fields(found[1])) == [
        ("company_name", before[1]["companyName"], "Grok"),
        ("customer_reference.reference1", before[1]["customerReference"]["reference1"], "A-1"),
        ("primary_email", before[1]["primaryEmail"], None),
    ]
    assert fields(found[2]) == [("primary_email", before[2]["primaryEmail"], None)]
    assert (found[3].verdict, "it is Cancelled" in found[3].reason) == (Verdict.REFUSED, True)
    assert (found[404].verdict, found[404].reason) == (Verdict.MISSING, "there is no such customer")
    await job.run()
    after = fusebill.customer(1)
    assert after["companyName"] == "Grok"
    assert {key for key in after if after[key] != before[1][key]} == {
        "companyName", "customerReference", "primaryEmail", "modifiedTimestamp",
    }  # fmt: skip
    # Nothing is left to do.
    assert await all_of(job.diff()) == {}


async def test_what_a_verb_would_change(fusebill, client, journal, customers):
    fusebill.change(2, status="Hold")
    fusebill.change(3, status="Draft")
    found = await all_of(client.bulk.hold([1, 2, 3], journal=journal).diff())
    assert fields(found[1]) == [("status", "Active", "Hold")]
    assert [found[each].verdict for each in (1, 2, 3)] == [Verdict.CHANGED, Verdict.UNCHANGED, Verdict.REFUSED]
    assert found[3].reason == "it is Draft, and this works from Active"
    found = await all_of(client.bulk.unlatch([1], journal=journal.with_name("u.sqlite")).diff())
    assert fields(found[1]) == [("hubspot_id", 7, None), ("hubspot_company_id", 8, None)]
    latched = client.bulk.hubspot_latch([(1, {"hubspot_id": 9})], journal=journal.with_name("l.sqlite"))
    assert fields((await all_of(latched.diff()))[1]) == [("hubspot_id", 7, 9)]
    assert fusebill.effects_log == []


async def test_a_list_that_shows_less_is_completed_by_a_read(fusebill, client, journal, customers, monkeypatch):
    row = b'[{"id":1,"status":"Active"},{"id":2,"status":"Active"}]'
    monkeypatch.setattr(fusebill.service._listing, "answer", lambda options: Reply(200, row))
    job = client.bulk.update([(each, {"company_name": "Grok"}) for each in (1, 2)], journal=journal)
    found = await all_of(job.diff())
    assert fields(found[1]) == [("company_name", fusebill.customer(1)["companyName"], "Grok")]
    assert fusebill.received("get") == 2


async def test_a_replacement_is_compared_with_the_whole_customer(fusebill, client, journal, customers):
    read = [await client.customers.get(each) for each in (1, 2, 3)]
    read[0].company_name = "Grok"
    fusebill.change(2, firstName="by somebody else")
    found = await all_of(client.bulk.replace(read[:2], journal=journal).diff())
    assert [change.field for change in found[1].changes] == ["company_name"]
    assert found[2].verdict is Verdict.REFUSED


async def test_a_replacement_by_hand_is_refused_for_what_a_list_does_not_show(
    fusebill, client, journal, customers, monkeypatch
):
    row = b'[{"id":1,"status":"Active","companyName":"x"}]'
    monkeypatch.setattr(fusebill.service._listing, "answer", lambda options: Reply(200, row))
    by_hand = Customer(id=1, company_name="Grok")
    found = await all_of(client.bulk.replace([by_hand], journal=journal).diff())
    assert (found[1].verdict, "would erase" in found[1].reason) == (Verdict.REFUSED, True)


async def test_a_sample_is_spread_over_the_job(fusebill, client, journal):
    for each in range(1, 1001):
        fusebill.add_customer(id=each, status="Active")
    job = client.bulk.hold(range(1, 1001), journal=journal)
    # One by chance out of each quarter: a step would fall in with the rhythm of an input.
    samples = [list(await all_of(job.diff(sample=4))) for _ in range(10)]
    assert all([(each - 1) // 250 for each in sample] == [0, 1, 2, 3] for sample in samples)
    assert len(set(map(tuple, samples))) > 1
    assert len(await all_of(job.diff(sample=999))) == 999
    assert len(await all_of(job.diff(sample=5000))) == 1000
    with pytest.raises(ConfigurationError, match="sample="):
        await all_of(job.diff(sample=0))


async def test_a_service_that_does_not_filter_by_ids(fusebill, client, journal, customers):
    fusebill.inject(Fault.status(400, operation="list", times=None))
    job = client.bulk.hold(range(1, 11), journal=journal)
    with pytest.raises(ConfigurationError, match="--single-reads"):
        await all_of(job.diff())
    assert len(await all_of(job.diff(sample=3))) == 3
    job = client.bulk.hold(range(1, 11), journal=journal, single_reads=True)
    assert len(await all_of(job.diff())) == 10


async def test_reads_that_fail(fusebill, client, journal, customers):
    job = client.bulk.hold([1, 2, 404], journal=journal)
    fusebill.inject(Fault.status(403, operation="get", customer_id=404, times=None))
    found = await all_of(job.diff())
    assert found[404].verdict is Verdict.UNREADABLE
    fusebill.inject(Fault.status(401, times=None))
    with pytest.raises(AuthenticationError):
        await all_of(job.diff())


async def test_what_no_read_can_tell(client, journal, customers):
    job = client.bulk.activate_items(customers, journal=journal)
    with pytest.raises(ConfigurationError, match=r"no read can tell what customers\.activate_items would change"):
        await all_of(job.diff())


# --- previews


async def test_activations_are_previewed_and_none_is_made(fusebill, client, journal):
    for each in (1, 2, 3):
        fusebill.add_customer(id=each, status="Draft" if each < 3 else "Active", currency="USD" if each == 1 else "CAD")
    job = client.bulk.activate([1, 2, 3], journal=journal, **FLAGS)
    found = {each.customer_id: each async for each in job.preview()}
    assert fusebill.effects_log == []
    assert found[1].activation.customer.currency == "USD"
    assert [invoice.total for invoice in found[1].invoices] == [Decimal("29.3574")] * 2
    assert found[3].invoices == ()
    assert "Active" in str(found[3].error)
    assert fusebill.received("preview_activation") == 3


async def test_releases_are_previewed_with_the_options_of_each_item(fusebill, client, journal):
    for each in (1, 2):
        fusebill.add_customer(id=each, status="Hold")
    job = client.bulk.release_hold([1, (2, {"show_zero_dollar_charges": True})], journal=journal, **FREE)
    found = {each.customer_id: each async for each in job.preview()}
    assert [len(found[each].invoices[0].draft_charges) for each in (1, 2)] == [1, 2]
    assert fusebill.effects_log == []


async def test_a_preview_that_acted_ends_it(fusebill, client, journal):
    fusebill.add_customer(id=1, status="Draft")
    body = b'{"id":1,"status":"Active"}'
    fusebill.inject(Fault.status(200, operation="preview_activation", body=body.decode()))
    with pytest.raises(PreviewChangedStateError):
        [each async for each in client.bulk.activate([1], journal=journal, **FLAGS).preview()]


@pytest.mark.parametrize(
    ("verb", "options", "why"),
    [
        ("hold", {}, "customers.hold invoices nothing"),
        ("cancel", {"cancellation_option": "None"}, "the API has no preview of customers.cancel"),
        ("uncancel", {}, "the API has no preview of customers.uncancel"),
    ],
)
async def test_what_has_no_preview_says_so(client, journal, customers, verb, options, why):
    job = getattr(client.bulk, verb)(customers, journal=journal, **options)
    with pytest.raises(ConfigurationError, match=why):
        [each async for each in job.preview()]
