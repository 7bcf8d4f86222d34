"""From what a caller names to keys of the wire."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from fusebill_async.errors import ValidationError
from fusebill_async.models import Customer, CustomerAcquisition, CustomerReference, SalesTrackingCode, named_changes
from fusebill_async.models.naming import wire_keys
from fusebill_async.models.view import WireView
from fusebill_async.updating.rules import READ_ONLY
from fusebill_async.wire.shapes import is_array, is_object

_NESTED: Mapping[str, type[WireView]] = {
    "customer_reference": CustomerReference,
    "customer_acquisition": CustomerAcquisition,
}

SUSPENDED_REASON = (
    "a customer cannot be suspended by hand: the service suspends and releases customers itself "
    '("Cannot manually suspend customer, the system is in charge of suspending customers.")'
)


def wire_changes(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Translate changes by Python names into changes by keys of the wire.

    Args:
        changes: values by the field's names; a nested object as a dict of its fields, or as a model of which what
            was set counts; None erases.

    Raises:
        ValidationError: a name that is no field, or a field that cannot be written.
    """
    return {key: value for name, given in changes.items() for key, value in [_translated(name, given)]}


def _translated(name: str, given: Any) -> tuple[str, Any]:
    key = _key(Customer, name)
    if key in READ_ONLY:
        raise ValidationError(f"{name} is set by the service and cannot be changed", field=name)
    nested = _NESTED.get(name)
    if nested is None or given is None:
        return key, given
    return key, _nested_changes(nested, name, given)


def _nested_changes(model: type[WireView], name: str, given: Any) -> dict[str, Any]:
    if isinstance(given, model):
        return named_changes(given)
    if not is_object(given):
        raise ValidationError(f"{name} must be a dict or a {model.__name__}, not {given!r}", field=name)
    found: dict[str, Any] = {}
    for inner, value in given.items():
        key = _key(model, inner, within=f"{name}.")
        if key in READ_ONLY:
            raise ValidationError(
                f"{name}.{inner} is set by the service and cannot be changed", field=f"{name}.{inner}"
            )
        found[key] = _codes(value) if key == "salesTrackingCodes" and is_array(value) else value
    return found


def _codes(given: Any) -> list[Any]:
    return [named_changes(code) if isinstance(code, SalesTrackingCode) else code for code in given]


def _key(model: type[WireView], name: str, within: str = "") -> str:
    keys = wire_keys(model)
    if name in keys:
        return keys[name]
    near = difflib.get_close_matches(name, keys, n=1)
    hint = f": did you mean {within}{near[0]}?" if near else ""
    raise ValidationError(f"{within}{name} is not a field of {model.__name__}{hint}", field=f"{within}{name}")


def check_status(changes: Mapping[str, Any], present: str | None, *, allowed: bool) -> None:
    """Refuse a change of status that has a verb of its own, and any change to Suspended.

    Args:
        changes: by keys of the wire.
        present: the customer's status; echoing it is not a change. None if it is not known.
        allowed: `allow_status_change`.
    """
    if "status" not in changes or changes["status"] == present:
        return
    wanted = changes["status"]
    if wanted == "Suspended":
        raise ValidationError(SUSPENDED_REASON, field="status")
    if wanted is None:
        raise ValidationError("status cannot be erased: the service needs it in every update", field="status")
    if not allowed:
        raise ValidationError(
            f"status is changed by its verbs (hold, release_hold, activate, cancel), not by an update "
            f"(from {present} to {wanted}); allow_status_change=True insists",
            field="status",
        )
