"""What `client.resolve` tells of a write that was unresolved."""

from __future__ import annotations

import attrs

from fusebill_async.models import Activation, Customer
from fusebill_async.outcome import Attribution, Outcome
from fusebill_async.settling.intent import UnresolvedWrite
from fusebill_async.settling.write import Write, listed


@attrs.frozen(kw_only=True)
class Resolution:
    """What became of an unresolved write.

    Attributes:
        write: the write.
        outcome: `APPLIED`, `NOT_APPLIED` or `UNKNOWN`.
        attribution: whose work it is, for `APPLIED`.
        customer: the customer as last read, None if no read succeeded.
        reason: in words.
    """

    write: UnresolvedWrite
    outcome: Outcome
    attribution: Attribution | None
    customer: Customer | None
    reason: str


def resolution_of(write: Write) -> Resolution:
    """The resolution of a write that came to its end by itself while it was waited for."""
    assert write.intent is not None
    shown = listed(write.intent, "settled")
    if write.failed is not None:
        outcome, reason = write.failed.outcome, write.failed.reason
        return Resolution(write=shown, outcome=outcome, attribution=None, customer=None, reason=reason)
    if write.response is None:
        reason = "it was dropped before it was sent"
        return Resolution(write=shown, outcome=Outcome.NOT_SENT, attribution=None, customer=None, reason=reason)
    value = write.response.value
    return Resolution(
        write=shown,
        outcome=Outcome.APPLIED,
        attribution=write.response.attribution,
        customer=value.customer if isinstance(value, Activation) else value,
        reason="",
    )
