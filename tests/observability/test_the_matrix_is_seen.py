"""The matrix of outcomes once more, with hooks that raise, with OpenTelemetry recording, and with the log at DEBUG.

Every run has one verb of each kind; `pytest --whole tests/observability` has them all.

Not one outcome is another one for it, and nothing that was seen shows the key or anything about a person.
"""

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


for _name in vars(Hooks):
    if not _name.startswith("_"):
        setattr(Raising, _name, _raise)


@pytest.fixture(autouse=True)
def seen(monkeypatch, caplog):
    """Give every client of the matrix these hooks; afterwards look at what was seen."""
    spans, metrics = InMemorySpanExporter(), InMemoryMetricReader()
    tracing, measuring = TracerProvider(), MeterProvider([metrics])
    tracing.add_span_processor(SimpleSpanProcessor(spans))
    caplog.set_level(logging.DEBUG, "fusebill_async")

    def watched(key, **options):
        hooks = [Raising(), OpenTelemetry(tracing, measuring), *options.pop("hooks", ())]
        return FusebillClient(key, hooks=hooks, **options)

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
        ]
    )
    for secret in SECRETS:
        assert secret not in told, secret
    assert "hook Raising.call_ended failed" in told


for _name, _test in vars(test_matrix).items():
    if _name.startswith("test_"):
        globals()[_name] = _test
