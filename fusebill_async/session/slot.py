"""A slot: a place in the pool together with quota. A request is sent in it once, and its answer is judged."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

import attrs

from fusebill_async.converting import UnreadableAnswer
from fusebill_async.operations import Operation, Safety
from fusebill_async.outcome import Phase
from fusebill_async.policy.retry import is_refusal, rule
from fusebill_async.session import call_errors
from fusebill_async.session.admission import Admission, AdmissionError, Permit
from fusebill_async.session.call import Call, Judged
from fusebill_async.session.effects import Effects
from fusebill_async.session.gate import GateClosed
from fusebill_async.session.telling import Teller
from fusebill_async.session.transport import Exchange, Limits, Transport
from fusebill_async.wire.answer import read_value
from fusebill_async.wire.refusals import UnrelatedAnswer, is_believed, names_customer
from fusebill_async.wire.request import Request

_SHORTEST = 0.001
"""Seconds: what is left for an exchange whose call has used up its time, since 0 would mean no limit."""


@attrs.define(eq=False)
class Slot:
    """Room for the requests of one attempt of a call. Use it in an `async with` statement.

    What is sent in it waits for nobody.
    """

    _call: Call
    _requests: int
    _transport: Transport
    _admission: Admission
    _effects: Effects
    _teller: Teller
    _permit: Permit = attrs.field(init=False)

    async def __aenter__(self) -> Self:
        """Wait for it, by the priority of the call.

        Raises:
            FusebillError: there was none in time; the outcome tells what became of earlier attempts.
        """
        call, gate = self._call, self._call.options.gate
        while True:
            try:
                if gate is not None:
                    gate.check(sent_before=bool(call.failed_attempts))
                self._permit = self._admission.enter_now(call.options.priority, self._requests) or await self._wait()
            except GateClosed:
                if gate is None or not call.failed_attempts:
                    raise call_errors.held_back(call) from None
                await gate.opened()
            else:
                return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._permit.leave()

    async def _wait(self) -> Permit:
        call, started = self._call, self._effects.now()
        queue = call.options.timeouts.queue
        until = None if queue is None else started + queue - call.time_queued
        try:
            with self._teller.wait(call, self._admission.waits_for):
                return await self._admission.enter(
                    call.options.priority, requests=self._requests, until=until, gate=call.options.gate
                )
        except AdmissionError as ended:
            raise call_errors.not_admitted(call, ended) from None
        finally:
            call.time_queued += self._effects.now() - started

    async def send(
        self,
        operation: Operation,
        request: Request,
        *,
        fresh: bool = False,
        on_handed_out: Callable[[], None] | None = None,
    ) -> Judged:
        """Send one request once, and judge what came of it.

        Args:
            operation: what is asked.
            request: what is sent.
            fresh: use a connection that has carried no other request.
            on_handed_out: called before the first byte is written; it may raise, and then nothing is written.
        """
        call, permit, timeouts = self._call, self._permit, self._call.options.timeouts

        def handed_out() -> None:
            if on_handed_out is not None:
                on_handed_out()
            permit.sent()
            if call.told is not None:
                call.told.handed_out()

        left = max(_SHORTEST, timeouts.total - call.time_used)
        limits = Limits(connect=min(timeouts.connect, left), read=timeouts.read, total=left, fresh=fresh)
        if call.options.headers:
            request = attrs.evolve(request, headers={**request.headers, **call.options.headers})
        if call.told is not None:
            call.told.attempt_begun(operation)
        started = self._effects.now()
        try:
            exchange = await self._transport.exchange(request, limits, handed_out)
        except BaseException as error:
            if call.told is not None:
                call.told.attempt_cut_short(error)
            raise
        finally:
            call.time_used += self._effects.now() - started
        if exchange.status is not None:
            # What was answered was sent: a hand-out that nobody saw is told as one.
            assert exchange.sent_at is not None
            permit.answered(exchange.status, exchange.headers, exchange.sent_at, exchange.ended_at)
        return judge(operation, call.customer_id, exchange)


def judge(operation: Operation, customer_id: int | None, exchange: Exchange) -> Judged:
    """Read an answer, and rule on what follows.

    Args:
        operation: what was asked.
        customer_id: whom it was asked about.
        exchange: the facts of the attempt.
    """
    value, reason, unrelated = None, exchange.reason, False
    status = exchange.status if exchange.phase is Phase.ANSWERED else None
    try:
        if status is not None and 200 <= status < 300:
            value = read_value(operation, customer_id, exchange.body, exchange.headers)
        elif status == 404 and customer_id is not None:
            names_customer(customer_id, exchange.body)
    except UnreadableAnswer as error:
        reason, unrelated = str(error), isinstance(error, UnrelatedAnswer)
    ruling = rule(
        operation.safety,
        phase=exchange.phase,
        status=exchange.status,
        readable=not reason,
        lasting=exchange.lasting,
        believed=_is_believed(operation, exchange),
    )
    return Judged(
        operation=operation, exchange=exchange, ruling=ruling, value=value, reason=reason, unrelated=unrelated
    )


def _is_believed(operation: Operation, exchange: Exchange) -> bool:
    """Whether a refusal is the service's own word."""
    if exchange.status is None or not is_refusal(exchange.status):
        return True
    gateways = operation.safety not in {Safety.MONEY, Safety.CREATE}
    return is_believed(exchange.status, exchange.headers, exchange.body, gateways=gateways)
