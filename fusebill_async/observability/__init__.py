"""What calls do, for people and for tools: the log, over the hooks of the client."""

from fusebill_async.observability.logs import LogHooks, log_to_stderr

__all__ = ["LogHooks", "log_to_stderr"]
