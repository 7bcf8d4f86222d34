"""How each operation is taken back, and what cannot be. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

from fusebill_async.converting import WireObject
from fusebill_async.errors import ConfigurationError, ValidationError
from fusebill_async.models.enums import Status
from fusebill_async.operations import (
    ACTIVATE,
    ACTIVATE_ITEMS,
    CANCEL,
    GEOTAB_LATCH,
    GEOTAB_UNLATCH,
    HOLD,
    HUBSPOT_LATCH,
    HUBSPOT_UNLATCH,
    NETSUITE_DISABLE_SYNC,
    NETSUITE_ENABLE_SYNC,
    NETSUITE_LATCH,
    NETSUITE_UNLATCH,
    RELEASE_HOLD,
    REPLACE,
    SALESFORCE_LATCH,
    UNCANCEL,
    UPDATE,
    Operation,
)
from fusebill_async.updating.merging import spellings
from fusebill_async.updating.rules import READ_ONLY_NAMES, python_name
from fusebill_async.wire.comparing import is_empty
from fusebill_async.wire.request import build_request

Arguments: TypeAlias = dict[str, Any]

_REVERSES: Mapping[Operation, Operation] = {
    UPDATE: UPDATE,
    REPLACE: UPDATE,
    HOLD: RELEASE_HOLD,
    CANCEL: UNCANCEL,
    HUBSPOT_LATCH: HUBSPOT_LATCH,
    HUBSPOT_UNLATCH: HUBSPOT_LATCH,
    SALESFORCE_LATCH: SALESFORCE_LATCH,
    NETSUITE_LATCH: NETSUITE_UNLATCH,
    NETSUITE_UNLATCH: NETSUITE_LATCH,
    NETSUITE_ENABLE_SYNC: NETSUITE_DISABLE_SYNC,
    NETSUITE_DISABLE_SYNC: NETSUITE_ENABLE_SYNC,
    GEOTAB_LATCH: GEOTAB_UNLATCH,
    GEOTAB_UNLATCH: GEOTAB_LATCH,
}
_REFUSED: Mapping[Operation, str] = {
    ACTIVATE: "no customer becomes a draft again, and what was invoiced stays",
    ACTIVATE_ITEMS: "no subscription or purchase becomes a draft again, and what was invoiced stays",
    RELEASE_HOLD: "what was charged stays; a job of its own can put the customers on hold",
    UNCANCEL: "what was charged stays; a job of its own can cancel the customers",
}


def reverse_of(operation: Operation) -> Operation:
    """The operation that takes another one back.

    Raises:
        ConfigurationError: nothing does.
    """
    if operation in _REVERSES:
        return _REVERSES[operation]
    reason = _REFUSED.get(operation, "the API has nothing that takes it back")
    raise ConfigurationError(f"{operation.title} cannot be undone: {reason}")


def undo_arguments(operation: Operation, service_start_option: str | None, *, allow_charges: bool) -> Arguments:
    """The arguments of an undo that hold for all of its items.

    Args:
        operation: that is undone.
        service_start_option: of `release_hold`.
        allow_charges: that `uncancel` may invoice and charge was agreed to.

    Raises:
        ValidationError: an argument that is missing, or that has no use.
        ConfigurationError: nothing takes the operation back.
    """
    reverse = reverse_of(operation)
    if (reverse is RELEASE_HOLD) is (service_start_option is None):
        wrong = "needs service_start_option=: what is charged for the time on hold" if reverse is RELEASE_HOLD else None
        raise ValidationError(
            f"the undo of {operation.title} {wrong or 'takes no service_start_option'}", field="service_start_option"
        )
    if reverse is UNCANCEL and not allow_charges:
        raise ValidationError(
            f"the undo of {operation.title} is {reverse.title}, which may invoice and charge: it needs "
            "allow_charges=True, or --allow-charges",
            field="allow_charges",
        )
    if service_start_option is None:
        return {}
    build_request(reverse, 1, service_start_option=service_start_option)
    return {"service_start_option": service_start_option}


def arguments_back(operation: Operation, was: Mapping[str, Any], sent: Mapping[str, Any]) -> Arguments | str:
    """What goes with the reverse of an operation on one customer, or why it cannot be taken back.

    Args:
        operation: that is undone.
        was: the customer as it was before.
        sent: what was sent, by keys of the wire.
    """
    if operation is CANCEL:
        status = was.get("status")
        return {} if status == Status.ACTIVE else f"it was {status} before, and uncancel leads to Active"
    if operation in {HUBSPOT_LATCH, HUBSPOT_UNLATCH}:
        ids: Arguments = {"hubspot_id": was.get("hubSpotId"), "hubspot_company_id": was.get("hubSpotCompanyId")}
        return {name: None if is_empty(value) else int(value) for name, value in ids.items()}
    if operation is SALESFORCE_LATCH:
        before = was.get("salesforceId")
        nothing = "it was not latched before, and the API has nothing that unlatches from Salesforce"
        return nothing if is_empty(before) else {"salesforce_id": str(before), "force_latch": True}
    if operation in {NETSUITE_LATCH, GEOTAB_LATCH}:
        key = "netsuiteId" if operation is NETSUITE_LATCH else "geotabId"
        if not is_empty(was.get(key)):
            return f"it was latched to {was[key]} before: a job of its own can latch it to that again"
        return {"netsuite_id": sent[key]} if operation is NETSUITE_LATCH else {}
    if operation is NETSUITE_UNLATCH:
        return {"netsuite_id": str(was["netsuiteId"])} if not is_empty(was.get("netsuiteId")) else _NOT_LATCHED
    if operation is GEOTAB_UNLATCH:
        return {"geotab_id": str(was["geotabId"])} if not is_empty(was.get("geotabId")) else _NOT_LATCHED
    return {}


_NOT_LATCHED = "it was not latched before"


def changes_back(changes: WireObject, was: WireObject, within: str = "") -> dict[str, Any]:
    """The changes that take an update back, as the texts that stood there before.

    Args:
        changes: that were made, by keys of the wire.
        was: what was there before of the fields that were named.
        within: the Python name of the object that this is about, with a dot.
    """
    back: dict[str, Any] = {}
    for name in changes.texts:
        for key in spellings(was.texts, name):
            path = within + python_name(key)
            if path in READ_ONLY_NAMES and path != "status":
                continue
            if name in changes.inner and key in was.inner:
                back[key] = changes_back(changes.inner[name], was.inner[key], f"{path}.")
            else:
                # A key that was absent counts as null.
                back[key] = was.texts.get(key, msgspec.Raw(b"null"))
    return back
