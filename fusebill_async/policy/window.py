"""One fixed window of the service's quota, and what other programs of the account take of it."""

from __future__ import annotations

from math import inf, sqrt

from fusebill_async.policy.clock import ServiceClock

_MARK_WAITS = 10.0
"""Seconds; a call that takes longer is not waited for in the reckoning of what others take."""


class FixedWindow:
    """A window that ends when its reset header says so.

    Which window a call was counted in is told by the reset header of its answer alone; until then a call
    under way counts in the present window. All times are local seconds, except `reset`, in seconds since
    1970.

    Attributes:
        limit: calls in a window, of the whole account.
        reset: the service's time at which it ends; None while no answer has come from it.
        counted: our own calls known, or feared, to be counted in it.
        used: the most that the service has said is used of it, by whomever.
        length: seconds from one reset to the next as far as seen; None before two were seen.
    """

    __slots__ = ("_clock", "_last_reset", "_tolerance", "began", "counted", "length", "limit", "longest",
    "reset",
                 "used", "whole")  # fmt: skip

    def __init__(self, limit: int, longest: float, clock: ServiceClock) -> None:
        self._clock = clock
        self._last_reset: float | None = None
        self._tolerance = 0.5
        self.limit = limit
        self.longest = longest
        self.length: float | None = None
        self.reset: float | None = None
        self.counted = 0
        self.used = 0
        self.began: float | None = None
        self.whole = False
        """Whether it was watched from its beginning, so that everything used of it was used since `began`."""

    @property
    def last_reset(self) -> float | None:
        """The service's time at which the latest known window ends or ended."""
        return self._last_reset if self.reset is None else self.reset

    @property
    def ended(self) -> float | None:
        """The service's time at which the window before this one ended."""
        return self._last_reset

    def over(self, ended: float) -> bool:
        """Whether somebody who knows that a window ended at `ended` knows of a later window than this one."""
        mine = self.reset if self.reset is not None else self._last_reset
        if mine is None:
            return False
        if self.reset is None:
            return ended > mine + self._tolerance
        return ended >= mine - self._tolerance

    def start(self, now: float) -> None:
        """Note the first use: from here on a window without a known end may last `longest` at most."""
        if self.began is None:
            self.began = now

    def turn(self) -> float:
        """The local time from which a call is sure to be counted in a later window."""
        began = inf if self.began is None else self.began
        if self.reset is not None:
            local = self._clock.local(self.reset)
            # An answer without a `Date` leaves the reset unplaced; a window still ends after its length.
            return local[1] if local is not None else began + (self.length or self.longest)
        return began + (self.length or self.longest)

    def end(self) -> float:
        """About when it ends, in local time, for pacing only."""
        if self.reset is not None:
            local = self._clock.local(self.reset)
            if local is not None:
                return (local[0] + local[1]) / 2
        elif self._last_reset is not None and self.length is not None and self.began is not None:
            local = self._clock.local(self._last_reset)
            if local is not None:
                passed = max(0, int((self.began - local[0]) / self.length))
                return local[0] + (passed + 1) * self.length
        return self.turn()

    def roll(self, now: float, *, whole: bool) -> None:
        """Begin the next window. Calls under way are the caller's to count against it."""
        if self.reset is not None:
            self._last_reset = self.reset
        self.reset = None
        self.counted = 0
        self.used = 0
        self.began = now
        self.whole = whole

    def place(self, reset: float) -> int:
        """Where a reset header puts its call: -1 in an earlier window, 0 in this one, 1 in a later one."""
        known = self.reset
        if known is None:
            last = self._last_reset
            return -1 if last is not None and reset <= last + self._tolerance else 0
        if reset == known:
            return 0
        if reset < known - self._tolerance:
            return -1
        return 1 if reset > known + self._tolerance else 0

    def settle(self, reset: float) -> None:
        """The end of this window is known."""
        last = self._last_reset
        self.reset = reset
        if last is not None:
            distance = reset - last
            if self.length is None or distance < self.length:
                self.length = min(distance, self.longest)
                # A reset header that is computed anew for each answer may shake a little.
                self._tolerance = max(0.5, self.length / 20)


