"""The operations of the table: states, refusals with the documented texts, effects, latches."""

import asyncio
import json

import pytest

from fusebill_async import operations as table
from fusebill_async.models.enums import Status
from fusebill_async.operations import OPERATIONS
from fusebill_async.testing import FusebillSimulator
from tests.simulator.plain_wire import Wire, ask

BODIES = {
    "customers.activate": {
        "customerId": 1, "activateAllSubscriptions": True, "activateAllDraftPurchases": True,
        "temporarilyDisableAutoPost": False,
    },
    "customers.preview_activation": {"customerId": 1},
    "customers.preview_activate_items": {"preview": True},
    "customers.release_hold": {"customerId": 1, "serviceStartOption": "ChargeForAllMissedPeriods"},
    "customers.preview_release_hold": {
        "customerId": 1, "serviceStartOption": "ChargeForAllMissedPeriods", "preview": True,
    },
    "customers.cancel": {"customerId": 1, "cancellationOption": "None"},
    "hubspot.latch": {"fusebillId": 1, "hubSpotId": 5, "hubSpotCompanyId": 6},
    "salesforce.latch": {"fusebillId": 1, "salesforceId": "S", "forceLatch": True},
    "netsuite.latch": {"fusebillId": 1, "netsuiteId": "N"},
    "netsuite.unlatch": {"fusebillId": 1, "netsuiteId": "1744204"},
    "geotab.latch": {"fusebillId": 1, "geotabId": "G"},
    "geotab.unlatch": {"fusebillId": 1},
}  # fmt: skip
VERBS = [one for one in OPERATIONS if one.method == "POST" and one is not table.CREATE]


async def perform(fusebill, operation):
    path = "/v1" + operation.path.replace("{id}", "1")
    if operation is table.PREVIEW_ACTIVATION:
        path += "?Preview=true&showzerodollarcharges=true"
    return await ask(fusebill, operation.method, path, BODIES.get(operation.title))


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("operation", VERBS, ids=lambda operation: operation.title)
async def test_every_state_of_the_table(fusebill, operation, status):
    fusebill.add_customer(id=1, status=status)
    answer = await perform(fusebill, operation)
    assert fusebill.received(operation.title, 1) == 1
    if operation.allowed_from is not None and status not in operation.allowed_from:
        text = f"This activity could not be processed since the service status is {status}"
        assert (answer.status, answer.text) == (400, text)
        assert answer.json == {
            "ErrorId": 0, "HttpStatusCode": 400, "Errors": [{"Key": "Api Error", "Value": text}],
        }  # fmt: skip
        assert fusebill.effects(operation.title) == 0
        return
    assert answer.status == 200
    assert answer.json["status"] == (operation.leads_to or status)
    assert fusebill.effects(operation.title, 1) == int(operation.writes)
    shown = fusebill.customer(1)
    if isinstance(operation.goal, table.FieldsAreNull):
        assert {shown[key] for key in operation.goal.keys} == {None}
    if isinstance(operation.goal, table.FieldsAre):
        sent = BODIES[operation.title]
        assert {key: shown[key] for key, _ in operation.goal.keys} == {key: sent[of] for key, of in operation.goal.keys}
    if isinstance(operation.goal, table.FieldIs):
        assert shown[operation.goal.key] == operation.goal.value


async def test_refusals_may_be_409():
    async with FusebillSimulator(conflict_status=409) as fusebill:
        fusebill.add_customer(id=1, status="Hold")
        assert (await perform(fusebill, table.HOLD)).status == 409


async def test_states_may_be_ignored():
    async with FusebillSimulator(enforce_states=False) as fusebill:
        fusebill.add_customer(id=1, status="Cancelled")
        assert (await perform(fusebill, table.HOLD)).status == 200


@pytest.mark.parametrize("operation", VERBS, ids=lambda operation: operation.title)
async def test_nobody_is_refused_with_the_documented_text(fusebill, operation):
    answer = await perform(fusebill, operation)
    assert (answer.status, answer.text) == (404, "Customer with id 1 not found.")


