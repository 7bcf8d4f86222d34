"""The errors in which a write ends, in words. Pure."""

from __future__ import annotations

from fusebill_async.errors import (
    ClientStateError,
    FusebillError,
    IdempotencyError,
    NotAppliedError,
    OutcomeUnknownError,
    RateLimitError,
    RequestTimeoutError,
)
from fusebill_async.outcome import Outcome
from fusebill_async.settings import SettlingPolicy
from fusebill_async.settling.keys import Recorded
from fusebill_async.settling.reader import Settled
from fusebill_async.settling.write import Write, WriteState


def of_the_write(write: Write, error: FusebillError) -> FusebillError:
    """An error of the last attempt, or of the read before it, as an error of the whole write."""
    error.operation, error.customer_id = write.call.operation.title, write.call.customer_id
    if isinstance(error, OutcomeUnknownError):
        # It tells of the call that a key names, whatever became of this one.
        return error
    if not write.state.may_have_acted and error.outcome in {Outcome.NOT_SENT, Outcome.UNKNOWN}:
        error.outcome = write.outcome_so_far
    return error


def lock_timeout(write: Write) -> FusebillError:
    """The lock was not free in time: another write of that customer, or an earlier call with the key, holds it."""
    if write.key is not None:
        return OutcomeUnknownError(
            f"{write.call.about} was not sent: another write of this customer, which may be an earlier call with this "
            f"idempotency key, was not settled within {write.call.options.timeouts.queue:g} s",
            **write.call.facts,
        )
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


def key_lost(write: Write, reason: str = "") -> OutcomeUnknownError:
    """Its lease ran out, so another call with the key may have been made."""
    ended = f" ({reason})" if reason else ""
    return OutcomeUnknownError(
        f"{write.call.about} lost its lease, and another call with its idempotency key may have been made{ended}",
        **write.call.facts,
    )


def key_unread(write: Write, error: FusebillError) -> OutcomeUnknownError:
    """The store cannot be asked what became of earlier calls with the key."""
    return OutcomeUnknownError(
        f"{write.call.about} was not sent: what became of earlier calls with its idempotency key cannot be looked up: "
        f"{error}",
        **write.call.facts,
    )


def key_of_another_call(write: Write, earlier: Recorded) -> IdempotencyError:
    """The key was used for another operation, customer or arguments."""
    used = earlier.operation
    if earlier.customer_id is not None:
        used += f" of customer {earlier.customer_id}"
    what = "with other arguments" if used == write.call.about else "for it"
    return IdempotencyError(
        f"{write.call.about} was not sent: its idempotency key was used on {earlier.began_at:%Y-%m-%d %H:%M:%S} UTC "
        f"by {used}, {what}",
        **write.call.facts,
    )


def key_unknown(write: Write, earlier: Recorded) -> OutcomeUnknownError:
    """The earlier call with the key was sent, and reading does not settle it."""
    return OutcomeUnknownError(
        f"{write.call.about} was not sent again: the outcome of the call that its idempotency key names is unknown",
        intent_id=earlier.intent_id,
        **write.call.facts,
    )


def key_not_applied(write: Write) -> NotAppliedError:
    """The earlier call with the key did not happen, and what moves money is not sent again by itself."""
    return NotAppliedError(
        f"{write.call.about} was not sent again: the call that its idempotency key names was sent and did not happen, "
        "and resend=True was not given",
        **write.call.facts,
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
        f"{write.call.about} was dropped: the client was closed", outcome=write.outcome_so_far, **write.call.facts
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
        outcome=write.outcome_so_far,
        **write.call.facts,
    )
