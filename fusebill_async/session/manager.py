"""The session manager: the one loop that admits, sends, judges and sends again."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import aiohttp

from fusebill_async.converting import UnreadableAnswer
from fusebill_async.errors import (
    APIError,
    ClientStateError,
    ConnectError,
    ConnectionLostError,
    FusebillError,
    InvalidResponseError,
    PreviewChangedStateError,
    QuotaExhaustedError,
    RateLimitError,
    RequestTimeoutError,
)
from fusebill_async.operations import Operation, Safety
from fusebill_async.outcome import Outcome, Phase
from fusebill_async.policy.clock import ServiceClock
from fusebill_async.policy.retry import Ruling, backoff, is_refusal, rule
from fusebill_async.session.admission import Admission, AdmissionClosed, Permit, QueueTimeout, QuotaExhausted
from fusebill_async.session.call import Answer, Call, PrepareAnewError, UnsettledError
from fusebill_async.session.effects import Effects
from fusebill_async.session.exchange import Exchange, Line
from fusebill_async.session.hooks import Hooks, Listeners
from fusebill_async.session.pool import Pool
from fusebill_async.session.sweeper import DeadlineSweeper
from fusebill_async.settings import PoolSettings, Timeouts
from fusebill_async.wire.answer import read_value
from fusebill_async.wire.quota_headers import read, retry_after
from fusebill_async.wire.redact import redact_bytes
from fusebill_async.wire.refusals import (
    BODY_KEPT,
    UnrelatedAnswer,
    explain_conflict,
    is_believed,
    names_customer,
    read_refusal,
)

logger = logging.getLogger("fusebill_async")

RESPONSE_CAP = 8 * 1024 * 1024
"""Bytes of an answer's body after decompression, at most."""


