"""The arithmetic of the quota: how many calls may go now, and when the next may. No HTTP, no waiting.

What is left of a window is what the answers say remains, less our calls under way, since nobody knows which of
those are counted already. The minute is paced; the day is spent as fast as the minutes allow, less a reserve for
settling. With nothing left, one call goes when the window should be over, and its answer opens the next one.
"""

from __future__ import annotations

from datetime import UTC, datetime
from math import floor, inf

import attrs

from fusebill_async.outcome import QuotaReading, Window
from fusebill_async.policy.clock import ServiceClock
from fusebill_async.policy.shared import QuotaGrant, QuotaReport, WindowFacts
from fusebill_async.policy.window import FixedWindow, LimiterClock, plausible
from fusebill_async.settings import Priority, QuotaPolicy

MINUTE, DAY = 60.0, 86_400.0
"""The longest that a window may last, in seconds."""

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
    """

    def __init__(self, policy: QuotaPolicy, dates: ServiceClock) -> None:
        clock = LimiterClock(dates)
        self._dates = dates
        self._policy = policy
        self._minute = FixedWindow(policy.per_minute, MINUTE, clock)
        self._day = FixedWindow(policy.per_day, DAY, clock)
        self._share = policy.share
        self._thresholds = sorted(policy.thresholds)
        self.silent = False
        """Whether the service tells no quota, so that calls are not paced."""
        self._held = 0  # taken and not answered
        self._under_way = 0  # of these: sent
        self._slowest = 0.0  # the slowest answers lately, in seconds
        self._tokens: float | None = None
        self._tokens_at = 0.0
        self._probing = False  # whether the last look said that one call may go to see, and no more
        self._probe_again = -inf
        self._paused_until = self._refused_at = -inf
        self._refusals = 0  # refusals in a row, each of a call that was sent after the one before
        self._shared = False
        self._granted = 0
        self._elsewhere = 0
        self._processes = 1
        self.crossed: list[tuple[str, float]] = []
        """Thresholds that were passed and not yet told to anybody; the caller empties it."""

    # -- taking ----------------------------------------------------------------------------------------------

    def take(self, now: float, requests: int = 1, priority: Priority = Priority.INTERACTIVE) -> bool:
        """Take quota for so many requests; False if they may not go now.

        Args:
            now: local time.
            requests: at least 1.
            priority: only settling may use the reserve of the day.
        """
        if self.delay(now, requests, priority) > 0:
            return False
        if self._paced and self._shared:
            self._granted = max(0, self._granted - requests)
        elif self._probing:
            self._probe_again = now + min(_PROBE, self._minute.length / 4)
        elif self._tokens is not None:
            self._tokens -= requests
        self._held += requests
        return True

    def delay(self, now: float, requests: int = 1, priority: Priority = Priority.INTERACTIVE) -> float:
        """Seconds until they may go, 0 if they may now; an answer in between may let them go sooner."""
        if now < self._paused_until:
            return self._paused_until - now
        if not self._paced:
            return 0.0
        if not self._shared:
            return self._delay(now, requests, priority)
        # A call that needs more than the budget grants at once goes with what is granted.
        return 0.0 if self._granted >= self._need(requests, self._minute) else inf

    def _delay(self, now: float, requests: int, priority: Priority) -> float:
        window = self._exhausted(requests, priority)
        self._probing = window is not None or self._refusals > 0
        if window is not None and now < window.ends:
            return window.ends - now
        if self._probing:
            return max(0.0, self._probe_again - now)
        if self._tokens is not None and self._tokens >= requests and now < self._minute.ends:
            return 0.0
        rate, burst = self._pace(now)
        missing = min(requests, burst) - self._drip(now, rate, burst)
        return 0.0 if missing <= 1e-9 else missing / rate

    def give_back(self, requests: int) -> None:
        """What was taken was never sent."""
        self._held -= requests
        self._probe_again = -inf
        if self._tokens is not None:
            self._tokens += requests

    def take_one_more(self) -> None:
        """A request goes out for which none was taken. It is counted, even if none is left."""
        self._held += 1
        if self._tokens is not None:
            self._tokens -= 1

    def sent(self) -> None:
        """One request for which quota was taken is on its way."""
        self._under_way += 1

    @property
    def _paced(self) -> bool:
        return self._policy.enabled and not self.silent

    def _need(self, requests: int, window: FixedWindow) -> int:
        """What asks for more than a whole window goes when the window is untouched."""
        return 1 if requests == 1 else min(requests, max(1, int(self._share * window.limit)))

    def _exhausted(self, requests: int, priority: Priority) -> FixedWindow | None:
        """The window that has too little left, the day first."""
        day, minute = self._day, self._minute
        held = self._held + self._granted + self._elsewhere
        if day.left(self._share) - held - self._reserve(priority) < self._need(requests, day):
            return day
        return minute if minute.left(self._share) - held < self._need(requests, minute) else None

    def _reserve(self, priority: Priority) -> float:
        return 0.0 if priority is Priority.SETTLING else self._policy.day_reserve * self._share * self._day.limit

    def _pace(self, now: float) -> tuple[float, float]:
        """How many calls may go a second, and how many at once."""
        window = self._minute
        mine = self._share * window.limit
        burst = max(1.0, self._policy.burst * mine)
        safe = max(mine / 10, mine - burst) / window.length
        if now >= window.ends or not window.told:
            # Nobody knows yet what is left of the window that runs now: few go, and their answers tell.
            return safe / self._processes, max(1.0, burst / 5)
        lead = min(self._slowest, window.length * _SLOWEST)
        left = window.left(self._share) - self._held - self._granted - self._elsewhere
        rate = max(1.0, left) / max(window.ends - lead - now, window.length / 50)
        if window.reset is None:
            rate = min(rate, safe)
        return rate / self._processes, burst

    def _drip(self, now: float, rate: float, burst: float) -> float:
        tokens = burst if self._tokens is None else self._tokens + rate * max(0.0, now - self._tokens_at)
        self._tokens, self._tokens_at = min(burst, tokens), max(now, self._tokens_at)
        return self._tokens

    # -- learning --------------------------------------------------------------------------------------------

    def lost(self, now: float) -> None:
        """A request was sent and will not be answered; it is taken for counted."""
        self._held -= 1
        self._under_way -= 1
        self._minute.count(now, now)
        self._day.count(now, now)

    def answered(
        self,
        status: int,
        reading: QuotaReading,
        sent: float,
        received: float,
        *,
        retry_after: float | None = None,
        chance: float = 0.0,
    ) -> None:
        """Learn from an answer.

        Args:
            status: of the answer; 429 pauses all calls.
            reading: its quota headers.
            sent: local time at which its request was sent.
            received: local time at which it came.
            retry_after: seconds for which a 429 asks to wait, None if it does not say.
            chance: 0 to 1, spreads processes that know nothing of each other.
        """
        self._held -= 1
        self._under_way -= 1
        latency = received - sent
        # Remembers the slowest answers, and forgets them over a few hundred faster ones.
        self._slowest = max(latency, self._slowest - (self._slowest - latency) * 0.004)
        minute = reading.minute_limit, reading.minute_remaining, plausible(reading.minute_reset, reading.date, MINUTE)
        day = reading.day_limit, reading.day_remaining, plausible(reading.day_reset, reading.date, DAY)
        used_up = [
            window
            for name, window, told in (("minute", self._minute, minute), ("day", self._day, day))
            if self._learn(name, window, told, sent, received)
        ]
        if reading.minute_limit or reading.day_limit:
            self.silent = False
        elif 200 <= status < 300 and not (self._minute.told or self._day.told or self._limits_named):
            # The service tells its quota in every good answer. What does not is a stand-in, and the limits that
            # were assumed are not its own.
            self.silent = True
        if status == 429:
            self._pause(max((window.ends for window in used_up), default=-inf), retry_after, sent, received, chance)
        elif sent > self._refused_at:
            self._refusals = 0

    @property
    def _limits_named(self) -> bool:
        assumed = QuotaPolicy()
        return (self._policy.per_minute, self._policy.per_day) != (assumed.per_minute, assumed.per_day)

    def _learn(
        self, name: str, window: FixedWindow, told: tuple[int, int, float | None], sent: float, received: float
    ) -> bool:
        """Learn of one window; True if it is the present one and has nothing left."""
        limit, remaining, reset = told
        if not limit:
            window.count(sent, received)
            return False
        if not window.place(reset, sent, received):
            return False
        window.count_told(limit, limit - remaining)
        for part in self._thresholds:
            if limit - remaining < part * limit - 1e-9:
                break
            if part not in window.passed:
                window.passed.add(part)
                self.crossed.append((name, part))
        return remaining <= 0

    def _pause(self, ends: float, retry_after: float | None, sent: float, received: float, chance: float) -> None:
        """Nobody goes for a second at least, or until the window ends that is used up; then one call goes to see."""
        if sent > self._refused_at or not self._refusals:
            self._refusals += 1
            self._refused_at = received
        # While refusals go on coming each pause is twice the last, up to the length of a minute.
        length = self._minute.length
        until = received + min(2.0 ** min(self._refusals - 1, 10), max(1.0, length))
        until = max(until, ends if retry_after is None else received + retry_after)
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
        return self._paced and left < 1 and now < self._day.ends

    def opens_at(self, now: float, *, day: bool) -> float | None:
        """The service's time at which the window opens, in seconds since 1970; None if it has not said."""
        if now < self._paused_until:
            times = self._dates.service_time(self._paused_until)
            return None if times is None else times[1]
        window = self._day if day else self._minute
        return window.reset if now < window.ends else None

    def view(self, now: float, waiting: dict[Priority, int]) -> QuotaView:
        """What a user sees."""
        return QuotaView(
            minute=_shown(self._minute, now),
            day=_shown(self._day, now),
            used_minute=_used(self._minute, now) + self._held,
            used_day=_used(self._day, now) + self._held,
            under_way=self._under_way,
            waiting=waiting,
            paused_for=max(0.0, self._paused_until - now),
            shared=self._shared,
        )

    # -- sharing ---------------------------------------------------------------------------------------------

    def use_shared(self) -> None:
        """The shared budget is there: send nothing but what it grants."""
        if not self._shared:
            self._shared, self._share = True, self._policy.share
            self._granted = 0

    def use_local(self, share: float) -> None:
        """The shared budget is away: keep to this part of the account's quota."""
        self._shared, self._share = False, share
        self._granted = self._elsewhere = 0
        self._processes = 1

    @property
    def holds(self) -> bool:
        """Whether anything is held that the shared budget should hear of."""
        return self._held + self._granted > 0

    def report(self, now: float, waiting: int, requests: int, priority: Priority) -> QuotaReport:
        """What to tell the shared budget.

        Args:
            now: local time.
            waiting: how many requests wait.
            requests: how many the call that is next needs; 0 if nobody waits.
            priority: of that call.
        """
        self._granted = 0  # what was not used by now goes back
        want, probe = 0, False
        if waiting and now >= self._paused_until and self._delay(now, requests, priority) <= 0:
            want, probe = self._need(requests, self._minute), self._probing
            if not probe:
                want = max(want, min(waiting, floor(self._tokens or 0.0)))
        minute, day = self._minute, self._day
        return QuotaReport(
            want=want,
            probe=probe,
            held=self._held,
            minute=_facts(minute, now),
            day=_facts(day, now),
            length=minute.length,
            day_reserve=int(self._reserve(priority)),
            pause=max(0.0, self._paused_until - now),
        )

    @property
    def step(self) -> float:
        """Seconds after which to ask the shared budget again when it has granted nothing."""
        return min(0.25, max(0.02, self._minute.length / 40))

    def grant(self, grant: QuotaGrant, report: QuotaReport, asked: float, now: float) -> None:
        """Take in what the shared budget said.

        Args:
            grant: its answer.
            report: what it was asked.
            asked: local time at which it was asked.
            now: local time.
        """
        self.use_shared()
        _hear(self._minute, report.minute, grant.minute, now)
        _hear(self._day, report.day, grant.day, now)
        self._elsewhere, self._processes = grant.elsewhere, max(1, grant.processes)
        if grant.pause > 0 and asked + grant.pause > self._paused_until:
            self._paused_until = asked + grant.pause
        if report.probe and report.want:
            self._probe_again = now + min(_PROBE, self._minute.length / 4)
        elif self._tokens is not None:
            self._tokens -= grant.granted
        self._granted = grant.granted


def _facts(window: FixedWindow, now: float) -> WindowFacts:
    return WindowFacts(
        reset=window.reset or 0.0,
        limit=window.limit if window.told else 0,
        used=window.used,
        own=window.unreported,
        age=0.0 if window.began is None else max(0.0, now - window.began),
    )


def _hear(window: FixedWindow, told: WindowFacts, heard: WindowFacts, now: float) -> None:
    """Take in what the shared budget knows of a window, to which it was told something."""
    if window.reset is None or window.reset == told.reset:
        window.unreported = max(0, window.unreported - told.own)
    if heard.limit and window.place(heard.reset or None, -inf, now - heard.age):
        window.tell(heard.limit, heard.used)


def _shown(window: FixedWindow, now: float) -> Window | None:
    if not window.told:
        return None
    over = now >= window.ends
    resets_at = None if over or window.reset is None else datetime.fromtimestamp(window.reset, UTC)
    return Window(limit=window.limit, remaining=max(0, window.limit - _used(window, now)), resets_at=resets_at)


def _used(window: FixedWindow, now: float) -> int:
    return window.used if now < window.ends else 0
