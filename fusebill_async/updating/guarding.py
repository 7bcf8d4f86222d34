"""The guard against erasing what nobody named, and against writing over the changes of others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from fusebill_async.converting import NO_OBJECT, WireObject
from fusebill_async.errors import ConcurrentModificationError, WouldEraseError
from fusebill_async.updating.merging import Change, spellings
from fusebill_async.updating.rules import READ_ONLY_NAMES, python_name
from fusebill_async.wire.checks import is_object
from fusebill_async.wire.comparing import same_value


def erased(changes: Iterable[Change], named: Collection[str]) -> list[str]:
    """The fields that hold something before, nothing after, and were not named.

    Args:
        changes: between the customer before and after.
        named: names of fields that may be erased; to name an object is not to name what is in it.
    """
    return [
        change.field
        for change in changes
        if change.before not in (None, "", [])
        and change.after in (None, "", [])
        and change.field not in named
        and change.field not in READ_ONLY_NAMES
    ]


def guard(changes: Iterable[Change], named: Collection[str], allowed: Collection[str] = (), **facts: Any) -> None:
    """Refuse a PUT that would erase what nobody named.

    Args:
        changes: between the customer as it stands and what would be sent.
        named: the fields that the caller named.
        allowed: `allow_erase`: here an object stands for all that is in it.
        facts: of the call, for the error.

    Raises:
        WouldEraseError: with the names of the fields.
    """
    within = tuple(f"{name}." for name in allowed)
    fields = [name for name in erased(changes, named) if name not in allowed and not name.startswith(within)]
    if fields:
        raise WouldEraseError(
            f"the PUT would erase {', '.join(fields)}, which nobody named: set a field to None to erase it, "
            "or name it in allow_erase",
            fields=fields,
            **facts,
        )


def check_conflicts(changes: Iterable[Change], named: Mapping[str, Any], **facts: Any) -> None:
    """Refuse to write over what somebody else changed in a field that is named.

    Args:
        changes: between the customer that the update was meant for and the customer as it stands.
        named: each named field, and what it is to become.
        facts: of the call, for the error.

    Raises:
        ConcurrentModificationError: with both sides.
    """
    conflicts = {
        change.field: (change.before, change.after, named.get(change.field))
        for change in changes
        if _is_wanted(named, change.field, change.after) is False
    }
    if conflicts:
        raise conflict(conflicts, **facts)


def conflict(conflicts: Mapping[str, tuple[Any, Any, Any]], **facts: Any) -> ConcurrentModificationError:
    """The error that shows both sides."""
    told = "; ".join(
        f"{name} was {old!r}, is {now!r} now, and should become {new!r}" for name, (old, now, new) in conflicts.items()
    )
    return ConcurrentModificationError(f"somebody else changed the same: {told}", conflicts=conflicts, **facts)


def changed_by_others(changes: Iterable[Change], named: Mapping[str, Any]) -> tuple[Change, ...]:
    """What is different between two reads, apart from what the service works out itself, and from what is wanted.

    A key that is gone does not count: the service erases by null, and the answer of an activation has keys that no
    read has.
    """
    return tuple(
        change
        for change in changes
        if not change.absent
        and change.field not in READ_ONLY_NAMES
        and not _is_wanted(named, change.field, change.after)
    )


def _is_wanted(named: Mapping[str, Any], field: str, now: Any) -> bool | None:
    """Whether a field is to become what it is now; None if it is not named, by itself or with an object around it."""
    if field in named:
        return same_value(named[field], now)
    if any(field.startswith(f"{name}.") for name in named):
        # The object around it is to be erased.
        return same_value(None, now)
    return False if any(name.startswith(f"{field}.") for name in named) else None


def not_taken(expected: Mapping[str, Any], answer: WireObject) -> dict[str, tuple[Any, Any]]:
    """The named fields that an answer does not show as they were sent: name to (sent, shown).

    Args:
        expected: by keys of the wire.
        answer: the customer as the service answered.
    """
    return {name: (sent, shown) for name, sent, shown in _not_taken(expected, answer, "")}


def _not_taken(expected: Mapping[str, Any], answer: WireObject, within: str) -> Iterator[tuple[str, Any, Any]]:
    for key, sent in expected.items():
        place = spellings(answer.values, key)[0]
        shown, name = answer.values.get(place), within + python_name(key)
        if is_object(sent) and isinstance(shown, dict | None):
            yield from _not_taken(sent, answer.inner.get(place, NO_OBJECT), f"{name}.")
        elif not same_value(sent, shown):
            yield name, sent, shown
