"""Whether a refusal may mean that the goal stands already: then reading tells, and not the refusal. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fusebill_async.errors import APIError, BadRequestError, ConflictError, FusebillError
from fusebill_async.operations import Operation, Safety, StatusIs
from fusebill_async.outcome import Outcome
from fusebill_async.settling.goals import Verdict, judge
from fusebill_async.settling.intent import Before

_ACTS_ONCE = frozenset({Safety.REPEATABLE, Safety.MONEY})
"""What the service may refuse where it has happened already."""


def may_be_so_already(
    operation: Operation, refusal: FusebillError, before: Before | None, named: Mapping[str, Any], *, doubtful: bool
) -> bool:
    """Whether a read must tell what a refusal means.

    A second copy of our own request, sent by a proxy, is refused because the first one has done what it was for; so is
    an attempt after one that was lost.

    Args:
        operation: that was refused.
        refusal: in words that are believed.
        before: what was known of the customer before the send.
        named: the wire keys and values that were sent.
        doubtful: an earlier attempt of this write had no usable answer.
    """
    if not isinstance(refusal, APIError) or refusal.outcome is not Outcome.REJECTED:
        return False
    if doubtful:
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
