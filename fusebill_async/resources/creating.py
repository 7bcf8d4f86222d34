"""The flow of a create: check, send once, and compare the answer with what was sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fusebill_async.converting import decode_json, encode
from fusebill_async.errors import FieldsNotTakenError, ValidationError
from fusebill_async.models import Customer
from fusebill_async.operations import CREATE
from fusebill_async.resources.core import ClientCore
from fusebill_async.session.call import Call
from fusebill_async.settling.response import Response
from fusebill_async.settling.write import Write
from fusebill_async.updating.changes import wire_changes
from fusebill_async.updating.rules import check_changes, python_name
from fusebill_async.wire.checks import is_array, is_object
from fusebill_async.wire.comparing import same_value
from fusebill_async.wire.request import Request

BESIDES: Mapping[str, str] = {"billing_setting": "billingSetting", "tracked_item_display": "trackedItemDisplay"}
"""What is set up with a new customer and is no field of it: no later read shows it."""


async def create_customer(
    core: ClientCore, fields: Mapping[str, Any], *, validate: bool, resend: bool, idempotency_key: str | None
) -> Response[Customer]:
    """Create a customer; see `CustomersWithResponse.create`."""
    wired = wire_changes({name: value for name, value in fields.items() if name not in BESIDES})
    besides = {key: _objects(name, fields[name]) for name, key in BESIDES.items() if fields.get(name) is not None}
    if "status" in wired:
        raise ValidationError("a new customer is a Draft, and its verbs change that: leave status out", field="status")
    if validate:
        check_changes(wired)
    request = Request(CREATE.method, CREATE.path, encode(wired | besides))
    call = Call(CREATE, None, request, core.options)
    key = core.key_of(idempotency_key, CREATE, None, request)
    response = await core.writing.writer.write(Write(call, wired, resend=resend, key=key))
    if not response.replayed:
        # What was made earlier may have been changed since.
        _compare(call, wired, response.value)
    return response


def _objects(name: str, given: Any) -> Any:
    """What a new customer is set up with: an object, or a list of some."""
    items = given if is_array(given) and given else [given]
    if not all(is_object(item) and item for item in items):
        raise ValidationError(f"{name} must be a dict by the API's names, or a list of one", field=name)
    return given


def _compare(call: Call, sent: Mapping[str, Any], customer: Customer) -> None:
    """Raise `FieldsNotTakenError` if the answer shows other values than were sent."""
    shown = decode_json(customer.wire or b"{}")
    different = {
        python_name(key): (value, shown[key])
        for key, value in sent.items()
        if key in shown and not same_value(value, shown[key])
    }
    if different:
        told = "; ".join(f"{name}: sent {value!r}, shown {now!r}" for name, (value, now) in different.items())
        raise FieldsNotTakenError(
            f"{call.about} was applied as customer {customer.id}, but not as sent: {told}",
            fields=different,
            customer=customer,
            **call.facts,
        )
