"""Compares a value that was sent with what the service shows."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from enum import IntEnum
from typing import Any

from fusebill_async.wire.checks import is_array, is_object

_NUMBERS = (int, float, Decimal)


class Likeness(IntEnum):
    """How closely two values agree."""

    DIFFERENT = 0
    ALIKE = 1
    """Null and "", a number and its text, texts that differ in outer spaces: one may be the service's form of the
    other, or what stood there before."""
    EXACT = 2
    """The same as JSON has it; numbers by value, null as an absent key, sales tracking codes by type and code."""


def likeness(sent: Any, shown: Any) -> Likeness:
    """How closely the service shows what was sent. An object agrees as closely as the worst of its fields."""
    if is_object(sent):
        if not is_object(shown):
            return Likeness.DIFFERENT
        return min((likeness(value, shown.get(key)) for key, value in sent.items()), default=Likeness.EXACT)
    if is_array(sent) and is_array(shown):
        if len(sent) != len(shown):
            return Likeness.DIFFERENT
        items = zip(_in_order(sent), _in_order(shown), strict=True)
        return min((_item_likeness(one, other) for one, other in items), default=Likeness.EXACT)
    if sent is shown or _is_equal(sent, shown):
        return Likeness.EXACT
    return Likeness.ALIKE if _is_alike(sent, shown) else Likeness.DIFFERENT


def same_value(sent: Any, shown: Any) -> bool:
    """Whether the service shows what was sent, in one of the forms that it turns values into."""
    return likeness(sent, shown) is not Likeness.DIFFERENT


def _is_equal(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, _NUMBERS) and isinstance(other, _NUMBERS):
        return Decimal(str(one)) == Decimal(str(other))
    return type(one) is type(other) and bool(one == other)


def _is_alike(sent: Any, shown: Any) -> bool:
    if isinstance(sent, bool) or isinstance(shown, bool):
        return False
    if is_empty(sent) or is_empty(shown):
        return is_empty(sent) and is_empty(shown)
    if isinstance(sent, str) and isinstance(shown, str):
        return sent.strip() == shown.strip()
    try:
        return Decimal(str(sent).strip()) == Decimal(str(shown).strip())
    except InvalidOperation:
        return False


def is_empty(value: Any) -> bool:
    """Whether a value says nothing: null, blanks, or an empty list."""
    return value is None or (isinstance(value, str) and not value.strip()) or value in ([], ())


def _item_likeness(sent: Any, shown: Any) -> Likeness:
    if is_object(sent) and is_object(shown) and "code" in sent:
        return min(likeness(sent.get(key), shown.get(key)) for key in ("type", "code"))
    return likeness(sent, shown)


def _in_order(items: Sequence[Any]) -> list[Any]:
    """Sales tracking codes come back in the service's order, not in ours."""
    if all(is_object(item) for item in items):
        return sorted(items, key=lambda item: (str(item.get("type")), str(item.get("code"))))
    return list(items)
