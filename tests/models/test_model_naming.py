"""Which fields the caller named, and what attrs, copy and pickle do with a customer."""

import copy
import pickle

import attrs
import pytest

from fusebill_async.converting import decode_customer, encode, make_converter
from fusebill_async.errors import ValidationError
from fusebill_async.models import (
    UNSET,
    Customer,
    CustomerReference,
    Overview,
    SalesTrackingCode,
    Status,
    named_changes,
    named_fields,
    wire_key,
    wire_keys,
)


def pickled(value):
    return pickle.loads(pickle.dumps(value))  # noqa: S301 - the bytes are our own


@pytest.fixture
def customer(sample):
    return decode_customer(sample("customer_hold_200"))


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("company_name", "companyName"),
        ("reference1", "reference1"),
        ("hubspot_id", "hubSpotId"),
        ("hubspot_company_id", "hubSpotCompanyId"),
        ("quickbooks_latch_type", "quickBooksLatchType"),
        ("netsuite_synch_status", "netsuiteSynchStatus"),
        ("salesforce_account_type", "salesforceAccountType"),
        ("geotab_id", "geotabId"),
        ("digital_river_id", "digitalRiverId"),
        ("po_number", "poNumber"),
        ("id", "id"),
    ],
)
def test_names_on_the_wire(name, key):
    assert wire_key(name) == key


def test_every_key_of_the_samples_is_known(customer_body):
    customer = decode_customer(customer_body)

    assert customer.extra == {}
    assert customer.customer_reference.extra == {}
    assert customer.customer_acquisition.extra == {}


def test_what_is_given_is_named():
    made = Customer(id=1, middle_name=None)

    assert named_fields(made) == {"id", "middle_name"}
    assert named_changes(made) == {"id": 1, "middleName": None}
    assert (made.last_name, made.wire, made.extra) == (None, None, {})


def test_nothing_of_the_wire_is_named(customer):
    attrs.asdict(customer)

    assert named_fields(customer) == frozenset()
    assert named_changes(customer) == {}


def test_what_is_assigned_is_named(customer):
    customer.company_name = "X"
    customer.title = None

    assert named_changes(customer) == {"companyName": "X", "title": None}


def test_the_same_value_is_no_change(customer):
    customer.company_name = customer.company_name
    customer.digital_river_id = None
    customer.customer_reference = customer.customer_reference

    assert named_changes(customer) == {}
    assert "company_name" in named_fields(customer)


def test_a_field_can_be_forgotten(customer):
    before = customer.company_name
    customer.company_name = "X"
    customer.company_name = UNSET

    assert (customer.company_name, named_fields(customer)) == (before, frozenset())


def test_nested_fields_are_named_at_their_level(customer):
    customer.customer_reference.reference1 = "x"

    assert named_changes(customer) == {"customerReference": {"reference1": "x"}}
    assert named_fields(customer) == frozenset()
    assert named_fields(customer.customer_reference) == {"reference1"}


def test_a_nested_object_made_by_hand(customer):
    customer.customer_reference = CustomerReference(reference1="x", reference2="customValue")

    assert named_changes(customer) == {"customerReference": {"reference1": "x"}}


def test_a_nested_object_of_somebody_else(customer):
    body = b'{"id":2,"status":"Draft","customerReference":{"reference1":"other","reference2":null}}'
    customer.customer_reference = decode_customer(body).customer_reference

    assert named_changes(customer) == {"customerReference": {"reference1": "other", "reference2": None}}


def test_a_nested_object_taken_away_and_one_put_there():
    empty = decode_customer(b'{"id":2,"status":"Draft","customerReference":null}')
    empty.customer_reference = CustomerReference(reference3="z")
    full = decode_customer(b'{"id":2,"status":"Draft","customerReference":{"reference1":"a"}}')
    full.customer_reference = None

    assert named_changes(empty) == {"customerReference": {"reference3": "z"}}
    assert named_changes(full) == {"customerReference": None}


def test_tracking_codes_are_named_as_a_whole(customer):
    customer.customer_reference.sales_tracking_codes = [SalesTrackingCode(type="t", code="c")]

    changes = {"customerReference": {"salesTrackingCodes": [{"type": "t", "code": "c"}]}}
    assert named_changes(customer) == changes
    assert b'"salesTrackingCodes":[{"type":"t","code":"c"}]' in encode(customer)


