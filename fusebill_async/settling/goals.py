"""Has it happened? Compares what a read shows with an operation's goal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Any

from fusebill_async.operations import FieldIs, FieldsAre, FieldsAreNull, FieldsAsNamed, Goal, StatusIs
from fusebill_async.wire.comparing import Likeness, is_empty, likeness

_ABSENT: Any = object()


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
        return Verdict.MET if is_empty(sent) else Verdict.UNDECIDED
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
