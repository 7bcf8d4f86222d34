"""What calls do, for people and for tools: the log and OpenTelemetry, over the hooks of the client."""

from fusebill_async.observability.logs import LogHooks, log_to_stderr
from fusebill_async.observability.otel import OpenTelemetry

__all__ = ["LogHooks", "OpenTelemetry", "log_to_stderr"]
