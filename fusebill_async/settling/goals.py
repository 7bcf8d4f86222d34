"""Has it happened? Compares what a read shows with an operation's goal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from enum import Enum, auto
from typing import Any

from fusebill_async.operations import FieldIs, FieldsAre, FieldsAreNull, FieldsAsNamed, Goal, StatusIs
from fusebill_async.wire.shapes import is_array, is_object

_ABSENT: Any = object()


class Verdict(Enum):
    """What a read says about a goal."""

    MET = auto()
    MISSED = auto()
    UNDECIDED = auto()
    """The read does not show what the goal is about."""


def judge(goal: Goal | None, fields: Mapping[str, Any], named: Mapping[str, Any]) -> Verdict:
    """Compare a customer with a goal.

    Args:
        goal: of the operation; without one no read can tell.
        fields: the customer's wire keys and values.
        named: the wire keys and values that were sent.
    """
    match goal:
        case StatusIs(statuses):
            status = fields.get("status", _ABSENT)
            return Verdict.UNDECIDED if status is _ABSENT else _verdict(status in statuses)
        case FieldsAreNull(keys):
            values = [fields.get(key, _ABSENT) for key in keys]
            if any(value is _ABSENT for value in values):
                return Verdict.UNDECIDED
            return _verdict(all(value is None or value == "" for value in values))
        case FieldIs(key, wanted):
            return _all_same([(wanted, fields.get(key, _ABSENT))])
        case FieldsAre(keys):
            return _all_same([(named[sent], fields.get(shown, _ABSENT)) for shown, sent in keys if sent in named])
        case FieldsAsNamed():
            return _all_same([(value, fields.get(key, _ABSENT)) for key, value in named.items()])
        case _:
            return Verdict.UNDECIDED


def _verdict(met: bool) -> Verdict:  # noqa: FBT001 (the only thing that it is about)
    return Verdict.MET if met else Verdict.MISSED


def _all_same(pairs: Sequence[tuple[Any, Any]]) -> Verdict:
    undecided = not pairs
    for sent, shown in pairs:
        if shown is _ABSENT:
            # A service that leaves out what is null leaves open what it leaves out otherwise.
            undecided = undecided or not _is_empty(sent)
        elif not same_value(sent, shown):
            return Verdict.MISSED
    return Verdict.UNDECIDED if undecided else Verdict.MET


def same_value(sent: Any, shown: Any) -> bool:
    """Whether the service shows what was sent, in one of the forms that it turns values into.

    Null and "", a number and its text, and texts that differ in outer spaces are the same; sales tracking codes
    are the same by type and code.
    """
    if _is_empty(sent) and _is_empty(shown):
        return True
    if isinstance(sent, bool) or isinstance(shown, bool):
        return sent is shown
    if is_object(sent):
        return is_object(shown) and all(same_value(value, shown.get(key)) for key, value in sent.items())
    if is_array(sent):
        return (
            is_array(shown)
            and len(sent) == len(shown)
            and all(_same_item(one, other) for one, other in zip(_in_order(sent), _in_order(shown), strict=True))
        )
    if isinstance(sent, str) and isinstance(shown, str):
        return sent.strip() == shown.strip()
    if _is_empty(sent) or _is_empty(shown):
        return False
    one, other = _number(sent), _number(shown)
    return one is not None and one == other


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip()) or value in ([], ())


def _same_item(sent: Any, shown: Any) -> bool:
    if is_object(sent) and is_object(shown) and "code" in sent:
        return all(same_value(sent.get(key), shown.get(key)) for key in ("type", "code"))
    return same_value(sent, shown)


def _in_order(items: Sequence[Any]) -> list[Any]:
    """Sales tracking codes come back in the service's order, not in ours."""
    if all(is_object(item) for item in items):
        return sorted(items, key=lambda item: (str(item.get("type")), str(item.get("code"))))
    return list(items)


def _number(value: Any) -> Decimal | None:
    try:
        return Decimal(str(value).strip())
    except InvalidOperation:
        return None