def test_unknown_names_are_refused(customer):
    with pytest.raises(AttributeError):
        _ = customer.compani_name
    with pytest.raises(AttributeError):
        customer.compani_name = "X"
    with pytest.raises(AttributeError):
        customer.wire = b""
    with pytest.raises(AttributeError):
        customer._wire = b""
    with pytest.raises(AttributeError):
        _ = Customer(id=1).compani_name
    with pytest.raises(TypeError):
        Customer(compani_name="X")


def test_evolve_keeps_the_wire_and_names_the_difference(customer):
    other = attrs.evolve(customer, company_name="X", first_name=customer.first_name)

    assert other.wire is customer.wire
    assert named_changes(other) == {"companyName": "X"}
    assert named_changes(customer) == {}
    assert other.status is Status.HOLD


def test_evolve_keeps_what_was_named(customer):
    customer.last_name = "Y"
    customer.customer_reference.reference1 = "r"
    other = attrs.evolve(customer, company_name="X")
    other.customer_reference.reference3 = "s"

    assert named_changes(other) == {
        "lastName": "Y",
        "companyName": "X",
        "customerReference": {"reference1": "r", "reference3": "s"},
    }
    assert named_changes(customer) == {"lastName": "Y", "customerReference": {"reference1": "r"}}


def test_evolve_of_one_made_by_hand_names_no_more():
    other = attrs.evolve(Customer(id=1, middle_name=None), last_name="Z")

    assert named_changes(other) == {"id": 1, "middleName": None, "lastName": "Z"}


def test_extra_can_be_given():
    body = b'{"id":2,"status":"Draft","a":1,"b":[2.50]}'
    customer = decode_customer(body)
    customer.extra = {"a": 1, "c": 3}
    other = attrs.evolve(customer, company_name="X")

    assert named_changes(customer) == {"c": 3}
    assert named_changes(other) == {"companyName": "X", "c": 3}
    assert named_changes(Customer(id=1, extra={"c": 3})) == {"id": 1, "c": 3}
    with pytest.raises(ValidationError, match="companyName"):
        Customer(id=1, extra={"companyName": "X"})


def test_extra_alone_does_not_bring_the_other_customer_along():
    source = decode_customer(b'{"id":2,"status":"Draft","a":1,"companyName":"X"}')
    made = Customer(id=5, extra=source.extra)
    assigned = Customer(id=6)
    assigned.extra = source.extra

    assert (made.wire, made.company_name) == (None, None)
    assert named_changes(made) == {"id": 5, "a": 1}
    assert attrs.evolve(assigned, last_name="Z").wire is None


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickled])
def test_copies_are_equal_and_keep_what_was_named(customer, duplicate):
    customer.company_name = "X"
    customer.customer_reference.reference1 = "x"
    other = duplicate(customer)

    assert other == customer
    assert other.wire == customer.wire
    assert named_changes(other) == named_changes(customer)
    other.last_name = "Y"
    assert "lastName" not in named_changes(customer)


def test_one_made_by_hand_is_pickled():
    made = Customer(id=1, middle_name=None, extra={"a": 1})
    other = pickled(made)

    assert other == made
    assert named_changes(other) == {"id": 1, "middleName": None, "a": 1}


def test_one_of_another_converter_is_pickled(sample):
    customer = make_converter().structure(sample("customer_put_200"), Customer)

    assert pickled(customer) == customer


def test_equality_is_of_values(sample):
    one = decode_customer(sample("customer_hold_200"))
    spaced = decode_customer(b" " + sample("customer_hold_200"))

    assert one == spaced
    spaced.company_name = "X"
    assert one != spaced


def test_repr_shows_id_and_status_and_no_person(customer):
    assert repr(customer) == f"Customer(id={customer.id}, status={customer.status!r})"
    assert repr(Customer(id=1, first_name="Maryanne")) == "Customer(id=1)"
    assert repr(Overview(last_name="Smith")) == "Overview()"
    assert repr(CustomerReference(reference1="A-1")) == "CustomerReference()"


def test_attrs_sees_plain_fields(customer):
    names = [field.name for field in attrs.fields(Customer)]
    shown = attrs.asdict(customer)

    assert names == [*wire_keys(Customer), "extra"]
    assert shown["company_name"] == customer.company_name
    assert shown["customer_reference"]["reference2"] == "customValue"
    assert not hasattr(customer, "__dict__")
