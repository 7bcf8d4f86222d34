"""The read that a PUT rests on, and the PUT that is made from it."""

from __future__ import annotations

from typing import Any

import attrs

from fusebill_async.converting import UnreadableAnswer, decode_customer
from fusebill_async.errors import InvalidResponseError, RequestTimeoutError
from fusebill_async.operations import GET
from fusebill_async.outcome import Attribution, ConfirmedBy
from fusebill_async.policy.retry import Ruling, backoff
from fusebill_async.session.call import Answer, Judged
from fusebill_async.session.manager import SessionManager
from fusebill_async.session.slot import Slot
from fusebill_async.settings import UpdatePolicy
from fusebill_async.settling.open_writes import OpenWrites
from fusebill_async.settling.protocols import CustomerLocks
from fusebill_async.settling.response import Response
from fusebill_async.settling.seen import LastSeen, Reading, lags_behind, modified_text
from fusebill_async.settling.write import ReadAgainError, Write
from fusebill_async.updating.pending import PendingUpdate
from fusebill_async.wire.request import build_request

_OLDEST_READ = 1.0
"""Seconds from the sending of a read to the PUT that rests on it, where `UpdatePolicy.max_read_age` allows no more."""


@attrs.frozen(eq=False, repr=False)
class PutPreparer:
    """Reads the customer and makes the PUT in one slot, so that nothing is waited for between the two."""

    _session: SessionManager
    _seen: LastSeen
    _open_writes: OpenWrites
    _locks: CustomerLocks
    _policy: UpdatePolicy

    def requests(self, update: PendingUpdate) -> int:
        """How many requests an attempt takes: a PUT rests on a read, and a strict one on two."""
        return 1 + (self._young_base(update) is None) + update.strict

    async def prepare(self, write: Write, update: PendingUpdate, slot: Slot) -> Judged | Response[Any] | None:
        """Make the PUT of this attempt, from a customer that is read after everything that was waited for.

        Returns:
            None if the PUT is ready; the response if there is nothing to change; a read that failed.

        Raises:
            FusebillError: the PUT may not be sent.
        """
        first = present = self._young_base(update)
        reading = None
        wall = self._session.effects.wall()
        for _ in range((first is None) + update.strict):
            wall = self._session.effects.wall()
            judged = await slot.send(GET, build_request(GET, write.call.customer_id))
            if judged.ruling is not Ruling.ACCEPT:
                return judged
            present = self._session.accept(write.call, judged)
            reading = Reading.of(present.value, present.sent_at)
            self._seen.remember(reading)
            self._check_not_behind(write, update, reading)
            first = first or present
        assert first is not None
        assert present is not None
        try:
            put = update.next_put(
                first.value.wire, present.value.wire, in_doubt=write.lost_attempts > 0, facts=write.call.facts
            )
        except UnreadableAnswer as error:
            raise InvalidResponseError(
                f"{write.call.about} was not sent: the customer cannot be read: {error.reason}", **write.call.facts
            ) from None
        write.lagging_reads = 0
        if put is None:
            return Response(
                value=present.value,
                status=present.status,
                headers=present.headers,
                attempts=write.call.failed_attempts,
                confirmed_by=ConfirmedBy.READ,
                attribution=Attribution.ALREADY,
            )
        write.call.request, write.named = put.request, put.shows
        write.knows(reading or Reading.of(present.value, present.sent_at), recent=True)
        write.base_sent_at = present.sent_at, wall
        return None

    def check_base(self, read_sent_at: tuple[float, float]) -> None:
        """Look, right before the first byte of a PUT, whether it may still rest on its read.

        Args:
            read_sent_at: by the session's clock, which may stand still while a machine is suspended, and by the
                system's clock.

        Raises:
            ReadAgainError: it was sent too long ago by one of them, or the service has refused calls for the quota.
        """
        if self._session.admission.is_paused:
            raise ReadAgainError("the service refused calls for the quota after each read")
        effects, (sent_at, wall) = self._session.effects, read_sent_at
        age = max(effects.now() - sent_at, effects.wall() - wall)
        longest = max(_OLDEST_READ, self._policy.max_read_age)
        if age > longest:
            raise ReadAgainError(f"more than {longest:g} s passed from the sending of each read to its PUT")

    async def pause(self, write: Write, error: ReadAgainError) -> None:
        """Wait before the customer is read again, the longer the more reads in a row lagged behind.

        Raises:
            RequestTimeoutError: the time of the call is used up.
        """
        call, effects = write.call, self._session.effects
        pause = backoff(call.options.retry, write.lagging_reads, effects.random()) if write.lagging_reads else 0.0
        call.time_used += pause
        if call.time_used >= call.options.timeouts.total:
            raise RequestTimeoutError(
                f"{call.about} was not sent within {call.options.timeouts.total:g} s: {error}", **call.facts
            )
        with self._session.teller.wait(call, "backoff"):
            await effects.sleep(pause)

    def _young_base(self, update: PendingUpdate) -> Answer | None:
        """The customer that the caller passed in, if it is the newest state known and young enough for a PUT."""
        if update.base is None or update.shows is not None or update.always_read or self._locks.shared:
            return None
        if any(write.call.customer_id == update.customer_id for write in self._open_writes.unknown.values()):
            return None
        seen = self._seen.of(update.customer_id)
        if seen is None or seen.customer is None or not seen.whole or seen.customer.wire != update.base:
            return None
        if self._session.effects.now() - seen.sent_at > self._policy.max_read_age:
            return None
        return Answer.of_a_read_from_before(decode_customer(update.base), seen.sent_at)

    def _check_not_behind(self, write: Write, update: PendingUpdate, reading: Reading) -> None:
        """See that a read is not older than what was seen of the customer, or than what was handed in.

        Raises:
            ReadAgainError: it is.
        """
        newest = self._seen.newest(update.customer_id, self._session.effects.now())
        if lags_behind(reading.modified, newest, None if update.base is None else modified_text(update.base)):
            write.lagging_reads += 1
            raise ReadAgainError("every read was older than what was seen of the customer")
