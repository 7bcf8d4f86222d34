"""Laying changes over the wire form. What nobody named goes back as the text that came."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import attrs
import msgspec

from fusebill_async.converting import NO_OBJECT, WireObject, encode, read_object
from fusebill_async.errors import ValidationError, shown
from fusebill_async.updating.rules import (
    CUSTOMER_RULES,
    EMPTY_WHEN_UNSET,
    NESTED_RULES,
    READ_ONLY_NAMES,
    known_key,
    python_name,
)
from fusebill_async.wire.checks import is_object
from fusebill_async.wire.comparing import Likeness, likeness


@attrs.frozen
class Change:
    """One field of a difference.

    Attributes:
        field: its name, such as "customer_reference.reference1".
        before, after: its two values.
        absent: the field is not there afterwards, so that its value may be anything.
    """

    field: str
    before: Any = attrs.field(repr=False)
    after: Any = attrs.field(repr=False)
    absent: bool = attrs.field(default=False, eq=False, repr=False)

    def __str__(self) -> str:
        return f"{self.field}: {_shown(self.before)} -> {_shown(self.after)}"


@attrs.frozen(kw_only=True)
class UpdatePlan:
    """What an update would send.

    Attributes:
        customer_id: the customer.
        changes: what is different, in the order of the wire.
        body: the bytes of the PUT; everything that is not in `changes` is the text that came.
        base: the customer that this was planned for, as it came.
        named: what the caller named, by keys of the wire.
        allow_status_change, allow_erase: what the guards let pass.
    """

    customer_id: int
    changes: tuple[Change, ...]
    body: bytes = attrs.field(repr=False)
    base: bytes | None = attrs.field(default=None, repr=False, eq=False)
    named: WireObject = attrs.field(default=NO_OBJECT, repr=False, eq=False)
    allow_status_change: bool = attrs.field(default=False, repr=False, eq=False)
    allow_erase: frozenset[str] = attrs.field(default=frozenset(), repr=False, eq=False)

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


def frozen(changes: Mapping[str, Any]) -> WireObject:
    """The changes as JSON: nobody can alter them while the update waits.

    Raises:
        ValidationError: a value that JSON does not have.
    """
    try:
        return read_object(encode(_texts(changes, "")))
    except RecursionError:
        raise ValidationError("a value is nested too deeply", field="changes") from None


def _texts(changes: Mapping[Any, Any], within: str) -> dict[str, Any]:
    texts: dict[str, Any] = {}
    for key, value in changes.items():
        if not isinstance(key, str):
            place = within.rstrip(".")
            raise ValidationError(f"a key of {place} must be a text, not {shown(key)}", field=place)
        if is_object(value):
            texts[key] = _texts(value, f"{within}{python_name(key)}.")
            continue
        try:
            texts[key] = msgspec.Raw(encode(value))
        except ValidationError as error:
            name = within + python_name(key)
            raise ValidationError(f"{name} cannot be sent: {error.message}", field=name) from None
    return texts


def leaves(changes: WireObject, within: str = "") -> Iterator[tuple[str, Any]]:
    """What is named, by Python names such as "company_name" and "customer_reference.reference1", and its value."""
    for key, value in changes.values.items():
        name = within + python_name(key)
        if key in changes.inner:
            yield from leaves(changes.inner[key], f"{name}.")
        else:
            yield name, value


def merge(present: WireObject, changes: WireObject) -> bytes:
    """Lay changes over a customer.

    A value that says what is there already leaves the text that is there.

    Args:
        present: the customer as it came.
        changes: by keys of the wire; an object is merged into the object that is there.
    """
    return encode(_laid_over(present, changes))


def _laid_over(present: WireObject, changes: WireObject) -> dict[str, Any]:
    fields: dict[str, Any] = dict(present.texts)
    for name, value in changes.values.items():
        for key in spellings(fields, name):
            if name in changes.inner:
                under = present.inner.get(key, NO_OBJECT)
                inner = _laid_over(under, changes.inner[name])
                if inner != under.texts:
                    fields[key] = inner
            elif not _says_the_same(key, present, value, changes.texts[name]):
                fields[key] = changes.texts[name]
    return fields


def spellings(fields: Iterable[str], name: str) -> list[str]:
    """The keys that the service takes for a name: it takes keys in any case. The name itself if none is there."""
    lowered = name.lower()
    return [key for key in fields if key.lower() == lowered] or [name]


def _says_the_same(key: str, present: WireObject, value: Any, text: msgspec.Raw) -> bool:
    if key not in present.texts:
        return value is None
    came, old = bytes(present.texts[key]), present.values[key]
    if came == bytes(text) or _same(old, value):
        return True
    if key.lower() == "salestrackingcodes":
        return not (old or value) or likeness(value, old) is Likeness.EXACT
    if isinstance(old, str) and isinstance(value, str | None) and not old and not value:
        return known_key(key) in EMPTY_WHEN_UNSET
    # The service sends some texts as bare numbers, and the models show them as texts.
    if _is_number(old) and isinstance(value, str):
        return came.decode() == value
    return isinstance(old, str) and _is_number(value) and old == bytes(text).decode()


def _same(one: Any, other: Any) -> bool:
    if _is_number(one) and _is_number(other):
        return bool(one == other)
    return type(one) is type(other) and bool(one == other)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, Decimal)) and not isinstance(value, bool)


def differences(before: WireObject, after: WireObject) -> tuple[Change, ...]:
    """The fields whose values are different between two customers; a key that is absent counts as null."""
    return tuple(_differences(before, after, ""))


def _differences(
    before: WireObject, after: WireObject, within: str, *, all_absent: bool | None = None
) -> Iterator[Change]:
    pairs = {key: key if key in after.texts else spellings(after.texts, key)[0] for key in before.texts}
    taken = set(pairs.values())
    pairs.update({key: key for key in after.texts if key not in taken})
    for key, other in pairs.items():
        old, new = before.texts.get(key), after.texts.get(other)
        if old is not None and new is not None and bytes(old) == bytes(new):
            continue
        one, two = before.values.get(key), after.values.get(other)
        absent = new is None if all_absent is None else all_absent
        if (isinstance(one, dict) and isinstance(two, dict | None)) or (one is None and isinstance(two, dict)):
            # Each field of an object is a difference of its own, also where the other side has none.
            inner = before.inner.get(key, NO_OBJECT), after.inner.get(other, NO_OBJECT)
            no_object = None if isinstance(two, dict) else absent
            yield from _differences(*inner, f"{within}{python_name(key)}.", all_absent=no_object)
        elif not _same(one, two):
            yield Change(within + python_name(key), one, two, absent)


def plan(customer_id: int, present: WireObject, changes: WireObject) -> UpdatePlan:
    """What an update with these changes would send, over the customer as it came."""
    body = merge(present, changes)
    different = differences(present, read_object(body))
    return UpdatePlan(customer_id=customer_id, changes=different, body=body, named=changes)


def unechoed(present: WireObject, changes: WireObject) -> dict[str, Any]:
    """The values of the changes without what the wire says already."""
    different: dict[str, Any] = {}
    for name, value in changes.values.items():
        key = spellings(present.texts, name)[0]
        if name in changes.inner:
            inner = unechoed(present.inner.get(key, NO_OBJECT), changes.inner[name])
            if inner:
                different[name] = inner
        elif not _says_the_same(key, present, value, changes.texts[name]):
            different[name] = value
    return different


def status_of(customer: WireObject) -> str | None:
    """The service status of a customer."""
    status = customer.values.get(spellings(customer.values, "status")[0])
    return status if isinstance(status, str) else None


def written(body: WireObject) -> dict[str, Any]:
    """What a PUT of a whole customer writes, by keys of the wire: every field that has a rule."""
    return {
        key: _writable(body.inner[key], f"{python_name(key)}.") if key in body.inner else value
        for key, value in body.values.items()
        if key in CUSTOMER_RULES or key in NESTED_RULES
    }


def _writable(fields: WireObject, within: str) -> dict[str, Any]:
    return {key: value for key, value in fields.values.items() if within + python_name(key) not in READ_ONLY_NAMES}


def expected(present: WireObject, changes: WireObject, within: str = "") -> dict[str, Any]:
    """What a read must show for a PUT of these changes to have happened, by the keys that the wire has.

    An object that is erased shows as one whose fields are null. What the service works out itself is left out.

    Args:
        present: the customer before.
        changes: by keys of the wire.
        within: the Python name of the object that this is about, with a dot.
    """
    shows: dict[str, Any] = {}
    for name, value in changes.values.items():
        key = spellings(present.texts, name)[0]
        path = within + python_name(key)
        if path in READ_ONLY_NAMES:
            continue
        under = present.inner.get(key)
        if name in changes.inner:
            shows[key] = expected(under or NO_OBJECT, changes.inner[name], f"{path}.")
        elif value is None and under is not None:
            shows[key] = dict.fromkeys(_writable(under, f"{path}."))
        else:
            shows[key] = value
    return shows
