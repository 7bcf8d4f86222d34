"""The guard against erasing what nobody named, and against writing over the changes of others."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from fusebill_async.converting import wire_fields
from fusebill_async.errors import ConcurrentModificationError, WouldEraseError
from fusebill_async.updating.merging import Change, decoded, differences, holds_object, spellings
from fusebill_async.updating.rules import READ_ONLY, is_read_only, python_name
from fusebill_async.wire.checks import is_object
from fusebill_async.wire.comparing import same_value

_NOTHING = (b"null", b'""', b"[]")
_WORKED_OUT = frozenset(map(python_name, READ_ONLY))


def named_paths(changes: Mapping[str, Any], within: str = "") -> Iterator[str]:
    """The Python names of what was named, such as "company_name" and "customer_reference.reference1"."""
    for key, value in changes.items():
        name = within + python_name(key)
        if is_object(value):
            yield from named_paths(value, f"{name}.")
        else:
            yield name


def erased(present: bytes, body: bytes, named: Collection[str], *, only_shown: bool = False) -> list[str]:
    """The fields that hold something, would be null or absent after the PUT, and were not named.

    Args:
        present: the customer before.
        body: the customer after.
        named: names of fields that may be erased; to name an object is not to name what is in it.
        only_shown: leave out what is absent after, since a null that is not shown may be anything.
    """
    fields = _erased(wire_fields(present), wire_fields(body), "", only_shown=only_shown)
    return [name for name in fields if name not in named]


def _erased(before: Mapping[str, Any], after: Mapping[str, Any], within: str, *, only_shown: bool) -> Iterator[str]:
    for key, raw in before.items():
        now = after.get(key)
        if now is None:
            now = after.get(spellings(after, key)[0])
        if (now is not None and bytes(now) == bytes(raw)) or (now is None and only_shown):
            continue
        name = within + python_name(key)
        if holds_object(raw):
            inner = wire_fields(now) if holds_object(now) else {}
            yield from _erased(wire_fields(raw), inner, f"{name}.", only_shown=only_shown and holds_object(now))
        elif _holds_something(raw) and not _holds_something(now) and not is_read_only(key, within[:-1]):
            yield name


def _holds_something(raw: Any) -> bool:
    return raw is not None and bytes(raw) not in _NOTHING and decoded(raw) != []


def guard(present: bytes, body: bytes, named: Collection[str], allowed: Collection[str] = (), **facts: Any) -> None:
    """Refuse a PUT that would erase what nobody named.

    Args:
        present: the customer as it stands.
        body: what would be sent.
        named: the fields that the caller named.
        allowed: `allow_erase`: here an object stands for all that is in it.
        facts: of the call, for the error.

    Raises:
        WouldEraseError: with the names of the fields.
    """
    within = tuple(f"{name}." for name in allowed)
    fields = [name for name in erased(present, body, named) if name not in allowed and not name.startswith(within)]
    if fields:
        raise WouldEraseError(
            f"the PUT would erase {', '.join(fields)}, which nobody named: set a field to None to erase it, "
            "or name it in allow_erase",
            fields=fields,
            **facts,
        )


def check_conflicts(read: bytes, present: bytes, changes: Mapping[str, Any], **facts: Any) -> None:
    """Refuse to write over what somebody else changed since `read`, in a field that is named.

    Args:
        read: what the changes were meant for.
        present: the customer as it stands.
        changes: as JSON has them.
        facts: of the call, for the error.

    Raises:
        ConcurrentModificationError: with both sides.
    """
    wanted = dict(_leaves(changes))
    conflicts = {
        change.field: (change.before, change.after, wanted.get(change.field))
        for change in differences(read, present)
        if _is_wanted(wanted, change.field, change.after) is False
    }
    if conflicts:
        raise conflict(conflicts, **facts)


def conflict(conflicts: Mapping[str, tuple[Any, Any, Any]], **facts: Any) -> ConcurrentModificationError:
    """The error that shows both sides."""
    told = "; ".join(
        f"{name} was {old!r}, is {now!r} now, and should become {new!r}" for name, (old, now, new) in conflicts.items()
    )
    return ConcurrentModificationError(f"somebody else changed the same: {told}", conflicts=conflicts, **facts)


def changed_by_others(read: bytes, present: bytes, changes: Mapping[str, Any]) -> tuple[Change, ...]:
    """What is different between two reads, apart from what the service works out itself, and from what is wanted.

    A key that is gone does not count: the service erases by null, and the answer of an activation has keys that no
    read has.
    """
    shown = set(_paths(wire_fields(present), ""))
    wanted = dict(_leaves(changes))
    return tuple(
        change
        for change in differences(read, present)
        if change.field in shown
        and change.field not in _WORKED_OUT
        and not _is_wanted(wanted, change.field, change.after)
    )


def _paths(fields: Mapping[str, Any], within: str) -> Iterator[str]:
    for key, raw in fields.items():
        name = within + python_name(key)
        yield name
        if holds_object(raw):
            yield from _paths(wire_fields(raw), f"{name}.")


def _leaves(changes: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in changes.items():
        name = within + python_name(key)
        if is_object(value):
            yield from _leaves(value, f"{name}.")
        else:
            yield name, value


def _is_wanted(wanted: Mapping[str, Any], field: str, now: Any) -> bool | None:
    """Whether a field is to become what it is now; None if it is not named, by itself or with an object around it."""
    if field in wanted:
        return same_value(wanted[field], now)
    if any(field.startswith(f"{name}.") for name in wanted):
        # The object around it is to be erased.
        return same_value(None, now)
    return False if any(name.startswith(f"{field}.") for name in wanted) else None


def not_taken(expected: Mapping[str, Any], answer: bytes) -> dict[str, tuple[Any, Any]]:
    """The named fields that an answer does not show as they were sent: name to (sent, shown).

    Args:
        expected: by keys of the wire.
        answer: the customer as the service answered.
    """
    fields = _not_taken(expected, wire_fields(answer), "")
    return {name: (sent, shown) for name, sent, shown in fields}


def _not_taken(expected: Mapping[str, Any], shown: Mapping[str, Any], within: str) -> Iterator[tuple[str, Any, Any]]:
    for key, sent in expected.items():
        raw = shown.get(spellings(shown, key)[0])
        name = within + python_name(key)
        if is_object(sent) and (holds_object(raw) or raw is None or bytes(raw) == b"null"):
            yield from _not_taken(sent, wire_fields(raw) if holds_object(raw) else {}, f"{name}.")
        elif not same_value(sent, decoded(raw)):
            yield name, sent, decoded(raw)
