"""What goes over the wire, as the server received it."""

import json
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from fusebill_async import BadRequestError, Overview, Status, ValidationError
from fusebill_async.testing import Fault
from tests.lifecycle.lifecycle_calls import NETSUITE_ID

COLLECT = {"paymentMethod": "UseExistingPaymentMethod", "paymentMethodId": 149447}


def received(fusebill):
    request = fusebill.requests[-1]
    return request.method, request.target.removeprefix("/v1"), json.loads(request.body) if request.body else None


@pytest.mark.parametrize(
    ("status", "call", "method", "target", "body"),
    [
        ("Active", lambda c: c.customers.overview(1), "GET", "/customers/1/Overview", None),
        ("Cancelled", lambda c: c.customers.uncancel(1), "POST", "/customers/uncancel/1", None),
        (
            "Hold",
            lambda c: c.customers.preview_release_hold(1, "ChargeForAllMissedPeriods"),
            "POST",
            "/customers/unHold",
            {"customerId": 1, "preview": True, "serviceStartOption": "ChargeForAllMissedPeriods"},
        ),
        (
            "Hold",
            lambda c: c.customers.preview_release_hold(
                1,
                "NoChargesForMissedPeriods",
                show_zero_dollar_charges=False,
                temporarily_disable_auto_post=True,
            ),
            "POST",
            "/customers/unHold",
            {
                "customerId": 1,
                "preview": True,
                "serviceStartOption": "NoChargesForMissedPeriods",
                "showZeroDollarCharges": False,
                "temporarilyDisableAutoPost": True,
            },
        ),
        ("Active", lambda c: c.customers.activate_items(1), "POST", "/customers/purchase/1", None),
        (
            "Active",
            lambda c: c.customers.activate_items(
                1, iter([5, 6]), {7}, invoice_collect_options=COLLECT, temporarily_disable_auto_post=False
            ),
            "POST",
            "/customers/purchase/1",
            {
                "specificSubscriptionIds": [5, 6],
                "specificPurchaseIds": [7],
                "invoiceCollectOptions": COLLECT,
                "temporarilyDisableAutoPost": False,
            },
        ),
        (
            "Active",
            lambda c: c.customers.preview_activate_items(1, purchase_ids=[7], invoice_collect_options=COLLECT),
            "POST",
            "/customers/purchase/1",
            {"preview": True, "specificPurchaseIds": [7], "invoiceCollectOptions": COLLECT},
        ),
        (
            "Active",
            lambda c: c.customers.create(
                reference="A-1",
                billing_setting=[{"invoiceDay": 1}],
                tracked_item_display={"itemDisplay": "Code"},
            ),
            "POST",
            "/customers",
            {
                "reference": "A-1",
                "billingSetting": [{"invoiceDay": 1}],
                "trackedItemDisplay": {"itemDisplay": "Code"},
            },
        ),
        ("Active", lambda c: c.customers.create(), "POST", "/customers", {}),
        (
            "Active",
            lambda c: c.customers.create(
                company_name="Grok Ltd", customer_reference={"reference1": "a"}, primary_email=None
            ),
            "POST",
            "/customers",
            {"companyName": "Grok Ltd", "customerReference": {"reference1": "a"}, "primaryEmail": None},
        ),
        (
            "Active",
            lambda c: c.hubspot.latch(1, hubspot_id=5, hubspot_company_id=6),
            "POST",
            "/HubSpot/latchCustomer",
            {"fusebillId": 1, "hubSpotId": 5, "hubSpotCompanyId": 6},
        ),
        (
            "Active",
            lambda c: c.hubspot.latch(1, hubspot_id=5),
            "POST",
            "/HubSpot/latchCustomer",
            {"fusebillId": 1, "hubSpotId": 5},
        ),
        (
            "Active",
            lambda c: c.hubspot.latch(1, hubspot_company_id=None),
            "POST",
            "/HubSpot/latchCustomer",
            {"fusebillId": 1, "hubSpotCompanyId": None},
        ),
        (
            "Active",
            lambda c: c.salesforce.latch(1, "0013000000abc", force_latch=True),
            "POST",
            "/Salesforce/Latch",
            {"fusebillId": 1, "salesforceId": "0013000000abc", "forceLatch": True},
        ),
        (
            "Active",
            lambda c: c.netsuite.latch(1, "9"),
            "POST",
            "/NetSuite/LatchCustomer",
            {"fusebillId": 1, "netsuiteId": "9"},
        ),
        (
            "Active",
            lambda c: c.netsuite.latch(1, "9", datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=2)))),
            "POST",
            "/NetSuite/LatchCustomer",
            {"fusebillId": 1, "netsuiteId": "9", "netsuiteSyncStartDate": "2026-01-02T01:00:00Z"},
        ),
        (
            "Active",
            lambda c: c.netsuite.latch(1, "9", date(2026, 1, 2)),
            "POST",
            "/NetSuite/LatchCustomer",
            {"fusebillId": 1, "netsuiteId": "9", "netsuiteSyncStartDate": "2026-01-02"},
        ),
        (
            "Active",
            lambda c: c.netsuite.unlatch(1, NETSUITE_ID),
            "POST",
            "/NetSuite/UnLatchCustomer",
            {"fusebillId": 1, "netsuiteId": NETSUITE_ID},
        ),
        ("Active", lambda c: c.netsuite.enable_sync(1), "POST", "/Netsuite/EnableSynch/1", None),
        ("Active", lambda c: c.netsuite.disable_sync(1), "POST", "/Netsuite/DisableSynch/1", None),
        (
            "Active",
            lambda c: c.geotab.latch(1, "g" * 255),
            "POST",
            "/Geotab/LatchCustomer",
            {"fusebillId": 1, "geotabId": "g" * 255},
        ),
        ("Active", lambda c: c.geotab.unlatch(1), "POST", "/Geotab/UnlatchCustomer", {"fusebillId": 1}),
        (
            "Active",
            lambda c: c.customers.find(reference="A 1/ü"),
            "GET",
            "/customers?query=reference:A%201%2F%C3%BC&pageNumber=0&pageSize=1000&sortExpression=id&sortOrder=Ascending",
            None,
        ),
    ],
)
async def test_a_request_is_what_the_page_says(fusebill, client, status, call, method, target, body):
    fusebill.add_customer(id=1, status=status, netsuite_id=NETSUITE_ID, salesforce_id=None)
    await call(client)
    assert received(fusebill) == (method, target, body)
    if method == "POST" and body is None:
        assert fusebill.requests[-1].headers.get("Content-Length") == "0"


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda c: c.hubspot.latch(1), "hubspot_id"),
        (lambda c: c.hubspot.latch(1, hubspot_id=0), "hubspot_id"),
        (lambda c: c.hubspot.latch(1, hubspot_company_id="7"), "hubspot_company_id"),
        (lambda c: c.salesforce.latch(1, ""), "salesforce_id"),
        (lambda c: c.salesforce.latch(1, None), "salesforce_id"),
        (lambda c: c.salesforce.latch(1, "x", force_latch="yes"), "force_latch"),
        (lambda c: c.netsuite.latch(1, 9), "netsuite_id"),
        (lambda c: c.netsuite.unlatch(1, ""), "netsuite_id"),
        (lambda c: c.geotab.latch(1, "g" * 256), "geotab_id"),
        (lambda c: c.geotab.latch(1, 7), "geotab_id"),
        (lambda c: c.customers.uncancel(True), "customer_id"),
        (lambda c: c.customers.overview("1"), "customer_id"),
        (lambda c: c.customers.preview_release_hold(1, "Never"), "service_start_option"),
        (lambda c: c.customers.activate_items(1, subscription_ids=[]), "subscription_ids"),
        (lambda c: c.customers.activate_items(1, purchase_ids=["5"]), "purchase_ids"),
        (lambda c: c.customers.activate_items(1, invoice_collect_options="UseDefault"), "invoice_collect_options"),
        (lambda c: c.customers.activate_items(1, invoice_collect_options={}), "invoice_collect_options"),
        (lambda c: c.customers.activate_items(1, invoice_collect_options=[COLLECT]), "invoice_collect_options"),
        (lambda c: c.customers.preview_activate_items(1, purchase_ids=[]), "purchase_ids"),
        (lambda c: c.customers.create(billing_setting="Monthly"), "billing_setting"),
        (lambda c: c.customers.create(billing_setting=[]), "billing_setting"),
        (lambda c: c.customers.create(tracked_item_display=[{}]), "tracked_item_display"),
        (lambda c: c.customers.create(company_name="x" * 256), "company_name"),
        (lambda c: c.customers.create(compny_name="x"), "compny_name"),
        (lambda c: c.customers.create(id=7), "id"),
        (lambda c: c.customers.create(status="Active"), "status"),
        (lambda c: c.customers.find(reference=""), "reference"),
        (lambda c: c.customers.find(reference=7), "reference"),
        (lambda c: c.customers.find(reference="a*"), "reference"),
        (lambda c: c.customers.find(reference="a;b"), "reference"),
    ],
)
async def test_what_cannot_be_sent_is_refused_before_anything_is(fusebill, client, call, field):
    fusebill.add_customer(id=1)
    with pytest.raises(ValidationError) as caught:
        await call(client)
    assert caught.value.field == field
    assert not fusebill.requests


