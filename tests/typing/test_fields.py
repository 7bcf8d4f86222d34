"""What type checkers are told that a call takes is what the model has, and what the class takes."""

from __future__ import annotations

import inspect
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import attrs
import pytest

from fusebill_async import (
    Customer,
    CustomerAcquisition,
    CustomerAcquisitionFields,
    CustomerReference,
    CustomerReferenceFields,
    FusebillClient,
    NewCustomerFields,
    SalesTrackingCode,
    SalesTrackingCodeFields,
    UpdateFields,
)
from fusebill_async.client import ClientOptions
from fusebill_async.models import wire_keys
from fusebill_async.resources.creating import BESIDES
from fusebill_async.updating.rules import READ_ONLY_NAMES

FIELDS_OF = {
    CustomerReference: CustomerReferenceFields,
    CustomerAcquisition: CustomerAcquisitionFields,
    SalesTrackingCode: SalesTrackingCodeFields,
}


def writable(model: type[attrs.AttrsInstance], within: str = "") -> dict[str, Any]:
    """The fields of a model that a caller may name, with the types that a caller may give."""
    hints = get_type_hints(model)
    return {name: hints[name] for name in wire_keys(model) if within + name not in READ_ONLY_NAMES}


def members(hint: Any) -> set[Any]:
    """What a type allows: an object of a model may also be given as a dict, and a tuple as any sequence."""
    found: set[Any] = set()
    for one in get_args(hint) if get_origin(hint) in {Union, UnionType} else (hint,):
        if get_origin(one) is None:
            found |= {one, FIELDS_OF.get(one, one)}
        else:
            found.add(("several", frozenset(members(get_args(one)[0]))))
    return found


@pytest.mark.parametrize(
    ("fields", "model", "within"),
    [
        (UpdateFields, Customer, ""),
        (CustomerReferenceFields, CustomerReference, "customer_reference."),
        (CustomerAcquisitionFields, CustomerAcquisition, "customer_acquisition."),
        (SalesTrackingCodeFields, SalesTrackingCode, "sales_tracking_codes."),
    ],
)
def test_the_fields_that_can_be_named_are_those_of_the_model(
    fields: type[Any], model: type[attrs.AttrsInstance], within: str
) -> None:
    told = {name: members(hint) for name, hint in get_type_hints(fields).items()}
    assert told == {name: members(hint) for name, hint in writable(model, within).items()}
    assert fields.__total__ is False


def test_a_new_customer_has_no_status_and_what_is_set_up_with_it() -> None:
    assert get_type_hints(NewCustomerFields).keys() == (get_type_hints(UpdateFields).keys() - {"status"}) | set(BESIDES)


def test_from_env_takes_what_the_class_takes() -> None:
    taken = inspect.signature(FusebillClient).parameters
    hints = get_type_hints(FusebillClient.__init__)
    assert get_type_hints(ClientOptions) == {name: hints[name] for name in taken if name != "key"}
    assert ClientOptions.__total__ is False
