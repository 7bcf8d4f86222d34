"""Spans and metrics of calls for OpenTelemetry, over the hooks. Needs the extra `otel`, which is its API alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import attrs

from fusebill_async._version import __version__
from fusebill_async.errors import ConfigurationError
from fusebill_async.outcome import Outcome
from fusebill_async.session.events import AttemptEvent, CallEvent, SettlingEvent, WaitEvent
from fusebill_async.session.hooks import Hooks

_NAME = "fusebill_async"
_SCHEMA = "https://opentelemetry.io/schemas/1.27.0"
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60, 120, 300)
"""Seconds. The HTTP conventions end at 10; a call may wait for the minute's quota and settle for two minutes."""

_REQUESTS_KEPT = 1000
"""Kinds of request whose attributes are kept: `client.request` may have any path."""


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
        ConfigurationError: the extra is not installed.
    """

    def __init__(self, tracer_provider: Any = None, meter_provider: Any = None, *, customer_ids: bool = False) -> None:
        try:
            from opentelemetry import context, metrics, trace  # noqa: PLC0415 (an extra)
        except ImportError:
            raise ConfigurationError("OpenTelemetry needs its API: pip install 'fusebill-async[otel]'") from None
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
        meter.create_observable_gauge(
            "fusebill.client.quota.remaining", [self._quota_left], description="Requests left in the window."
        )
        self._observation: Any = metrics.Observation
        self._left: dict[str, int] = {}
        self._spans: dict[tuple[str, str], Any] = {}
        self._requests: dict[tuple[str, str], dict[str, Any]] = {}

    def _quota_left(self, _: object) -> Iterator[Any]:
        """What the last answer told, for whoever collects."""
        for window, left in self._left.items():
            yield self._observation(left, {"fusebill.window": window})

    # --- calls

    def call_begun(self, call: CallEvent) -> AbstractContextManager[object]:
        """A span begins."""
        return self._span("call", call, f"fusebill {call.operation}", self._trace.SpanKind.INTERNAL, {})

    def call_ended(self, call: CallEvent) -> None:
        """The span gets the outcome."""
        outcome = str(call.outcome) if call.outcome is not None else "cut short"
        told: dict[str, Any] = {"fusebill.outcome": outcome}
        if call.error:
            told["error.type"] = call.error
        self._calls.record(call.seconds, {"fusebill.operation": call.operation, **told})
        told["fusebill.attempts"] = call.attempts
        if call.confirmed_by is not None:
            told["fusebill.confirmed_by"], told["fusebill.attribution"] = str(call.confirmed_by), str(call.attribution)
        self._end("call", call, told, failed=bool(call.error) or call.outcome is Outcome.UNKNOWN)

    def wait_ended(self, wait: WaitEvent) -> None:
        """The call's span gets an event."""
        told = {"fusebill.waited_for": wait.waited_for}
        self._waits.record(wait.seconds, told)
        self._trace.get_current_span().add_event("wait", {**told, "fusebill.seconds": wait.seconds})

    def settling_begun(self, settling: SettlingEvent) -> AbstractContextManager[object]:
        """A span begins, around the reads."""
        return self._span("settling", settling, f"settle {settling.operation}", self._trace.SpanKind.INTERNAL, {})

    def settling_ended(self, settling: SettlingEvent) -> None:
        """The span gets the outcome."""
        told = {"fusebill.outcome": "cut short" if settling.outcome is None else str(settling.outcome)}
        self._settlings.record(settling.seconds, {"fusebill.operation": settling.operation, **told})
        self._end("settling", settling, told, failed=settling.outcome is Outcome.UNKNOWN)

    # --- requests

    def attempt_begun(self, attempt: AttemptEvent) -> AbstractContextManager[object]:
        """A span of the request begins."""
        told = {**self._request(attempt), "url.full": attempt.url}
        if attempt.number > 1:
            told["http.request.resend_count"] = attempt.number - 1
        name = f"{attempt.method} {told['url.template']}"
        return self._span("attempt", attempt, name, self._trace.SpanKind.CLIENT, told, suppress=True)

    def attempt_ended(self, attempt: AttemptEvent) -> None:
        """The span gets the status, or why there was none."""
        told: dict[str, Any] = {}
        if attempt.status is not None:
            told["http.response.status_code"] = attempt.status
        failed = attempt.status is None or attempt.status >= 400
        if failed:
            told["error.type"] = str(attempt.status or attempt.phase or "cut short")
        self._attempts.record(attempt.seconds, {**self._request(attempt), **told})
        if attempt.followed:
            told["fusebill.followed"] = attempt.followed
        if attempt.quota is not None:
            if attempt.quota.minute is not None:
                self._left["minute"] = attempt.quota.minute.remaining
            if attempt.quota.day is not None:
                self._left["day"] = attempt.quota.day.remaining
        self._end("attempt", attempt, told, failed=failed, reason=attempt.reason)

    # --- spans

    def _span(
        self,
        what: str,
        event: CallEvent | AttemptEvent | SettlingEvent,
        name: str,
        kind: Any,
        told: Mapping[str, Any],
        *,
        suppress: bool = False,
    ) -> AbstractContextManager[object]:
        attributes: dict[str, Any] = {"fusebill.operation": event.operation, **told}
        if self._customer_ids and event.customer_id is not None:
            attributes["fusebill.customer_id"] = event.customer_id
        span = self._tracer.start_span(name, kind=kind, attributes=attributes)
        self._spans[what, event.call_id] = span
        current = self._trace.set_span_in_context(span)
        if suppress and self._suppress is not None:
            current = self._context.set_value(self._suppress, True, current)
        return _Current(self._context, current)

    def _request(self, attempt: AttemptEvent) -> dict[str, Any]:
        """What names a request on a span and in the metrics: few values, and nothing of a person."""
        known = self._requests.get((attempt.method, attempt.url))
        if known is not None:
            return known
        parts = urlsplit(attempt.url)
        made: dict[str, Any] = {
            "http.request.method": attempt.method,
            "server.address": parts.hostname or "",
            "server.port": parts.port or (443 if parts.scheme == "https" else 80),
            "url.template": parts.path,
        }
        if len(self._requests) < _REQUESTS_KEPT:
            self._requests[attempt.method, attempt.url] = made
        return made

    def _end(
        self,
        what: str,
        event: CallEvent | AttemptEvent | SettlingEvent,
        told: Mapping[str, Any],
        *,
        failed: bool,
        reason: str = "",
    ) -> None:
        span = self._spans.pop((what, event.call_id), None)
        if span is None:
            return
        span.set_attributes(told)
        if failed:
            span.set_status(self._trace.StatusCode.ERROR, reason or None)
        span.end()


@attrs.define(eq=False)
class _Current:
    """Makes a context the current one while the `with` statement lasts."""

    _api: Any
    _made: Any
    _token: Any = None

    def __enter__(self) -> None:
        self._token = self._api.attach(self._made)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._api.detach(self._token)


def automatic() -> tuple[Hooks, ...]:
    """What a client without `hooks=` uses: `OpenTelemetry`, if the program has set a global provider."""
    trace: Any = sys.modules.get("opentelemetry.trace")
    metrics: Any = sys.modules.get("opentelemetry.metrics")
    if trace is None or metrics is None:
        # Who has not imported it has set no provider.
        return ()
    nobody = (trace.ProxyTracerProvider, trace.NoOpTracerProvider)
    traced = not isinstance(trace.get_tracer_provider(), nobody)
    measured = not type(metrics.get_meter_provider()).__name__.startswith(("_Proxy", "NoOp"))
    return (OpenTelemetry(),) if traced or measured else ()
