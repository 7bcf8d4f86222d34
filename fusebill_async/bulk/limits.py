"""When a job stops by itself, and for how long it waits."""

from __future__ import annotations

from datetime import UTC, datetime
from math import inf
from typing import Literal, TypeAlias

import attrs

from fusebill_async.bulk.carrying import Carried
from fusebill_async.bulk.tallies import Tally
from fusebill_async.bulk.window import Window
from fusebill_async.errors import (
    AuthenticationError,
    ClientStateError,
    ConfigurationError,
    PermissionDeniedError,
    QuotaExhaustedError,
    shown,
)
from fusebill_async.session.gate import HeldBackError

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
        window: the hours in which the job may send; None is any hour.
    """

    max_failures: int | None = None
    max_failure_percent: float | None = None
    patience: float = 600.0
    on_day_end: OnDayEnd = "wait"
    window: Window | None = None

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


@attrs.frozen
class Hold:
    """Why a job sends nothing now.

    Attributes:
        kind: "paused" by somebody, "parked" until the quota or the window opens, or "away", as the service is.
        reason: in words.
        until: when it goes on by itself, in epoch seconds; None if that is not known.
    """

    kind: Literal["paused", "parked", "away"]
    reason: str
    until: float | None = None

    @property
    def closes(self) -> bool:
        """Whether calls that wait for a slot are held back, too."""
        return self.kind != "away"

    def __str__(self) -> str:
        until = "" if self.until is None else f" until {datetime.fromtimestamp(self.until, UTC):%Y-%m-%d %H:%M:%S} UTC"
        return self.reason + until


@attrs.define
class Judge:
    """Looks at how items end, and at the clock, and says whether the job goes on.

    Attributes:
        stopped: why it does not, in words; "" as long as it does.
        paused_by: who has paused it, "" if nobody has.
        not_before: when the next item may be sent after a failure, by the session's clock.
        parked_until: when the next item may be sent, in epoch seconds: the day's quota opens, or the window does.
    """

    _limits: Limits
    _reached_at: float
    stopped: str = ""
    paused_by: str = ""
    not_before: float = 0.0
    parked_until: float = 0.0
    _parked_for: str = ""
    _away_for: str = ""
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
            self._wait_for_quota(error.opens_at, wall)
        elif error is not None and not isinstance(error, HeldBackError):
            self._wait_for_service(error, now)

    def stop(self, reason: str) -> None:
        """Send no more. The first reason counts."""
        self.stopped = self.stopped or reason

    def look_at_clock(self, wall: float) -> None:
        """Park the job while its window is closed.

        Args:
            wall: the present time in epoch seconds.
        """
        window = self._limits.window
        if window is not None and not window.holds(wall):
            self._park(window.turns_at(wall), f"its window {window} is closed")

    def seconds_to_turn(self, wall: float, longest: float) -> float:
        """Seconds until the window opens or closes, but not more than `longest`."""
        window = self._limits.window
        return longest if window is None else min(longest, max(0.001, window.turns_at(wall) - wall))

    def hold(self, wall: float) -> Hold | None:
        """Why nothing is sent at this time (epoch seconds); None if it is."""
        if self.paused_by:
            return Hold("paused", f"paused by {self.paused_by}")
        if self.parked_until > wall:
            return Hold("parked", self._parked_for, self.parked_until)
        return Hold("away", self._away_for) if self._misses else None

    def seconds_to_wait(self, now: float, wall: float) -> float:
        """Seconds until the next item may be sent; infinite if that is not known.

        Args:
            now: by the session's clock.
            wall: the same moment in epoch seconds.
        """
        return inf if self.paused_by else max(0.0, self.not_before - now, self.parked_until - wall)

    def _park(self, until: float, reason: str) -> None:
        """Send nothing before a time (epoch seconds)."""
        if until > self.parked_until:
            self.parked_until, self._parked_for = until, reason

    def _check_failures(self) -> None:
        limits = self._limits
        if limits.max_failures is not None and self._failed > limits.max_failures:
            self.stop(f"{self._failed} items failed: max_failures={limits.max_failures}")
        percent = limits.max_failure_percent
        if percent is not None and self._ended >= _ENDED_BEFORE_PERCENT and 100 * self._failed > percent * self._ended:
            self.stop(f"{self._failed} of {self._ended} items failed: max_failure_percent={percent:g}")

    def _wait_for_quota(self, opens_at: datetime, wall: float) -> None:
        if self._limits.on_day_end == "stop":
            self.stop(f"the quota is used up until {opens_at:%Y-%m-%d %H:%M:%S} UTC")
        # Where it has opened already, the next call finds out.
        self._park(max(opens_at.timestamp(), wall + 1.0), "the quota is used up")

    def _wait_for_service(self, error: Exception, now: float) -> None:
        if now - self._reached_at > self._limits.patience:
            self.stop(f"the service was out of reach for {self._limits.patience:g} s: {error}")
        if now >= self.not_before:
            self._away_for = f"the service is out of reach: {error}"
            # Those that were under way when the pause began tell nothing new.
            self.not_before = now + min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**self._misses)
            self._misses += 1
