"""What an attempt means for its call: a value, a refusal, or something from which it can go on. Pure."""

from __future__ import annotations

from typing import Any

import attrs

from fusebill_async.converting import UnreadableAnswer
from fusebill_async.operations import Operation, Safety
from fusebill_async.outcome import Attempt, Phase
from fusebill_async.policy.retry import Ruling, is_refusal, rule
from fusebill_async.session.transport import Exchange
from fusebill_async.wire.answer import read_value
from fusebill_async.wire.refusals import UnrelatedAnswer, is_believed, names_customer


@attrs.frozen(kw_only=True)
class Judged:
    """One attempt, and what follows from it.

    Attributes:
        operation: what was asked; an update also reads.
        exchange: the facts.
        ruling: what may be done now.
        value: of a good answer.
        reason: what is wrong, in words; "" if nothing is.
        unrelated: it is an answer to somebody else's question.
    """

    operation: Operation
    exchange: Exchange
    ruling: Ruling
    value: Any = None
    reason: str = ""
    unrelated: bool = False

    def attempt(self, number: int, followed: str) -> Attempt:
        """The record of it that errors and responses show."""
        exchange = self.exchange
        return Attempt(
            number=number,
            phase=exchange.phase,
            status=exchange.status,
            duration=exchange.ended_at - exchange.started_at,
            reason="" if self.ruling is Ruling.REJECTED else self.reason,
            followed=followed,
        )


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
