"""The four API pages: each test quotes the page's request, and asserts what the service received."""

from __future__ import annotations

import json
from pathlib import Path

from aioresponses import aioresponses
from yarl import URL

from fusebill_async import Customer, FusebillClient
from fusebill_async.testing import FusebillSimulator
from tests.conftest import KEY

SAMPLES = Path(__file__).parent.parent / "samples"


def sample(name: str) -> bytes:
    return (SAMPLES / f"{name}.json").read_bytes()


def assert_headers(request, *, length: int | None = None) -> None:
    """Every page: `Authorization: Basic {APIKey}` and `Content-Type: application/json`."""
    assert request.headers.get("Authorization") == f"Basic {KEY}"
    assert request.headers.get("Content-Type") == "application/json"
    assert request.headers.get("Transfer-Encoding") is None
    if length is not None:
        assert request.headers.get("Content-Length") == str(length)


async def test_hold_page(fusebill: FusebillSimulator, client: FusebillClient):
    """curl -X POST "https://secure.fusebill.com/v1/CustomerHold/{id}" -H "Content-Length: 0"."""
    fusebill.add_customer(id=12000750, status="Active")

    customer = await client.customers.hold(12000750)

    request = fusebill.requests[-1]
    assert (request.method, request.path) == ("POST", "/v1/CustomerHold/12000750")
    assert (request.query, request.body) == ({}, b"")
    assert_headers(request, length=0)
    assert (customer.id, customer.status) == (12000750, "Hold")


async def test_hubspot_unlatch_page(fusebill: FusebillSimulator, client: FusebillClient):
    """curl -X POST "https://secure.fusebill.com/v1/HubSpot/UnlatchCustomer/{customerId}" -H "Content-Length: 0"."""
    fusebill.add_customer(id=2554529, status="Active", hubSpotId=101, hubSpotCompanyId=202)

    customer = await client.hubspot.unlatch(2554529)

    request = fusebill.requests[-1]
    assert (request.method, request.path) == ("POST", "/v1/HubSpot/UnlatchCustomer/2554529")
    assert (request.query, request.body) == ({}, b"")
    assert_headers(request, length=0)
    assert (customer.hubspot_id, customer.hubspot_company_id) == (None, None)


async def test_activate_page(fusebill: FusebillSimulator, client: FusebillClient):
    """POST https://secure.fusebill.com/v1/customerActivation, and the same with ?view=sideeffects."""
    fusebill.add_customer(id=8708457, status="Draft")
    fusebill.add_customer(id=8708458, status="Draft")

    plain = await client.customers.activate(
        8708457,
        activate_all_subscriptions=True,
        activate_all_draft_purchases=True,
        temporarily_disable_auto_post=False,
    )
    request = fusebill.requests[-1]
    assert (request.method, request.path, request.query) == ("POST", "/v1/customerActivation", {})
    assert_headers(request)
    assert json.loads(request.body) == json.loads(sample("customer_activation_request"))
    assert list(json.loads(request.body)) == list(json.loads(sample("customer_activation_request")))
    assert (plain.customer.id, plain.customer.status) == (8708457, "Active")

    full = await client.customers.activate(8708458, True, True, False, side_effects=True)
    request = fusebill.requests[-1]
    assert (request.path, request.query) == ("/v1/customerActivation", {"view": "sideeffects"})
    # The key that holds the invoice is not documented: whatever it is, it survives.
    assert full.extra


async def test_activation_preview_page(fusebill: FusebillSimulator, client: FusebillClient):
    """POST .../v1/customerActivation?Preview=true&showzerodollarcharges=true&view=sideeffects."""
    fusebill.add_customer(id=8708457, status="Draft")

    preview = await client.customers.preview_activation(
        8708457,
        activate_all_subscriptions=True,
        activate_all_draft_purchases=True,
        temporarily_disable_auto_post=False,
        show_zero_dollar_charges=True,
        side_effects=True,
    )

    request = fusebill.requests[-1]
    assert (request.method, request.path) == ("POST", "/v1/customerActivation")
    assert request.query == {"preview": "true", "showZeroDollarCharges": "true", "view": "sideeffects"}
    assert json.loads(request.body) == json.loads(sample("customer_activation_request"))
    assert preview.customer.status == "Draft"
    assert preview.invoice_preview is not None

    await client.customers.preview_activation(8708457)
    # "All of these fields are required unless preview has been set to true, in which case only the customerID".
    assert json.loads(fusebill.requests[-1].body) == {"customerId": 8708457}
    assert fusebill.effects("activate", 8708457) == 0


async def test_update_page(fusebill: FusebillSimulator, client: FusebillClient):
    """put https://secure.fusebill.com/v1/customers: read the object, copy the JSON, modify, send."""
    fusebill.add_customer(id=12000750, status="Active", companyName="Ronbert")
    before = json.loads(fusebill.customer_bytes(12000750))

    await client.customers.update(12000750, company_name="Grok Ltd")

    read, put = list(fusebill.requests)[-2:]
    assert (read.method, read.path, read.body) == ("GET", "/v1/customers/12000750", b"")
    assert (put.method, put.path, put.query) == ("PUT", "/v1/customers", {})
    assert_headers(put, length=len(put.body))
    assert json.loads(put.body) == {**before, "companyName": "Grok Ltd"}
    assert list(json.loads(put.body)) == list(before)


