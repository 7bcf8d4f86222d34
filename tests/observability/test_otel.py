"""Spans and metrics by OpenTelemetry: what a call did, as a tree, and nothing twice."""

import asyncio
import re
import subprocess
import sys
from importlib import resources

import pytest
from opentelemetry import metrics, trace
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from fusebill_async import (
    ConfigurationError,
    ConflictError,
    FusebillClient,
    Hooks,
    NotFoundError,
    Outcome,
    SettlingEvent,
    WaitEvent,
)
from fusebill_async.observability import OpenTelemetry
from fusebill_async.observability.otel import automatic
from fusebill_async.testing import Fault, FusebillSimulator, SimulatorQuota
from tests.outcomes.outcome_cases import make_client


class Recorded:
    """What was recorded."""

    def __init__(self):
        self._spans, self._reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracing, self.measuring = TracerProvider(), MeterProvider([self._reader])
        self.tracing.add_span_processor(SimpleSpanProcessor(self._spans))

    def hook(self, **options):
        return OpenTelemetry(self.tracing, self.measuring, **options)

    @property
    def spans(self):
        return sorted(self._spans.get_finished_spans(), key=lambda span: span.start_time)

    def tree(self):
        """The names, each indented below its parent."""
        names = {None: -1}
        lines = []
        for span in self.spans:
            parent = None if span.parent is None else span.parent.span_id
            names[span.context.span_id] = names[parent] + 1
            lines.append("  " * names[span.context.span_id] + span.name)
        return lines

    def metrics(self):
        """Each metric's points, by name."""
        data = self._reader.get_metrics_data()
        [resource] = data.resource_metrics
        return {
            metric.name: list(metric.data.data_points) for scope in resource.scope_metrics for metric in scope.metrics
        }


@pytest.fixture
def recorded():
    return Recorded()


async def test_a_lost_activation_is_a_tree(fusebill, recorded):
    fusebill.add_customer(id=1, status="Draft")
    fusebill.inject(Fault.reset_after_effect(operation="activate"))
    async with make_client(fusebill, hooks=[recorded.hook()]) as client:
        await client.customers.activate(1, True, True, False)
    assert recorded.tree() == [
        "fusebill customers.activate",
        "  POST /v1/customerActivation",
        "  settle customers.activate",
        "    fusebill customers.get",
        "      GET /v1/customers/{id}",
    ]
    call, lost, settling, _, read = recorded.spans
    assert [span.kind for span in (call, lost, settling, read)] == [
        SpanKind.INTERNAL, SpanKind.CLIENT, SpanKind.INTERNAL, SpanKind.CLIENT,
    ]  # fmt: skip
    assert call.attributes["fusebill.outcome"] == "applied"
    assert (call.attributes["fusebill.confirmed_by"], call.attributes["fusebill.attribution"]) == ("read", "unproven")
    assert lost.status.status_code is StatusCode.ERROR
    assert "http.response.status_code" not in lost.attributes
    assert read.attributes["http.response.status_code"] == 200
    assert settling.attributes["fusebill.outcome"] == "applied"


async def test_a_request_has_the_attributes_of_the_conventions(fusebill, recorded):
    fusebill.add_customer(id=1, status="Active")
    fusebill.inject(Fault.reset_before_effect(operation="get", times=1))
    async with make_client(fusebill, hooks=[recorded.hook()]) as client:
        await client.customers.get(1)
    _, first, second = recorded.spans
    port = int(fusebill.base_url.split(":")[2].split("/")[0])
    for span in (first, second):
        assert span.attributes["http.request.method"] == "GET"
        assert (span.attributes["server.address"], span.attributes["server.port"]) == ("127.0.0.1", port)
        assert span.attributes["url.template"] == "/v1/customers/{id}"
        assert span.attributes["url.full"].endswith("/v1/customers/{id}")
    assert "http.request.resend_count" not in first.attributes
    assert second.attributes["http.request.resend_count"] == 1
    assert first.attributes["error.type"] == "sent"


