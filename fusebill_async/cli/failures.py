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
from fusebill_async.cli.results import Result, attempt_objects
from fusebill_async.cli.terminal import messages
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
from fusebill_async.operations import BY_TITLE, REPLACE, Operation
from fusebill_async.outcome import Outcome

_STYLES = {Outcome.APPLIED: "bold green", Outcome.UNKNOWN: "bold yellow"}
_FACTS = ("status", "error_id", "field", "quiet_period", "intent_id")
"""Attributes of some errors that go into the object as they are."""


@attrs.frozen
class Failed(Result):
    """An error that a call ended with.

    Attributes:
        error: what the client raised.
        operation: what was asked for; None for what is in no table.
        store: the file that keeps what stays unknown.
    """

    error: FusebillError
    operation: Operation | None
    store: Path | None

    def concerns(self, kinds: tuple[type[FusebillError], ...]) -> bool:
        """Whether it is an error of one of these kinds."""
        return isinstance(self.error, kinds)

    @property
    def exit_code(self) -> ExitCode:
        """What the outcome says. A read that fails is not unknown: it changed nothing."""
        if isinstance(self.error, (ConfigurationError, IdempotencyError, ValidationError)):
            return ExitCode.USAGE
        unknown = self._outcome is Outcome.UNKNOWN and (self.operation is None or self.operation.writes)
        return ExitCode.UNKNOWN if unknown else ExitCode.NOT_DONE

    @property
    def _outcome(self) -> Outcome:
        """Of what was asked for: where the read before a write fails, the write was not sent."""
        failed = BY_TITLE.get(self.error.operation or "", self.operation)
        of_a_read_before = failed is not None and not failed.writes and self.operation is not failed
        return Outcome.NOT_SENT if of_a_read_before else self.error.outcome

    @property
    def happened(self) -> str:
        """All that is known: it is the only place where it is told."""
        return ". ".join(filter(None, (f"{_words(self._outcome)}  {self._text}", self._next)))

    def as_json(self) -> bytes:
        """The error's class, its outcome, and its facts."""
        return encode(failure_object(self.error, self.store) | {"outcome": self._outcome})

    def print_on(self, console: Console) -> None:  # noqa: ARG002 (stdout is for results)
        """Two lines: the outcome with what went wrong, and what to do."""
        # Where even stderr cannot be written, the exit code is all that is left.
        with suppress(OSError):
            style = _STYLES.get(self._outcome, "bold red")
            messages().print(Text.assemble((_words(self._outcome), style), "  ", self._text))
            if self._next:
                messages().print(Text(self._next, style="dim"))

    @property
    def _text(self) -> str:
        error, operation = self.error, self.operation
        text = printable(error.message)
        if operation is None or error.customer_id is None:
            return text
        name = f"{operation.title} of customer {error.customer_id}"
        return text if name in text else f"{name}: {text}"

    @property
    def _next(self) -> str:
        going_on = resolving_command(self.error, self.store)
        if going_on:
            return f"It may have happened. Do not send it again, settle it: {going_on}"
        return _advice(self.error, self.operation, self._outcome)


@attrs.frozen
class NotDone(Result):
    """What kept a command from its end, and is no error of a call.

    Attributes:
        outcome: what is known of the write.
        name: in place of the class of an error.
        text: why.
        customer_id: whom it is about, if it is about one.
        code: how the command ends.
    """

    outcome: Outcome
    name: str
    text: str
    customer_id: int | None = None
    code: ExitCode = ExitCode.NOT_DONE

    @property
    def exit_code(self) -> ExitCode:
        """As it was given."""
        return self.code

    @property
    def happened(self) -> str:
        """The outcome, and why."""
        return f"{self.outcome.replace('_', ' ')}  {self.text}"

    def as_json(self) -> bytes:
        """As an error shows."""
        shown = {"outcome": self.outcome, "error": self.name, "message": self.text, "customer_id": self.customer_id}
        return encode(shown)

    def print_on(self, console: Console) -> None:  # noqa: ARG002 (stdout is for results)
        """A line."""
        with suppress(OSError):
            outcome = self.outcome.replace("_", " ")
            told = f"interrupted, {outcome}" if self.name == "Interrupted" else outcome
            messages().print(Text.assemble((told, "bold yellow"), f"  {self.text}"))


def report_lost_output(error: OSError, happened: str = "", code: ExitCode = ExitCode.DONE) -> ExitCode:
    """Say on stderr that stdout could not be written, and what happened, and give the exit code.

    Nothing is said where a reader of a pipe has seen enough, unless something happened that it has to know of. What is
    unknown stays unknown: nothing that a script may do depends more on it.
    """
    _drop_output()
    if happened or not isinstance(error, BrokenPipeError):
        with suppress(OSError):
            text = Text.assemble(("output lost", "bold yellow"), f"  {error.strerror or error}")
            messages().print(Text.assemble(text, f". What happened: {happened}") if happened else text)
    return code if code is ExitCode.UNKNOWN else ExitCode.OUTPUT_LOST


def _drop_output() -> None:
    """Let nothing more be flushed into what cannot be written, at the end of the process either."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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


def _words(outcome: Outcome) -> str:
    return outcome.replace("_", " ")


def _advice(error: FusebillError, operation: Operation | None, outcome: Outcome) -> str:
    customer = "ID" if error.customer_id is None else str(error.customer_id)
    look = f"fusebill-async get {customer}"
    look_first = f"See {look}"
    match error:
        case AuthenticationError():
            return "FUSEBILL_API_KEY must hold a key of the account that FUSEBILL_BASE_URL leads to."
        case ConfigurationError() if "allow_http" in error.message:
            return "--allow-http lets it through: the key then goes unencrypted."
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
        case _ if outcome is Outcome.UNKNOWN and operation is not None and operation.writes:
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
