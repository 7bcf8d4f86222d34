"""The errors in which a write ends, in words. Pure."""

from __future__ import annotations

from fusebill_async.errors import (
    ClientStateError,
    FusebillError,
    NotAppliedError,
    OutcomeUnknownError,
    RateLimitError,
    RequestTimeoutError,
)
from fusebill_async.outcome import Outcome
from fusebill_async.settings import SettlingPolicy
from fusebill_async.settling.reader import Settled
from fusebill_async.settling.write import Write, WriteState


def outcome_so_far(write: Write) -> Outcome:
    """What is known of a write whose last attempt was not sent, or was refused for the quota."""
    if write.state.may_have_acted:
        return Outcome.UNKNOWN
    if write.lost_attempts:
        return Outcome.NOT_APPLIED
    # What was sent, and may not have acted, was refused for the quota: everything else ends the write.
    return Outcome.NOT_SENT if write.first_sent_at is None else Outcome.REJECTED


def of_the_write(write: Write, error: FusebillError) -> FusebillError:
    """An error of the last attempt, or of the read before it, as an error of the whole write."""
    error.operation, error.customer_id = write.call.operation.title, write.call.customer_id
    if not write.state.may_have_acted and error.outcome in {Outcome.NOT_SENT, Outcome.UNKNOWN}:
        error.outcome = outcome_so_far(write)
    return error


def lock_timeout(write: Write) -> RequestTimeoutError:
    """The customer's lock was not free in time: another write of that customer holds it."""
    return RequestTimeoutError(
        f"{write.call.about} was not sent: another write of this customer was not settled within "
        f"{write.call.options.timeouts.queue:g} s (client.unresolved() lists it)",
        **write.call.facts,
    )


def lease_lost(write: Write) -> RequestTimeoutError:
    """The lease on the customer's lock was lost, so another process may be writing to the customer."""
    return RequestTimeoutError(
        f"{write.call.about} was not sent: while it waited, its lease on the customer ran out", **write.call.facts
    )


def unknown(write: Write, reason: str) -> OutcomeUnknownError:
    """The outcome stays unknown: no read succeeded, or the reads do not decide it."""
    reading = write.last_reading
    status = reading.status if reading is not None else None
    read = f"; the customer was last read with status {status}" if status else ""
    return OutcomeUnknownError(
        f"{write.call.about} was sent, and its outcome is unknown: {reason}{read}",
        reading=reading,
        intent_id=write.intent.id if write.intent is not None else None,
        **write.call.facts,
    )


def without_end(write: Write, policy: SettlingPolicy) -> FusebillError:
    """The caller's wait is over, and the write is not settled yet."""
    if write.state is WriteState.UNKNOWN:
        return unknown(write, "the client was closed")
    if write.state.may_have_acted:
        failed = write.call.failed_attempts
        lost = f" and lost its answer ({failed[-1].reason})" if failed else ""
        return OutcomeUnknownError(
            f"{write.call.about} was sent{lost}, and reading the customer has not settled it within {policy.wait:g} s; "
            "settling goes on in the background (client.unresolved(), client.resolve())",
            reading=write.last_reading,
            intent_id=write.intent.id if write.intent is not None else None,
            **write.call.facts,
        )
    return ClientStateError(
        f"{write.call.about} was dropped: the client was closed", outcome=outcome_so_far(write), **write.call.facts
    )


def not_applied(write: Write, settled: Settled, policy: SettlingPolicy) -> NotAppliedError:
    """Reads have shown that the write did not happen."""
    quiet = policy.quiet_seconds(moves_money=write.call.operation.moves_money)
    again = "" if write.resend else "; it was not sent again, since resend=True was not given"
    shown = "reads {} s apart show the customer as it was before"
    if write.call.customer_id is None:
        shown = "searches for its reference {} s apart found no such customer"
    return NotAppliedError(
        f"{write.call.about} did not happen: {settled.reason}, and {shown.format(f'{quiet:g}')}"
        f"{again}. This rests on no effect coming later than {quiet:g} s after it was sent",
        quiet_period=quiet,
        reading=settled.reading,
        **write.call.facts,
    )


def not_sent_again(write: Write, settled: Settled) -> RateLimitError:
    """The write was refused for the quota, and the customer has changed since, so it is not sent again."""
    return RateLimitError(
        f"429: {write.call.about} was refused for the quota, and not sent again: {settled.reason}",
        status=429,
        outcome=outcome_so_far(write),
        **write.call.facts,
    )
