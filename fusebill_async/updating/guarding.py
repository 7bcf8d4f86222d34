"""The guard against erasing what nobody named, and against writing over the changes of others."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from fusebill_async.converting import decode_json
from fusebill_async.errors import ConcurrentModificationError, WouldEraseError
from fusebill_async.updating.merging import Change, differences
from fusebill_async.updating.rules import READ_ONLY, python_name
from fusebill_async.wire.shapes import is_object


def named_paths(changes: Mapping[str, Any], within: str = "") -> Iterator[str]:
    """The Python names of what was named, such as "company_name" and "customer_reference.reference1"."""
    for key, value in changes.items():
        name = within + python_name(key)
        if is_object(value):
            yield from named_paths(value, f"{name}.")
        else:
            yield name


def erased(present: bytes, body: bytes, named: Collection[str]) -> list[str]:
    """The fields that hold something, would be null or absent after the PUT, and were not named."""
    after = decode_json(body)
    return [name for name in _erased(decode_json(present), after, "") if name not in named]


def _erased(before: Mapping[str, Any], after: Mapping[str, Any], within: str) -> Iterator[str]:
    for key, value in before.items():
        name = within + python_name(key)
        now = after.get(key)
        if is_object(value):
            yield from _erased(value, now if is_object(now) else {}, f"{name}.")
        elif _holds_something(value) and not _holds_something(now) and not _kept_by_service(key):
            yield name


def _kept_by_service(key: str) -> bool:
    return key in READ_ONLY


def _holds_something(value: Any) -> bool:
    return value is not None and value not in ("", [])


def guard(present: bytes, body: bytes, named: Collection[str], **facts: Any) -> None:
    """Refuse a PUT that would erase what nobody named.

    Raises:
        WouldEraseError: with the names of the fields.
    """
    fields = erased(present, body, named)
    if fields:
        raise WouldEraseError(
            f"the PUT would erase {', '.join(fields)}, which nobody named: set a field to None to erase it, "
            "or name it in allow_erase",
            fields=fields,
            **facts,
        )


def check_conflicts(read: bytes, present: bytes, changes: Mapping[str, Any], **facts: Any) -> None:
    """Refuse to write over what somebody else changed since `read`, in a field that is named.

    Raises:
        ConcurrentModificationError: with both sides.
    """
    wanted = dict(_leaves(changes))
    conflicts = {
        change.field: (change.before, change.after, wanted.get(change.field))
        for change in differences(read, present)
        if any(_meets(change.field, name) for name in wanted) and wanted.get(change.field) != change.after
    }
    if conflicts:
        raise conflict(conflicts, **facts)


def conflict(conflicts: Mapping[str, tuple[Any, Any, Any]], **facts: Any) -> ConcurrentModificationError:
    """The error that shows both sides."""
    told = "; ".join(
        f"{name} was {old!r}, is {now!r} now, and should become {new!r}" for name, (old, now, new) in conflicts.items()
    )
    return ConcurrentModificationError(f"somebody else changed the same: {told}", conflicts=conflicts, **facts)


def changed_by_others(read: bytes, present: bytes) -> tuple[Change, ...]:
    """What is different between two reads, apart from what the service works out itself."""
    ignored = {python_name(key) for key in READ_ONLY}
    return tuple(change for change in differences(read, present) if change.field not in ignored)


def _leaves(changes: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in changes.items():
        name = within + python_name(key)
        if is_object(value):
            yield from _leaves(value, f"{name}.")
        else:
            yield name, value


def _meets(changed: str, named: str) -> bool:
    """Whether a changed field and a named one are the same, or one holds the other."""
    return changed == named or changed.startswith(f"{named}.") or named.startswith(f"{changed}.")
