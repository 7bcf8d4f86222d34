"""One fixed window of the quota: how much of it is used, and when it ends.

An answer's reset header names the window that counted the call, so the answers themselves say when a window has
turned. `Date` comes from another clock, and serves for a first guess only. All times are local seconds, except
`reset`: seconds since 1970 by the limiter's clock.
"""

from __future__ import annotations

from datetime import UTC, datetime
from math import inf

import attrs

from fusebill_async.outcome import Window
from fusebill_async.policy.clock import ServiceClock

_CLOSE = 1.0
"""Two resets this near to each other, in seconds, name the same window: some are computed anew for each answer."""

_APART = 300.0
"""Seconds by which `Date` and the limiter's clock may differ. A reset further off means something else, or is given
in another time zone."""


@attrs.define(eq=False)
class FixedWindow:
    """What is known of the present window.

    Attributes:
        name: "minute" or "day".
        limit: calls in a window, of the whole account.
        longest: seconds that a window may last, as its name says.
        limiter: the clock by which windows turn; each turn makes it more exact.
        dates: the clock of the `Date` headers.
        length: seconds from one reset to the next, as last seen.
        header: the reset header that names it, as the last answer had it.
        reset: when it ends; None if answers do not say.
        began: when the first answer told of it.
        ends: by when it is over; long past before anything is known of it.
        used: the most that is known, or feared, to be used of it, by whomever.
        own: how many of these calls are ours.
        unreported: how many of `own` the processes that we share a budget with do not know of.
        told: whether an answer has told the limit.
        thresholds_told: how many thresholds of this window were told to the user.
    """

    name: str
    limit: int
    longest: float
    limiter: ServiceClock
    dates: ServiceClock
    length: float = attrs.field(default=attrs.Factory(lambda self: self.longest, takes_self=True))
    header: datetime | None = None
    reset: float | None = None
    began: float = -inf
    ends: float = -inf
    used: int = 0
    own: int = 0
    unreported: int = 0
    told: bool = False
    thresholds_told: int = 0

    def left(self, share: float) -> float:
        """What is left of it, or of our share if that is less."""
        return min(self.limit - self.used, max(1.0, share * self.limit) - self.own)

    def learn(self, told: Window, date: datetime | None, sent: float, received: float) -> bool:
        """Learn from an answer to a call of ours what it tells of the window that counted the call.

        Returns:
            False if that window is over, so that the answer says nothing of the present one.
        """
        if told.resets_at != self.header or sent >= self.ends:
            header = _plausible(told.resets_at, date, self.longest)
            if not self.place(None if header is None else header.timestamp(), sent, received):
                return False
            self.header = header
        self.limit, self.told = told.limit, True
        self.used = max(self.used, told.limit - told.remaining)
        self.own += 1
        self.unreported += 1
        return True

    def count(self, sent: float, received: float) -> None:
        """A call of ours is taken for counted, and no answer says in which window, or how many are used."""
        if self.reset is None and sent >= self.ends:
            self._turn(None, sent, received)
        self.used += 1
        self.own += 1
        self.unreported += 1

    def place(self, reset: float | None, sent: float, received: float) -> bool:
        """Find the window that counted a call by its reset, if the answer named one, and begin it if it is new.

        Returns:
            False if that window is over.
        """
        apart = None if reset is None or self.reset is None else reset - self.reset
        if reset is not None and apart is not None and -_CLOSE <= apart <= _CLOSE:
            if sent >= self.ends:
                self.limiter.narrow(-inf, reset - sent, received)  # it did not show `reset` yet
            self.find_end()
        elif sent >= self.ends or (apart is not None and apart > 0):
            # After its end a call counts in a later window, even if the limiter's clock was set back meanwhile.
            self._turn(reset, sent, received)
        elif apart is not None:
            if sent >= self.began:
                # Sent after the present window was known, yet counted in an earlier one: servers whose clocks
                # differ. It is taken for counted here too.
                self.count(sent, received)
            return False
        elif self.reset is None:
            self.reset = reset
            self.find_end()
        return True

    def find_end(self) -> None:
        """Reckon anew when it ends, by what is known of the clocks now."""
        end = inf
        if self.reset is not None:
            end = self.limiter.local(self.reset)
            if end == inf:
                end = self.dates.local(self.reset)
        self.ends = min(end, self.began + self.length)

    def view(self, now: float) -> Window | None:
        """What a user sees of it; None before the first answer."""
        if not self.told:
            return None
        if now >= self.ends:
            return Window(limit=self.limit, remaining=self.limit)
        resets_at = None if self.reset is None else datetime.fromtimestamp(self.reset, UTC)
        return Window(limit=self.limit, remaining=max(0, self.limit - self.used), resets_at=resets_at)

    def _turn(self, reset: float | None, sent: float, received: float) -> None:
        apart = 0.0 if reset is None or self.reset is None else reset - self.reset
        if 0 < apart <= self.longest + _CLOSE:
            self.length = min(apart, self.longest)
        if reset is not None:
            # A window that follows another began a length before its reset.
            low = reset - self.length - received if apart > 0 else -inf
            self.limiter.narrow(low, reset - sent, received)
        self.reset, self.began, self.header = reset, received, None
        self.used = self.own = self.unreported = self.thresholds_told = 0
        self.find_end()


def _plausible(reset: datetime | None, date: datetime | None, longest: float) -> datetime | None:
    """The reset of an answer, or if it cannot be meant, the next full window after the answer's `Date`."""
    if date is None or (reset is not None and -_APART <= (reset - date).total_seconds() <= longest + _APART):
        return reset
    return datetime.fromtimestamp((date.timestamp() // longest + 1.0) * longest, UTC)
