"""The arithmetic of the quota: how many calls may go now, and when the next may. No HTTP, no waiting.

What is left of a window is what the answers say remains, less our calls under way, since nobody knows which of
those are counted already. The minute is paced; the day is spent as fast as the minutes allow, less a reserve for
settling. With nothing left, one call goes when the window should be over, and its answer opens the next one.
"""

from __future__ import annotations

from datetime import UTC, datetime
from math import floor, inf

import attrs

from fusebill_async.outcome import QuotaSeen, Window
from fusebill_async.policy.clock import ServiceClock
from fusebill_async.policy.shared import QuotaGrant, QuotaReport, WindowFacts
from fusebill_async.policy.window import FixedWindow
from fusebill_async.settings import Priority, QuotaPolicy

_PROBE = 10.0
"""Seconds at most after which another call goes to see whether a window has turned, if the first is not answered."""

_SLOWEST = 0.1
"""The largest part of a window that is left for slow answers to come in."""


@attrs.frozen(kw_only=True)
class QuotaView:
    """What `client.quota` shows.

    Attributes:
        minute: the present minute as the headers last said, None before the first answer.
        day: the same for the day.
        used_minute: the most that the account has used of this minute as far as we know, our calls under way
            included.
        used_day: the same for the day.
        under_way: our calls that wait for an answer.
        waiting: how many calls wait, by priority.
        paused_for: seconds until calls may go again after a 429; 0 when not paused.
        shared: whether a store shares the quota with other processes at this moment.
    """

    minute: Window | None
    day: Window | None
    used_minute: int
    used_day: int
    under_way: int
    waiting: dict[Priority, int]
    paused_for: float
    shared: bool = False


