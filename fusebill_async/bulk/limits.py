"""When a job stops by itself, and for how long it waits."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

import attrs

from fusebill_async.bulk.carrying import Carried
from fusebill_async.bulk.tallies import Tally
from fusebill_async.errors import (
    AuthenticationError,
    ClientStateError,
    ConfigurationError,
    PermissionDeniedError,
    QuotaExhaustedError,
    shown,
)

OnDayEnd: TypeAlias = Literal["wait", "stop"]

_ENDED_BEFORE_PERCENT = 100
"""A share of failures says nothing before so many items have ended."""
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
"""Seconds to wait for a service that cannot be reached."""
_FAILURES = frozenset({Tally.REJECTED, Tally.NOT_APPLIED, Tally.UNKNOWN})


@attrs.frozen(kw_only=True)
class Limits:
    """When a job stops.

    Attributes:
        max_failures: how many items may be rejected, not applied or unknown in one run; None is any number.
        max_failure_percent: the same as a part of those that have ended, above 0 and at most 100, once 100 have.
        patience: seconds for which the service may be out of reach, from 1.
        on_day_end: what to do when the day's quota is used up.
    """

    max_failures: int | None = None
    max_failure_percent: float | None = None
    patience: float = 600.0
    on_day_end: OnDayEnd = "wait"

    def __attrs_post_init__(self) -> None:
        count, percent = self.max_failures, self.max_failure_percent
        if count is not None and (type(count) is not int or count < 0):
            raise ConfigurationError(f"max_failures= must be a whole number from 0, or None, not {shown(count)}")
        if percent is not None and not (_is_number(percent) and 0 < percent <= 100):
            raise ConfigurationError(
                f"max_failure_percent= must be a number above 0 and at most 100, or None, not {shown(percent)}"
            )
        if not (_is_number(self.patience) and 1 <= self.patience <= 1e9):
            raise ConfigurationError(f"patience= must be a number of seconds, at least 1, not {shown(self.patience)}")
        if self.on_day_end not in ("wait", "stop"):
            raise ConfigurationError(f'on_day_end= must be "wait" or "stop", not {shown(self.on_day_end)}')


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


@attrs.define
class Judge:
    """Looks at how items end, and says whether the job goes on.

    Attributes:
        stopped: why it does not, in words; "" as long as it does.
        not_before: when the next item may be sent, by the session's clock.
        waits_for: why it was not sent before, in words.
    """

    _limits: Limits
    _reached_at: float
    stopped: str = ""
    not_before: float = 0.0
    waits_for: str = ""
    _ended: int = 0
    _failed: int = 0
    _misses: int = 0

    def look_at(self, carried: Carried, now: float, wall: float) -> None:
        """Note how an item has ended.

        Args:
            carried: how.
            now: by the session's clock.
            wall: the same moment in epoch seconds.
        """
        error = carried.error
        if carried.tally is not Tally.UNPROCESSED:
            self._reached_at, self._misses = now, 0
            self._ended += 1
            self._failed += carried.tally in _FAILURES
            self._check_failures()
        elif isinstance(error, (AuthenticationError, PermissionDeniedError)):
            self.stop(f"the service refuses the API key: {error}")
        elif isinstance(error, ClientStateError):
            self.stop(str(error))
        elif isinstance(error, QuotaExhaustedError) and error.opens_at is not None:
            self._wait_for_quota(error.opens_at, now, wall)
        elif error is not None:
            self._wait_for_service(error, now)

    def stop(self, reason: str) -> None:
        """Send no more. The first reason counts."""
        self.stopped = self.stopped or reason

    def _check_failures(self) -> None:
        limits = self._limits
        if limits.max_failures is not None and self._failed > limits.max_failures:
            self.stop(f"{self._failed} items failed: max_failures={limits.max_failures}")
        percent = limits.max_failure_percent
        if percent is not None and self._ended >= _ENDED_BEFORE_PERCENT and 100 * self._failed > percent * self._ended:
            self.stop(f"{self._failed} of {self._ended} items failed: max_failure_percent={percent:g}")

    def _wait_for_quota(self, opens_at: datetime, now: float, wall: float) -> None:
        if self._limits.on_day_end == "stop":
            self.stop(f"the quota is used up until {opens_at:%Y-%m-%d %H:%M:%S} UTC")
        self.waits_for = f"the quota is used up until {opens_at:%Y-%m-%d %H:%M:%S} UTC"
        # Where it has opened already, the next call finds out.
        self.not_before = max(self.not_before, now + max(1.0, opens_at.timestamp() - wall))

    def _wait_for_service(self, error: Exception, now: float) -> None:
        if now - self._reached_at > self._limits.patience:
            self.stop(f"the service was out of reach for {self._limits.patience:g} s: {error}")
        if now >= self.not_before:
            self.waits_for = f"the service is out of reach: {error}"
            # Those that were under way when the pause began tell nothing new.
            self.not_before = now + min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**self._misses)
            self._misses += 1
