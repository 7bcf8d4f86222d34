"""The errors in which a call ends, in words. Pure."""

from __future__ import annotations

from fusebill_async.errors import (
    APIError,
    ClientStateError,
    ConnectError,
    ConnectionLostError,
    FusebillError,
    InvalidResponseError,
    QuotaExhaustedError,
    RateLimitError,
    RequestTimeoutError,
)
from fusebill_async.outcome import Outcome, Phase
from fusebill_async.session.admission import AdmissionClosed, AdmissionError, QueueTimeout, QuotaExhausted
from fusebill_async.session.call import Call, Judged
from fusebill_async.session.gate import HeldBackError
from fusebill_async.session.transport import Exchange
from fusebill_async.wire.redact import redact_bytes
from fusebill_async.wire.refusals import BODY_KEPT, explain_conflict, read_refusal


def outcome_so_far(call: Call) -> Outcome:
    """What is known of a call whose last attempt was not sent, by the attempts before it.

    Of a write it is only said that this attempt was not sent: who drives the write knows of the others.
    """
    if call.operation.writes:
        return Outcome.NOT_SENT
    sent = [attempt for attempt in call.failed_attempts if not attempt.phase.nothing_sent]
    if not sent:
        return Outcome.NOT_SENT
    refused = all(attempt.status == 429 and not attempt.reason for attempt in sent)
    return Outcome.REJECTED if refused else Outcome.UNKNOWN


def not_admitted(call: Call, ended: AdmissionError) -> FusebillError:
    """The error of a call that got no slot."""
    outcome = outcome_so_far(call)
    if isinstance(ended, AdmissionClosed):
        return ClientStateError(f"{call.about} was not sent: the client was closed", outcome=outcome, **call.facts)
    assert isinstance(ended, (QueueTimeout, QuotaExhausted))
    last = call.failed_attempts[-1] if call.failed_attempts else None
    if last is not None and last.status == 429:
        return RateLimitError(
            f"429: {call.about} was refused for the quota, and could not wait for the next window",
            status=429,
            opens_at=ended.opens_at,
            outcome=outcome,
            **call.facts,
        )
    if isinstance(ended, QuotaExhausted) or ended.waited_for == "quota":
        opens = f"; it opens at {ended.opens_at:%Y-%m-%d %H:%M:%S} UTC" if ended.opens_at else ""
        return QuotaExhaustedError(
            f"{call.about} was not sent: the quota is used up{opens}",
            opens_at=ended.opens_at,
            outcome=outcome,
            **call.facts,
        )
    return RequestTimeoutError(
        f"{call.about} was not sent: no connection of the pool came free within "
        f"{call.options.timeouts.queue} s (Timeouts(queue=), PoolSettings(connections=))",
        outcome=outcome,
        **call.facts,
    )


def held_back(call: Call) -> HeldBackError:
    """The error of a call that its batch holds back. Nothing was sent for it."""
    return HeldBackError(f"{call.about} was not sent: its job is held back", outcome=Outcome.NOT_SENT, **call.facts)


def refusal(call: Call, exchange: Exchange, key: str) -> APIError:
    """The error that the service's refusal means."""
    assert exchange.status is not None
    error = read_refusal(exchange.status, exchange.body, key)
    hint = explain_conflict(call.operation, call.customer_id, error)
    if hint:
        error.args = (f"{error.message} ({hint})",)
    error.operation, error.customer_id = call.operation.title, call.customer_id
    error.attempts = call.failed_attempts
    return error


def failure(call: Call, judged: Judged, key: str) -> FusebillError:
    """The error of a call that was never sent, or of a read that failed."""
    exchange = judged.exchange
    if exchange.status is not None and exchange.status >= 400 and not judged.reason:
        return refusal(call, exchange, key)
    counted = call.counted_attempts
    tries = f"after {counted} attempts" if counted > 1 else "in one attempt"
    if exchange.phase.nothing_sent:
        kind = RequestTimeoutError if exchange.timed_out else ConnectError
        return kind(
            f"{call.about} was not sent: no connection {tries} ({judged.reason})",
            outcome=outcome_so_far(call),
            **call.facts,
        )
    if exchange.timed_out:
        return RequestTimeoutError(
            f"{call.about} failed {tries}: {judged.reason}", outcome=Outcome.UNKNOWN, **call.facts
        )
    if exchange.status is None or (exchange.phase is not Phase.ANSWERED and not exchange.oversized):
        return ConnectionLostError(f"{call.about} failed {tries}: {judged.reason}", **call.facts)
    redirected = 300 <= exchange.status < 400
    reason = "a redirect, which is never followed: check base_url" if redirected else judged.reason
    return InvalidResponseError(
        f"{call.about} failed {tries}: {exchange.status}, {reason}",
        status=exchange.status,
        body=redact_bytes(exchange.body, key)[:BODY_KEPT],
        **call.facts,
    )
