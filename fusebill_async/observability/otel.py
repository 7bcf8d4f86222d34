"""Spans and metrics of calls for OpenTelemetry, over the hooks. Needs the extra `otel`, which is its API alone."""

from __future__ import annotations

import inspect
import logging
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

import attrs

from fusebill_async._version import __version__
from fusebill_async.errors import ConfigurationError
from fusebill_async.outcome import Outcome, QuotaSeen
from fusebill_async.session.events import AttemptEvent, CallEvent, SettlingEvent, WaitEvent
from fusebill_async.session.hooks import Hooks

logger = logging.getLogger("fusebill_async")

_NAME = "fusebill_async"
_SCHEMA = "https://opentelemetry.io/schemas/1.27.0"
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60, 120, 300)
"""Seconds. The HTTP conventions end at 10; a call may wait for the minute's quota and settle for two minutes."""

_REQUESTS_KEPT = 1000
"""Kinds of request whose attributes are kept: `client.request` may have any path."""

_MINUTE, _DAY = {"fusebill.window": "minute"}, {"fusebill.window": "day"}

_Kind: TypeAlias = Literal["call", "attempt", "settling"]
"""What has a span."""


class OpenTelemetry(Hooks):
    """Records calls, attempts, waits and settling. Hand it to `FusebillClient(hooks=[OpenTelemetry()])`.

    A call is a span "fusebill customers.hold". Each request in it is a CLIENT span by the HTTP conventions, settling is
    a span around its reads, and waits are events of the call's span. The instrumentation of aiohttp makes no spans of
    its own for these requests. Nothing is sent to the service: it gets no `traceparent`.

    Args:
        tracer_provider: of the spans; the global one by default.
        meter_provider: of the metrics; the global one by default.
        customer_ids: put the customer's id on spans. It is never put on metrics.

    Raises:
        ConfigurationError: the extra is not installed, or OpenTelemetry's API is older than 1.30.
    """

    def __init__(self, tracer_provider: Any = None, meter_provider: Any = None, *, customer_ids: bool = False) -> None:
        try:
            from opentelemetry import context, metrics, trace  # noqa: PLC0415 (an extra)
        except ImportError:
            raise ConfigurationError("OpenTelemetry needs its API: pip install 'fusebill-async[otel]'") from None
        _refuse_old(metrics)
        self._context: Any = context
        self._trace: Any = trace
        self._customer_ids = customer_ids
        # The key has no public name yet. Without it the instrumentation of aiohttp makes spans inside ours.
        self._suppress: str | None = getattr(context, "_SUPPRESS_HTTP_INSTRUMENTATION_KEY", None)
        self._tracer: Any = trace.get_tracer(_NAME, __version__, tracer_provider, _SCHEMA)
        meter: Any = metrics.get_meter(_NAME, __version__, meter_provider, _SCHEMA)

        def seconds(name: str, about: str) -> Any:
            return meter.create_histogram(
                name, unit="s", description=about, explicit_bucket_boundaries_advisory=_BUCKETS
            )

        self._calls = seconds("fusebill.client.call.duration", "Calls, by operation and outcome.")
        self._attempts = seconds("http.client.request.duration", "Requests to the service.")
        self._waits = seconds("fusebill.client.wait.duration", "Waits of calls, by what was waited for.")
        self._settlings = seconds("fusebill.client.settling.duration", "Writes settled by reading, by outcome.")
        # Not an observable one: of those with one name a meter asks only the first, which is another client's.
        self._left = meter.create_gauge(
            "fusebill.client.quota.remaining", description="Requests left in the window, as the last answer told."
        )
        self._open: dict[tuple[_Kind, str], _Open] = {}
        self._requests: dict[tuple[str, str, str], _Request] = {}

    # --- calls

    def call_begun(self, call: CallEvent) -> AbstractContextManager[object]:
        """A span begins."""
        told = {"fusebill.operation": call.operation}
        return self._begin("call", call, f"fusebill {call.operation}", self._trace.SpanKind.INTERNAL, told)

    def call_ended(self, call: CallEvent) -> None:
        """The span gets the outcome."""
        opened = self._open.pop(("call", call.call_id), None)
        outcome = _words(call.outcome)
        measured: dict[str, Any] = {
            "fusebill.operation": call.operation,
            "fusebill.write": call.writes,
            "fusebill.outcome": outcome,
        }
        told: dict[str, Any] = {"fusebill.outcome": outcome, "fusebill.attempts": call.attempts}
        if call.error:
            measured["error.type"] = told["error.type"] = call.error
        if call.confirmed_by is not None:
            told["fusebill.confirmed_by"], told["fusebill.attribution"] = str(call.confirmed_by), str(call.attribution)
        self._calls.record(call.seconds, measured, _context_of(opened))
        self._end(opened, told, failed=bool(call.error) or call.outcome is Outcome.UNKNOWN)

    def wait_ended(self, wait: WaitEvent) -> None:
        """The call's span gets an event, whichever span is the current one."""
        told: dict[str, Any] = {"fusebill.waited_for": wait.waited_for}
        # What another process left open is settled without a call.
        opened = self._open.get(("call", wait.call_id)) or self._open.get(("settling", wait.call_id))
        self._waits.record(wait.seconds, told, _context_of(opened))
        if opened is not None:
            opened.span.add_event("wait", {**told, "fusebill.seconds": wait.seconds})

    def settling_begun(self, settling: SettlingEvent) -> AbstractContextManager[object]:
        """A span begins, around the reads."""
        told = {"fusebill.operation": settling.operation}
        return self._begin("settling", settling, f"settle {settling.operation}", self._trace.SpanKind.INTERNAL, told)

    def settling_ended(self, settling: SettlingEvent) -> None:
        """The span gets the outcome."""
        opened = self._open.pop(("settling", settling.call_id), None)
        told = {"fusebill.outcome": _words(settling.outcome)}
        measured = {"fusebill.operation": settling.operation, **told}
        self._settlings.record(settling.seconds, measured, _context_of(opened))
        self._end(opened, told, failed=settling.outcome is Outcome.UNKNOWN)

    # --- requests

    def attempt_begun(self, attempt: AttemptEvent) -> AbstractContextManager[object]:
        """A span of the request begins."""
        request = self._request(attempt)
        told = request.on_span
        if attempt.number > 1:
            told = {**told, "http.request.resend_count": attempt.number - 1}
        return self._begin("attempt", attempt, request.name, self._trace.SpanKind.CLIENT, told)

    def attempt_ended(self, attempt: AttemptEvent) -> None:
        """The span gets the status, or why there was none."""
        opened = self._open.pop(("attempt", attempt.call_id), None)
        told: dict[str, Any] = {}
        if attempt.status is not None:
            told["http.response.status_code"] = attempt.status
        failed = attempt.status is None or attempt.status >= 400
        if failed:
            told["error.type"] = str(attempt.status or attempt.phase or "cut short")
        context = _context_of(opened)
        self._attempts.record(attempt.seconds, {**self._request(attempt).on_metrics, **told}, context)
        if attempt.quota is not None:
            self._tell_quota(attempt.quota, context)
        if attempt.followed:
            told["fusebill.followed"] = attempt.followed
        self._end(opened, told, failed=failed, reason=attempt.reason)

    def _tell_quota(self, quota: QuotaSeen, context: Any) -> None:
        if quota.minute is not None:
            self._left.set(quota.minute.remaining, _MINUTE, context)
        if quota.day is not None:
            self._left.set(quota.day.remaining, _DAY, context)

    def _request(self, attempt: AttemptEvent) -> _Request:
        """What is told of a request. It is made once: there are few kinds of request, and many of each."""
        named = (attempt.operation, attempt.method, attempt.url)
        known = self._requests.get(named)
        if known is None:
            known = _Request.of(attempt)
            if len(self._requests) < _REQUESTS_KEPT:
                self._requests[named] = known
        return known

    # --- spans

    def _begin(
        self,
        what: _Kind,
        event: CallEvent | AttemptEvent | SettlingEvent,
        name: str,
        kind: Any,
        told: Mapping[str, Any],
    ) -> _Open:
        if self._customer_ids and event.customer_id is not None:
            told = {**told, "fusebill.customer_id": event.customer_id}
        # The SDK looks up the current context four times if it is not handed in.
        around = self._context.get_current()
        span = self._tracer.start_span(name, around, kind, told)
        inside = self._trace.set_span_in_context(span, around)
        if what == "attempt" and self._suppress is not None:
            inside = self._context.set_value(self._suppress, True, inside)
        opened = self._open[what, event.call_id] = _Open(self._context, span, inside)
        return opened

    def _end(self, opened: _Open | None, told: Mapping[str, Any], *, failed: bool, reason: str = "") -> None:
        # A write that nobody listened to is told of at its end alone, if it is unknown.
        if opened is None:
            return
        opened.span.set_attributes(told)
        if failed:
            opened.span.set_status(self._trace.StatusCode.ERROR, reason or None)
        opened.span.end()