async def test_a_refusal_is_an_error_by_its_status(fusebill, recorded):
    fusebill.add_customer(id=1, status="Draft")
    async with make_client(fusebill, hooks=[recorded.hook()]) as client:
        with pytest.raises(ConflictError):
            await client.customers.hold(1)
        with pytest.raises(NotFoundError):
            await client.customers.get(2)
    calls = [span for span in recorded.spans if span.kind is SpanKind.INTERNAL]
    requests = [span for span in recorded.spans if span.kind is SpanKind.CLIENT]
    assert [span.attributes["error.type"] for span in calls] == ["ConflictError", "NotFoundError"]
    assert [span.attributes["error.type"] for span in requests] == ["400", "404"]
    assert all(span.status.status_code is StatusCode.ERROR for span in recorded.spans)


async def test_waits_are_events_of_the_call(fusebill, recorded):
    fusebill.add_customer(id=1, status="Active")
    fusebill.inject(Fault.delay(0.05, operation="update", times=2))
    async with make_client(fusebill, hooks=[recorded.hook()]) as client:
        await asyncio.gather(
            client.customers.update(1, company_name="A"), client.customers.update(1, primary_phone="5")
        )
    waited = [
        (event.name, event.attributes["fusebill.waited_for"])
        for span in recorded.spans
        if span.name == "fusebill customers.update"
        for event in span.events
    ]
    assert waited == [("wait", "lock")]


async def test_the_span_of_the_program_is_the_parent(fusebill, recorded):
    fusebill.add_customer(id=1, status="Active")
    tracer = trace.get_tracer("program", tracer_provider=recorded.tracing)
    async with make_client(fusebill, hooks=[recorded.hook()]) as client:
        with tracer.start_as_current_span("a web request"):
            await client.customers.hold(1)
            await client.customers.get(1)
            assert trace.get_current_span().name == "a web request"
    assert recorded.tree() == [
        "a web request",
        "  fusebill customers.hold",
        "    POST /v1/CustomerHold/{id}",
        "  fusebill customers.get",
        "    GET /v1/customers/{id}",
    ]


async def test_nothing_is_seen_twice_beside_the_instrumentation_of_aiohttp(fusebill, recorded):
    fusebill.add_customer(id=1, status="Active")
    AioHttpClientInstrumentor().instrument(tracer_provider=recorded.tracing)
    try:
        async with make_client(fusebill, hooks=[recorded.hook()]) as client:
            await client.customers.hold(1)
            await client.customers.get(1)
    finally:
        AioHttpClientInstrumentor().uninstrument()
    assert len(recorded.spans) == 4
    assert len({span.instrumentation_scope.name for span in recorded.spans}) == 1
    # What the service is told of our program is its own business alone.
    assert "traceparent" not in str([request.headers for request in fusebill.requests]).lower()


@pytest.mark.parametrize("wanted", [False, True])
async def test_a_customers_id_is_on_spans_by_choice_and_never_on_metrics(fusebill, recorded, wanted):
    fusebill.add_customer(id=987654321, status="Active")
    async with make_client(fusebill, hooks=[recorded.hook(customer_ids=wanted)]) as client:
        await client.customers.hold(987654321)
    shown = "".join(span.to_json() for span in recorded.spans)
    assert ("987654321" in shown) is wanted
    assert "987654321" not in str(recorded.metrics())


async def test_what_is_measured(recorded):
    async with FusebillSimulator(quota=SimulatorQuota(per_minute=1000, per_day=10_000)) as fusebill:
        fusebill.add_customer(id=1, status="Draft")
        fusebill.inject(Fault.reset_after_effect(operation="activate"))
        async with make_client(fusebill, hooks=[recorded.hook()]) as client:
            await client.customers.activate(1, True, True, False)
    found = recorded.metrics()
    calls = {
        tuple(point.attributes[f"fusebill.{name}"] for name in ("operation", "write", "outcome")): point.count
        for point in found["fusebill.client.call.duration"]
    }
    assert calls == {("customers.activate", True, "applied"): 1, ("customers.get", False, "applied"): 1}
    assert sum(point.count for point in found["http.client.request.duration"]) == 2
    assert [point.count for point in found["fusebill.client.settling.duration"]] == [1]
    left = {point.attributes["fusebill.window"]: point.value for point in found["fusebill.client.quota.remaining"]}
    assert left["minute"] in range(900, 1000)
    assert left["day"] in range(9000, 10_000)
    assert found["fusebill.client.call.duration"][0].explicit_bounds[-1] == 300