class SessionManager:
    """Connection pool, quota and retry policy of one client; belongs to the event loop of its first call."""

    def __init__(
        self,
        *,
        key: str,
        base_url: str,
        pool: PoolSettings,
        admission: Admission,
        clock: ServiceClock,
        effects: Effects,
        hooks: Listeners,
        users_session: aiohttp.ClientSession | None = None,
    ) -> None:
        self._key = key
        self._base_url = base_url
        self._pool_settings = pool
        self._users_session = users_session
        self._hooks = hooks
        self._line: Line | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._sweeper = DeadlineSweeper(effects.now)
        self._usual_timeout: tuple[Timeouts | None, aiohttp.ClientTimeout | None] = None, None
        self.admission = admission
        self.clock = clock
        self.effects = effects

    def __repr__(self) -> str:
        return f"SessionManager({self._base_url!r})"

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
        return self._closed

    def open(self) -> Line:
        """The pool and what goes with it, made on first use in the running event loop.

        Raises:
            ClientStateError: closed, or opened in another event loop.
        """
        if self._closed:
            raise ClientStateError("the client is closed: make a new one")
        running = asyncio.get_running_loop()
        if self._loop is not running:
            if self._loop is not None:
                raise ClientStateError(
                    "the client belongs to another event loop: make one client in each loop that uses it"
                )
            pool = Pool(
                key=self._key,
                base_url=self._base_url,
                settings=self._pool_settings,
                users_session=self._users_session,
            )
            self._line = Line(pool, self.admission, self._sweeper, self.effects.now, RESPONSE_CAP)
            self._loop = running
        assert self._line is not None
        return self._line

    def stop_admitting(self) -> None:
        """Take no more calls, but for those that settle what is open."""
        self.admission.stop()

    async def send(self, call: Call) -> Answer:
        """Send a call, again if that is safe and allowed, and return its good answer.

        Raises:
            UnsettledError: a write was sent and no usable answer came.
            FusebillError: it was refused, was not sent, or is a read that failed.
        """
        line = self.open()
        options = call.options
        if not call.past:
            # A write that is sent again comes through here once more, and is the same call.
            options.budget.call_started(self.effects.now())
        while True:
            permit = self.admission.enter_now(options.priority, call.requests_per_attempt)
            if permit is None:
                permit = await self._admit(call)
            exchange, answer, anew = None, None, None
            try:
                if call.prepare is not None:
                    await call.prepare(call, permit)
                # As in `attempt`: a coroutine less in every call is felt.
                exchange = Exchange(call, permit, line)
                await exchange.perform(self._timeout(call, exchange))
                answer = self._answer(call, permit, exchange)
            except PrepareAnewError as error:
                anew = error
            finally:
                permit.leave()
            if answer is not None:
                return answer
            if anew is not None:
                await self._pause_before_preparing(call, anew)
            elif exchange is not None:
                await self._follow(call, exchange)

    async def read_within(self, call: Call, permit: Permit) -> Answer:
        """Read in a place that a write has already, right before that write.

        A read that fails and may be sent again ends the place first: `send` then begins the round anew, so that
        the write never goes out with a read that is older than a wait.
        """
        exchange, answer = await self.attempt(call, permit)
        if answer is None:
            await self._follow(call, exchange)
            raise PrepareAnewError
        return answer

    async def _pause_before_preparing(self, call: Call, anew: PrepareAnewError) -> None:
        if not anew.times:
            return
        pause = backoff(call.options.retry, anew.times, self.effects.random())
        call.spent += pause
        if call.spent >= call.options.timeouts.total:
            raise self._no_time_left(call, anew.reason)
        await self.effects.sleep(pause)

    def _no_time_left(self, call: Call, reason: str) -> RequestTimeoutError:
        return RequestTimeoutError(
            f"{call.about} was not sent within {call.options.timeouts.total:g} s: {reason}",
            outcome=_outcome_before(call),
            **call.facts,
        )

    async def attempt(self, call: Call, permit: Permit) -> tuple[Exchange, Answer | None]:
        """One attempt in a place of the pool: the facts, and the answer if it is a good one."""
        exchange = Exchange(call, permit, self.open())
        await exchange.perform(self._timeout(call, exchange))
        return exchange, self._answer(call, permit, exchange)

    def _answer(self, call: Call, permit: Permit, exchange: Exchange) -> Answer | None:
        """What has come of an attempt, if it is a good answer."""
        call.spent += exchange.received_at - exchange.started_at
        status = exchange.status
        if status is not None:
            permit.answered(status, exchange.headers, call.sent_at, exchange.received_at)
        number = len(call.past) + 1
        if exchange.phase is not Phase.ANSWERED or status is None or not 200 <= status < 300:
            if status is not None and 400 <= status < 500:
                self._doubt(call, status, exchange)
            return None
        value = self._read(call, exchange)
        if exchange.reason:
            return None
        call.at_risk = False
        if self._hooks:
            self._tell(call, exchange, number, "returned")
        exchange.spend()
        return Answer(value, status, exchange.headers, call.sent_at, exchange.received_at, number)

    async def _admit(self, call: Call) -> Permit:
        """Wait for a place in the pool and for quota, as long as the call may."""
        admission, options, now = self.admission, call.options, self.effects.now
        started = now()
        until = None if options.timeouts.queue is None else started + options.timeouts.queue - call.queued
        ended: QueueTimeout | QuotaExhausted | None
        try:
            return await admission.enter(options.priority, requests=call.requests_per_attempt, until=until)
        except AdmissionClosed:
            ended = None
        except (QueueTimeout, QuotaExhausted) as error:
            ended = error
        finally:
            call.queued += now() - started
        if ended is None:
            raise ClientStateError(
                f"{call.about} was not sent: the client was closed", outcome=_outcome_before(call), **call.facts
            )
        raise self._not_admitted(call, ended)

    def _not_admitted(self, call: Call, ended: QueueTimeout | QuotaExhausted) -> FusebillError:
        last = call.past[-1] if call.past else None
        if last is not None and last.status == 429:
            return RateLimitError(
                f"429: {call.about} was refused for the quota, and could not wait for the next window",
                status=429,
                opens_at=ended.opens_at,
                outcome=_outcome_before(call),
                **call.facts,
            )
        if isinstance(ended, QuotaExhausted) or ended.waited_for == "quota":
            opens = f"; it opens at {ended.opens_at:%Y-%m-%d %H:%M:%S} UTC" if ended.opens_at else ""
            return QuotaExhaustedError(
                f"{call.about} was not sent: the quota is used up{opens}",
                opens_at=ended.opens_at,
                outcome=_outcome_before(call),
                **call.facts,
            )
        return RequestTimeoutError(
            f"{call.about} was not sent: no connection of the pool came free within "
            f"{call.options.timeouts.queue} s (Timeouts(queue=), PoolSettings(connections=))",
            outcome=_outcome_before(call),
            **call.facts,
        )

    def _timeout(self, call: Call, exchange: Exchange) -> aiohttp.ClientTimeout:
        """What aiohttp times is the connecting; the sweeper times the rest."""
        timeouts = call.options.timeouts
        usual, known = self._usual_timeout
        left = exchange.until - exchange.started_at
        if timeouts is usual and known is not None and left >= timeouts.connect:
            return known
        connect = min(timeouts.connect, left)
        waiting: float | None = connect
        if self._users_session is not None:
            # Their pool may make us wait inside aiohttp, where that counts as connecting.
            waiting = None if timeouts.queue is None else connect + timeouts.queue
        known = aiohttp.ClientTimeout(total=None, connect=waiting, sock_connect=connect)
        if connect == timeouts.connect:
            self._usual_timeout = timeouts, known
        return known

    def _read(self, call: Call, exchange: Exchange) -> Any:
        """The value of an answer; what is wrong with it is told by `exchange.reason`."""
        operation = call.operation
        try:
            value = read_value(operation, call.customer_id, exchange.body, exchange.headers)
        except UnrelatedAnswer as error:
            exchange.reason = str(error)
            logger.error("%s: %s", call.about, exchange.reason)  # noqa: TRY400 (where it was raised tells nothing)
            return None
        except UnreadableAnswer as error:
            exchange.reason = str(error)
            return None
        if operation.answer == "activation" and not operation.writes:
            self._check_preview(operation, call, exchange, value.customer.status)
        return value

    def _doubt(self, call: Call, status: int, exchange: Exchange) -> None:
        """A refusal that is the answer to another question is told by `exchange.reason`."""
        if status == 404 and call.customer_id is not None:
            try:
                names_customer(call.customer_id, exchange.body)
            except UnrelatedAnswer as error:
                exchange.reason = str(error)
                logger.error("%s: %s", call.about, exchange.reason)  # noqa: TRY400 (where it was raised tells nothing)

    def _check_preview(self, operation: Operation, call: Call, exchange: Exchange, status: str) -> None:
        if operation.allowed_from is not None and status not in operation.allowed_from:
            logger.error("%s was answered with status %s: it may have acted", call.about, status)
            raise PreviewChangedStateError(
                f"{call.about} was answered with status {status}: the service may have acted on a preview. "
                "Look at the customer's invoices before anything else",
                status=exchange.status,
                body=redact_bytes(exchange.body, self._key)[:BODY_KEPT],
                **self._facts(call, exchange, "raised"),
            )

    async def _follow(self, call: Call, exchange: Exchange) -> None:
        """Do what follows from an attempt that failed: pause and return if it may be sent again, else raise."""
        safety = call.operation.safety
        readable = not exchange.reason
        ruling = rule(
            safety,
            phase=exchange.phase,
            status=exchange.status,
            readable=readable,
            believed=self._is_believed(call, exchange),
            lasting=exchange.lasting,
        )
        if ruling is Ruling.SETTLE:
            raise self._unsettled(call, exchange)
        call.at_risk = False
        if exchange.overdue:
            self._tell(call, exchange, len(call.past) + 1, "made anew from another read")
            if call.spent >= call.options.timeouts.total:
                raise self._no_time_left(call, exchange.reason)
            return
        if exchange.refusal is not None:
            exchange.refusal.attempts = self._facts(call, exchange, "raised")["attempts"]
            raise exchange.refusal
        if ruling is Ruling.REJECTED:
            raise self._refusal(call, exchange)
        if ruling is Ruling.WAIT_FOR_WINDOW:
            if call.operation.safety in {Safety.MONEY, Safety.CREATE} and call.operation.goal is not None:
                # It is read for before it is sent again.
                call.throttled, call.requests_per_attempt = True, 2
            self._tell(call, exchange, len(call.past) + 1, "waited for the quota window")
            return
        call.tries += 1
        pause = None if ruling is Ruling.FAILED else self._pause(call, exchange)
        if pause is None:
            raise self._failure(call, exchange)
        self._tell(call, exchange, len(call.past) + 1, f"sent again after {pause:.3f} s")
        call.spent += pause
        await self.effects.sleep(pause)

    def _is_believed(self, call: Call, exchange: Exchange) -> bool:
        """Whether a refusal is the service's own word."""
        if exchange.status is None or not is_refusal(exchange.status):
            return True
        gateways = call.operation.safety not in {Safety.MONEY, Safety.CREATE}
        return is_believed(exchange.status, exchange.headers, exchange.body, gateways=gateways)

    def _unsettled(self, call: Call, exchange: Exchange) -> UnsettledError:
        status, refusal = exchange.status, None
        if exchange.phase is Phase.ANSWERED and not exchange.reason and status is not None and is_refusal(status):
            refusal = self._refusal(call, exchange, "settled by reading")
        else:
            self._tell(call, exchange, len(call.past) + 1, "settled by reading")
        return UnsettledError(call, exchange.reason or f"the service answered {status}", refusal)

    def _pause(self, call: Call, exchange: Exchange) -> float | None:
        """Seconds to pause before the next attempt, None if there may be none."""
        policy, timeouts = call.options.retry, call.options.timeouts
        if call.tries >= policy.max_attempts:
            return None
        asked = retry_after(exchange.headers, read(exchange.headers).date) if exchange.headers else None
        pause = backoff(policy, call.tries, self.effects.random(), asked=asked)
        if call.spent + pause >= timeouts.total:
            return None
        return pause if call.options.budget.take(self.effects.now()) else None

    def _refusal(self, call: Call, exchange: Exchange, followed: str = "raised") -> APIError:
        assert exchange.status is not None
        error = read_refusal(exchange.status, exchange.body, self._key)
        hint = explain_conflict(call.operation, call.customer_id, error)
        if hint:
            error.args = (f"{error.message} ({hint})",)
        error.attempts = self._facts(call, exchange, followed)["attempts"]
        error.operation, error.customer_id = call.operation.name, call.customer_id
        return error

    def _failure(self, call: Call, exchange: Exchange) -> FusebillError:
        """The error of a call that ended without effect, or of a read that failed."""
        refused = exchange.phase is Phase.ANSWERED and exchange.status is not None and exchange.status >= 400
        if refused and not exchange.reason:
            return self._refusal(call, exchange)
        facts = self._facts(call, exchange, "raised")
        tries = f"after {call.tries} attempts" if call.tries > 1 else "in one attempt"
        if exchange.phase.nothing_sent:
            text = f"{call.about} was not sent: no connection {tries} ({exchange.reason})"
            outcome = _outcome_before(call)
            if exchange.expired:
                return RequestTimeoutError(text, outcome=outcome, **facts)
            return ConnectError(text, outcome=outcome, **facts)
        if exchange.expired:
            return RequestTimeoutError(
                f"{call.about} failed {tries}: {exchange.reason}", outcome=Outcome.UNKNOWN, **facts
            )
        if exchange.status is not None and (exchange.phase is Phase.ANSWERED or exchange.oversized):
            redirected = 300 <= exchange.status < 400
            reason = "a redirect, which is never followed: check base_url" if redirected else exchange.reason
            return InvalidResponseError(
                f"{call.about} failed {tries}: {exchange.status}, {reason}",
                status=exchange.status,
                body=redact_bytes(exchange.body, self._key)[:BODY_KEPT],
                **facts,
            )
        return ConnectionLostError(f"{call.about} failed {tries}: {exchange.reason}", **facts)

    def _facts(self, call: Call, exchange: Exchange, followed: str) -> dict[str, Any]:
        self._tell(call, exchange, len(call.past) + 1, followed)
        return call.facts

    def _tell(self, call: Call, exchange: Exchange, number: int, followed: str) -> None:
        record = exchange.record(number, followed)
        if followed != "returned":
            call.past = (*call.past, record)
        self._hooks.tell(Hooks.attempt_ended, call.operation.title, call.customer_id, record)

    async def aclose(self) -> None:
        """Close the pool; calls that wait get an error."""
        if self._closed:
            return
        self._closed = True
        self._sweeper.stop()
        try:
            await self.admission.aclose()
        finally:
            if self._line is not None:
                self._line.spent.clear()
                await self._line.pool.aclose()


def _outcome_before(call: Call) -> Outcome:
    """What is known of a call whose last attempt was not sent, by the attempts before it."""
    # The reads that an update begins with are told among its attempts.
    if not call.first_sent_at:
        return Outcome.NOT_SENT
    sent = [attempt for attempt in call.past if not attempt.phase.nothing_sent]
    refused = all(attempt.status == 429 and not attempt.reason for attempt in sent)
    return Outcome.REJECTED if refused else Outcome.UNKNOWN
