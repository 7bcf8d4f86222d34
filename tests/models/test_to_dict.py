"""`to_dict`: a model as plain Python, with everything that came."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from fusebill_async import Customer, CustomerReference, InvalidResponseError
from fusebill_async.converting import decode_customer
from fusebill_async.models import wire_keys

WIRE = (
    b'{"id":7,"companyName":"Grok","status":"Active","monthlyRecurringRevenue":10.500,"odd":{"deep":1.10},'
    b'"modifiedTimestamp":"2026-01-02T03:04:05.6789012Z",'
    b'"customerReference":{"reference1":"A-1","salesTrackingCodes":[{"type":"t","code":"c","more":1}]}}'
)


def test_every_field_is_there_by_its_name():
    customer = decode_customer(WIRE)
    found = customer.to_dict()
    assert found.keys() == {*wire_keys(Customer), "extra"}
    assert (found["id"], found["company_name"], found["status"]) == (7, "Grok", "Active")
    assert str(found["monthly_recurring_revenue"]) == "10.500"
    assert found["modified_timestamp"] == datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    assert found["first_name"] is None
    assert found["extra"] == {"odd": {"deep": Decimal("1.10")}}


def test_what_is_inside_is_plain_too():
    reference = decode_customer(WIRE).to_dict()["customer_reference"]
    assert reference["reference1"] == "A-1"
    assert reference["sales_tracking_codes"] == [{"type": "t", "code": "c", "name": None, "extra": {"more": 1}}]


def test_what_was_set_is_shown_and_the_dict_is_a_copy():
    customer = Customer(company_name="Grok", customer_reference=CustomerReference(reference1="A-1"))
    found = customer.to_dict()
    found["customer_reference"]["reference1"] = found["company_name"] = "changed"
    assert customer.customer_reference is not None
    assert (customer.company_name, customer.customer_reference.reference1) == ("Grok", "A-1")


def test_it_goes_into_json():
    assert json.loads(json.dumps(decode_customer(WIRE).to_dict(), default=str))["monthly_recurring_revenue"] == "10.500"


def test_what_cannot_be_read_is_no_dict():
    with pytest.raises(InvalidResponseError):
        decode_customer(b'{"id":7,"status":"Active","parentId":"seven"}').to_dict()
