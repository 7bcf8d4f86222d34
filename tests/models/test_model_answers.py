"""Bodies that are not what was expected, and the shapes of a refusal."""

from decimal import Decimal

import pytest

from fusebill_async.converting import (
    UnreadableAnswer,
    decode_activation,
    decode_customer,
    decode_customers,
    decode_error,
    decode_json,
    decode_overview,
)

DEEP = b'{"id":1,"status":"Hold","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
NOT_UTF8 = b'{"id":1,"status":"Hold","companyName":"\xff"}'


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
        b'{"id":"1","status":"Hold"}',
        b'{"id":true,"status":"Hold"}',
        b'{"id":1.5,"status":"Hold"}',
        b'{"id":1,"status":"Hold"',
        b'{"id":1,"status":"Hold"} x',
        b'{"id":1,"status":"Hold","x":NaN}',
        b'\xef\xbb\xbf{"id":1,"status":"Hold"}',
        b'{"id":1,"status":"Hold","x":"\\ud800"}',
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
    first, second = decode_customers(b' [{"id":1,"status":"Hold"} , {"id":2,"status":"Draft"}]')

    assert (first.wire, second.id, second.status) == (b'{"id":1,"status":"Hold"}', 2, "Draft")
    assert decode_customers(b"[]") == []


@pytest.mark.parametrize("body", [b"{}", b"[5]", b'[{"id":1}]', b"[" + NOT_UTF8 + b"]", b"[" + DEEP + b"]"])
def test_what_is_no_list_of_customers_is_unreadable(body):
    with pytest.raises(UnreadableAnswer):
        decode_customers(body)


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


def test_the_documented_refusal(sample):
    found = decode_error(sample("customer_hold_404"))

    assert (found.error_id, found.http_status_code) == (0, 404)
    assert found.errors == (("Api Error", "Customer with id 128414930 not found."),)
    assert found.message == "Customer with id 128414930 not found."


def test_several_errors_are_joined():
    found = decode_error(b'{"ErrorId":1,"Errors":[{"Key":"a","Value":"x"},{"Key":"b","Value":"y"},"z",5]}')

    assert found.errors == (("a", "x"), ("b", "y"), ("", "z"))
    assert found.message == "x, y, z"
    assert found.http_status_code is None


@pytest.mark.parametrize("key", ["Message", "message"])
def test_a_bare_message(key):
    found = decode_error(f'{{"{key}":"No HTTP resource was found"}}'.encode())

    assert (found.message, found.errors, found.error_id) == ("No HTTP resource was found", (), None)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"<html>",
        b"5",
        b'{"a":1}',
        b'{"Message":5}',
        b'{"Errors":5}',
        NOT_UTF8,
        DEEP,
    ],
    ids=lambda body: repr(body[:30]),
)
def test_anything_else_is_no_refusal_that_is_known(body):
    assert decode_error(body) is None


def test_a_number_that_no_decimal_has_stays_its_text():
    assert decode_json(b'{"odd": 1e99999999999999999999, "even": 2.50}') == {
        "odd": "1e99999999999999999999",
        "even": Decimal("2.50"),
    }
