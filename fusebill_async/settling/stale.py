"""Answers that show a customer as it was before the write that they came to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from fusebill_async.models import Customer
from fusebill_async.operations import Operation
from fusebill_async.settling.evidence import SendTime, modified_at
from fusebill_async.settling.write import Write

_LONG_BEFORE = 60.0
"""Seconds before the send at which a modification is no effect of it, even if the service's own clocks disagree."""

_LOOKS = 20
"""Answers of an operation that are looked at for whether it moves `modifiedTimestamp`; at 0 it is believed."""
_MOVES = -3
"""Once it was seen to: counted up to 0 by old answers in a row. So many are no accident: it was somebody else who
moved the timestamp, a moment before, and the operation does not."""


class StaleAnswers:
    """Tells by `modifiedTimestamp`, for the operations that were seen to move it.

    The service refuses to bring about a status that is there already. So a customer that has the status did not get it
    from the write if it is byte for byte what it was before, or was last modified long before the write was sent: it is
    the answer to another question.
    """

    def __init__(self, send_time: Callable[[Write], SendTime | None]) -> None:
        self._send_time = send_time
        self._looks: dict[Operation, int] = {}
        # The text that a customer modified in this minute has, so that most answers need not be decoded for it.
        self._recent = b""
        self._recent_until = 0.0

    def is_stale(self, write: Write, customer: Customer) -> bool:
        """Whether the answer to a write, which shows what the write was for, is older than the write."""
        operation, sent_at = write.call.operation, write.call.first_sent_at
        looks = self._looks.get(operation, _LOOKS)
        if looks == 0:
            return False
        if looks < 0:
            if write.had_shown(customer.wire):
                return True
            if sent_at < self._recent_until and self._recent in (customer.wire or b""):
                if looks != _MOVES:
                    self._looks[operation] = _MOVES
                return False
        sent, modified = self._send_time(write), modified_at(customer)
        if sent is None or modified is None:
            return False
        if modified >= sent.earliest:
            self._looks[operation] = _MOVES
            minute = datetime.fromtimestamp(sent.earliest, UTC)
            self._recent = f'"modifiedTimestamp":"{minute:%Y-%m-%dT%H:%M:}'.encode()
            self._recent_until = sent_at + _LONG_BEFORE
            return False
        if looks > 0:
            self._looks[operation] = looks - 1
            return False
        stale = modified < sent.earliest - _LONG_BEFORE
        if stale:
            self._looks[operation] = looks + 1
        return stale
