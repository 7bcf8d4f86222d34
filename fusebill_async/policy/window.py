"""One fixed window of the quota, and the limiter's clock, by which windows turn.

The service's answers say when a window has turned: their reset header names the window that counted the call. No
other clock is asked once a turn has been seen; `Date` comes from a web server, and serves for a first guess only.
All times are local seconds, but `reset` and what is called `epoch`: those are seconds since 1970 by the limiter.
"""

from __future__ import annotations

from math import inf

import attrs

from fusebill_async.policy.clock import ServiceClock

_DRIFT = 2e-4
"""How fast two honest clocks may part, in seconds for each second."""

_CLOSE = 1.0
"""Two resets this near to each other, in seconds, name the same window: some are computed anew for each answer."""

_APART = 300.0
"""Seconds by which `Date` and the limiter's clock may differ. A reset further off means something else, or is given
in another time zone."""


class LimiterClock:
    """Tells when the limiter's clock shows a time.

    Args:
        dates: the clock of the `Date` headers, asked until the first turn of a window was seen.
    """

    def __init__(self, dates: ServiceClock) -> None:
        self._dates = dates
        self._lag: float | None = None
        self._at = 0.0

    def passed(self, epoch: float, received: float) -> None:
        """An answer that came at `received` proves that the limiter's clock had reached `epoch` by then."""
        lag = received - epoch
        if self._lag is not None:
            lag = min(lag, self._lag + _DRIFT * max(0.0, received - self._at))
        self._lag, self._at = lag, received

    def not_reached(self, epoch: float, sent: float) -> bool:
        """A call that was sent at `sent` proves that the clock had not reached `epoch` by then; True if that is new."""
        if self._lag is not None and self._lag > sent - epoch:
            return False
        if self._lag is not None:
            # It was set back: the next turn tells anew, and until then it is at least this late.
            self._lag, self._at = sent - epoch, -inf
        return True

    def forget(self) -> None:
        """It was set back."""
        self._lag = None

    def local(self, epoch: float) -> float | None:
        """The local time by which the limiter's clock shows `epoch`; None if no answer has told anything of it."""
        if self._lag is not None:
            return epoch + self._lag
        bounds = self._dates.local(epoch)
        return None if bounds is None else bounds[1]


@attrs.define(eq=False)
class FixedWindow:
    """What is known of the present window.

    Attributes:
        limit: calls in a window, of the whole account.
        longest: seconds that a window may last, as its name says.
        clock: of the limiter.
        length: seconds from one reset to the next, as last seen.
        reset: the limiter's time at which it ends; None if answers do not say.
        began: the local time at which the first answer told of it; None before any answer.
        ends: the local time by which it is over; long past before anything is known of it.
        used: the most that is known, or feared, to be used of it, by whomever.
        own: how many of these calls are ours.
        unreported: how many of `own` the processes that we share a budget with do not know of.
        told: whether an answer has told the limit.
        passed: the thresholds of this window that were told to the user.
    """

    limit: int
    longest: float
    clock: LimiterClock
    length: float = attrs.field(default=attrs.Factory(lambda self: self.longest, takes_self=True))
    reset: float | None = None
    began: float | None = None
    ends: float = -inf
    used: int = 0
    own: int = 0
    unreported: int = 0
    told: bool = False
    passed: set[float] = attrs.field(factory=set)

    def place(self, reset: float | None, sent: float, received: float) -> bool:
        """Find the window that counted a call, and begin it if it is a new one.

        Args:
            reset: what the answer says, None if it does not.
            sent: when the call was sent.
            received: when the answer came.

        Returns:
            False if that window is over, so that the answer says nothing of the present one.
        """
        known = self.reset
        apart = None if reset is None or known is None else reset - known
        if apart is not None and -_CLOSE <= apart <= _CLOSE:
            if self.clock.not_reached(known or 0.0, sent):
                self._find_end(self.began or 0.0)
        elif self.began is None or (apart is not None and apart > 0) or sent >= self.ends:
            # After its end a call counts in a later window, even if the limiter's clock was set back meanwhile.
            self._turn(reset, received)
        elif apart is not None:
            if sent >= self.began:
                # Sent after the present window was known, yet counted in an earlier one: servers whose clocks
                # differ. It is taken for counted here too.
                self.count(sent, received)
            return False
        elif known is None and reset is not None:
            self.reset = reset
            self._find_end(self.began)
        return True

    def _turn(self, reset: float | None, received: float) -> None:
        apart = 0.0 if reset is None or self.reset is None else reset - self.reset
        if apart < 0:
            self.clock.forget()
        elif reset is not None and apart > 0:
            if apart <= self.longest + _CLOSE:
                self.length = min(apart, self.longest)
            self.clock.passed(reset - self.length, received)
        self.reset, self.began = reset, received
        self.used = self.own = self.unreported = 0
        self.passed.clear()
        self._find_end(received)

    def _find_end(self, began: float) -> None:
        latest = began + self.length
        reset = None if self.reset is None else self.clock.local(self.reset)
        self.ends = latest if reset is None else min(reset, latest)

    def count(self, sent: float, received: float) -> None:
        """A call of ours is taken for counted, and no answer says in which window, or how many are used."""
        if self.began is None or (self.reset is None and sent >= self.ends):
            self._turn(None, received)
        self.used += 1
        self._count_ours()

    def left(self, share: float) -> float:
        """What is left of it, or of our share if that is less."""
        return min(self.limit - self.used, max(1.0, share * self.limit) - self.own)

    def tell(self, limit: int, used: int) -> None:
        """Somebody says how much of it is used."""
        self.limit, self.told = limit, True
        self.used = max(self.used, used)

    def count_told(self, limit: int, used: int) -> None:
        """A call of ours is counted in it, and its answer says how much is used."""
        self.tell(limit, used)
        self._count_ours()

    def _count_ours(self) -> None:
        self.own += 1
        self.unreported += 1


def plausible(reset: float | None, date: float | None, longest: float) -> float | None:
    """The reset of an answer, or if it cannot be meant, the next full window after the answer's `Date`.

    Args:
        reset: seconds since 1970; None if it was missing or garbled.
        date: the same.
        longest: seconds that the window may last.
    """
    if date is None or (reset is not None and -_APART <= reset - date <= longest + _APART):
        return reset
    return (date // longest + 1.0) * longest
