"""Has it happened? Compares what a read shows with an operation's goal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from enum import Enum, IntEnum, auto
from typing import Any

from fusebill_async.operations import FieldIs, FieldsAre, FieldsAreNull, FieldsAsNamed, Goal, StatusIs
from fusebill_async.wire.shapes import is_array, is_object

_ABSENT: Any = object()
_NUMBERS = (int, float, Decimal)


class Verdict(Enum):
    """What a read says about a goal."""

    MET = auto()
    MISSED = auto()
    UNDECIDED = auto()
    """The read does not show what the goal is about."""


def judge(
    goal: Goal | None, fields: Mapping[str, Any], named: Mapping[str, Any], before: Mapping[str, Any] | None = None
) -> Verdict:
    """Compare a customer with a goal.

    A named field that is exactly as it was sent meets the goal. One that is only alike does so if it was not alike
    before: then it is the form that the service gave it. One that stands as it stood before misses it.

    Args:
        goal: of the operation; without one no read can tell.
        fields: the customer's wire keys and values.
        named: the wire keys and values that were sent.
        before: the customer's wire keys and values from before the send, None if they are not known.
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
            pairs = [(key, wanted)]
        case FieldsAre(keys):
            pairs = [(shown, named[sent]) for shown, sent in keys if sent in named]
        case FieldsAsNamed():
            pairs = list(named.items())
        case _:
            return Verdict.UNDECIDED
    return _all_met([_judge_field(sent, fields.get(key, _ABSENT), _value(before, key)) for key, sent in pairs])


def keys_of(goal: Goal | None, named: Mapping[str, Any]) -> tuple[str, ...]:
    """The keys of a customer that a goal looks at: what must be known from before to judge a later read."""
    match goal:
        case StatusIs():
            return ("status",)
        case FieldsAreNull(keys):
            return keys
        case FieldIs(key, _):
            return (key,)
        case FieldsAre(keys):
            return tuple(shown for shown, sent in keys if sent in named)
        case FieldsAsNamed():
            return tuple(named)
        case _:
            return ()


def _verdict(met: bool) -> Verdict:  # noqa: FBT001 (the only thing that it is about)
    return Verdict.MET if met else Verdict.MISSED


def _value(fields: Mapping[str, Any] | None, key: str) -> Any:
    """A field from before: null if it was absent, `_ABSENT` if nothing is known from before."""
    return _ABSENT if fields is None else fields.get(key)


def _judge_field(sent: Any, shown: Any, before: Any) -> Verdict:
    if shown is _ABSENT:
        # A service that leaves out what is null leaves open what it leaves out otherwise.
        return Verdict.MET if _is_empty(sent) else Verdict.UNDECIDED
    match likeness(sent, shown):
        case Likeness.DIFFERENT:
            return Verdict.MISSED
        case Likeness.EXACT:
            return Verdict.MET
        case Likeness.ALIKE if before is _ABSENT:
            return Verdict.UNDECIDED
        case _:
            if likeness(sent, before) is Likeness.DIFFERENT:
                return Verdict.MET
            return Verdict.MISSED if likeness(before, shown) is Likeness.EXACT else Verdict.UNDECIDED


def _all_met(verdicts: Sequence[Verdict]) -> Verdict:
    if Verdict.MISSED in verdicts:
        return Verdict.MISSED
    return Verdict.MET if verdicts and Verdict.UNDECIDED not in verdicts else Verdict.UNDECIDED


class Likeness(IntEnum):
    """How like each other two values are."""

    DIFFERENT = 0
    ALIKE = 1
    """Null and "", a number and its text, texts that differ in outer spaces: one may be the service's form of the
    other, or what stood there before."""
    EXACT = 2
    """The same as JSON has it; numbers by value, null as an absent key, sales tracking codes by type and code."""


def likeness(sent: Any, shown: Any) -> Likeness:
    """How like what was sent the service shows it. An object is as like as the least like of what was sent in it."""
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
    if _is_empty(sent) or _is_empty(shown):
        return _is_empty(sent) and _is_empty(shown)
    if isinstance(sent, str) and isinstance(shown, str):
        return sent.strip() == shown.strip()
    try:
        return Decimal(str(sent).strip()) == Decimal(str(shown).strip())
    except InvalidOperation:
        return False


def _is_empty(value: Any) -> bool:
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