@attrs.define(eq=False)
class _Open:
    """A span that has begun. Its context is the current one while the `with` statement lasts."""

    _api: Any
    span: Any
    context: Any
    _token: Any = None

    def __enter__(self) -> None:
        self._token = self._api.attach(self.context)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._api.detach(self._token)


@attrs.frozen(eq=False)
class _Request:
    """What is told of a kind of request: few values, and nothing of a person."""

    name: str
    on_span: dict[str, Any]
    on_metrics: dict[str, Any]

    @classmethod
    def of(cls, attempt: AttemptEvent) -> _Request:
        parts = urlsplit(attempt.url)
        shared = {
            "http.request.method": attempt.method,
            "server.address": parts.hostname or "",
            "server.port": parts.port or (443 if parts.scheme == "https" else 80),
            "url.template": parts.path,
        }
        on_span = {"fusebill.operation": attempt.operation, **shared, "url.full": attempt.url}
        return cls(f"{attempt.method} {parts.path}", on_span, shared)


def automatic() -> tuple[Hooks, ...]:
    """What a client without `hooks=` uses: `OpenTelemetry` over the global providers that the program has set."""
    traced, measured = _sets_tracer_provider(), _sets_meter_provider()
    if not (traced or measured):
        return ()
    from opentelemetry import metrics, trace  # noqa: PLC0415 (an extra, and one of the two is there)

    try:
        return (
            OpenTelemetry(
                None if traced else trace.NoOpTracerProvider(),
                None if measured else metrics.NoOpMeterProvider(),
            ),
        )
    except ConfigurationError as error:
        # Nobody asked for it here, so that it must not keep a client from being made.
        logger.info("the program's OpenTelemetry is not used: %s", error)
        return ()


def _sets_tracer_provider() -> bool:
    # Who has not imported the module has set no provider; looking must not import it.
    trace: Any = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return False
    return not isinstance(trace.get_tracer_provider(), (trace.ProxyTracerProvider, trace.NoOpTracerProvider))


def _sets_meter_provider() -> bool:
    metrics: Any = sys.modules.get("opentelemetry.metrics")
    if metrics is None:
        return False
    # The proxy has no public name.
    return not type(metrics.get_meter_provider()).__name__.startswith(("_Proxy", "NoOp"))


def _refuse_old(metrics: Any) -> None:
    if "explicit_bucket_boundaries_advisory" in inspect.signature(metrics.Meter.create_histogram).parameters:
        return
    from opentelemetry.version import __version__ as found  # noqa: PLC0415 (an extra)

    raise ConfigurationError(
        f"OpenTelemetry needs opentelemetry-api 1.30 or later, not {found}: pip install 'fusebill-async[otel]'"
    )


def _context_of(opened: _Open | None) -> Any:
    """The context that a measurement belongs to, so that its exemplar leads to the span."""
    return None if opened is None else opened.context


def _words(outcome: Outcome | None) -> str:
    return "cut short" if outcome is None else str(outcome)