PROGRAM = """
import asyncio, sys
from fusebill_async import FusebillClient
client = FusebillClient("key", base_url="http://127.0.0.1:1/v1")
assert "opentelemetry" not in sys.modules
from opentelemetry import trace, metrics
client = FusebillClient("key", base_url="http://127.0.0.1:1/v1")
assert len(client._core.session.teller.listeners.users) == 0
from opentelemetry.sdk.trace import TracerProvider
trace.set_tracer_provider(TracerProvider())
client = FusebillClient("key", base_url="http://127.0.0.1:1/v1")
assert len(client._core.session.teller.listeners.users) == 1
client = FusebillClient("key", base_url="http://127.0.0.1:1/v1", hooks=[])
assert len(client._core.session.teller.listeners.users) == 0
"""


def test_it_is_used_by_itself_where_a_provider_is_set():
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=60)


def _providers(tracer, meter):
    """A program that sets these, and imports no more of OpenTelemetry than it needs for that; then a call fails."""
    return f"""
import asyncio, sys
from contextlib import suppress
class Log(list):
    def get_tracer(self, *_): return self
    def get_meter(self, *_): return self
    def start_span(self, name, *_, **__):
        self.append(name)
        return trace.NonRecordingSpan(trace.INVALID_SPAN_CONTEXT)
    def create_histogram(self, name, *_, **__):
        from opentelemetry.metrics import NoOpHistogram
        self.append(name)
        return NoOpHistogram(name)
    create_gauge = create_histogram
spans, instruments = Log(), Log()
if {tracer}:
    from opentelemetry import trace
    trace.set_tracer_provider(spans)
    assert "opentelemetry.metrics" not in sys.modules
if {meter}:
    from opentelemetry import metrics
    metrics.set_meter_provider(instruments)
    assert {tracer} or "opentelemetry.trace" not in sys.modules
from fusebill_async import FusebillClient, FusebillError
async def main():
    async with FusebillClient("key", base_url="http://127.0.0.1:1/v1") as client:
        # What is set later was not set when the client was made.
        from opentelemetry import metrics, trace
        globals()["trace"] = trace
        if not {tracer}: trace.set_tracer_provider(spans)
        if not {meter}: metrics.set_meter_provider(instruments)
        with suppress(FusebillError):
            await client.customers.hold(1)
asyncio.run(main())
assert ("fusebill customers.hold" in spans) is {tracer}, spans
assert ("fusebill.client.call.duration" in instruments) is {meter}, instruments
"""


@pytest.mark.parametrize(("tracer", "meter"), [(True, False), (False, True), (True, True)])
def test_only_the_providers_that_are_set_are_used(tracer, meter):
    subprocess.run([sys.executable, "-c", _providers(tracer, meter)], check=True, timeout=60)


@pytest.fixture
def old_api(monkeypatch):
    """The API of OpenTelemetry 1.27 with a global provider: a histogram could not say which buckets it wants."""

    def create_histogram(self, name, unit="", description=""):
        raise AssertionError("nobody is to ask for it")

    for meter in (metrics.Meter, metrics.NoOpMeter, type(metrics.get_meter("any"))):
        monkeypatch.setattr(meter, "create_histogram", create_histogram)
    monkeypatch.setattr("opentelemetry.version.__version__", "1.27.0")
    monkeypatch.setattr(trace, "get_tracer_provider", TracerProvider)


def test_an_old_api_is_refused_by_its_version(old_api):
    with pytest.raises(ConfigurationError, match=r"needs opentelemetry-api 1\.30 or later, not 1\.27\.0"):
        OpenTelemetry()


