"""Laying changes over the wire form. What nobody named goes back as the text that came."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, TypeGuard

import attrs
import msgspec

from fusebill_async.converting import UnreadableAnswer, decode_json, encode, wire_fields
from fusebill_async.errors import ValidationError, shown
from fusebill_async.updating.rules import (
    CUSTOMER_RULES,
    EMPTY_WHEN_UNSET,
    NESTED_RULES,
    is_read_only,
    known_key,
    python_name,
)
from fusebill_async.wire.checks import is_object
from fusebill_async.wire.comparing import Likeness, likeness


@attrs.frozen
class Change:
    """One field of a difference: its name, such as "customer_reference.reference1", and its two values."""

    field: str
    before: Any = attrs.field(repr=False)
    after: Any = attrs.field(repr=False)

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
    # As JSON, so that "null" is not null, and a line break in a value does not break the line.
    return encode(value).decode()


def frozen(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes with each value as its JSON text: nobody can alter them while the update waits.

    Raises:
        ValidationError: a value that JSON does not have.
    """
    try:
        return _frozen(changes, "")
    except RecursionError:
        raise ValidationError("a value is nested too deeply", field="changes") from None


def _frozen(changes: Mapping[Any, Any], within: str) -> dict[str, Any]:
    texts: dict[str, Any] = {}
    for key, value in changes.items():
        if not isinstance(key, str):
            place = within.rstrip(".")
            raise ValidationError(f"a key of {place} must be a text, not {shown(key)}", field=place)
        name = within + python_name(key)
        if is_object(value):
            texts[key] = _frozen(value, f"{name}.")
            continue
        try:
            texts[key] = msgspec.Raw(encode(value))
        except ValidationError as error:
            raise ValidationError(f"{name} cannot be sent: {error.message}", field=name) from None
    return texts


