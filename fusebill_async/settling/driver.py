"""Drives one write to its outcome: prepare, send, judge, settle, decide, and send again or end."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

import attrs

from fusebill_async.errors import APIError
from fusebill_async.models import Activation, Customer
from fusebill_async.operations import Operation, Safety
from fusebill_async.outcome import Attribution, ConfirmedBy, Outcome
from fusebill_async.policy.retry import AfterMiss, Ruling, after_miss
from fusebill_async.session.call import Judged
from fusebill_async.session.manager import SessionManager
from fusebill_async.session.slot import Slot
from fusebill_async.settings import FreshConnections
from fusebill_async.settling import write_errors
from fusebill_async.settling.evidence import may_be_so_already, speaks_for_goal
from fusebill_async.settling.open_writes import OpenWrites
from fusebill_async.settling.preparing import PutPreparer
from fusebill_async.settling.protocols import CustomerLocks
from fusebill_async.settling.reader import Settled, SettlingReader
from fusebill_async.settling.response import Response
from fusebill_async.settling.searching import was_made_by
from fusebill_async.settling.seen import LastSeen, Reading
from fusebill_async.settling.write import ReadAgainError, Write, WriteState

logger = logging.getLogger("fusebill_async")

_READ_FOR_AGAIN = frozenset({Safety.MONEY, Safety.CREATE})
"""What is read for before it is sent again, even if it was only refused for the quota."""


@attrs.frozen(eq=False, repr=False)
class WriteDriver:
    """Sends writes, settles what stays unanswered, and decides what follows."""

    _session: SessionManager
    _preparer: PutPreparer
    _reader: SettlingReader
    _open_writes: OpenWrites
    _locks: CustomerLocks
    _seen: LastSeen
    _fresh_connections: FreshConnections = attrs.field(alias="fresh_connections", kw_only=True)

    async def drive(self, write: Write) -> Response[Any]:
        """Carry out a write whose lock is held.

        Raises:
            FusebillError: with the true outcome.
        """
        call = write.call
        call.options.budget.call_started(self._session.effects.now())
        while True:
            judged = await self._attempt(write)
            if isinstance(judged, Response):
                return judged
            response = self._answered(write, judged) if judged.ruling is Ruling.ACCEPT else None
            if response is not None:
                return response
            # A refusal in words that are believed ends the write, unless it may be so already. All else is settled.
            refusal = self._session.refusal(call, judged)
            told = refusal if judged.ruling is Ruling.REJECTED else None
            if told is not None and not self._may_be_so_already(write, told):
                write.state = WriteState.ENDED
                raise told
            if told is None:
                write.lost_attempts += 1
            speaks = told is not None and speaks_for_goal(call.operation, told)
            settled = await self._settle(write, judged, once=told is not None and not speaks)
            if settled.outcome is Outcome.APPLIED:
                return self._confirmed(write, settled, refused=told is not None)
            if told is not None and not speaks and (settled.reading or not write.lost_attempts):
                # "Already so" would have been evidence; the reading shows that it is not so.
                write.state = WriteState.ENDED
                raise told
            if settled.outcome is Outcome.UNKNOWN or speaks:
                write.state = WriteState.UNKNOWN
                raise write_errors.unknown(write, settled.reason)
            write.state = WriteState.PREPARING
            self._send_again_or_raise(write, settled, refusal)

    # --- sending

    async def _attempt(self, write: Write) -> Judged | Response[Any]:
        """Send until the service has it, or until it may not be sent any more."""
        call = write.call
        while True:
            try:
                async with self._session.slot(call, requests=self._requests(write)) as slot:
                    judged = await self._send(write, slot)
            except ReadAgainError as error:
                await self._preparer.pause(write, error)
                continue
            if isinstance(judged, Response):
                return judged
            if judged.ruling not in {Ruling.SEND_AGAIN, Ruling.WAIT_FOR_WINDOW, Ruling.FAILED}:
                return judged
            write.state = WriteState.PREPARING
            refused_for_quota = judged.ruling is Ruling.WAIT_FOR_WINDOW and judged.operation is call.operation
            write.throttled = write.throttled or (refused_for_quota and call.operation.safety in _READ_FOR_AGAIN)
            await self._session.retry_or_raise(call, judged)

    def _requests(self, write: Write) -> int:
        """How many requests an attempt takes, with those that it rests on."""
        if write.update is not None:
            return self._preparer.requests(write.update)
        return 1 + write.throttled

    async def _send(self, write: Write, slot: Slot) -> Judged | Response[Any]:
        """Send a write once, after what must be read before it. A read that fails is what the attempt has brought."""
        call = write.call
        if write.update is not None:
            ended = await self._preparer.prepare(write, write.update, slot)
            if ended is not None:
                return ended
        if write.throttled:
            found = await self._look_again(write, slot)
            if found is not None:
                return found
        assert call.request is not None
        if self._open_writes.records_all or write.key is not None:
            await self._open_writes.record(write)
        fresh, on_handed_out = self._wants_fresh(call.operation), partial(self._hand_out, write)
        judged = await slot.send(call.operation, call.request, fresh=fresh, on_handed_out=on_handed_out)
        if write.state is WriteState.PREPARING and not judged.exchange.phase.nothing_sent:
            # No hand-out was seen, and nothing proves that there was none.
            write.handed_out(judged.exchange.started_at)
        return judged

    async def _look_again(self, write: Write, slot: Slot) -> Judged | Response[Any] | None:
        """Read for a write that was refused for the quota: it is sent again only if all stands as before.

        Returns:
            None if it does; the response if the write has happened already; a read that failed.

        Raises:
            RateLimitError: the customer shows something else than before.
        """
        question = self._reader.question(write) if write.call.operation.goal is not None else None
        if question is not None:
            judged = await slot.send(*question)
            if judged.ruling is not Ruling.ACCEPT:
                return judged
            settled = self._reader.found_again(write, self._session.accept(write.call, judged))
            if settled is not None and settled.outcome is Outcome.APPLIED:
                return self._confirmed(write, settled, refused=True)
            if settled is not None:
                raise write_errors.not_sent_again(write, settled)
        write.throttled = False
        return None

    def _hand_out(self, write: Write) -> None:
        """The last look before the first byte: whether the write may still be sent."""
        if write.base_sent_at is not None:
            self._preparer.check_base(write.base_sent_at)
        if write.locked is not None and self._locks.shared and not self._locks.still_held(write.locked):
            raise write_errors.lease_lost(write) if write.key is None else write_errors.key_lost(write)
        write.handed_out(self._session.effects.now())

    def _wants_fresh(self, operation: Operation) -> bool:
        """Whether no answer that is left over on a kept connection may reach this operation."""
        match self._fresh_connections:
            case "money":
                return operation.safety in {Safety.MONEY, Safety.CREATE}
            case "writes":
                return operation.writes
            case _:
                return False

    # --- deciding

    async def _settle(self, write: Write, judged: Judged, *, once: bool) -> Settled:
        reason = judged.reason or f"the service answered {judged.exchange.status}"
        if judged.ruling is Ruling.ACCEPT:
            # An answer to another question: what it shows is from before, or of somebody else.
            reason = "the answer does not show the effect"
            if write.call.operation.safety is Safety.CREATE:
                reason = f"the answer is about another customer, {judged.value.id}"
            logger.error("%s: %s", write.call.about, reason)
            self._session.drop_connection(judged)
        write.state = WriteState.SETTLING
        await self._open_writes.record(write)
        write.wake_caller()
        settled = await self._reader.settle(write, reason, once=once)
        # What comes now is its end, or another attempt, whose time is not that of settling.
        write.wake_caller()
        return settled

    def _may_be_so_already(self, write: Write, refusal: APIError) -> bool:
        return may_be_so_already(
            write.call.operation, refusal, write.before, write.named, after_lost_attempt=write.lost_attempts > 0
        )

    def _send_again_or_raise(self, write: Write, settled: Settled, refusal: APIError | None) -> None:
        """Raise what a write ends with that did not happen, unless it may be sent again."""
        status = None if refusal is None else refusal.status
        follows = after_miss(write.call.operation.safety, resend=write.resend, refused_with=status)
        if follows is AfterMiss.REJECTED and refusal is not None:
            raise refusal
        if follows is not AfterMiss.SEND_AGAIN or not self._may_be_sent_again(write):
            raise write_errors.not_applied(write, settled, self._reader.policy)

    def _may_be_sent_again(self, write: Write) -> bool:
        call = write.call
        call.counted_attempts += 1
        return (
            call.counted_attempts < call.options.retry.max_attempts
            and call.time_used < call.options.timeouts.total
            and call.options.budget.take(self._session.effects.now())
        )

    # --- the good ends

    def _answered(self, write: Write, judged: Judged) -> Response[Any] | None:
        """The response to a write whose answer shows what the write was for; None if it does not."""
        sent_at, value = judged.exchange.sent_at, judged.value
        assert sent_at is not None
        reading = Reading.of(value, sent_at) if isinstance(value, (Customer, Activation)) else None
        if not self._shows_effect(write, reading):
            return None
        answer = self._session.accept(write.call, judged)
        write.state = WriteState.ENDED
        if reading is not None:
            self._seen.remember(reading, made=write.call.operation.safety is Safety.CREATE)
        return Response(value=answer.value, status=answer.status, headers=answer.headers, attempts=answer.attempts)

    def _shows_effect(self, write: Write, reading: Reading | None) -> bool:
        if reading is None or reading.customer is None:
            return True
        if write.call.operation.safety is Safety.CREATE:
            return not self._seen.was_made(reading.customer.id) and was_made_by(reading.customer, write.named)
        return write.is_shown_by(reading)

    def _confirmed(self, write: Write, settled: Settled, *, refused: bool) -> Response[Any]:
        answer, attribution = settled.answer, settled.attribution
        assert answer is not None
        write.state = WriteState.ENDED
        if refused and attribution is Attribution.OURS:
            # The service has refused to do it: perhaps since a copy of our own had done it, perhaps somebody else.
            attribution = Attribution.UNPROVEN
        return Response(
            value=Activation(customer=answer.value) if write.call.operation.answer == "activation" else answer.value,
            status=answer.status,
            headers=answer.headers,
            attempts=write.call.failed_attempts,
            confirmed_by=ConfirmedBy.READ,
            attribution=attribution,
        )