class Neighbours:
    """How much other programs take of the present window, and how fast.

    Answers come in another order than their calls were counted, so `used` minus our answered calls mistakes
    our own calls under way for somebody else's. One answer at a time is therefore marked, and only when
    every call that was under way at that moment has been answered is it known exactly how many of ours were
    counted before it; the rest were not ours. Answers carry their place in the count (limit minus
    remaining), so none is mistaken.
    """

    __slots__ = ("_at", "_base", "_base_at", "_mark", "_mark_early", "_mark_late", "_mark_rank",
                 "_mark_waits", "_prior", "_sent", "_top",
                 "taken")  # fmt: skip

    def __init__(self) -> None:
        self._prior = 0.0
        self.taken = 0
        self._top = 0
        self._base: int | None = None
        self._base_at = 0.0
        self._at = 0.0
        self._sent = -inf
        self._mark: int | None = None
        self._mark_rank = 0
        self._mark_waits = 0
        self._mark_early = 0.0
        self._mark_late = 0.0

    def roll(self, now: float, length: float, limit: int, *, whole: bool) -> None:
        """A new window began: nothing of it is taken yet, and last window's rate is a first guess.

        A guess must not keep us out of a whole window, or nothing would ever correct it: it takes half of the
        limit at most, and fades from window to window in which nothing was learnt.
        """
        learnt = self._base is not None and self._at > self._base_at
        self._prior = min(self.rate(length), limit / length / 2) if learnt else self._prior / 2
        self.taken = 0
        self._top = 0
        self._base = 0 if whole else None
        self._base_at = self._at = now
        self._sent = now
        self._mark = None

    def answered(self, place: int, own: int, under_way: int, sent: float, received: float) -> None:
        """Learn from an answer of the present window.

        Args:
            place: how many calls of the account were counted up to it.
            own: our calls answered from this window, this one included.
            under_way: our calls without an answer yet.
            sent: local time at which its request was sent.
            received: local time at which it came.
        """
        if self._mark is None:
            self._sent = max(self._sent, sent)
            if place < self._top:
                return
            self._top = place
            self._mark, self._mark_rank, self._mark_waits = place, own, under_way
            self._mark_early, self._mark_late = self._sent, received
            if under_way == 0:
                self._close()
            return
        if place < self._mark:
            self._mark_rank += 1
        elif place > self._top:
            self._top = place
        self.passed(sent, received)

    def passed(self, sent: float, received: float, *, in_doubt: bool = False) -> None:
        """A call is no longer under way; one `in_doubt` was lost, and is taken for counted."""
        self._sent = max(self._sent, sent)
        if self._mark is not None and sent <= self._mark_late:
            self._mark_waits -= 1
            if in_doubt:
                self._mark_rank += 1
            if self._mark_waits <= 0:
                self._close()
        # A call that hangs must not blind us: those still missing are taken for counted.
        if self._mark is not None and received - self._mark_late > _MARK_WAITS:
            self._mark_rank += self._mark_waits
            self._close()

    def _close(self) -> None:
        mark, self._mark = self._mark, None
        if mark is None:
            return
        taken = max(mark - self._mark_rank, 0)
        at = self._mark_early
        if self._base is None:
            self._base, self._base_at = taken, at
        self.taken = max(self.taken, taken)
        self._at = max(self._at, at)

    def rate(self, length: float, now: float = -inf) -> float:
        """Calls per second that the others make.

        Args:
            length: of the window in seconds; last window's rate counts like a twentieth of it.
            now: local time. When nothing was learnt for a tenth of the window, the others are taken to be silent
                since; else a burst of theirs, taken for a rate, could keep us from ever learning better.
        """
        weight = length / 20
        if self._base is None:
            return self._prior
        seen = max(self._at - self._base_at, now - length / 10 - self._base_at, 0.0)
        return (self.taken - self._base + self._prior * weight) / (seen + weight)

    def by(self, when: float, length: float, at_least: int, now: float) -> tuple[float, float]:
        """What the others will have taken by `when`, and how much more it may well be.

        Args:
            when: local time.
            length: of the window in seconds.
            at_least: what they are known to have taken by now.
            now: local time.
        """
        rate = self.rate(length, now)
        expected = self.taken + rate * max(0.0, when - self._at)
        floor = at_least + rate * max(0.0, when - now)
        expected = max(expected, floor)
        if rate * length < 1.0 and expected < 1.0:
            return expected, 0.0
        coming = rate * max(0.0, when - self._at)
        return expected, 1.0 + sqrt(coming)
