"""What calls do, as lines of the logger `fusebill_async`.

DEBUG has a line for each call and each attempt. INFO tells when a write is settled, when a call waited for more than a
second, and when the quota runs short. WARNING tells of an unknown outcome. No line holds a
name, an address, a body or the key. The facts stand in the record too, under names that begin with `fusebill_`.
"""

from __future__ import annotations

import logging
import sys
from contextlib import AbstractContextManager
from typing import TextIO

import attrs

from fusebill_async.outcome import Outcome
from fusebill_async.session.events import (
    AttemptEvent,
    CallEvent,
    QuotaEvent,
    SettlingEvent,
    WaitEvent,
)
from fusebill_async.session.hooks import Hooks

logger = logging.getLogger("fusebill_async")

_LONG = 1.0
"""Seconds of waiting from which a wait is worth a line at INFO."""


class LogHooks(Hooks):
    """Writes the log. Every client has one. With the logger at WARNING, as it comes, it is not told of calls."""

    def call_begun(self, call: CallEvent) -> AbstractContextManager[object] | None:
        """A line at DEBUG."""
        if logger.isEnabledFor(logging.DEBUG):
            _log(logging.DEBUG, f"{_about(call)} begins", call)
        return None

    def call_ended(self, call: CallEvent) -> None:
        """A line at DEBUG, or at WARNING if nobody knows what became of a write."""
        unknown = call.writes and call.outcome is Outcome.UNKNOWN
        if not unknown and not logger.isEnabledFor(logging.DEBUG):
            return
        how = "" if call.confirmed_by is None else f", confirmed by {call.confirmed_by}, {call.attribution}"
        error = f" ({call.error})" if call.error else ""
        requests = "1 request" if call.attempts == 1 else f"{call.attempts} requests"
        told = f"{_about(call)} ended: {_words(call.outcome)}{error}{how}, {requests} in {_milliseconds(call.seconds)}"
        _log(logging.WARNING if unknown else logging.DEBUG, told, call)

    def attempt_ended(self, attempt: AttemptEvent) -> None:
        """A line at DEBUG: how far it came, and what followed."""
        if not logger.isEnabledFor(logging.DEBUG):
            return
        came = str(attempt.phase or "not sent") if attempt.status is None else f"answered {attempt.status}"
        # What follows the first sentence is advice, which errors give.
        reason = f" ({attempt.reason.partition('. ')[0]})" if attempt.reason else ""
        told = (
            f"{_about(attempt)}: {attempt.method} was {came}{reason} in {_milliseconds(attempt.seconds)}, "
            f"then {attempt.followed or 'dropped'}"
        )
        _log(logging.DEBUG, told, attempt)

    def wait_ended(self, wait: WaitEvent) -> None:
        """A line at INFO if it was long, else at DEBUG."""
        level = logging.INFO if wait.seconds >= _LONG else logging.DEBUG
        _log(level, f"{_about(wait)} waited {_milliseconds(wait.seconds)} for the {wait.waited_for}", wait)

    def settling_begun(self, settling: SettlingEvent) -> AbstractContextManager[object] | None:
        """A line at INFO."""
        _log(
            logging.INFO,
            f"{_about(settling)} was sent and got no usable answer: the customer is read to learn what happened",
            settling,
        )
        return None

    def settling_ended(self, settling: SettlingEvent) -> None:
        """A line at INFO."""
        whose = "" if settling.attribution is None else f", {settling.attribution}"
        told = f"{_about(settling)} is settled: {_words(settling.outcome)}{whose}"
        _log(logging.INFO, f"{told} after {_milliseconds(settling.seconds)}", settling)

    def quota_threshold(self, quota: QuotaEvent) -> None:
        """A line at INFO."""
        _log(logging.INFO, f"{quota.used:.0%} of the quota of this {quota.window} is used", quota)


def log_to_stderr(level: str = "DEBUG") -> None:
    """Show the log on standard error, as FUSEBILL_LOG=debug and `fusebill-async -v` do.

    Called again, it shows nothing twice, and the last level holds.

    Args:
        level: the lowest level that is shown: "DEBUG", "INFO", "WARNING" or "ERROR", in any case.

    Raises:
        ValueError: no such level.
    """
    logger.setLevel(level.upper())
    if not any(isinstance(handler, _Shown) for handler in logger.handlers):
        logger.addHandler(_Shown())


class _Shown(logging.StreamHandler[TextIO]):
    """The handler of `log_to_stderr`."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))

    def emit(self, record: logging.LogRecord) -> None:
        """Write to what standard error is now: a program, or a test, may have put another in its place."""
        self.stream = sys.stderr
        super().emit(record)


def _log(level: int, text: str, event: attrs.AttrsInstance) -> None:
    if logger.isEnabledFor(level):
        facts = attrs.asdict(event, recurse=False)
        logger.log(level, "%s", text, extra={f"fusebill_{name}": value for name, value in facts.items()})


def _about(event: CallEvent | AttemptEvent | WaitEvent | SettlingEvent) -> str:
    whom = "" if event.customer_id is None else f" of customer {event.customer_id}"
    return f"{event.operation}{whom}"


def _words(outcome: Outcome | None) -> str:
    return "cut short" if outcome is None else str(outcome).replace("_", " ")


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"
