"""What two readings, before and after, prove about a write. Pure: readings and times in, a decision out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fusebill_async.errors import InvalidResponseError
from fusebill_async.models import Customer
from fusebill_async.operations import Operation, Safety
from fusebill_async.outcome import Attribution
from fusebill_async.settling.goals import Likeness, Verdict, judge, likeness
from fusebill_async.settling.intent import Before, Reading


class SendTime:
    """When a write was sent by the service's clock, in epoch seconds: certainly not before, certainly not after."""

    __slots__ = ("earliest", "latest")

    def __init__(self, *, earliest: float, latest: float) -> None:
        self.earliest = earliest
        self.latest = latest


def attribute(
    operation: Operation,
    named: Mapping[str, Any],
    before: Before | None,
    after: Reading,
    sent: SendTime | None,
) -> Attribution:
    """Whose work it is that the goal stands, after a write whose answer was lost."""
    modified = modified_at(after.customer)
    surely_older = modified is not None and sent is not None and modified < sent.earliest
    # A customer that has not been modified since it was seen shows what it showed then: the goal met, or else a
    # service that does not bump the timestamp with this operation, and then the times are no evidence.
    unmodified = before is not None and before.modified is not None and before.modified == after.modified
    was_so = before is not None and judge(operation.goal, before.fields, named) is Verdict.MET
    if unmodified and was_so:
        return Attribution.ALREADY
    if surely_older and not unmodified:
        return Attribution.ALREADY
    if was_so:
        # It was so when it was seen, and the customer was modified since: undone and done again, or something else.
        return Attribution.UNPROVEN
    if not operation.moves_money:
        return Attribution.OURS
    # Somebody else may have done it between our send and our read, and no reading can tell the two apart.
    return Attribution.UNPROVEN


def untouched(
    operation: Operation,
    named: Mapping[str, Any],
    before: Before | None,
    after: Reading,
    sent: SendTime | None,
) -> bool:
    """Whether a customer that misses the goal stands as it did before the send, as far as that can be proven."""
    if after.status is None:
        # No such customer: nothing can have happened to it, unless it was there before.
        return before is None
    if before is not None:
        if before.status != after.status:
            return False
        if operation.safety is Safety.REPLACE and not _fields_stand(named, before.fields, after.fields):
            return False
        if before.modified is not None and before.modified == after.modified:
            return True
    elif operation.allowed_from is not None and after.status not in operation.allowed_from:
        return False
    modified = modified_at(after.customer)
    return modified is not None and sent is not None and modified <= sent.earliest


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
