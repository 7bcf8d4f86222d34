"""Laying changes over the wire form. What nobody named goes back as the text that came."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from fusebill_async.converting import decode_json, encode, wire_fields
from fusebill_async.updating.rules import python_name
from fusebill_async.wire.shapes import is_object


@attrs.frozen
class Change:
    """One field of a difference: its name, such as "customer_reference.reference1", and its two values."""

    field: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.field}: {_shown(self.before)} -> {_shown(self.after)}"


@attrs.frozen(kw_only=True)
class UpdatePlan:
    """What an update would send.

    Attributes:
        customer_id: the customer.
        changes: what is different, in the order of the wire.
        body: the bytes of the PUT; everything that is not in `changes` is the text that came.
    """

    customer_id: int
    changes: tuple[Change, ...]
    body: bytes = attrs.field(repr=False)

    def __bool__(self) -> bool:
        """Whether there is anything to send."""
        return bool(self.changes)

    def __str__(self) -> str:
        if not self.changes:
            return f"customer {self.customer_id}: nothing to change"
        lines = [f"customer {self.customer_id}: {len(self.changes)} to change"]
        width = max(len(change.field) for change in self.changes)
        lines += [
            f"  {change.field:<{width}}  {_shown(change.before)} -> {_shown(change.after)}" for change in self.changes
        ]
        return "\n".join(lines)


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    return encode(value).decode() if not isinstance(value, str) else f'"{value}"'


def merge(wire: bytes, changes: Mapping[str, Any]) -> bytes:
    """Lay changes over a customer's wire form.

    Args:
        wire: the customer as it came.
        changes: by keys of the wire; a dict is merged into the object that is there.
    """
    fields: dict[str, Any] = dict(wire_fields(wire))
    _lay_over(fields, changes)
    return encode(fields)


def _lay_over(fields: dict[str, Any], changes: Mapping[str, Any]) -> None:
    for name, value in changes.items():
        key = _present_key(fields, name)
        if is_object(value) and _holds_object(fields.get(key)):
            inner = dict(wire_fields(fields[key]))
            _lay_over(inner, value)
            fields[key] = inner
        else:
            fields[key] = value


def _present_key(fields: Mapping[str, Any], name: str) -> str:
    """The service takes keys in any case, so a change goes under the spelling that is there, not beside it."""
    if name in fields:
        return name
    lowered = name.lower()
    return next((key for key in fields if key.lower() == lowered), name)


def _holds_object(raw: Any) -> bool:
    return raw is not None and bytes(raw)[:1] == b"{"


def differences(before: bytes, after: bytes) -> tuple[Change, ...]:
    """The fields whose JSON is different between two wire forms, number literals compared as text."""
    return tuple(_differences(wire_fields(before), wire_fields(after), ""))


def _differences(before: Mapping[str, Any], after: Mapping[str, Any], within: str) -> Iterator[Change]:
    for key in [*before, *(key for key in after if key not in before)]:
        old, new = before.get(key), after.get(key)
        if old is not None and new is not None and bytes(old).strip() == bytes(new).strip():
            continue
        name = within + python_name(key)
        if old is not None and new is not None and _holds_object(old) and _holds_object(new):
            yield from _differences(wire_fields(old), wire_fields(new), f"{name}.")
            continue
        one, other = _decoded(old), _decoded(new)
        if one != other or type(one) is not type(other):
            yield Change(name, one, other)


def _decoded(raw: Any) -> Any:
    return None if raw is None else decode_json(bytes(raw))


def plan(customer_id: int, wire: bytes, changes: Mapping[str, Any]) -> UpdatePlan:
    """What an update with these changes would send, over the customer as it came."""
    body = merge(wire, changes)
    return UpdatePlan(customer_id=customer_id, changes=differences(wire, body), body=body)
