"""Each quirk of the service, and what cannot be read."""

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from fusebill_async.converting import decode_activation, decode_customer, decode_overview, encode, own_converter
from fusebill_async.errors import InvalidResponseError, ValidationError
from fusebill_async.models import Customer, Status, SynchStatus, Title


def customer_with(text: str) -> Customer:
    return decode_customer(f'{{"id":7,"status":"Hold",{text}}}'.encode())


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ('"primaryPhone": 9594952713', "primary_phone", "9594952713"),
        ('"reference": 1e2', "reference", "1e2"),
        ('"reference": -0', "reference", "-0"),
        ('"reference": 0', "reference", "0"),
        ('"reference": 25.9800', "reference", "25.9800"),
        ('"reference": 123456789012345678901234567890', "reference", "123456789012345678901234567890"),
        ('"salesforceId": "0014100000JJ3wt"', "salesforce_id", "0014100000JJ3wt"),
        ('"title": ""', "title", ""),
        ('"title": "Mrs"', "title", Title.MRS),
        ('"title": "Prof"', "title", "Prof"),
        ('"salesforceSynchStatus": "Enabled"', "salesforce_synch_status", SynchStatus.ENABLED),
        ('"netsuiteCustomerType": ""', "netsuite_customer_type", ""),
        ('"parentId": "12"', "parent_id", 12),
        ('"parentId": 12345.0', "parent_id", 12345),
        ('"parentId": "12345.0"', "parent_id", 12345),
        ('"parentId": ""', "parent_id", None),
        ('"hubSpotId": ""', "hubspot_id", None),
        ('"parentId": 9223372036854775807', "parent_id", 2**63 - 1),
        ('"hubSpotId": 5', "hubspot_id", 5),
        ('"hubSpotCompanyId": 6', "hubspot_company_id", 6),
        ('"quickBooksSyncToken": 0', "quickbooks_sync_token", 0),
        ('"isParent": false', "is_parent", False),
        ('"customerReference": null', "customer_reference", None),
        ('"geotabId": "7813"', "geotab_id", "7813"),
        ('"uri": "/customers/7"', "uri", "/customers/7"),
        ('"modifiedTimestamp": null', "modified_timestamp", None),
        ('"modifiedTimestamp": "0001-01-01T00:00:00"', "modified_timestamp", None),
        ('"modifiedTimestamp": "0001-01-01T00:00:00Z"', "modified_timestamp", None),
        (
            '"modifiedTimestamp": "2019-11-07T15:51:11.1915469Z"',
            "modified_timestamp",
            datetime(2019, 11, 7, 15, 51, 11, 191546, tzinfo=UTC),
        ),
        (
            '"createdTimestamp": "2018-01-01T03:33:33.02"',
            "created_timestamp",
            datetime(2018, 1, 1, 3, 33, 33, 20000, tzinfo=UTC),
        ),
        (
            '"createdTimestamp": "2025-05-21T08:23:32.3437534+00:00"',
            "created_timestamp",
            datetime(2025, 5, 21, 8, 23, 32, 343753, tzinfo=UTC),
        ),
        (
            '"createdTimestamp": "2025-05-21T08:23:32-04:00"',
            "created_timestamp",
            datetime(2025, 5, 21, 12, 23, 32, tzinfo=UTC),
        ),
    ],
)
def test_a_field_reads_as_documented(text, field, value):
    found = getattr(customer_with(text), field)

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", ["25.9800", "250", "0", "60.0000", "-1.5", "1E+2"])
def test_money_keeps_its_digits(text):
    money = customer_with(f'"monthlyRecurringRevenue": {text}').monthly_recurring_revenue

    assert isinstance(money, Decimal)
    assert str(money) == text


def test_a_timestamp_is_in_utc():
    assert customer_with('"createdTimestamp": "2025-05-21T08:23:32-04:00"').created_timestamp.tzinfo is UTC


def test_absent_keys_read_as_none(sample):
    customer = decode_customer(sample("hubspot_unlatch_200"))

    assert (customer.created_timestamp, customer.geotab_id, customer.netsuite_synch_status) == (
        None,
        None,
        None,
    )
    assert customer.title is Title.MR
    assert customer.customer_reference.uri == "/172677"
    assert customer.customer_reference.sales_tracking_codes == ()
    assert customer.customer_reference.classic_id is None


def test_tracking_codes():
    customer = customer_with('"customerReference": {"salesTrackingCodes": [{"type":"t","code":5,"name":null,"z":1}]}')
    (code,) = customer.customer_reference.sales_tracking_codes

    assert (code.type, code.code, code.name, dict(code.extra)) == ("t", "5", None, {"z": 1})


def test_an_unknown_status_is_kept():
    assert decode_customer(b'{"id":1,"status":"Frozen"}').status == "Frozen"
    assert decode_customer(b'{"id":1,"status":"Hold"}').status is Status.HOLD


@pytest.mark.parametrize("text", ['"1e5"', "1e5", '"1_0"', "12.5", '"twelve"', "{}", "true"])
def test_what_is_no_whole_number_is_no_id(text):
    with pytest.raises(InvalidResponseError, match="parent_id"):
        _ = customer_with(f'"parentId": {text}').parent_id


def preview_with(text):
    body = f'{{"id":7,"status":"Draft","invoicePreview":{{"total":29.3574,"tax":{text}}}}}'
    return decode_activation(body.encode()).invoice_preview


@pytest.mark.parametrize(("text", "tax"), [("3.3770", "3.3770"), ('"3.3770"', "3.3770"), ("0", "0")])
def test_the_tax_of_an_invoice_may_be_a_number(text, tax):
    found = preview_with(text).tax

    assert isinstance(found, Decimal)
    assert str(found) == tax


