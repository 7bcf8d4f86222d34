"""What came goes back as it came: unknown fields at every level, and every number as it was written."""

import json

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusebill_async.converting import (
    decode_activation,
    decode_customer,
    decode_json,
    decode_overview,
    encode,
    own_converter,
    split_array,
    wire_fields,
)
from fusebill_async.models import Customer, InvoicePreview, wire_keys
from tests.models.json_equality import literal_values, same_json
from tests.models.sample_payloads import SAMPLES

NUMBERS = st.sampled_from(
    [
        "10.000000",
        "1E+2",
        "-0",
        "1e2",
        "25.9800",
        "9007199254740993",
        "123456789012345678901234567890",
        "-0.0",
    ]
) | st.integers().map(str)


class Literal(str):
    """A number literal on its way into a JSON text."""

    __slots__ = ()


def write(value) -> str:
    if isinstance(value, Literal):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{write(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[ " + " ,".join(map(write, value)) + " ]"
    return json.dumps(value, ensure_ascii=len(str(value)) % 2 == 0)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS = st.none() | st.booleans() | TEXTS | NUMBERS.map(Literal)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
KNOWN = frozenset(wire_keys(Customer).values())
UNKNOWN = st.dictionaries(TEXTS.filter(lambda key: key not in KNOWN), VALUES, max_size=4)
CUSTOMER_TEXTS = st.builds(
    lambda top, reference, code: write(
        {
            **top,
            "id": Literal("7"),
            "status": "Hold",
            "companyName": "Grok",
            "monthlyRecurringRevenue": Literal("1e2"),
            "customerReference": {
                **reference,
                "reference1": None,
                "reference2": Literal("1E+2"),
                "salesTrackingCodes": [{**code, "type": "t", "code": Literal("-0")}],
            },
        }
    ).encode(),
    UNKNOWN,
    UNKNOWN.map(lambda fields: {f"x{key}": value for key, value in fields.items()}),
    UNKNOWN.map(lambda fields: {f"x{key}": value for key, value in fields.items()}),
)


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.json")), ids=lambda path: path.stem)
def test_every_sample_goes_back_as_it_came(path):
    body = path.read_bytes()

    assert same_json(encode(wire_fields(body)), body)
    assert same_json(encode(decode_json(body)), body)


def test_every_customer_sample_goes_through_the_model(customer_body):
    customer = decode_customer(customer_body)

    assert customer.wire is customer_body
    assert same_json(encode(customer), customer_body)
    assert same_json(encode(own_converter().unstructure(customer)), customer_body)
    assert same_json(encode(own_converter().structure(customer_body, Customer)), customer_body)


def test_reading_every_field_changes_nothing(customer_body):
    customer = decode_customer(customer_body)
    attrs.asdict(customer)
    repr(customer)

    assert same_json(encode(customer), customer_body)


def test_the_overview_and_the_preview_go_through_their_models(sample):
    overview, preview = sample("customer_overview_200_partial"), sample("help_invoice_preview_partial")
    invoice = bytes(wire_fields(preview)["invoicePreview"])

    assert same_json(encode(decode_overview(overview)), overview)
    assert same_json(encode(own_converter().structure(invoice, InvoicePreview)), invoice)


@given(CUSTOMER_TEXTS)
def test_unknown_fields_and_odd_literals_survive(body):
    customer = decode_customer(body)
    attrs.asdict(customer)

    assert same_json(encode(customer), body)
    assert same_json(encode(decode_activation(body).customer), body)
    assert [decode_customer(text).wire for text in split_array(b"[" + body + b"]")] == [body]


@given(CUSTOMER_TEXTS)
def test_a_change_touches_nothing_else(body):
    customer = decode_customer(body)
    customer.company_name = "Grok Ltd"
    customer.customer_reference.reference1 = "A-1"

    expected = literal_values(body)
    expected["companyName"] = "Grok Ltd"
    expected["customerReference"]["reference1"] = "A-1"
    assert literal_values(encode(customer)) == expected


@given(CUSTOMER_TEXTS)
def test_a_tracking_code_keeps_what_is_unknown_in_it(body):
    customer = decode_customer(body)
    (code,) = customer.customer_reference.sales_tracking_codes
    code.code = "new"

    expected = literal_values(body)
    expected["customerReference"]["salesTrackingCodes"][0]["code"] = "new"
    assert literal_values(encode(customer)) == expected


@given(UNKNOWN)
def test_extra_holds_the_unknown_keys(unknown):
    body = write({**unknown, "id": Literal("7"), "status": "Hold"}).encode()

    assert dict(decode_customer(body).extra) == decode_json(write(unknown).encode())