async def test_an_overview_has_its_balances(fusebill, client):
    fusebill.add_customer(id=1, status="Hold")
    overview = await client.customers.overview(1)
    assert isinstance(overview, Overview)
    assert overview.status == Status.HOLD
    assert "arBalance" in overview.extra


async def test_a_preview_of_a_release_changes_nothing(fusebill, client):
    fusebill.add_customer(id=1, status="Hold")
    before = fusebill.customer_bytes(1)
    preview = await client.customers.preview_release_hold(1, "ChargeForAllMissedPeriods")
    assert preview.invoice_preview is not None
    assert len(preview.additional_invoices_for_preview) == 1
    assert preview.customer.status == "Hold"
    assert fusebill.customer_bytes(1) == before


async def test_find_compares_exactly(fusebill, client):
    ids = [fusebill.add_customer(reference=text) for text in ("A-1", "a-1", "A-1", "A-10", "xA-1")]
    found = await client.with_response.customers.find(reference="A-1")
    assert [customer.id for customer in found.value] == [ids[0], ids[2]]
    assert found.status == 200
    assert await client.customers.find(reference="A-2") == []


async def test_find_takes_numbers_for_their_text(fusebill, client):
    customer_id = fusebill.add_customer(reference=100986)
    assert [one.id for one in await client.customers.find(reference="100986")] == [customer_id]


