"""Errors, as two lines for people and as an object for programs."""

from __future__ import annotations

import os
import shlex
import sys
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import attrs
from rich.console import Console
from rich.text import Text

from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.results import attempt_objects
from fusebill_async.cli.terminal import messages, write_json
from fusebill_async.cli.wire_text import printable
from fusebill_async.converting import encode
from fusebill_async.errors import (
    APIError,
    AuthenticationError,
    ConcurrentModificationError,
    ConfigurationError,
    ConflictError,
    ConnectError,
    FieldsNotTakenError,
    FusebillError,
    IdempotencyError,
    NotAppliedError,
    NotFoundError,
    OutcomeUnknownError,
    PermissionDeniedError,
    QuotaExhaustedError,
    RateLimitError,
    ValidationError,
    WouldEraseError,
)
from fusebill_async.operations import REPLACE, Operation
from fusebill_async.outcome import Outcome

_STYLES = {Outcome.APPLIED: "bold green", Outcome.UNKNOWN: "bold yellow"}
_FACTS = ("status", "error_id", "field", "quiet_period", "intent_id")
"""Attributes of some errors that go into the object as they are."""


def report_failure(
    error: FusebillError, operation: Operation | None, *, json: bool, store: Path | None = None
) -> ExitCode:
    """Tell of an error, on stderr for people or on stdout as JSON, and give the exit code."""
    code = _exit_code(error, operation)
    lost: OSError | None = None
    if json:
        try:
            write_json(encode(failure_object(error, store)))
        except OSError as unwritable:
            lost = unwritable
    if not json or lost is not None:
        # Where even stderr cannot be written, the exit code is all that is left.
        with suppress(OSError):
            print_failure(error, operation, messages(), store)
    if lost is None:
        return code
    report_lost_output(lost, "what is told above")
    return code if code is ExitCode.UNKNOWN else ExitCode.OUTPUT_LOST


def report_lost_output(error: OSError, happened: str = "") -> ExitCode:
    """Say on stderr that stdout could not be written, and what happened, and give the exit code.

    Nothing is said where a reader of a pipe has seen enough, unless something happened that it has to know of.
    """
    _drop_output()
    if happened or not isinstance(error, BrokenPipeError):
        with suppress(OSError):
            text = Text.assemble(("output lost", "bold yellow"), f"  {error.strerror or error}")
            messages().print(Text.assemble(text, f". What happened: {happened}") if happened else text)
    return ExitCode.OUTPUT_LOST