async def test_a_status_effect_touches_the_timestamp_unless_switched_off(fusebill):
    fusebill.add_customer(id=1)
    await perform(fusebill, table.HOLD)
    assert len(fusebill.customer(1)["modifiedTimestamp"]) == len("2019-11-07T15:51:11.1915461Z")
    assert fusebill.customer(1)["modifiedTimestamp"] > "2020"
    async with FusebillSimulator(bump_modified_on_status=False) as other:
        other.add_customer(id=1)
        await perform(other, table.HOLD)
        assert other.customer(1)["modifiedTimestamp"] < "2020"


async def test_a_preview_changes_nothing(fusebill):
    fusebill.add_customer(id=1, status="Draft")
    before = fusebill.customer_bytes(1)
    answer = await perform(fusebill, table.PREVIEW_ACTIVATION)
    assert len(answer.json["invoicePreview"]["draftCharges"]) == 2
    assert isinstance(answer.json["additionalInvoicesForPreview"], list)
    assert fusebill.customer_bytes(1) == before
    assert (fusebill.effects_log, fusebill.received("preview_activation", 1)) == ([], 1)
    assert fusebill.received("activate") == 0


async def test_side_effects_show_the_invoice(fusebill):
    fusebill.add_customer(id=1, status="Draft")
    path = "/v1/CUSTOMERactivation?VIEW=Sideeffects"
    answer = await ask(fusebill, "POST", path, BODIES["customers.activate"])
    assert answer.json["invoices"][0]["customerId"] == 1
    assert (fusebill.invoices(1), fusebill.effects("activate", 1)) == (1, 1)
    assert "invoices" not in fusebill.customer(1)


async def test_activation_needs_its_flag(fusebill):
    """The two others are required by the page, but a client that works in production leaves them out."""
    fusebill.add_customer(id=1, status="Draft")
    answer = await ask(fusebill, "POST", "/v1/customerActivation", {"customerId": 1})
    assert answer.status == 400
    assert [entry["Key"] for entry in answer.json["Errors"]] == ["activateAllSubscriptions"]
    assert not fusebill.effects_log


@pytest.mark.parametrize(("sent", "shown"), [({"hubSpotId": 9}, (9, None)), ({"hubSpotCompanyId": None}, (None, None))])
async def test_hubspot_latch_clears_what_is_left_out(fusebill, sent, shown):
    fusebill.add_customer(id=1)
    answer = await ask(fusebill, "POST", "/v1/hubspot/latchcustomer", {"fusebillId": 1} | sent)
    assert (answer.json["hubSpotId"], answer.json["hubSpotCompanyId"]) == shown


async def test_refusals_of_latches(fusebill):
    fusebill.add_customer(id=1)
    answer = await ask(fusebill, "POST", "/v1/NetSuite/UnLatchCustomer", {"fusebillId": 1, "netsuiteId": "1"})
    assert (answer.status, answer.text) == (400, "NetSuite Account 1 does not exist.")
    answer = await ask(fusebill, "POST", "/v1/Salesforce/Latch", {"fusebillId": 1, "salesforceId": "S"})
    assert answer.status == 400
    assert fusebill.effects_log == []


@pytest.mark.parametrize(
    ("key", "status", "text"),
    [
        (None, 401, "Authorization has been denied for this request."),
        ("wrong", 401, "Authorization has been denied for this request."),
        ("no!key", 400, "Authorization key is not in the correct format."),
    ],
)
async def test_keys(key, status, text):
    async with FusebillSimulator(api_key="right", customers=1) as fusebill:
        answer = await ask(fusebill, "GET", "/v1/customers/1", key=key)
        assert (answer.status, answer.text) == (status, text)
        assert (await ask(fusebill, "GET", "/v1/customers/1", key="right")).status == 200


async def test_routes_and_framing(fusebill):
    fusebill.add_customer(id=1)
    unknown = await ask(fusebill, "GET", "/v1/nothing/here")
    assert (unknown.status, list(unknown.json)) == (404, ["Message"])
    assert (await ask(fusebill, "PUT", "/v1/customers/1", {})).status == 405
    assert (await ask(fusebill, "POST", "/v1/HubSpot/latchCustomer", b"{'a':1}")).status == 400
    assert (await ask(fusebill, "GET", "/v1/customers/1_0")).status == 404
    fusebill.add_route("GET", "/extra", {"a": [1]})
    assert (await ask(fusebill, "GET", "/v1/Extra")).json == {"a": [1]}
    assert (await ask(fusebill, "GET", "/v1/customers/1/subscriptions")).json[0]["customerId"] == 1
    async with Wire(fusebill.port) as wire:
        wire.writer.write(b"POST /v1/CustomerHold/1 HTTP/1.1\r\nAuthorization: Basic k\r\n\r\n")
        assert (await wire.receive()).status == 411
        assert await wire.reader.read() == b""
    assert fusebill.effects("hold") == 0