async def test_the_page_of_creating(fusebill: FusebillSimulator, client: FusebillClient):
    """POST https://secure.fusebill.com/v1/customers, as the page's sample has it."""
    customer = await client.customers.create(
        reference="A-100",
        first_name="Avery",
        last_name="Dunmore",
        primary_email="avery@example.com",
        primary_phone="2065550101",
        customer_reference={
            "reference3": "chargeable",
            "reference1": "referrer",
            "sales_tracking_codes": [{"type": "Store", "code": "Honolulu"}],
        },
        customer_acquisition={"ad_content": "2024-01-31", "campaign": "2024-01-31"},
    )

    request = fusebill.requests[-1]
    assert (request.method, request.path) == ("POST", "/v1/customers")
    assert json.loads(request.body) == json.loads(sample("customer_create_request_tracking_codes"))
    assert customer.status == "Draft"
    (code,) = customer.customer_reference.sales_tracking_codes
    assert (code.type, code.code) == ("Store", "Honolulu")


async def test_the_page_of_activating_chosen_items(fusebill: FusebillSimulator, client: FusebillClient):
    """POST https://secure.fusebill.com/v1/customers/purchase/{id}, as the page's sample has it."""
    fusebill.add_customer(id=1, status="Active")
    arguments = {
        "subscription_ids": [301932, 301931],
        "purchase_ids": [12345],
        "temporarily_disable_auto_post": False,
        "invoice_collect_options": {"paymentMethod": "UseExistingPaymentMethod", "paymentMethodId": 149447},
    }
    body = json.loads(sample("activate_items_request_collect_options"))

    preview = await client.customers.preview_activate_items(1, **arguments)
    assert json.loads(fusebill.requests[-1].body) == {**body, "preview": True}
    assert preview.invoice_preview is not None
    assert fusebill.effects("activate_items", 1) == 0

    await client.customers.activate_items(1, **arguments)
    assert json.loads(fusebill.requests[-1].body) == body
    assert fusebill.effects("activate_items", 1) == 1


async def test_exact_wire_shape_of_each_request(mocked: aioresponses):
    """The same four against aioresponses: the URL letter by letter, and the documented answers as they stand."""
    base = "https://secure.fusebill.com/v1"
    mocked.post(f"{base}/CustomerHold/12000750", body=sample("customer_hold_200"))
    mocked.post(f"{base}/HubSpot/UnlatchCustomer/2554529", body=sample("hubspot_unlatch_200"))
    mocked.post(f"{base}/customerActivation?view=sideeffects", body=sample("customer_activation_200"))
    mocked.get(f"{base}/customers/12000750", body=sample("customer_put_200"))
    mocked.put(f"{base}/customers", body=sample("customer_put_200").replace(b'"Ronbert"', b'"Grok"'))

    async with FusebillClient(KEY) as client:
        assert (await client.customers.hold(12000750)).first_name == "Maryanne"
        assert (await client.hubspot.unlatch(2554529)).company_name == "Stolen Bikes"
        answer = await client.customers.activate(12000750, True, True, False, side_effects=True)
        assert answer.customer.status == "Active"
        assert (await client.customers.update(12000750, company_name="Grok")).company_name == "Grok"

    sent = {(method, str(url)): calls[0].kwargs for (method, url), calls in mocked.requests.items()}
    assert set(sent) == {
        ("POST", f"{base}/CustomerHold/12000750"),
        ("POST", f"{base}/HubSpot/UnlatchCustomer/2554529"),
        ("POST", f"{base}/customerActivation?view=sideeffects"),
        ("GET", f"{base}/customers/12000750"),
        ("PUT", f"{base}/customers"),
    }
    for kwargs in sent.values():
        assert kwargs["allow_redirects"] is False
    assert sent["POST", f"{base}/CustomerHold/12000750"]["data"] is None
    assert json.loads(sent["PUT", f"{base}/customers"]["data"])["companyName"] == "Grok"


async def test_replace_sends_a_customer_as_the_api_has_it(mocked: aioresponses):
    """The page's PUT, with what the service sent: every byte between the braces that nobody changed is the same."""
    base = "https://secure.fusebill.com/v1"
    mocked.get(f"{base}/customers/12000750", body=sample("customer_put_200"))
    mocked.put(f"{base}/customers", body=sample("customer_put_200"))
    async with FusebillClient(KEY) as client:
        customer = await client.customers.get(12000750)
        assert isinstance(await client.customers.replace(customer), Customer)
    (call,) = mocked.requests["PUT", URL(f"{base}/customers")]
    assert json.loads(call.kwargs["data"]) == json.loads(sample("customer_put_200"))


async def test_aioresponses_still_needs_help():
    """When this fails, aioresponses works with aiohttp by itself: drop `ResponseWithoutWriter` in conftest.py."""
    import aiohttp
    import pytest

    with aioresponses() as mock:
        mock.get("https://example.invalid/", body="x")
        async with aiohttp.ClientSession() as session:
            with pytest.raises(TypeError, match="stream_writer"):
                await session.get("https://example.invalid/")