def test_the_tax_of_an_invoice_may_be_an_object():
    tax = preview_with('{"name":"HST","registrationCode":12,"percent":13.000000,"total":3.3774,"x":1}').tax

    assert (tax.name, tax.registration_code, str(tax.percent), str(tax.total)) == ("HST", "12", "13.000000", "3.3774")
    assert dict(tax.extra) == {"x": 1}
    assert preview_with("null").tax is None


@pytest.mark.parametrize("text", ['"much"', "true", "[1]"])
def test_what_is_no_tax_is_unreadable(text):
    invoice = preview_with(text)

    assert str(invoice.total) == "29.3574"
    with pytest.raises(InvalidResponseError, match=r"InvoicePreview\.tax"):
        _ = invoice.tax


def test_the_overview(sample):
    overview = decode_overview(sample("customer_overview_200_partial"))

    assert overview.company_name == "9984242269"
    assert overview.title is Title.DR
    assert overview.status is Status.ACTIVE
    assert overview.created_timestamp == datetime(2019, 11, 6, 14, 19, 1, tzinfo=UTC)


def test_an_activation_with_a_preview(sample):
    body = json.loads(sample("customer_activation_200")) | json.loads(sample("help_invoice_preview_partial"))
    body |= {"additionalInvoicesForPreview": [{"total": 1}, {"total": 2}], "someInvoice": {"id": 3}}
    activation = decode_activation(json.dumps(body).encode())
    (charge,) = activation.invoice_preview.draft_charges

    assert activation.customer.status is Status.ACTIVE
    assert (charge.amount, str(charge.quantity), charge.draft_invoice_id) == (Decimal(6), "4.0", 9)
    assert charge.charge_type_id == "sample string 2"
    assert charge.start_service_date.tzinfo is UTC
    assert [invoice.total for invoice in activation.additional_invoices_for_preview] == [1, 2]
    assert activation.extra == {"someInvoice": {"id": 3}}
    assert b"invoicePreview" not in encode(activation.customer)


def test_an_activation_without_a_preview(sample):
    body = sample("customer_activation_200")
    activation = decode_activation(body)

    assert activation.invoice_preview is None
    assert activation.additional_invoices_for_preview == ()
    assert activation.extra == {}
    assert activation.customer.wire is body


def test_an_activation_with_a_null_preview():
    activation = decode_activation(
        b'{"id":1,"status":"Active","invoicePreview":null,"additionalInvoicesForPreview":null}'
    )

    assert activation.invoice_preview is None
    assert activation.additional_invoices_for_preview == ()


@pytest.mark.parametrize(
    ("text", "field", "what"),
    [
        ('"companyName": ["a"]', "company_name", "an array"),
        ('"companyName": true', "company_name", "a boolean"),
        ('"parentId": 1.5', "parent_id", "a number"),
        ('"parentId": "many"', "parent_id", "a text"),
        ('"isParent": 1', "is_parent", "a number"),
        ('"monthlyRecurringRevenue": "NaN"', "monthly_recurring_revenue", "a text"),
        ('"monthlyRecurringRevenue": 1e99999999999999999999', "monthly_recurring_revenue", "a number"),
        ('"modifiedTimestamp": "yesterday"', "modified_timestamp", "a text"),
        ('"modifiedTimestamp": 5', "modified_timestamp", "a number"),
        ('"title": {}', "title", "an object"),
        ('"customerReference": []', "customer_reference", "an array"),
        ('"customerReference": "x"', "customer_reference", "a text"),
    ],
)
def test_what_cannot_be_the_field_is_refused_when_it_is_read(text, field, what):
    customer = customer_with(text)

    with pytest.raises(InvalidResponseError, match=rf"Customer\.{field} .*{what}"):
        getattr(customer, field)
    assert "id=7" in repr(customer)
    assert customer.id == 7


def test_what_cannot_be_read_does_not_stop_a_repr():
    assert repr(own_converter().structure({"id": {}}, Customer)) == "Customer(id=<unreadable>)"


def test_a_wrong_item_is_refused():
    customer = customer_with('"customerReference": {"salesTrackingCodes": [5]}')

    with pytest.raises(InvalidResponseError, match="sales_tracking_codes"):
        _ = customer.customer_reference.sales_tracking_codes


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("25.9800"), b"25.9800"),
        (Decimal("1E+2"), b"1E+2"),
        (2**70, b"1180591620717411303424"),
        (True, b"true"),
        (None, b"null"),
        (Status.HOLD, b'"Hold"'),
        ([Title.MR, "é"], '["Mr","é"]'.encode()),
        (datetime(2020, 1, 2, 3, 4, 5, 60, tzinfo=UTC), b'"2020-01-02T03:04:05.000060Z"'),
        (datetime(2020, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=1))), b'"2020-01-02T02:04:05Z"'),
        ({"a": {"b": (Decimal("0.10"),)}}, b'{"a":{"b":[0.10]}}'),
    ],
)
def test_values_are_written_exactly(value, text):
    assert encode(value) == text


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"a": {"b": Decimal("NaN")}}, "a.b"),
        ({"a": Decimal("Infinity")}, "a"),
        ({"a": [float("nan")]}, "a"),
        (float("-inf"), "body"),
        ({"a": b"bytes"}, "a"),
        ({"a": object()}, "a"),
        ({5: 1}, "body"),
        ({"a": "\ud800"}, "body"),
    ],
)
def test_what_json_does_not_have_is_refused(value, field):
    with pytest.raises(ValidationError) as refused:
        encode(value)
    assert refused.value.field == field


def test_what_holds_itself_is_refused():
    endless = []
    endless.append(endless)

    with pytest.raises(ValidationError, match="deep"):
        encode(endless)
