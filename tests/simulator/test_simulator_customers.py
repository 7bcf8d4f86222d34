"""Customers: the shape of the samples, literals kept, the PUT that nullifies."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from fusebill_async.testing import FusebillSimulator, Template
from tests.simulator.plain_wire import ask

PUT = "/v1/customers"


async def read(fusebill, customer_id=1):
    return (await ask(fusebill, "GET", f"/v1/customers/{customer_id}")).json


async def test_a_read_has_the_keys_of_the_samples_in_their_order(fusebill):
    fusebill.add_customer(id=1)
    text = (Path(__file__).parents[1] / "samples" / "customer_hold_200.json").read_text()
    assert list(await read(fusebill)) == list(json.loads(text))


async def test_quirks_of_the_samples(fusebill):
    fusebill.add_customer(id=1)
    answer = await ask(fusebill, "GET", "/v1/customers/1")
    assert b'"monthlyRecurringRevenue":25.9800' in answer.body
    assert isinstance(answer.json["primaryPhone"], int)
    assert isinstance(answer.json["reference"], int)
    assert answer.json["modifiedTimestamp"] == "2019-11-07T15:51:11.1915461Z"
    assert answer.json["createdTimestamp"] == "2018-01-01T03:33:33.02"
    assert answer.header("content-type") == "application/json; charset=utf-8"


async def test_the_template_can_be_chosen():
    template = Template(bare_integers=False, relative_uri=True, leave_out={"geotabId"}, pretty=True)
    async with FusebillSimulator(customers=1, template=template) as fusebill:
        answer = await ask(fusebill, "GET", "/v1/customers/1")
    assert answer.json["uri"] == "/customers/1"
    assert answer.json["primaryPhone"] == "6135550101"
    assert "geotabId" not in answer.json
    assert b'\n  "monthlyRecurringRevenue": 25.9800,\n' in answer.body


async def test_python_names_and_wire_keys_are_the_same(fusebill):
    fusebill.add_customer(
        id=1,
        company_name="A",
        hubspot_id=7,
        quickbooks_latch_type="DoNothing",
        netsuite_synch_status="Disabled",
        customerReference={"reference1": "r"},
        parentId=4,
    )
    shown = fusebill.customer(1)
    assert (shown["companyName"], shown["hubSpotId"], shown["parentId"]) == ("A", 7, 4)
    assert (shown["quickBooksLatchType"], shown["netsuiteSynchStatus"]) == ("DoNothing", "Disabled")
    assert shown["customerReference"]["reference1"] == "r"
    assert shown["customerReference"]["reference2"] == "customValue"


@pytest.mark.parametrize("literal", [b"10.000000", b"1e2", b"-0", b"1E+400", b"0.10", b'"\\u00e9"', b"[1.0, {}]"])
async def test_a_literal_goes_out_and_comes_back_byte_for_byte(fusebill, literal):
    fusebill.add_customer(id=1, raw={"someNewField": literal})
    before = fusebill.customer_bytes(1)
    assert b'"someNewField":' + literal in before
    answer = await ask(fusebill, "PUT", PUT, before)
    assert answer.status == 200
    assert b'"someNewField":' + literal in answer.body
    assert fusebill.customer(1) | {"modifiedTimestamp": 0} == json.loads(before, parse_float=Decimal) | {
        "modifiedTimestamp": 0
    }


async def test_put_nullifies_what_is_left_out(fusebill):
    fusebill.add_customer(id=1, currency="CAD", raw={"newField": b"1.0"})
    before = fusebill.customer(1)
    answer = await ask(fusebill, "PUT", PUT, {"ID": 1, "Status": "Active", "FirstName": "Only"})
    after = answer.json
    kept = {
        "id", "uri", "status", "createdTimestamp", "monthlyRecurringRevenue", "netMonthlyRecurringRevenue",
        "customerAccountStatus", "quickBooksSyncToken",
    }  # fmt: skip
    assert {key: after[key] for key in kept} == {key: before[key] for key in kept}
    assert after["firstName"] == "Only"
    # The page: a currency that is left out is the account's default.
    assert after["currency"] == "USD"
    assert after["modifiedTimestamp"] > before["modifiedTimestamp"]
    assert after["customerReference"] == {
        "reference1": None, "reference2": None, "reference3": None, "salesTrackingCodes": [], "id": 1,
        "uri": before["uri"],
    }  # fmt: skip
    assert set(after["customerAcquisition"].values()) == {None, 1, before["uri"]}
    others = after.keys() - kept - {"firstName", "currency", "modifiedTimestamp", "customerReference"}
    # An unset title and NetSuite type read back as "".
    unset = {"title", "netsuiteCustomerType"}
    assert {after[key] for key in unset} == {""}
    assert {after[key] for key in others - {"customerAcquisition"} - unset} == {None}
    assert "newField" in others


async def test_put_nullifies_within_nested_objects(fusebill):
    codes = [{"type": "Sales Tracking Code 1", "code": "c", "name": "n"}]
    fusebill.add_customer(
        id=1, customer_reference={"reference1": "a", "reference3": "c", "sales_tracking_codes": codes}
    )
    body = fusebill.customer(1) | {"customerReference": {"reference1": "new", "id": 99}}
    answer = await ask(fusebill, "PUT", PUT, json.loads(json.dumps(body, default=float)))
    assert answer.json["customerReference"] == {
        "reference1": "new", "reference2": None, "reference3": None, "salesTrackingCodes": [], "id": 1,
        "uri": answer.json["uri"],
    }  # fmt: skip


async def test_put_ignores_what_the_service_keeps(fusebill):
    fusebill.add_customer(id=1)
    body = fusebill.customer_bytes(1).replace(b"25.9800", b"99.0").replace(b'"Good"', b'"Collection"')
    answer = await ask(fusebill, "PUT", PUT, body)
    assert answer.json["monthlyRecurringRevenue"] == Decimal("25.9800")
    assert answer.json["customerAccountStatus"] == "Good"


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"status": "Active"}, 400, "id is required."),
        ({"id": 1}, 400, "Status is required."),
        ({"id": 123, "status": "Active"}, 404, "Customer with id 123 not found."),
        (
            {"id": 1, "status": "Suspended"},
            400,
            "Cannot manually suspend customer, the system is in charge of suspending customers.",
        ),
        ({"id": 1, "status": "Draft"}, 400, "Cannot change the status of a customer back to Draft."),
        (
            {"id": 1, "status": "Active", "firstName": "x" * 51},
            400,
            "firstName can be at most 50 characters.",
        ),
        ({"id": 1, "status": "Active", "title": "Lord"}, 400, "Lord is not a valid title."),
    ],
)
async def test_put_refusals(fusebill, body, status, text):
    fusebill.add_customer(id=1)
    before = fusebill.customer_bytes(1)
    answer = await ask(fusebill, "PUT", PUT, body)
    assert (answer.status, answer.text) == (status, text)
    assert fusebill.customer_bytes(1) == before
    assert fusebill.effects("update") == 0


async def test_put_echoes_suspended_and_undoes_a_hold(fusebill):
    fusebill.add_customer(id=1, status="Suspended")
    fusebill.add_customer(id=2, status="Hold")
    assert (await ask(fusebill, "PUT", PUT, fusebill.customer_bytes(1))).status == 200
    undone = await ask(fusebill, "PUT", PUT, fusebill.customer_bytes(2).replace(b'"Hold"', b'"Active"'))
    assert undone.json["status"] == "Active"
    assert fusebill.effects("update", 2) == 1


async def test_create_read_back_and_overview(fusebill):
    fusebill.add_customer(id=41)
    sent = {"firstName": "Sam", "companyName": "Example", "reference": "R-1", "status": "Active"}
    made = await ask(fusebill, "POST", "/v1/customers", sent)
    assert (made.json["id"], made.json["status"], made.json["title"]) == (42, "Draft", "")
    assert made.json["createdTimestamp"].endswith("Z")
    again = await read(fusebill, 42)
    assert not again["createdTimestamp"].endswith("Z")
    assert again["reference"] == "R-1"
    overview = await ask(fusebill, "GET", "/v1/customers/42/Overview")
    assert overview.json["firstName"] == "Sam"
    assert fusebill.effects("create", 42) == 1


async def test_somebody_else_edits(fusebill):
    fusebill.add_customer(id=1)
    fusebill.change(1, company_name="Other", status="Hold", customer_reference={"reference1": "x"})
    shown = await read(fusebill)
    assert (shown["companyName"], shown["status"]) == ("Other", "Hold")
    assert shown["customerReference"]["reference2"] == "customValue"
    assert shown["modifiedTimestamp"][:4] != "2019"
    with pytest.raises(KeyError):
        fusebill.change(9, status="Hold")


async def test_the_state_survives_a_restart(tmp_path: Path):
    path = tmp_path / "state.sqlite"
    async with FusebillSimulator(customers=3, state=path) as fusebill:
        fusebill.add_customer(id=10, raw={"rate": b"1.000"})
        await ask(fusebill, "POST", "/v1/CustomerHold/1")
        before = [fusebill.customer_bytes(customer_id) for customer_id in fusebill.customer_ids]
    async with FusebillSimulator(customers=500, state=path) as fusebill:
        assert fusebill.customer_ids == [1, 2, 3, 10]
        assert [fusebill.customer_bytes(customer_id) for customer_id in fusebill.customer_ids] == before
        assert fusebill.customer(1)["status"] == "Hold"
        assert fusebill.add_customer() == 11