def plain(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes as JSON has them: texts, numbers, lists and dicts, for comparing."""
    values: dict[str, Any] = decode_json(encode(changes))
    return values


def merge(wire: bytes, changes: Mapping[str, Any]) -> bytes:
    """Lay changes over a customer's wire form.

    A value that says what is there already leaves the text that is there.

    Args:
        wire: the customer as it came.
        changes: by keys of the wire; a dict is merged into the object that is there.
    """
    fields: dict[str, Any] = dict(wire_fields(wire))
    _lay_over(fields, changes)
    return encode(fields)


def _lay_over(fields: dict[str, Any], changes: Mapping[str, Any]) -> None:
    for name, value in changes.items():
        for key in spellings(fields, name):
            _lay_over_one(fields, key, value)


def _lay_over_one(fields: dict[str, Any], key: str, value: Any) -> None:
    present = fields.get(key)
    if is_object(value):
        inner: dict[str, Any] = dict(wire_fields(present)) if holds_object(present) else {}
        before = dict(inner)
        _lay_over(inner, value)
        if inner != before:
            fields[key] = inner
    elif not _says_the_same(key, present, value):
        fields[key] = value


def spellings(fields: Mapping[str, Any], name: str) -> list[str]:
    """The keys that the service takes for a name: it takes keys in any case. The name itself if none is there."""
    lowered = name.lower()
    return [key for key in fields if key.lower() == lowered] or [name]


def _says_the_same(key: str, present: Any, value: Any) -> bool:
    text = bytes(value) if isinstance(value, msgspec.Raw) else encode(value)
    if present is None:
        return text == b"null"
    came = bytes(present)
    if came == text:
        return True
    try:
        one, other = decode_json(came), decode_json(text)
    except UnreadableAnswer:
        return False
    if _same(one, other):
        return True
    if key.lower() == "salestrackingcodes":
        return not (one or other) or likeness(other, one) is Likeness.EXACT
    if isinstance(one, str) and isinstance(other, str | None) and known_key(key) in EMPTY_WHEN_UNSET:
        return not one and not other
    # The service sends some texts as bare numbers, and the models show them as texts.
    if _is_number(one) and isinstance(other, str):
        return came.decode() == other
    return isinstance(one, str) and _is_number(other) and one == text.decode()


def _same(one: Any, other: Any) -> bool:
    if _is_number(one) and _is_number(other):
        return bool(one == other)
    return type(one) is type(other) and bool(one == other)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, Decimal)) and not isinstance(value, bool)


def holds_object(raw: Any) -> TypeGuard[msgspec.Raw]:
    """Whether the text of a value is a JSON object."""
    return raw is not None and bytes(raw)[:1] == b"{"


def differences(before: bytes, after: bytes) -> tuple[Change, ...]:
    """The fields whose values are different between two wire forms; a key that is absent counts as null."""
    return tuple(_differences(wire_fields(before), wire_fields(after), ""))


def _differences(before: Mapping[str, Any], after: Mapping[str, Any], within: str) -> Iterator[Change]:
    for key in [*before, *(key for key in after if key not in before)]:
        old, new = before.get(key), after.get(key)
        if old is not None and new is not None and bytes(old) == bytes(new):
            continue
        name = within + python_name(key)
        if _is_nested(old, new) or _is_nested(new, old):
            yield from _differences(_inner(old), _inner(new), f"{name}.")
            continue
        one, other = decoded(old), decoded(new)
        if not _same(one, other):
            yield Change(name, one, other)


def _is_nested(one: Any, other: Any) -> bool:
    """Whether both are objects, or one is and the other is null: each field of it is a difference of its own."""
    return holds_object(one) and (other is None or bytes(other)[:1] in b"{n")


def _inner(raw: Any) -> Mapping[str, Any]:
    return wire_fields(raw) if holds_object(raw) else {}


def decoded(raw: Any) -> Any:
    """The value of a text, None for an absent one. A text that Python cannot hold stays as it is."""
    if raw is None:
        return None
    try:
        return decode_json(bytes(raw))
    except UnreadableAnswer:
        return bytes(raw).decode()


def plan(customer_id: int, wire: bytes, changes: Mapping[str, Any]) -> UpdatePlan:
    """What an update with these changes would send, over the customer as it came."""
    body = merge(wire, changes)
    return UpdatePlan(customer_id=customer_id, changes=differences(wire, body), body=body)


def unechoed(wire: bytes, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes without what the wire says already."""
    return _unechoed(wire_fields(wire), changes)


def _unechoed(fields: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    different: dict[str, Any] = {}
    for name, value in changes.items():
        present = fields.get(spellings(fields, name)[0])
        if is_object(value):
            inner = _unechoed(_inner(present), value)
            if inner:
                different[name] = inner
        elif not _says_the_same(name, present, value):
            different[name] = value
    return different


def status_of(wire: bytes) -> str | None:
    """The service status of a customer."""
    fields = wire_fields(wire)
    status = decoded(fields.get(spellings(fields, "status")[0]))
    return status if isinstance(status, str) else None


def written(body: bytes) -> dict[str, Any]:
    """What a PUT of a whole customer writes, by keys of the wire: every field that has a rule."""
    fields = {key: decoded(raw) for key, raw in wire_fields(body).items()}
    return {
        key: {inner: item for inner, item in value.items() if not is_read_only(inner, python_name(key))}
        if is_object(value)
        else value
        for key, value in fields.items()
        if key in CUSTOMER_RULES or key in NESTED_RULES
    }


def expected(wire: bytes, changes: Mapping[str, Any]) -> dict[str, Any]:
    """What a read must show for a PUT of these changes to have happened, by the keys that the wire has.

    An object that is erased shows as one whose fields are null. What the service works out itself is left out.

    Args:
        wire: the customer before.
        changes: as JSON has them (`plain`).
    """
    return _expected(wire_fields(wire), changes, "")


def _expected(fields: Mapping[str, Any], changes: Mapping[str, Any], within: str) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for name, value in changes.items():
        key = spellings(fields, name)[0]
        present = fields.get(key)
        path = within + python_name(key)
        if is_read_only(key, within[:-1]):
            continue
        if is_object(value):
            shown[key] = _expected(_inner(present), value, f"{path}.")
        elif value is None and holds_object(present):
            shown[key] = {inner: None for inner in _inner(present) if not is_read_only(inner, path)}
        else:
            shown[key] = value
    return shown
