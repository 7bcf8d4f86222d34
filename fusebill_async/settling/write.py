"""One write over all its attempts: its request, its state, and what was known of the customer before."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import attrs

from fusebill_async.errors import APIError, FusebillError
from fusebill_async.models import Activation, Customer
from fusebill_async.operations import Safety
from fusebill_async.outcome import Outcome
from fusebill_async.session.call import Call
from fusebill_async.settling.evidence import Verdict, judge, keys_of
from fusebill_async.settling.intent import Intent, UnresolvedWrite
from fusebill_async.settling.keys import CallKey, Ended
from fusebill_async.settling.response import Response
from fusebill_async.settling.seen import Before, Reading, is_older, lags_behind, modified_text
from fusebill_async.updating.pending import PendingUpdate


class ReadAgainError(Exception):
    """A write may not rest on the read that was made for it. Nothing was sent. It is caught by the driver."""


class WriteState(StrEnum):
    """How far a write is.

        PREPARING ──connection handed out──▶ IN_FLIGHT ──its answer tells──▶ ENDED
            ▲                                    │ anything else
            │ not applied, and sent again        ▼
            └──────────────────────────────── SETTLING ──a read tells──▶ ENDED
                                                 │ ▲
                                no read can tell ▼ │ client.resolve()
                                               UNKNOWN

    From IN_FLIGHT back to PREPARING goes what the service refused for the quota.
    """

    PREPARING = "preparing"
    """Nothing of this attempt has left: it waits for a lock, for a slot, for a read, or for its connection."""
    IN_FLIGHT = "in flight"
    SETTLING = "settling"
    UNKNOWN = "unknown"
    ENDED = "ended"

    @property
    def may_have_acted(self) -> bool:
        """Whether the service may have done it without an answer that says so."""
        return self in _MAY_HAVE_ACTED


_MAY_HAVE_ACTED = frozenset({WriteState.IN_FLIGHT, WriteState.SETTLING, WriteState.UNKNOWN})


@attrs.frozen
class Failed:
    """What is kept of the error that a write ended with.

    Attributes:
        outcome: that the error tells.
        reason: the error in words.
        error: its class.
        status: of the answer that it tells of, None if there is none.
    """

    outcome: Outcome
    reason: str
    error: str
    status: int | None = None


@attrs.define(eq=False)
class Write:
    """One write.

    Attributes:
        call: its account of attempts and time.
        named: what a later read must show, by keys of the wire.
        resend: whether it may be sent again after it was settled as not applied.
        update: the changes, if its request is made from a read.
        state: how far it is.
        lost_attempts: attempts that went unanswered and were settled as not applied.
        throttled: it was refused for the quota, and must be read for before it is sent again.
        key: its idempotency key, None if it has none.
        replaces: the name of the intent whose key it takes over, since that ended without an effect.
        first_sent_at, sent_at: when the first and the last attempt was handed its connection, by the session's clock.
        locked: what it holds the lock of.
        lagging_reads: reads in a row that were too old to base its PUT on.
        base_sent_at: when the read that its PUT rests on was sent, by the session's clock and by the system's.
        intent: its record in the ledger, once it has a name.
        recorded: the intent stands in the ledger.
        created_after: the service's time (epoch seconds) before which a create was certainly not sent.
        last_reading: what settling read last.
        read_failure: why the last settling read that failed did so.
        task: carries it out.
        caller_wakeup: resolved when the task has ended or begins to settle.
        response, failed: its end.
        told: its caller has the outcome, or no longer waits for it.
    """

    call: Call
    named: Mapping[str, Any]
    resend: bool
    update: PendingUpdate | None = None
    state: WriteState = WriteState.PREPARING
    lost_attempts: int = 0
    throttled: bool = False
    key: CallKey | None = None
    replaces: str | None = None
    first_sent_at: float | None = None
    sent_at: float | None = None
    locked: int | None = None
    lagging_reads: int = 0
    base_sent_at: tuple[float, float] | None = None
    intent: Intent | None = None
    recorded: bool = False
    created_after: float | None = None
    last_reading: Reading | None = None
    read_failure: str = ""
    task: asyncio.Task[None] | None = None
    caller_wakeup: asyncio.Future[None] | None = None
    response: Response[Any] | None = None
    failed: Failed | None = None
    told: bool = False
    _error: Exception | None = None
    _before: Before | None = None
    _known: Reading | None = None
    _recent: bool = False

    @property
    def before(self) -> Before | None:
        """What was known of the customer before the send."""
        if self._before is None and self._known is not None:
            keys = keys_of(self.call.operation.goal, self.named)
            self._before = Before.of(self._known, keys, recent=self._recent, literally=self.update is not None)
        return self._before

    @before.setter
    def before(self, before: Before | None) -> None:
        self._before = before

    def knows(self, reading: Reading, *, recent: bool) -> None:
        """Note what was known of the customer before the send, and whether that is recent."""
        self._known, self._recent, self._before = reading, recent, None

    def has_seen(self, seen: Reading, now: float) -> None:
        """Note what the client has seen last of the customer, unless the caller handed in something newer."""
        if self._known is None or is_older(self._known.modified, seen.modified):
            self.knows(seen, recent=self._known is not None or seen.is_recent(now))

    def is_shown_by(self, reading: Reading) -> bool:
        """Whether its answer shows what it was for. What is older than what was known before shows nothing."""
        goal = self.call.operation.goal
        if goal is None:
            return True
        if self._known is not None and lags_behind(reading.modified, self._known.modified):
            return False
        if judge(goal, reading.fields, self.named) is not Verdict.MISSED:
            return True
        # A PUT whose answer is newer than the customer was has happened; a value not taken is told elsewhere.
        replaces = self.call.operation.safety is Safety.REPLACE
        return replaces and self.before is not None and self.before.modified != reading.modified

    @property
    def outcome_so_far(self) -> Outcome:
        """What is known of it if its last attempt was not sent, or was refused for the quota."""
        if self.state.may_have_acted:
            return Outcome.UNKNOWN
        if self.lost_attempts:
            return Outcome.NOT_APPLIED
        # What was sent, and may not have acted, was refused for the quota: everything else ends the write.
        return Outcome.NOT_SENT if self.first_sent_at is None else Outcome.REJECTED

    def handed_out(self, now: float) -> None:
        """A connection is there: from here on the service may act."""
        self.state = WriteState.IN_FLIGHT
        self.sent_at = now
        if self.first_sent_at is None:
            self.first_sent_at = now

    def fail(self, error: Exception) -> None:
        """It ended with this error."""
        # The frames in which it was raised know the write: they would keep each other alive.
        self._error = error.with_traceback(None)
        outcome = error.outcome if isinstance(error, FusebillError) else Outcome.UNKNOWN
        status = error.status if isinstance(error, APIError) else None
        self.failed = Failed(outcome, str(error), type(error).__name__, status)

    def ended(self, now: float) -> Ended:
        """How it ended, as the ledger keeps it. `now` is in epoch seconds."""
        customer_id, response, message, modified = self.call.customer_id, self.response, "", None
        if response is None:
            # One that was cancelled, or has lost its key, says no more than what became of its attempts.
            failed = self.failed
            if failed is None or failed.outcome is Outcome.UNKNOWN:
                failed = Failed(self.outcome_so_far, "", "")
            outcome, status, attribution, message = failed.outcome, failed.status, None, failed.reason
        else:
            outcome, status, attribution = Outcome.APPLIED, response.status, response.attribution
            shown = response.value.customer if isinstance(response.value, Activation) else response.value
            if isinstance(shown, Customer):
                customer_id, modified = shown.id, modified_text(shown.wire or b"{}")
        return Ended(
            outcome=outcome,
            customer_id=customer_id,
            attribution=attribution,
            status=status,
            at=now,
            attempts=len(self.call.failed_attempts if response is None else response.attempts),
            message=message,
            modified=modified,
            seconds=self.call.time_used,
        )

    def take_error(self) -> Exception:
        """The error that it ended with, for the one who raises it; it is not kept here, for the same reason."""
        error, self._error = self._error, None
        assert error is not None
        return error

    def wake_caller(self) -> None:
        """Wake the caller, who then looks at the state."""
        if self.caller_wakeup is not None and not self.caller_wakeup.done():
            self.caller_wakeup.set_result(None)

    def unresolved(self) -> UnresolvedWrite:
        """As `client.unresolved()` shows it."""
        assert self.intent is not None
        return listed(self.intent, self.state)


def listed(intent: Intent, state: str) -> UnresolvedWrite:
    """An open intent as a user sees it."""
    return UnresolvedWrite(
        id=intent.id,
        operation=intent.operation,
        customer_id=intent.customer_id,
        state=state,
        opened_at=intent.opened_at,
        reference=intent.named.get("reference") if intent.customer_id is None else None,
    )