async def test_chunked_split_and_pipelined_requests(fusebill):
    fusebill.add_customer(id=1)
    body = json.dumps({"fusebillId": 1, "hubSpotId": 3}).encode()
    async with Wire(fusebill.port) as wire:
        head = b"POST /v1/HubSpot/latchCustomer HTTP/1.1\r\nAuthorization: Basic k\r\n"
        head += b"Transfer-Encoding: chunked\r\n\r\n"
        for part in (
            head[:30],
            head[30:],
            b"5\r\n" + body[:5] + b"\r\n",
            b"%x\r\n" % len(body[5:]),
            body[5:] + b"\r\n",
        ):
            wire.writer.write(part)
            await wire.writer.drain()
        wire.writer.write(b"0\r\n\r\n" + b"GET /v1/customers/1 HTTP/1.1\r\nAuthorization: Basic k\r\n\r\n" * 2)
        answers = [await wire.receive() for _ in range(3)]
    assert [answer.json["hubSpotId"] for answer in answers] == [3, 3, 3]


async def test_requests_are_recorded(fusebill):
    fusebill.add_customer(id=1)
    await ask(fusebill, "POST", "/v1/customerhold/1?A=b", key="secret", headers=["X-Twice: 1", "X-Twice: 2"])
    (request,) = fusebill.requests
    assert (request.method, request.path, request.query) == ("POST", "/v1/customerhold/1", {"A": "b"})
    assert (request.operation, request.customer_id, request.connection) == ("customers.hold", 1, 1)
    assert (request.headers["content-length"], request.headers.all("x-twice")) == ("0", ["1", "2"])
    assert "secret" not in repr(request)
    assert fusebill.connections == 1
    assert fusebill.bytes_received > 100


async def test_a_client_may_wait_for_100_continue(fusebill):
    fusebill.add_customer(id=1)
    async with Wire(fusebill.port) as wire:
        wire.writer.write(
            b"POST /v1/HubSpot/latchCustomer HTTP/1.1\r\nAuthorization: Basic k\r\nExpect: 100-continue\r\n"
            b"Content-Length: 16\r\n\r\n"
        )
        assert (await wire.receive()).status == 100
        wire.writer.write(b'{"fusebillId"')
        await asyncio.sleep(0.05)
        wire.writer.write(b":1}")
        assert (await wire.receive()).status == 200


async def test_activating_chosen_items(fusebill):
    fusebill.add_customer(id=1)
    path = "/v1/customers/purchase/1"
    preview = await ask(fusebill, "POST", path, {"preview": True})
    assert "invoicePreview" in preview.json
    assert fusebill.effects("activate_items", 1) == fusebill.received("activate_items", 1) == 0
    assert (await ask(fusebill, "POST", path)).status == 200
    assert (await ask(fusebill, "POST", path, {"specificSubscriptionIds": [1]})).status == 200
    assert fusebill.effects("activate_items", 1) == 2


async def test_the_end_of_a_hold_may_make_an_invoice(fusebill):
    for customer_id, option in ((1, "ChargeForAllMissedPeriods"), (2, "NoChargesForMissedPeriods")):
        fusebill.add_customer(id=customer_id, status="Hold")
        body = {"customerId": customer_id, "serviceStartOption": option}
        assert (await ask(fusebill, "POST", "/v1/customers/unhold", body)).json["status"] == "Active"
    assert [fusebill.invoices(customer_id) for customer_id in (1, 2)] == [1, 0]
    refused = await ask(fusebill, "POST", "/v1/customers/unhold", {"customerId": 1, "serviceStartOption": "Maybe"})
    assert (refused.status, refused.text) == (400, "Maybe is not valid for serviceStartOption.")
