"""The session manager: gives slots, sends what changes nothing, and knows when a failed attempt may be repeated."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from fusebill_async.errors import APIError, ClientStateError, PreviewChangedStateError
from fusebill_async.outcome import Attempt
from fusebill_async.policy.clock import ServiceClock
from fusebill_async.policy.retry import Ruling, backoff, is_refusal
from fusebill_async.session import call_errors
from fusebill_async.session.admission import Admission
from fusebill_async.session.call import Answer, Call, Judged
from fusebill_async.session.effects import Effects
from fusebill_async.session.slot import Slot
from fusebill_async.session.telling import Teller
from fusebill_async.session.transport import Exchange, Transport
from fusebill_async.wire.quota_headers import retry_after
from fusebill_async.wire.redact import redact_bytes
from fusebill_async.wire.refusals import BODY_KEPT

logger = logging.getLogger("fusebill_async")


class SessionManager:
    """Connection pool, quota and retry policy of one client; belongs to the event loop of its first call."""

    def __init__(
        self,
        *,
        key: str,
        make_transport: Callable[[], Transport],
        admission: Admission,
        clock: ServiceClock,
        effects: Effects,
        teller: Teller,
    ) -> None:
        self._key = key
        self._make_transport = make_transport
        self._transport: Transport | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self.admission = admission
        self.clock = clock
        self.effects = effects
        self.teller = teller

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
        return self._closed

    def open(self) -> Transport:
        """The transport, made on first use in the running event loop.

        Raises:
            ClientStateError: closed, or opened in another event loop.
        """
        if self._closed:
            raise ClientStateError("the client is closed: make a new one")
        running = asyncio.get_running_loop()
        if self._transport is None:
            self._transport = self._make_transport()
            self._loop = running
        elif self._loop is not running:
            raise ClientStateError(
                "the client belongs to another event loop: make one client in each loop that uses it"
            )
        return self._transport

    def slot(self, call: Call, *, requests: int = 1) -> Slot:
        """Room in the pool, together with quota. Enter it with `async with`.

        Args:
            call: who asks; its time in the queue is counted.
            requests: how many will be sent in it.
        """
        return Slot(call, requests, self.open(), self.admission, self.effects, self.teller)

    async def read(self, call: Call) -> Answer:
        """Send a call that changes nothing, again if that is allowed, and return its good answer.

        Raises:
            FusebillError: it was refused, or it failed.
        """
        with self.teller.call(call):
            return await self._read(call)

    async def _read(self, call: Call) -> Answer:
        call.options.budget.call_started(self.effects.now())
        assert call.request is not None
        while True:
            async with self.slot(call) as slot:
                judged = await slot.send(call.operation, call.request)
            if judged.ruling is Ruling.ACCEPT:
                self._check_preview(call, judged)
                return self.accept(call, judged)
            await self.retry_or_raise(call, judged)

    def _check_preview(self, call: Call, judged: Judged) -> None:
        """A preview changes nothing. One whose answer shows the status that the operation leads to may have acted."""
        operation = call.operation
        if operation.answer != "activation" or operation.allowed_from is None:
            return
        status = judged.value.customer.status
        if status in operation.allowed_from:
            return
        logger.error("%s was answered with status %s: it may have acted", call.about, status)
        self.record_attempt(call, judged, "raised")
        raise PreviewChangedStateError(
            f"{call.about} was answered with status {status}: the service may have acted on a preview. "
            "Look at the customer's invoices before anything else",
            status=judged.exchange.status,
            body=redact_bytes(judged.exchange.body, self._key)[:BODY_KEPT],
            **call.facts,
        )

    def accept(self, call: Call, judged: Judged) -> Answer:
        """The good answer that an attempt has brought."""
        exchange = judged.exchange
        assert exchange.status is not None
        assert exchange.sent_at is not None
        return Answer(
            value=judged.value,
            status=exchange.status,
            headers=exchange.headers,
            sent_at=exchange.sent_at,
            received_at=exchange.ended_at,
            attempts=(*call.failed_attempts, self._tell(call, judged, "returned")),
        )

    async def retry_or_raise(self, call: Call, judged: Judged) -> None:
        """Pause, and return if the call may be sent again. Not for a write that may have acted.

        Raises:
            FusebillError: it was refused, or may not be sent again.
        """
        match judged.ruling:
            case Ruling.REJECTED:
                self.record_attempt(call, judged, "raised")
                raise call_errors.refusal(call, judged.exchange, self._key)
            case Ruling.WAIT_FOR_WINDOW:
                self.record_attempt(call, judged, "waited for the quota window")
                return
            case _:
                call.counted_attempts += 1
        pause = None if judged.ruling is Ruling.FAILED else self._pause(call, judged.exchange)
        if pause is None:
            self.record_attempt(call, judged, "raised")
            raise call_errors.failure(call, judged, self._key)
        self.record_attempt(call, judged, f"sent again after {pause:.3f} s")
        call.time_used += pause
        with self.teller.wait(call, "backoff"):
            await self.effects.sleep(pause)

    def _pause(self, call: Call, exchange: Exchange) -> float | None:
        """Seconds to pause before the next attempt, None if there may be none."""
        policy, timeouts = call.options.retry, call.options.timeouts
        if call.counted_attempts >= policy.max_attempts:
            return None
        asked = retry_after(exchange.headers)
        pause = backoff(policy, call.counted_attempts, self.effects.random(), asked=asked)
        if call.time_used + pause >= timeouts.total:
            return None
        return pause if call.options.budget.take(self.effects.now()) else None

    def record_attempt(self, call: Call, judged: Judged, followed: str) -> None:
        """Add a failed attempt to the account of its call.

        Args:
            call: whose attempt it was.
            judged: what happened, and what it means.
            followed: what is done about it, in words.
        """
        if judged.unrelated:
            logger.error("%s: %s", call.about, judged.reason)
            self.drop_connection(judged)
        call.failed_attempts = (*call.failed_attempts, self._tell(call, judged, followed))

    def _tell(self, call: Call, judged: Judged, followed: str) -> Attempt:
        exchange = judged.exchange
        attempt = Attempt(
            number=len(call.failed_attempts) + 1,
            phase=exchange.phase,
            status=exchange.status,
            duration=exchange.ended_at - exchange.started_at,
            reason="" if judged.ruling is Ruling.REJECTED else judged.reason,
            followed=followed,
        )
        if call.told is not None:
            call.told.attempt_ended(judged, attempt)
        return attempt

    def drop_connection(self, judged: Judged) -> None:
        """Use the connection of an attempt never again: on it came an answer to another question."""
        self.open().drop(judged.exchange.connection)

    def refusal(self, call: Call, judged: Judged) -> APIError | None:
        """What an answer means that is a refusal, in words that are believed or not; None if it is none.

        The attempt is recorded, whatever it was.
        """
        exchange = judged.exchange
        self.record_attempt(call, judged, "raised" if judged.ruling is Ruling.REJECTED else "settled by reading")
        if judged.reason or exchange.status is None or not is_refusal(exchange.status):
            return None
        return call_errors.refusal(call, exchange, self._key)

    def stop_admitting(self) -> None:
        """Take no more calls, but for those that settle what is open."""
        self.admission.stop()

    async def aclose(self) -> None:
        """Close the connections; calls that wait get an error."""
        if self._closed:
            return
        self._closed = True
        try:
            await self.admission.aclose()
        finally:
            if self._transport is not None:
                await self._transport.aclose()
