"""Bodies that are not what was expected, and the shapes of a refusal."""

from decimal import Decimal

import pytest

from fusebill_async.converting import (
    UnreadableAnswer,
    decode_activation,
    decode_customer,
    decode_json,
    decode_overview,
    encode,
    split_array,
)

DEEP = b'{"id":1,"status":"Hold","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
NOT_UTF8 = b'{"id":1,"status":"Hold","companyName":"\xff"}'


def read_list(body):
    return [decode_customer(text) for text in split_array(body)]


@pytest.mark.parametrize("decode", [decode_customer, decode_activation])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"<html>",
        b'{"id":1}',
        b'{"id":1,"status":null}',
        b'{"id":1,"status":5}',
        b'{"id":"one","status":"Hold"}',
        b'{"id":"","status":"Hold"}',
        b'{"id":null,"status":"Hold"}',
        b'{"id":true,"status":"Hold"}',
        b'{"id":1.5,"status":"Hold"}',
        b'{"id":1,"status":"Hold"',
        b'{"id":1,"status":"Hold"} x',
        b'{"id":1,"status":"Hold","x":NaN}',
        b'\xef\xbb\xbf{"id":1,"status":"Hold"}',
        b'{"id":1,"status":"Hold","x":"\\ud80"}',
        NOT_UTF8,
        DEEP,
    ],
    ids=lambda body: repr(body[:40]),
)
def test_what_is_no_customer_is_unreadable(decode, body):
    with pytest.raises(UnreadableAnswer) as found:
        decode(body)
    assert found.value.reason


def test_a_preview_that_is_no_object_is_unreadable():
    with pytest.raises(UnreadableAnswer):
        decode_activation(b'{"id":1,"status":"Hold","invoicePreview":5}')


def test_customers_come_one_by_one():
    first, second = read_list(b' [{"id":1,"status":"Hold"} , {"id":2,"status":"Draft"}]')

    assert (first.wire, second.id, second.status) == (b'{"id":1,"status":"Hold"}', 2, "Draft")
    assert read_list(b"[]") == []


@pytest.mark.parametrize("body", [b"{}", b"[5]", b'[{"id":1}]', b"[" + NOT_UTF8 + b"]", b"[" + DEEP + b"]"])
def test_what_is_no_list_of_customers_is_unreadable(body):
    with pytest.raises(UnreadableAnswer):
        read_list(body)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", NOT_UTF8, DEEP])
def test_what_is_no_overview_is_unreadable(body):
    with pytest.raises(UnreadableAnswer):
        decode_overview(body)


def test_any_json():
    found = decode_json(b'{"a":[1, 25.9800, 123456789012345678901234567890, true, null, "x"]}')

    assert found == {"a": [1, Decimal("25.9800"), 123456789012345678901234567890, True, None, "x"]}
    assert str(found["a"][1]) == "25.9800"


@pytest.mark.parametrize("body", [b"", b"nope", DEEP, b'"\xff"'])
def test_what_is_no_json_is_unreadable(body):
    with pytest.raises(UnreadableAnswer):
        decode_json(body)


def test_a_number_that_no_decimal_has_stays_its_text():
    assert decode_json(b'{"odd": 1e99999999999999999999, "even": 2.50}') == {
        "odd": "1e99999999999999999999",
        "even": Decimal("2.50"),
    }


@pytest.mark.parametrize("text", ['"7"', "7.0", '"7.00"', " 7"])
def test_an_id_in_another_form_is_the_number_that_it_is(text):
    wire = f'{{"id":{text},"status":"Hold"}}'.encode()
    customer = decode_customer(wire)

    assert (customer.id, customer.wire) == (7, wire)


HALVES = [
    b'"\\ud83d"',
    b'"\\ude00 behind"',
    b'"a\\ud83dZ"',
    b'"\\uD83D\\uD83D"',
    b'"\\\\\\ud83d"',
    b'"\\ud83d\\u0041"',
]
"""What a cut in the middle of an emoji leaves."""


@pytest.mark.parametrize("half", HALVES, ids=repr)
def test_half_a_surrogate_pair_costs_no_more_than_its_character(half):
    before = b'{"id":1,"status":"Hold","pair":"\\ud83d\\ude00","customerReference":{ "reference1" : '
    wire = before + half + b'},"firstName":' + half + b',"lastName":"Flores", "x":[' + half + b", 1.50 ]}"
    customer = decode_customer(wire)

    assert "\ufffd" in customer.first_name
    assert customer.customer_reference.reference1 == customer.first_name == customer.extra["x"][0]
    assert customer.extra["pair"] == "\U0001f600"
    assert customer.first_name.encode()
    assert (customer.last_name, str(customer.extra["x"][1])) == ("Flores", "1.50")
    listed = read_list(b"[" + wire + b' , {"id":2,"status":"Draft"}]')
    assert [one.wire for one in listed] == [wire, b'{"id":2,"status":"Draft"}']
    # What nobody names goes back as it came.
    customer.last_name = "Other"
    assert encode(customer).count(half) == 3
    assert decode_customer(encode(customer)).last_name == "Other"


def test_a_key_with_half_a_surrogate_pair_hides_no_other():
    customer = decode_customer(b'{"\\ud83d":1,"id":1,"status":"Hold"}')

    assert dict(customer.extra) == {"\ufffd": 1}


def test_a_backslash_that_is_a_character_is_no_escape():
    assert decode_json(b'["\\\\ud83d", "\\ud83d"]') == ["\\ud83d", "\ufffd"]