@pytest.mark.parametrize(
    "given", [{"hubspot_id": None}, {"hubspot_company_id": None}, {"hubspot_id": 70, "hubspot_company_id": None}]
)
async def test_a_lost_latch_is_settled_also_when_it_clears(fusebill, client, given):
    fusebill.add_customer(id=1, hubspot_id=7, hubspot_company_id=8)
    fusebill.inject(Fault.reset_before_effect(operation="hubspot.latch"), Fault.reset_after_effect(operation="latch"))
    response = await client.with_response.hubspot.latch(1, **given)
    assert response.confirmed_by == "read"
    assert fusebill.effects("latch", 1) == 1
    for name, value in given.items():
        assert getattr(response.value, name) == value


async def test_a_second_salesforce_latch_needs_force(fusebill, client):
    fusebill.add_customer(id=1, salesforce_id="old")
    with pytest.raises(BadRequestError):
        await client.salesforce.latch(1, "new")
    assert (await client.salesforce.latch(1, "new", force_latch=True)).salesforce_id == "new"


async def test_a_create_answers_with_a_draft(fusebill, client):
    customer = await client.customers.create(reference="A-1", company_name="Grok Ltd", currency="CAD", title="Dr")
    assert (customer.status, customer.reference, customer.currency) == ("Draft", "A-1", "CAD")
    assert customer.created_timestamp.tzinfo is UTC
    assert fusebill.customer_ids == [customer.id]