def test_a_client_is_made_beside_an_old_api(old_api, caplog):
    caplog.set_level("INFO", "fusebill_async")
    assert automatic() == ()
    FusebillClient("key", base_url="http://127.0.0.1:1/v1")
    assert "1.30 or later" in caplog.text


async def test_the_quota_left_is_what_the_last_client_was_told(recorded):
    async with FusebillSimulator(quota=SimulatorQuota(per_minute=1000, per_day=10_000)) as fusebill:
        fusebill.add_customer(id=1, status="Active")
        async with (
            make_client(fusebill, hooks=[recorded.hook()]) as first,
            make_client(fusebill, hooks=[recorded.hook()]) as second,
        ):
            for client in (first, second, first, second):
                told = (await client.with_response.customers.get(1)).quota
                left = {
                    point.attributes["fusebill.window"]: point.value
                    for point in recorded.metrics()["fusebill.client.quota.remaining"]
                }
                assert left == {"minute": told.minute.remaining, "day": told.day.remaining}


async def test_the_guide_names_what_is_measured(fusebill, recorded):
    fusebill.add_customer(id=1, status="Draft")
    fusebill.inject(Fault.reset_after_effect(operation="activate"))
    fusebill.inject(Fault.reset_before_effect(operation="get", times=1))
    async with make_client(fusebill, hooks=[recorded.hook()]) as client:
        await client.customers.activate(1, True, True, False)
        with pytest.raises(NotFoundError):
            await client.customers.get(2)
    guide = (resources.files("fusebill_async") / "guides" / "seeing.md").read_text(encoding="utf-8")
    named = {row[0]: set(row[1:]) for row in (re.findall(r"`([a-z._]+)`", line) for line in guide.splitlines()) if row}
    for metric, points in recorded.metrics().items():
        for point in points:
            assert set(point.attributes) <= named[metric], metric
    # The alert asks for labels: the exporter's names of attributes.
    asked = set(re.findall(r'(fusebill_\w+)="', guide))
    known = {name.replace(".", "_") for names in named.values() for name in names}
    assert asked == {"fusebill_write", "fusebill_outcome", "fusebill_window"}
    assert asked <= known


class Spanning(Hooks):
    """A hook of the program's with a span of its own around each wait."""

    def __init__(self, tracing):
        self._tracer = trace.get_tracer("program", tracer_provider=tracing)

    def wait_begun(self, wait):
        return self._tracer.start_as_current_span(f"my wait for the {wait.waited_for}")


async def test_a_wait_is_told_to_its_call_whichever_span_is_the_current_one(fusebill, recorded):
    fusebill.add_customer(id=1, status="Active")
    fusebill.inject(Fault.reset_before_effect(operation="get", times=1))
    async with make_client(fusebill, hooks=[recorded.hook(), Spanning(recorded.tracing)]) as client:
        await client.customers.get(1)
    told = {span.name: [event.attributes["fusebill.waited_for"] for event in span.events] for span in recorded.spans}
    assert told.pop("fusebill customers.get") == ["backoff"]
    assert "my wait for the backoff" in told
    assert not any(told.values())


def test_a_wait_of_what_is_settled_for_another_process_is_told_to_the_settling(recorded):
    # Such a write has no call here, only its settling.
    whose = {"call_id": "ab-1", "parent_id": None, "operation": "customers.hold", "customer_id": 1}
    hook = recorded.hook()
    hook.settling_begun(SettlingEvent(**whose))
    hook.wait_ended(WaitEvent(**whose, waited_for="backoff", seconds=1.5))
    hook.settling_ended(SettlingEvent(**whose, seconds=2.0, outcome=Outcome.APPLIED))
    hook.wait_ended(WaitEvent(**whose, waited_for="lock", seconds=1.5))
    [settling] = recorded.spans
    assert [event.attributes["fusebill.waited_for"] for event in settling.events] == ["backoff"]
    assert sum(point.count for point in recorded.metrics()["fusebill.client.wait.duration"]) == 2
