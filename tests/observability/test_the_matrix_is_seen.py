"""The matrix of outcomes once more, with hooks that raise, with OpenTelemetry recording, and with the log at DEBUG.

Every run has one verb of each kind; `pytest --whole tests/observability` has them all.

Not one outcome is another one for it. Nothing that was seen shows the key or anything about a person, and neither does
the `repr` of an event, of what a call gave, or of what it raised.
"""

import inspect
import logging

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from fusebill_async import FusebillClient, Hooks
from fusebill_async.observability import OpenTelemetry
from tests.outcomes import outcome_cases, test_matrix
from tests.outcomes.outcome_cases import KEY

pytestmark = test_matrix.pytestmark

SECRETS = (KEY, "billing", "example.com", "Lee", "Example Company", "Updated Ltd", "Replaced Ltd", "Created Ltd")
"""The key, and what the customers of the simulator and the calls of the matrix have of a person."""


class Raising(Hooks):
    """Fails at whatever it is told."""


def _raise(*_):
    raise RuntimeError("a hook of a user")


class Showing(Hooks):
    """Keeps how each event is shown."""

    def __init__(self, shown):
        self.shown = shown


def _show(hook, event):
    hook.shown.append(repr(event))


for _name in vars(Hooks):
    if not _name.startswith("_"):
        setattr(Raising, _name, _raise)
        setattr(Showing, _name, _show)


class Resources:
    """Resources that keep how everything that they give or raise is shown."""

    def __init__(self, resources, shown):
        self._resources, self._shown = resources, shown

    def __getattr__(self, name):
        found = getattr(self._resources, name)
        if not callable(found):
            return Resources(found, self._shown)

        def call(*facts, **options):
            given = found(*facts, **options)
            return self._awaited(given) if inspect.isawaitable(given) else self._each(given)

        return call

    async def _awaited(self, given):
        try:
            answer = await given
        except Exception as error:
            self._raised(error)
            raise
        self._shown.append(repr(answer))
        return answer

    async def _each(self, given):
        self._shown.append(repr(given))
        try:
            async for customer in given:
                self._shown.append(repr(customer))
                yield customer
        except Exception as error:
            self._raised(error)
            raise

    def _raised(self, error):
        while error is not None:
            self._shown.append(f"{error!r} {error} {getattr(error, 'attempts', None)!r}")
            error = error.__cause__ or error.__context__


@pytest.fixture(autouse=True)
def seen(monkeypatch, caplog):
    """Give every client of the matrix these hooks; afterwards look at what was seen."""
    spans, metrics = InMemorySpanExporter(), InMemoryMetricReader()
    tracing, measuring = TracerProvider(), MeterProvider([metrics])
    tracing.add_span_processor(SimpleSpanProcessor(spans))
    caplog.set_level(logging.DEBUG, "fusebill_async")
    shown = []

    def watched(key, **options):
        hooks = [Raising(), Showing(shown), OpenTelemetry(tracing, measuring), *options.pop("hooks", ())]
        client = FusebillClient(key, hooks=hooks, **options)
        client.with_response = Resources(client.with_response, shown)
        shown.append(repr(client))
        return client

    monkeypatch.setattr(outcome_cases, "FusebillClient", watched)
    yield
    finished = spans.get_finished_spans()
    assert finished
    measured, lines = metrics.get_metrics_data(), caplog.get_records("call")
    told = "\n".join(
        [
            *(span.to_json() for span in finished),
            "" if measured is None else measured.to_json(),
            *(f"{record.getMessage()} {sorted(vars(record).items())}" for record in lines),
            *shown,
        ]
    )
    for secret in SECRETS:
        assert secret not in told, secret
    assert "hook Raising.call_ended failed" in told
    assert "CallEvent(" in told


for _name, _test in vars(test_matrix).items():
    if _name.startswith("test_"):
        globals()[_name] = _test
