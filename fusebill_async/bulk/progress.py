"""How a job goes on, as one plain line now and then on standard error."""

from __future__ import annotations

import sys
from collections import Counter
from datetime import timedelta

import attrs

from fusebill_async.bulk.report import BulkItem
from fusebill_async.bulk.tallies import Tally

_EVERY = 10.0
"""Seconds between two lines."""


@attrs.define
class ProgressLines:
    """Prints how a job goes on.

    Attributes:
        operation: its title.
        total: items to do.
        began: when, in seconds of the clock that `note` gets.
    """

    operation: str
    total: int
    began: float
    _counts: Counter[Tally] = attrs.field(factory=Counter[Tally], init=False)
    _done: int = attrs.field(default=0, init=False)
    _told_at: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._told_at = self.began

    def note(self, item: BulkItem, now: float) -> None:
        """An item has ended."""
        self._done += 1
        self._counts[item.tally] += 1
        if now - self._told_at >= _EVERY or self._done == self.total:
            self._told_at = now
            print(self._line(now - self.began), file=sys.stderr, flush=True)  # noqa: T201 (it was asked for)

    def _line(self, seconds: float) -> str:
        rate = self._done / max(seconds, 0.001)
        left = timedelta(seconds=round((self.total - self._done) / rate))
        told = ", ".join(f"{tally.value.replace('_', ' ')} {count:,}" for tally, count in self._counts.items())
        return f"{self.operation}: {self._done:,} of {self.total:,}; {rate:.1f} a second, {left} left; {told}"