class Quota:
    """What one process may send. Local times are seconds of one monotonic clock, handed in.

    Args:
        policy: how the quota is used.
        dates: the clock of the `Date` headers; the caller lets it observe each answer before `answered`.

    Attributes:
        paced: whether calls are held back: not if the policy is off, or the service tells no quota.
        under_way: requests that were sent and wait for an answer; who sends one adds it.
    """

    def __init__(self, policy: QuotaPolicy, dates: ServiceClock) -> None:
        limiter, assumed = ServiceClock(), QuotaPolicy()
        self._policy = policy
        self._limits_named = (policy.per_minute, policy.per_day) != (assumed.per_minute, assumed.per_day)
        self._dates = dates
        self._minute = FixedWindow("minute", policy.per_minute, 60.0, limiter, dates)
        self._day = FixedWindow("day", policy.per_day, 86_400.0, limiter, dates)
        self._thresholds = sorted(policy.thresholds)
        self._share = policy.share
        self.paced = policy.enabled
        self.under_way = 0
        self._held = 0  # taken and not answered
        self._slowest = 0.0  # the slowest answers lately, in seconds
        self._tokens, self._tokens_at = 0.0, -inf
        self._probing = False  # whether the last look said that one call may go to see, and no more
        self._probe_again = -inf
        self._paused_until = self._refused_at = -inf
        self._refusals = 0  # refusals in a row, each of a call that was sent after the one before
        self._shared = False
        self._granted = self._elsewhere = 0
        self._processes = 1

    # -- taking ----------------------------------------------------------------------------------------------

    def take(self, now: float, requests: int = 1, priority: Priority = Priority.INTERACTIVE) -> bool:
        """Take quota for so many requests; False if they may not go now. Only settling may use the day's reserve."""
        if self.delay(now, requests, priority) > 0:
            return False
        self._held += requests
        if not self.paced:
            return True
        if self._shared:
            self._granted = max(0, self._granted - requests)
        elif self._probing:
            self._note_probe(now)
        else:
            self._tokens -= requests
        return True

    def delay(self, now: float, requests: int = 1, priority: Priority = Priority.INTERACTIVE) -> float:
        """Seconds until they may go, 0 if they may now; an answer in between may let them go sooner."""
        if now < self._paused_until:
            return self._paused_until - now
        if not self.paced:
            return 0.0
        if self._shared:
            if self._granted >= self._need(requests):
                return 0.0
            # The budget is asked for nothing while the day is used up, so no answer of it wakes who waits.
            return self._day.ends - now if self.out_of_day(now, priority) else inf
        return self._own_delay(now, requests, priority)

    def _own_delay(self, now: float, requests: int, priority: Priority) -> float:
        """The same by what this process knows itself."""
        minute, day, share = self._minute, self._day, self._share
        need, reserve = self._need(requests), self._reserve(priority)
        held = self._held + self._granted + self._elsewhere
        used_up = None
        if day.left(share) - held - reserve < need:
            used_up = day
        elif minute.left(share) - held < need:
            used_up = minute
        self._probing = used_up is not None or self._refusals > 0
        if used_up is not None and now < used_up.ends:
            return used_up.ends - now
        if self._probing:
            return max(0.0, self._probe_again - now)
        if self._tokens >= requests and now < minute.ends:
            return 0.0
        rate, burst = self._refill(now, held)
        missing = min(requests, burst) - self._tokens
        return 0.0 if missing <= 1e-9 else missing / rate

    def _refill(self, now: float, held: int) -> tuple[float, float]:
        """Add the tokens since the last time. Returns how many calls may go a second, and how many at once."""
        minute, mine = self._minute, self._share * self._minute.limit
        burst = max(1.0, self._policy.burst * mine)
        # Wherever a window begins, no more than its limit go within its length.
        rate = max(mine / 10, mine - burst) / minute.length
        if now >= minute.ends or not minute.told:
            # Nobody knows yet what is left of the window that runs now: few go, and their answers tell.
            burst = max(1.0, burst / 5)
        else:
            time_left = minute.ends - now - min(self._slowest, minute.length * _SLOWEST)
            fitting = max(1.0, minute.left(self._share) - held) / max(time_left, minute.length / 50)
            rate = fitting if minute.reset is not None else min(rate, fitting)
        rate /= self._processes
        self._tokens = min(burst, self._tokens + rate * max(0.0, now - self._tokens_at))
        self._tokens_at = max(now, self._tokens_at)
        return rate, burst

    def _need(self, requests: int) -> int:
        """How much must be left. Requests for more than a whole window go when the window is untouched."""
        return min(requests, max(1, int(self._share * min(self._minute.limit, self._day.limit))))

    def _reserve(self, priority: Priority) -> float:
        return 0.0 if priority is Priority.SETTLING else self._policy.day_reserve * self._share * self._day.limit

    def _note_probe(self, now: float) -> None:
        self._probe_again = now + min(_PROBE, self._minute.length / 4)

    def give_back(self, requests: int) -> None:
        """What was taken was never sent."""
        self._held -= requests
        self._tokens += requests
        self._probe_again = -inf

    def take_one_more(self) -> None:
        """A request goes out for which none was taken. It is counted, even if none is left."""
        self._held += 1
        self._tokens -= 1

    # -- learning --------------------------------------------------------------------------------------------

    def lost(self, now: float) -> None:
        """A request was sent and will not be answered; it is taken for counted."""
        self._held -= 1
        self.under_way -= 1
        self._minute.count(now, now)
        self._day.count(now, now)

    def answered(self, status: int, seen: QuotaSeen, sent: float, received: float) -> list[tuple[str, float]]:
        """Learn from an answer. A 429 has to be told to `refused` too.

        Args:
            status: of the answer.
            seen: its quota headers.
            sent: local time at which its request was sent.
            received: local time at which it came.

        Returns:
            The thresholds that were passed: the window's name, and the part of it.
        """
        self._held -= 1
        self.under_way -= 1
        self._slowest = max(received - sent, self._slowest * 0.996)
        passed: list[tuple[str, float]] = []
        end_of_minute = self._minute.ends
        for window, told in ((self._minute, seen.minute), (self._day, seen.day)):
            if told is None:
                window.count(sent, received)
            elif window.learn(told, seen.date, sent, received):
                for part in self._thresholds[window.thresholds_told :]:
                    if told.limit - told.remaining < part * told.limit - 1e-9:
                        break
                    window.thresholds_told += 1
                    passed.append((window.name, part))
        if self._minute.ends != end_of_minute:
            self._day.find_end()  # the turn has told more of the limiter's clock
        if seen.minute or seen.day:
            self.paced = self._policy.enabled
        elif 200 <= status < 300 and not (self._minute.told or self._day.told or self._limits_named):
            # The service tells its quota in every good answer. What does not is a stand-in, and the limits that
            # were assumed are not its own.
            self.paced = False
        if status != 429 and sent > self._refused_at:
            self._refusals = 0
        return passed

    def refused(self, sent: float, received: float, retry_after: float | None, chance: float) -> None:
        """Pause after a 429, for a second at least, or until the window ends that is used up; then one call goes.

        Args:
            sent: local time at which the request was sent.
            received: local time at which the 429 came.
            retry_after: seconds for which it asks to wait, None if it does not say.
            chance: 0 to 1, spreads processes that know nothing of each other.
        """
        if sent > self._refused_at or not self._refusals:
            self._refusals += 1
            self._refused_at = received
        # While refusals go on coming each pause is twice the last, up to the length of a minute.
        length = self._minute.length
        until = received + min(2.0 ** min(self._refusals - 1, 10), max(1.0, length))
        if retry_after is not None:
            until = max(until, received + retry_after)
        else:
            told = [window for window in (self._minute, self._day) if window.told]
            until = max([until, *(window.ends for window in told if window.used >= window.limit)])
        until += chance * min(1.0, length / 50)
        if until > self._paused_until:
            self._paused_until = self._tokens_at = until
            self._tokens = 0.0  # those that wait are spread over the window behind the pause
        self._probe_again = -inf
        self._granted = 0

    # -- asking ----------------------------------------------------------------------------------------------

    def out_of_day(self, now: float, priority: Priority) -> bool:
        """Whether the day has nothing left for this priority, whatever becomes of the calls under way."""
        left = self._day.left(self._share) - self._reserve(priority)
        return self.paced and left < 1 and now < self._day.ends

    def opens_at(self, now: float, *, day: bool) -> datetime | None:
        """The service's time at which the window opens; None if it has not said."""
        window = self._day if day else self._minute
        opens = window.reset if now < window.ends else None
        if now < self._paused_until:
            bounds = self._dates.service_time(self._paused_until)
            opens = None if bounds is None else bounds[1]
        return None if opens is None else datetime.fromtimestamp(opens, UTC)

    def is_paused(self, now: float) -> bool:
        """Whether nothing may go after a 429."""
        return now < self._paused_until

    def view(self, now: float, waiting: dict[Priority, int]) -> QuotaView:
        """What a user sees."""
        minute, day = self._minute, self._day
        return QuotaView(
            minute=minute.view(now),
            day=day.view(now),
            used_minute=self._held + (minute.used if now < minute.ends else 0),
            used_day=self._held + (day.used if now < day.ends else 0),
            under_way=self.under_way,
            waiting=waiting,
            paused_for=max(0.0, self._paused_until - now),
            shared=self._shared,
        )

    # -- sharing ---------------------------------------------------------------------------------------------

    def use_shared(self) -> None:
        """The shared budget is there: send nothing but what it grants."""
        if not self._shared:
            self._shared, self._share, self._granted = True, self._policy.share, 0

    def use_local(self, share: float) -> None:
        """The shared budget is away: keep to this part of the account's quota."""
        self._shared, self._share = False, share
        self._granted = self._elsewhere = 0
        self._processes = 1

    @property
    def holds(self) -> bool:
        """Whether anything is held that the shared budget should hear of."""
        return self._held + self._granted > 0

    @property
    def step(self) -> float:
        """Seconds after which to ask the shared budget again when it has granted nothing."""
        return min(0.25, max(0.02, self._minute.length / 40))

    def report(self, now: float, waiting: int, requests: int, priority: Priority) -> QuotaReport:
        """What to tell the shared budget: so many requests wait, and the next call is for `requests` of them."""
        self._granted = 0  # what was not used by now goes back
        want, probe = 0, False
        if waiting and now >= self._paused_until and self._own_delay(now, requests, priority) <= 0:
            want, probe = self._need(requests), self._probing
            if not probe:
                want = max(want, min(waiting, floor(self._tokens)))
        return QuotaReport(
            want=want,
            probe=probe,
            held=self._held,
            minute=_facts(self._minute, now),
            day=_facts(self._day, now),
            length=self._minute.length,
            day_reserve=int(self._reserve(priority)),
            pause=max(0.0, self._paused_until - now),
        )

    def grant(self, grant: QuotaGrant, report: QuotaReport, asked: float, now: float) -> None:
        """Take in what the shared budget answered now to a report that was made when it was asked."""
        self.use_shared()
        windows = (self._minute, report.minute, grant.minute), (self._day, report.day, grant.day)
        for window, told, heard in windows:
            if window.reset is None or window.reset == told.reset:
                window.unreported = max(0, window.unreported - told.own)
            if heard.limit and window.place(heard.reset or None, -inf, now - heard.age):
                window.limit, window.told = heard.limit, True
                window.used = max(window.used, heard.used)
        self._elsewhere, self._processes = grant.elsewhere, max(1, grant.processes)
        if grant.pause > 0:
            self._paused_until = max(self._paused_until, asked + grant.pause)
        if report.probe and report.want:
            self._note_probe(now)
        else:
            self._tokens -= grant.granted
        self._granted = grant.granted


def _facts(window: FixedWindow, now: float) -> WindowFacts:
    return WindowFacts(
        reset=window.reset or 0.0,
        limit=window.limit if window.told else 0,
        used=window.used if now < window.ends else 0,
        own=window.unreported,
    )
