"""What a caller named, and of that what is different from the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from fusebill_async.models.naming import wire_keys
from fusebill_async.models.view import UNSET, WireView, filled, revive


def named_fields(view: WireView) -> frozenset[str]:
    """Give the Python names of the fields that were set: in the constructor or by assigning them."""
    return frozenset(view.__wire_origin__()[2])


def named_changes(view: WireView) -> dict[str, Any]:
    """Give what the caller changed, by keys of the wire, with dicts for nested objects.

    A field counts when it was named and its value is not the one that the wire gives. Sales tracking codes
    come as a whole. For an object made by hand, everything that was named counts.
    """
    return _differences(view, None if view.wire is None else _untouched(view))


def _untouched(view: WireView) -> WireView:
    """Give the same object as it was when it came."""
    wire, reader, _ = view.__wire_origin__()
    return revive(type(view), wire, reader, {}, set())


def _differences(view: WireView, before: WireView | None) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    named = _given(view, before)
    for name, key in wire_keys(type(view)).items():
        value = getattr(view, name) if name in named else filled(view, name)
        if name not in named and not isinstance(value, (WireView, tuple, list)):
            continue
        old = UNSET if before is None else getattr(before, name)
        if isinstance(value, WireView):
            # One of another model may have been assigned: it is refused later, where it is told apart.
            like = old if isinstance(old, WireView) and isinstance(value, type(old)) else None
            inner = _differences(value, like)
            if inner or (name in named and like is None):
                changes[key] = inner
        elif isinstance(value, (tuple, list)):
            values = cast("Sequence[Any]", value)
            if old is UNSET or tuple(values) != old:
                changes[key] = [_whole(item) if isinstance(item, WireView) else item for item in values]
        elif old is UNSET or value != old:
            changes[key] = value
    if "extra" in named:
        known: Mapping[str, Any] = {} if before is None else before.extra
        changes.update({key: value for key, value in view.extra.items() if known.get(key, UNSET) != value})
    return changes


def _given(view: WireView, before: WireView | None) -> frozenset[str]:
    """Give the fields that an object brings along: what was named; all that came, if it is from elsewhere."""
    named = named_fields(view)
    wire, reader, _ = view.__wire_origin__()
    if wire is None or reader is None or (before is not None and wire == before.wire):
        return named
    came = reader.raw(wire)
    return named.union((name for name, key in wire_keys(type(view)).items() if key in came), ["extra"])


def _whole(item: WireView) -> dict[str, Any]:
    """Give an item of a list with everything that it came with, since a list is replaced as a whole."""
    wire, reader, _ = item.__wire_origin__()
    came = {} if wire is None or reader is None else reader.raw(wire)
    return came | named_changes(item)
