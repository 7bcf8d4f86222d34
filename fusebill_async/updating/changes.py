"""From what a caller names to keys of the wire."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from fusebill_async.errors import ValidationError, shown
from fusebill_async.models import (
    Customer,
    CustomerAcquisition,
    CustomerReference,
    SalesTrackingCode,
    WireView,
    named_changes,
    named_fields,
    wire_keys,
)
from fusebill_async.updating.rules import READ_ONLY_NAMES, known_key, python_name
from fusebill_async.wire.checks import is_array, is_object

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
    if name in READ_ONLY_NAMES:
        raise _read_only(name)
    nested = _NESTED.get(name)
    if nested is None or given is None:
        return key, given
    return key, _nested_changes(nested, name, given)


def _nested_changes(model: type[WireView], name: str, given: Any) -> dict[str, Any]:
    if isinstance(given, model):
        changes = named_changes(given)
        if not changes and given.wire is not None:
            raise ValidationError(
                f"nothing was set on the {model.__name__} given as {name}: what counts of it is what was set, "
                "so give a dict of the fields to copy",
                field=name,
            )
        return _writable(name, given, changes)
    if not is_object(given):
        raise ValidationError(f"{name} must be a dict or a {model.__name__}, not {shown(given)}", field=name)
    found: dict[str, Any] = {}
    for inner, value in given.items():
        key = _key(model, inner, within=f"{name}.")
        if f"{name}.{inner}" in READ_ONLY_NAMES:
            raise _read_only(f"{name}.{inner}")
        found[key] = _codes(value) if key == "salesTrackingCodes" and is_array(value) else value
    return found


def _writable(name: str, view: WireView, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes of a nested model, without the ids that came along with one from another customer."""
    for inner in named_fields(view):
        if f"{name}.{inner}" in READ_ONLY_NAMES:
            raise _read_only(f"{name}.{inner}")
    return {key: value for key, value in changes.items() if f"{name}.{python_name(key)}" not in READ_ONLY_NAMES}


def _codes(given: Any) -> list[Any]:
    return [
        named_changes(code) if isinstance(code, SalesTrackingCode) and code.wire is None else code for code in given
    ]


def _key(model: type[WireView], name: Any, within: str = "") -> str:
    keys = wire_keys(model)
    if not isinstance(name, str):
        place = within.rstrip(".")
        raise ValidationError(f"a name in {place} must be a str, not {shown(name)}", field=place)
    if name in keys:
        return keys[name]
    near = difflib.get_close_matches(name, keys, n=1)
    hint = f": did you mean {within}{near[0]}?" if near else ""
    raise ValidationError(f"{within}{name} is not a field of {model.__name__}{hint}", field=f"{within}{name}")


def _read_only(name: str) -> ValidationError:
    return ValidationError(f"{name} is set by the service and cannot be changed", field=name)


def model_changes(customer: Customer, *, whole: bool = False) -> dict[str, Any]:
    """Give what was set on a customer, by keys of the wire.

    Args:
        customer: from the service, or built by hand.
        whole: of one that was built by hand, take what the service sets, too: it is to be sent as it is.

    Raises:
        ValidationError: a field was set that cannot be written, or one in a spelling that hides another.
    """
    by_hand = customer.wire is None
    changes: dict[str, Any] = {}
    for key, value in named_changes(customer).items():
        name = python_name(key)
        if key == "id" and by_hand:
            continue
        if key != known_key(key):
            _check_extra(customer, key)
            changes[key] = value
        elif name in READ_ONLY_NAMES and not (by_hand and whole):
            raise _read_only(name)
        elif name in _NESTED and value is not None:
            changes[key] = _nested_of(customer, name, value, keep=by_hand and whole)
        else:
            changes[key] = value
    return changes


def _nested_of(customer: Customer, name: str, value: Any, *, keep: bool) -> dict[str, Any]:
    given = getattr(customer, name)
    if not isinstance(given, _NESTED[name]):
        return _nested_changes(_NESTED[name], name, given)
    return dict(value) if keep else _writable(name, given, value)


def _check_extra(customer: Customer, key: str) -> None:
    """Refuse an unknown key that the service would take for a known one: it would go past every check."""
    known = known_key(key)
    if known is not None and (customer.wire is None or key not in _came(customer)):
        raise ValidationError(f"extra holds {key!r}, which the service takes for {known}", field="extra")
    if known is not None and (known == "status" or python_name(key) in READ_ONLY_NAMES):
        raise _read_only(f"extra[{key!r}]")


def _came(customer: Customer) -> Mapping[str, Any]:
    wire, reader, _ = customer.__wire_origin__()
    return {} if wire is None or reader is None else reader.raw(wire)


def laid_over(changes: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """Both sets of changes; where both name a field, the second one counts."""
    both = dict(changes)
    for key, value in others.items():
        under = both.get(key)
        both[key] = laid_over(under, value) if is_object(under) and is_object(value) else value
    return both


def check_status(changes: Mapping[str, Any], present: str | None, *, allowed: bool, **facts: Any) -> None:
    """Refuse a change of status that has a verb of its own, and any change to Suspended.

    Args:
        changes: by keys of the wire.
        present: the customer's status; echoing it is not a change.
        allowed: `allow_status_change`.
        facts: of the call, for the error.
    """
    if "status" not in changes or changes["status"] == present:
        return
    wanted = changes["status"]
    if wanted == "Suspended":
        raise ValidationError(SUSPENDED_REASON, field="status", **facts)
    if wanted is None:
        raise ValidationError("status cannot be erased: the service needs it in every update", field="status", **facts)
    if not allowed:
        raise ValidationError(
            f"status is changed by its verbs (hold, release_hold, activate, cancel), not by an update "
            f"(from {present} to {wanted}); allow_status_change=True insists",
            field="status",
            **facts,
        )