def _drop_output() -> None:
    """Let nothing more be flushed into what cannot be written, at the end of the process either."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _exit_code(error: FusebillError, operation: Operation | None) -> ExitCode:
    if isinstance(error, (ConfigurationError, IdempotencyError, ValidationError)):
        return ExitCode.USAGE
    if error.outcome is Outcome.UNKNOWN and (operation is None or operation.writes):
        return ExitCode.UNKNOWN
    return ExitCode.NOT_DONE


def print_failure(
    error: FusebillError, operation: Operation | None, console: Console, store: Path | None = None
) -> None:
    """Two lines: the outcome with what went wrong, and what to do."""
    name = (
        "" if operation is None or error.customer_id is None else f"{operation.title} of customer {error.customer_id}"
    )
    text = printable(error.message)
    if name and name not in text:
        text = f"{name}: {text}"
    console.print(Text.assemble((error.outcome.replace("_", " "), _STYLES.get(error.outcome, "bold red")), "  ", text))
    going_on = resolving_command(error, store)
    advice = f"It may have happened. Do not send it again, settle it: {going_on}" if going_on else ""
    advice = advice or _advice(error, operation)
    if advice:
        console.print(Text(advice, style="dim"))


def resolving_command(error: FusebillError, store: Path | None) -> str:
    """The command that settles a write which stayed unknown; "" where nothing keeps it."""
    intent_id = getattr(error, "intent_id", None)
    if store is None or intent_id is None or error.outcome is not Outcome.UNKNOWN:
        return ""
    return f"fusebill-async resolve {intent_id} --store {shlex.quote(str(store))}"


def failure_object(error: FusebillError, store: Path | None = None) -> dict[str, Any]:
    """An error for JSON: its class, its outcome, and its facts."""
    shown: dict[str, Any] = {
        "outcome": error.outcome,
        "error": type(error).__name__,
        "message": error.message,
        "operation": error.operation,
        "customer_id": error.customer_id,
    }
    shown.update({fact: getattr(error, fact) for fact in _FACTS if hasattr(error, fact)})
    if isinstance(error, APIError):
        shown["errors"] = [{"key": key, "value": value} for key, value in error.errors]
    if isinstance(error, WouldEraseError):
        shown["fields"] = list(error.fields)
    if isinstance(error, FieldsNotTakenError):
        shown["fields"] = {name: {"sent": sent, "shown": now} for name, (sent, now) in error.fields.items()}
    if isinstance(error, ConcurrentModificationError):
        shown["conflicts"] = {
            name: {"read": read, "now": now, "wanted": wanted} for name, (read, now, wanted) in error.conflicts.items()
        }
    if isinstance(error, (QuotaExhaustedError, RateLimitError)):
        shown["opens_at"] = error.opens_at
    if isinstance(error, (OutcomeUnknownError, NotAppliedError)):
        shown["last_read_status"] = None if error.reading is None else error.reading.status
    going_on = resolving_command(error, store)
    if going_on:
        shown["next_command"] = going_on
    shown["attempts"] = attempt_objects(error.attempts)
    return shown


def _advice(error: FusebillError, operation: Operation | None) -> str:
    customer = "ID" if error.customer_id is None else str(error.customer_id)
    look = f"fusebill-async get {customer}"
    look_first = f"See {look}"
    match error:
        case AuthenticationError():
            return "FUSEBILL_API_KEY must hold a key of the account that FUSEBILL_BASE_URL leads to."
        case PermissionDeniedError():
            return "The key is known, and not allowed to do this."
        case NotFoundError():
            return "Check the id, and that FUSEBILL_BASE_URL leads to the account that has it."
        case ConflictError():
            return look_first if "works from" in error.message else _states(operation, look)
        case RateLimitError(opens_at=opens_at) | QuotaExhaustedError(opens_at=opens_at):
            return f"Nothing was done. The quota opens again {_moment(opens_at)}."
        case ConnectError():
            return "Check FUSEBILL_BASE_URL and the network, and try again."
        case OutcomeUnknownError():
            return f"It may have happened. Look before you send it again: {look}"
        case NotAppliedError():
            return f"It did not happen. Look, and send it again: {look}"
        case WouldEraseError():
            null = "" if operation is REPLACE else "--null FIELD erases a field, "
            return f"{null}--allow-erase FIELD lets one be erased."
        case ConcurrentModificationError():
            return f"See what the others wrote, and decide: {look}"
        case ValidationError(field="status"):
            return "Use hold, release-hold, activate or cancel. With update, --allow-status-change insists."
        case FieldsNotTakenError():
            return f"The update was made, but not all of it: {look}"
        case _ if error.outcome is Outcome.UNKNOWN and operation is not None and operation.writes:
            return f"It may have happened. Look before you send it again: {look}"
        case _:
            return ""


def _states(operation: Operation | None, look: str) -> str:
    if operation is None or operation.allowed_from is None:
        return f"The customer's status does not allow it: {look}"
    statuses = [status for status in type(next(iter(operation.allowed_from))) if status in operation.allowed_from]
    return f"{operation.name} works from {' or '.join(statuses)}. See {look}"


def _moment(opens_at: datetime | None) -> str:
    return "at an unknown time" if opens_at is None else f"at {opens_at:%Y-%m-%d %H:%M:%S} UTC"


@attrs.frozen
class Interrupted:
    """What is known of a write when Ctrl-C was pressed."""

    outcome: Outcome
    text: str

    def report(self, *, json: bool) -> None:
        """Tell of it, like of an error."""
        if json:
            write_json(encode({"outcome": self.outcome, "error": "Interrupted", "message": self.text}))
        else:
            messages().print(
                Text.assemble((f"interrupted, {self.outcome.replace('_', ' ')}", "bold yellow"), "  ", self.text)
            )
