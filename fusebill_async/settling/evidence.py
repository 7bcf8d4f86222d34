"""What a read shows of a write: whether its goal is met, and what caused that. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum, auto
from typing import Any

import attrs

from fusebill_async.errors import APIError, BadRequestError, ConflictError, FusebillError, InvalidResponseError
from fusebill_async.models import Customer
from fusebill_async.operations import (
    FieldIs,
    FieldsAre,
    FieldsAreNull,
    FieldsAsNamed,
    Goal,
    Operation,
    Safety,
    StatusIs,
)
from fusebill_async.outcome import Attribution, Outcome
from fusebill_async.settling.seen import Before, Reading, is_older, tick_of
from fusebill_async.wire.comparing import Likeness, is_empty, likeness

CLOCKS_APART = 60.0
"""Seconds that the clock behind `Date` and the one behind a customer's timestamps may be apart. Within them times prove
nothing."""

_TOO_FINE = 1e-3
"""Seconds within which no customer is read, written and written again."""


# --- has it happened?

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


# --- whose work it is


@attrs.frozen(kw_only=True)
class SendTime:
    """When a write was sent by the service's clock, in epoch seconds: certainly not before, certainly not after."""

    earliest: float
    latest: float


_AT_ONCE = 0.25
"""Seconds: a write that waited longer may have waited for another one on the same customer."""


def attribute(
    operation: Operation,
    named: Mapping[str, Any],
    before: Before | None,
    after: Reading,
    sent: SendTime | None,
    *,
    waited: float = 0.0,
) -> Attribution:
    """Whether a write whose answer was lost caused the effect that a read shows.

    Args:
        operation: of the write.
        named: the wire keys and values that were sent.
        before: what was known of the customer before.
        after: what was read.
        sent: when it was sent.
        waited: seconds that it waited, for a lock or the quota, after that was known.
    """
    if before is not None and judge(operation.goal, before.fields, named) is Verdict.MET:
        # If it was modified since: undone and done again, or something else.
        return Attribution.ALREADY if unmodified(before, after, sent) else Attribution.UNPROVEN
    if operation.moves_money:
        # Somebody else may have done it between our send and our read, and no reading can tell the two apart.
        return Attribution.UNPROVEN
    if before is not None and before.modified is not None and before.modified == after.modified:
        # It is so now and was not, without a new timestamp: this operation does not move it, and times say nothing.
        # Whoever held the lock meanwhile may have done the same.
        return Attribution.OURS if waited < _AT_ONCE else Attribution.UNPROVEN
    modified = modified_at(after.customer)
    # Whoever held the lock right before the send may have done the same: then the time has to be later for certain.
    since = sent is not None and (modified is None or modified >= (sent.earliest if waited < _AT_ONCE else sent.latest))
    # Modified before the send: by somebody else, or the clocks disagree.
    return Attribution.OURS if since else Attribution.UNPROVEN


def stands(operation: Operation, named: Mapping[str, Any], before: Before | None, after: Reading) -> bool:
    """Whether a customer shows the same as before the send. It may have been changed and changed back."""
    if after.status is None:
        # No such customer: nothing can have happened to it, unless it was there before.
        return before is None
    if before is None:
        return operation.allowed_from is None or after.status in operation.allowed_from
    if before.status != after.status:
        return False
    return operation.safety is not Safety.REPLACE or _fields_stand(named, before.fields, after.fields)


def untouched(
    operation: Operation,
    named: Mapping[str, Any],
    before: Before | None,
    after: Reading,
    sent: SendTime | None,
) -> bool:
    """Whether it is proven that nothing has changed a customer since before the send."""
    if not stands(operation, named, before, after):
        return False
    if after.status is None:
        return True
    if before is not None:
        # A later timestamp means that the customer was changed, and no clock can tell by which write.
        return unmodified(before, after, sent)
    modified = modified_at(after.customer)
    return modified is not None and sent is not None and modified < sent.earliest - CLOCKS_APART


def unmodified(before: Before, after: Reading, sent: SendTime | None) -> bool:
    """Whether the timestamp proves that a customer was not modified since it was seen.

    An equal one proves it if it is so fine that nothing else can have happened within it, or if the write was sent
    long after it.
    """
    if before.modified is None or before.modified != after.modified:
        return False
    tick = tick_of(before.modified)
    if tick is None:
        return False
    if tick <= _TOO_FINE:
        return True
    modified = modified_at(after.customer)
    return modified is not None and sent is not None and modified + tick < sent.earliest - CLOCKS_APART


def is_evidence(after: Reading, before: Before | None, newest: str | None) -> bool:
    """Whether a read may be compared with a goal. A read that is older than what was seen before proves nothing.

    Args:
        after: what was read.
        before: what was known before the send.
        newest: the newest `modifiedTimestamp` that was seen of the customer lately.
    """
    known = before.modified if before is not None else None
    return not is_older(after.modified, known) and not is_older(after.modified, newest)


def _fields_stand(named: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    return all(likeness(before.get(key), after.get(key)) is Likeness.EXACT for key in named)


def modified_at(customer: Customer | None) -> float | None:
    """When a customer was last modified, in epoch seconds; None if it does not say so, or not in a way to be read."""
    try:
        moment = None if customer is None else customer.modified_timestamp
    except InvalidResponseError:
        # What cannot be read is no evidence. It must not become the outcome of a write.
        return None
    return moment.timestamp() if isinstance(moment, datetime) else None


_ACTS_ONCE = frozenset({Safety.REPEATABLE, Safety.MONEY})
"""What the service may refuse where it has happened already."""


def may_be_so_already(
    operation: Operation,
    refusal: FusebillError,
    before: Before | None,
    named: Mapping[str, Any],
    *,
    after_lost_attempt: bool,
) -> bool:
    """Whether a refusal may mean that the effect is there already, so that the customer must be read.

    A proxy may send our request twice: the second copy is refused because the first one had the effect. An attempt
    after a lost one may be refused for the same reason.

    Args:
        operation: that was refused.
        refusal: in the service's own words.
        before: what was known of the customer before the send.
        named: the wire keys and values that were sent.
        after_lost_attempt: an earlier attempt of this write had no usable answer.
    """
    if not isinstance(refusal, APIError) or refusal.outcome is not Outcome.REJECTED:
        return False
    if after_lost_attempt:
        return True
    if operation.safety not in _ACTS_ONCE or before is None or not before.recent:
        return False
    known_otherwise = judge(operation.goal, before.fields, named) is Verdict.MISSED
    if isinstance(operation.goal, StatusIs):
        return known_otherwise and speaks_for_goal(operation, refusal)
    return known_otherwise and isinstance(refusal, (BadRequestError, ConflictError))


def speaks_for_goal(operation: Operation, refusal: FusebillError) -> bool:
    """Whether a refusal says that the customer has the status that the operation leads to.

    Reads that show another one may lag behind; they do not take that away.
    """
    if not isinstance(refusal, ConflictError) or not isinstance(operation.goal, StatusIs):
        return False
    return refusal.customer_status in operation.goal.statuses
