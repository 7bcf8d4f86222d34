"""The arithmetic of the quota: how many calls may go now, and when the next may. No HTTP, no waiting.

Two fixed windows are kept, the minute and the day, both from the service's headers. The minute is paced; the
day is spent as fast as the minutes allow, less a reserve for settling. A call under way counts in the
present window until its answer's reset header says which window counted it, so that a turn of the window
lets nothing through twice.
"""

from __future__ import annotations

from datetime import UTC, datetime
from math import inf
from typing import TYPE_CHECKING

import attrs

from fusebill_async.outcome import QuotaReading, Window
from fusebill_async.policy.clock import ServiceClock
from fusebill_async.policy.priority import Priority
from fusebill_async.policy.window import FixedWindow, Neighbours
from fusebill_async.record import Record
from fusebill_async.settings import QuotaPolicy

if TYPE_CHECKING:
    from fusebill_async.policy.shared import Claim, Lease

MINUTE, DAY = 60.0, 86_400.0
"""The longest that a window may last, in seconds: what its name says. Its end is the reset header's
business."""

_RESET_AHEAD = {"minute": 3_600.0, "day": 172_800.0}
"""A reset further from the answer's `Date` than this many seconds cannot be meant."""

_SLOWEST_LEAD = 0.1
"""The largest part of a window that may be left for slow answers to come in."""


_SILENCE = 3
"""Good answers without a word of the quota after which the service is taken for one that has none."""

_AMPLE = 1000
"""Calls left in the minute, at least, before answers go unread: no account of the vendor's table has more."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class QuotaView(Record):
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
        clock: bounds on the service's time; the caller lets it observe each answer before `answered`.
        share: the part of the account's quota that may be used, `policy.share` unless given.
    """

    def __init__(self, policy: QuotaPolicy, clock: ServiceClock, *, share: float | None = None) -> None:
        self._policy = policy
        self._clock = clock
        self._enabled = policy.enabled
        self._silent = 0  # good answers in a row that told no quota, as long as none has told any
        self._told = False
        self._share = policy.share if share is None else share
        self._minute = FixedWindow(policy.per_minute, MINUTE, clock)
        self._day = FixedWindow(policy.per_day, DAY, clock)
        self._neighbours = Neighbours()
        self._held = 0  # taken, not given back, not answered
        self._under_way = 0  # of these: sent
        self._lead = 0.0  # the slowest answers lately
        self._tokens: float | None = None
        self._tokens_at = 0.0
        self._granted = 0  # calls that the last look lets go ...
        self._credit = 0  # ... what is left of them; it may be below 0 after a call that takes several
        self._look_at = -inf  # when to look again
        self._paused_until = -inf
        self._lent: int | None = None  # what a shared budget lent us; None: the budget is ours alone
        self._lent_until = -inf
        self._elsewhere = 0
        self._day_told = 0
        self._minute_marks: list[int] = []
        self._day_marks: list[int] = []
        self.crossed: list[tuple[str, float]] = []
        """Thresholds that were passed and not yet told to anybody; the caller empties it."""

    # -- taking ----------------------------------------------------------------------------------------------

    def take(self, now: float, calls: int = 1, priority: Priority = Priority.INTERACTIVE) -> bool:
        """Take quota for so many calls; False if they may not go now.

        Args:
            now: local time.
            calls: at least 1.
            priority: only settling may use the reserve of the day.
        """
        if calls <= self._credit and now < self._look_at:
            self._credit -= calls
            self._held += calls
            return True
        return self._take_slowly(now, calls, priority)

    def _take_slowly(self, now: float, calls: int, priority: Priority) -> bool:
        if now < self._paused_until:
            return False
        if self._enabled:
            free = self._look(now)
            if self._free_of_day(priority) < calls and not self._outsized_day(calls, priority):
                return False
            tokens = self._tokens or 0.0
            if free < self._need(calls) or (tokens < min(calls, self._burst()) - 1e-9 and self._lent is None):
                return False
            self._credit -= calls
        self._held += calls
        return True

    def give_back(self, calls: int) -> None:
        """Calls that were taken were never sent."""
        self._held -= calls
        self._credit += calls

    def sent(self) -> None:
        """One call that was taken is on its way."""
        self._under_way += 1

    # -- learning --------------------------------------------------------------------------------------------

    def lost(self, sent: float, now: float) -> None:
        """A call was sent at `sent` and will not be answered; it is taken for counted."""
        self._held -= 1
        self._under_way -= 1
        self._minute.counted += 1
        self._day.counted += 1
        self._day.used += 1
        self._neighbours.passed(sent, now, in_doubt=True)

    def heard_nothing(self) -> bool:
        """A good answer told no quota; True if calls are not paced from here on.

        The service tells its quota in every answer. One that never does is a stand-in for it, and the limits that
        were assumed are not its own; those that the policy names are kept to.
        """
        assumed = QuotaPolicy()
        named = (self._policy.per_minute, self._policy.per_day) != (assumed.per_minute, assumed.per_day)
        if self._told or named or not self._enabled or self._lent is not None:
            return False
        self._silent += 1
        if self._silent < _SILENCE:
            return False
        self._enabled = False
        self._look_at = -inf
        return True

    @property
    def ample(self) -> bool:
        """Whether so much of the minute is left that a few answers more or less teach nothing."""
        window = self._minute
        return window.limit - window.used > max(_AMPLE, window.limit // 4)

    def answered_unread(self, sent: float, received: float) -> None:
        """A call was answered, and its headers were not looked at; it is taken for counted in the present window."""
        self._held -= 1
        self._under_way -= 1
        self._minute.counted += 1
        self._day.counted += 1
        self._day.used += 1
        self._neighbours.passed(sent, received, in_doubt=True)

    def answered(self, reading: QuotaReading, sent: float, received: float) -> None:
        """Learn from an answer.

        Args:
            reading: its quota headers.
            sent: local time at which its request was sent.
            received: local time at which it came.
        """
        self._held -= 1
        self._under_way -= 1
        latency = received - sent
        # Remembers the slowest answers, and forgets them over a few hundred faster ones.
        self._lead = latency if latency > self._lead else self._lead - (self._lead - latency) * 0.004
        limit, remaining, reset, day_limit, day_remaining, day_reset, date = reading
        if not self._told and (limit or day_limit):
            self._told = True
            self._enabled = self._policy.enabled
        if limit:
            self._learn_minute(limit, remaining, reset, date, sent, received)
        else:
            self._minute.counted += 1
            self._neighbours.passed(sent, received, in_doubt=True)
        if day_limit:
            self._learn_day(day_limit, day_remaining, day_reset, date, received)
        else:
            self._day.counted += 1
            self._day.used += 1

    def _learn_minute(
        self,
        limit: int,
        remaining: int,
        reset: float | None,
        date: float | None,
        sent: float,
        received: float,
    ) -> None:
        window = self._minute
        reset = _plausible(reset, date, MINUTE, _RESET_AHEAD["minute"])
        if reset is not None and reset != window.reset:
            place = window.place(reset)
            if place < 0:
                self._neighbours.passed(sent, received)
                if self._credit == 0:
                    self._look_at = -inf
                return
            if place > 0:
                # The answer knows of the turn before our bounds on the service's clock are sure of it.
                self._roll_minute(received)
            if window.reset is None:
                window.settle(reset)
                self._look_at = -inf
        window.counted += 1
        used = limit - remaining
        if limit != window.limit:
            window.limit = limit
            self._look_at = -inf
        if used > window.used:
            window.used = used
            if self._minute_marks and used >= self._minute_marks[0]:
                self._cross("minute", window, self._minute_marks)
        if remaining < self._credit + self._held:
            self._look_at = -inf
        self._neighbours.answered(used, window.counted, self._under_way, sent, received)

    def _learn_day(self, limit: int, remaining: int, reset: float | None, date: float | None, received: float) -> None:
        window = self._day
        reset = _plausible(reset, date, DAY, _RESET_AHEAD["day"])
        if reset is not None and reset != window.reset:
            place = window.place(reset)
            if place < 0:
                return
            if place > 0:
                self._roll_day(received)
            if window.reset is None:
                window.settle(reset)
                self._look_at = -inf
        window.counted += 1
        used = limit - remaining
        if limit != window.limit:
            window.limit = limit
            self._look_at = -inf
        if used > window.used:
            window.used = used
            if self._day_marks and used >= self._day_marks[0]:
                self._cross("day", window, self._day_marks)
        if remaining < self._credit + self._held:
            self._look_at = -inf

    def refused(self, reading: QuotaReading, retry_after: float | None, received: float, chance: float = 0.0) -> None:
        """The service answered 429: nobody goes until the window turns.

        Args:
            reading: the quota headers of the answer, from which `answered` has learned already.
            retry_after: seconds, if the answer said so.
            received: local time at which it came.
            chance: 0 to 1, spreads processes that know nothing of each other.
        """
        until = self._refused_until(reading, retry_after, received)
        if until <= received:
            return
        length = self._minute.length or MINUTE
        until += chance * min(1.0, length / 50)
        self._credit = self._granted = 0
        self._look_at = -inf
        if until > self._paused_until:
            self._paused_until = until
            # Those that wait are spread over the window behind the pause, like all others.
            self._tokens, self._tokens_at = 0.0, until

    def _refused_until(self, reading: QuotaReading, retry_after: float | None, received: float) -> float:
        if retry_after is not None:
            return received + retry_after
        day, minute = self._day, self._minute
        if reading.day_limit and reading.day_remaining <= 0:
            reset = _plausible(reading.day_reset, reading.date, DAY, _RESET_AHEAD["day"])
        else:
            reset = _plausible(reading.minute_reset, reading.date, MINUTE, _RESET_AHEAD["minute"])
        last = day.last_reset if reading.day_limit and reading.day_remaining <= 0 else minute.last_reset
        if reset is not None and last is not None and reset < last - 1e-6:
            return -inf  # a refusal of a window that is over
        local = self._clock.local(reset) if reset is not None else None
        if local is None:
            # Nothing tells when it opens. Any minute is over after a minute.
            return received + (minute.length or MINUTE)
        # A turn that our bounds already have behind us, and the service not: its limiter has another clock.
        return max(local[1], received + (minute.length or MINUTE) / 60)

    # -- windows ---------------------------------------------------------------------------------------------

    def _roll_minute(self, now: float) -> None:
        window = self._minute
        whole = window.reset is not None
        length = window.length or MINUTE
        local = self._clock.local(window.reset) if window.reset is not None else None
        began = (local[0] + local[1]) / 2 if local is not None else now
        if began < now - length:
            # Long idle: the window that runs now began at some later turn, which nobody has seen.
            began, whole = now, False
        window.roll(began if whole else now, whole=whole)
        self._neighbours.roll(window.began or now, length, window.limit, whole=whole)
        self._look_at = -inf
        if self._lent is not None:
            # What was lent was of the window that is over.
            self._lent = self._granted = self._credit = 0
        self._minute_marks = self._marks(window)

    def _roll_day(self, now: float) -> None:
        self._day.roll(now, whole=self._day.reset is not None)
        self._look_at = -inf
        self._day_told = 0
        self._day_marks = self._marks(self._day)

    def _marks(self, window: FixedWindow) -> list[int]:
        return sorted(max(1, int(part * window.limit)) for part in self._policy.thresholds)

    def _cross(self, name: str, window: FixedWindow, marks: list[int]) -> None:
        passed = 0
        while marks and window.used >= marks[0]:
            marks.pop(0)
            passed += 1
        parts = sorted(self._policy.thresholds)
        done = len(parts) - len(marks)
        self.crossed.extend((name, part) for part in parts[done - passed : done])

    # -- arithmetic ------------------------------------------------------------------------------------------

    def _burst(self) -> float:
        """How many calls may go at once."""
        burst = self._policy.burst * self._minute.limit * self._share
        if not self._minute.used and self._minute.last_reset is None:
            # Nobody knows yet what is left: a fifth of it tells.
            burst /= 5
        return max(1.0, burst)

    def _need(self, calls: int) -> float:
        """A call that needs more than a whole window may have goes when the window is untouched."""
        return min(calls, max(1.0, int(self._share * self._minute.limit)))

    def _look(self, now: float) -> float:
        """Roll the windows that have ended, let tokens drip; the calls that this minute still has for us."""
        minute, day = self._minute, self._day
        minute.start(now)
        day.start(now)
        if now >= (turn := minute.turn()):
            self._roll_minute(now)
            turn = minute.turn()
        if now >= (day_turn := day.turn()):
            self._roll_day(now)
            day_turn = day.turn()
        if not self._minute_marks and not minute.used:
            self._minute_marks = self._marks(minute)
        if not self._day_marks and not day.used:
            self._day_marks = self._marks(day)
        self._look_at = min(turn, day_turn, now + (minute.length or MINUTE) / 240)
        if self._lent is not None:
            return self._look_at_lease(now)
        free = self._free_of_minute(now)
        rate = self._rate(now, free)
        burst = self._burst()
        if self._tokens is None:
            self._tokens = burst
        else:
            tokens = self._tokens - (self._granted - self._credit)
            self._tokens = min(burst, tokens + rate * max(0.0, now - self._tokens_at))
        self._tokens_at = max(now, self._tokens_at)
        usable = min(self._tokens, free, self._free_of_day(Priority.BULK))
        self._granted = self._credit = max(0, int(usable))
        return free

    def _look_at_lease(self, now: float) -> float:
        """Pace and others are reckoned where the budget lies; here only what was lent counts."""
        left = (self._lent or 0) - (self._granted - self._credit)
        if now >= self._lent_until or self._minute.used >= self._minute.limit:
            left = 0
        self._lent = left
        self._tokens, self._tokens_at = float(max(left, 0)), now
        self._granted = self._credit = max(0, int(min(left, self._free_of_day(Priority.BULK))))
        self._look_at = min(self._look_at, self._lent_until) if left > 0 else self._look_at
        return left

    def _free_of_minute(self, now: float) -> float:
        window = self._minute
        own = window.counted + self._held
        length = window.length or MINUTE
        at_least = window.used - window.counted - self._under_way
        others, doubt = self._neighbours.by(window.end(), length, at_least, now)
        free = min(window.limit - own - others - doubt, window.limit - window.used)
        mine = max(1.0, self._share * window.limit) - own
        return min(free, mine)

    def _rate(self, now: float, free: float) -> float:
        """Calls per second that spread what is free over what is left of the minute."""
        window = self._minute
        length = window.length or MINUTE
        lead = min(self._lead, length * _SLOWEST_LEAD)
        left = max(window.end() - lead - now, length / 50)
        rate = max(free, 0.0) / left
        if window.reset is None:
            # Its end is a guess, so no faster than keeps to the limit wherever the end may be.
            mine = self._share * window.limit
            rate = min(rate, max(mine / 10, mine - self._burst()) / (length - lead))
        return rate

    def _free_of_day(self, priority: Priority) -> float:
        window = self._day
        reserve = 0.0 if priority is Priority.SETTLING else self._policy.day_reserve * window.limit
        free = window.limit - reserve - max(window.used, window.counted) - self._held - self._elsewhere
        mine = self._share * window.limit - reserve * self._share - window.counted - self._held
        rate = self._neighbours.rate(self._minute.length or MINUTE)
        # What the others count while our calls are under way.
        others = rate * self._lead + 1.0 if rate * MINUTE >= 1.0 else 0.0
        return min(free, mine) if self._lent is not None else min(free - others, mine)

    def _outsized_day(self, calls: int, priority: Priority) -> bool:
        return calls > self._share * self._day.limit and self._free_of_day(priority) >= 1

    # -- asking ----------------------------------------------------------------------------------------------

    def delay(self, now: float, calls: int, priority: Priority) -> float:
        """Seconds after which it is worth asking again; an answer in between may open the door sooner."""
        if now < self._paused_until:
            return self._paused_until - now
        if not self._enabled:
            return 0.0
        free = self._look(now)
        if self._free_of_day(priority) < calls and not self._outsized_day(calls, priority):
            return max(0.0, self._day.turn() - now)
        if self._lent is not None:
            return inf
        need = self._need(calls)
        rate = self._rate(now, free)
        if free < need or rate <= 0.0:
            # What is left for others is a guess that fades, so it is worth another look before the turn.
            return max(0.0, min(self._minute.turn() - now, (self._minute.length or MINUTE) / 20))
        missing = min(calls, self._burst()) - (self._tokens or 0.0)
        return max(0.0, min(missing / rate, self._minute.turn() - now))

    def out_of_day(self, now: float, priority: Priority, calls: int = 1) -> bool:
        """Whether the day has nothing left for this priority, whatever becomes of the calls under way."""
        if not self._enabled:
            return False
        if now >= self._look_at:
            self._look(now)
        return self._free_of_day(priority) + self._held < min(calls, 1)

    def out_of_day_now(self, priority: Priority, calls: int) -> bool:
        """Whether the day holds this priority back at this moment."""
        return self._enabled and self._free_of_day(priority) < calls

    def opens_at(self, now: float, *, day: bool) -> float | None:
        """The service's time at which the window opens, in seconds since 1970; None if it has not said."""
        if now < self._paused_until:
            time = self._clock.service_time(self._paused_until)
            return None if time is None else time[1]
        window = self._day if day else self._minute
        return window.reset

    # -- sharing ---------------------------------------------------------------------------------------------

    @property
    def shared(self) -> bool:
        """Whether calls go on what a shared budget lends."""
        return self._lent is not None

    @property
    def lent_until(self) -> float:
        """Local time until which something is lent to us; infinitely long ago if nothing is."""
        if self._lent is None or self._lent - (self._granted - self._credit) <= 0:
            return -inf
        return self._lent_until

    def spare(self) -> int:
        """How many calls to be lent beyond those that wait, so that the budget is not asked for each call."""
        return max(1, int(self._policy.burst * self._share * self._minute.limit / 8))

    def alone(self, share: float) -> None:
        """The shared budget is away: keep to this part of the account's quota."""
        self._share = share
        self._elsewhere = 0
        if self._lent is not None:
            self._lent = None
            self._tokens = 0.0
            self._granted = self._credit = 0
            self._look_at = -inf

    def together(self, share: float) -> None:
        """The shared budget is there: use nothing but what it lends."""
        self._share = share
        if self._lent is None:
            self._lent = self._granted = self._credit = 0
            self._look_at = -inf

    def claim(self, now: float, want: int) -> Claim:
        """What to tell the shared budget."""
        # Whoever shares a quota has imported it; alone, nobody needs it.
        from fusebill_async.policy.shared import Claim  # noqa: PLC0415

        self._look(now)
        minute, day = self._minute, self._day
        told = self._day_told
        self._day_told = day.counted
        return Claim(
            want=want,
            keep=max(0, (self._lent or 0) - (self._granted - self._credit)),
            held=self._held,
            counted=minute.counted,
            after=minute.ended or 0.0,
            reset=minute.reset or 0.0,
            limit=minute.limit if minute.last_reset is not None else 0,
            used=minute.used,
            length=minute.length or 0.0,
            day_after=day.ended or 0.0,
            day_reset=day.reset or 0.0,
            day_limit=day.limit if day.last_reset is not None else 0,
            day_used=day.used,
            day_counted=max(0, day.counted - told),
            service_time=self._clock.service_time(now),
            lead=self._lead,
            pause=max(0.0, self._paused_until - now),
        )

    def leased(self, lease: Lease, asked: float, now: float) -> None:
        """Take in what the shared budget said.

        Args:
            lease: its answer.
            asked: local time at which it was asked, from which what it lent lasts.
            now: local time.
        """
        if not self.shared:
            self.together(self._policy.share)
        minute, day = self._minute, self._day
        if lease.after and minute.over(lease.after):
            self._roll_minute(now)
        if lease.reset and minute.reset is None and minute.place(lease.reset) >= 0:
            minute.settle(lease.reset)
        if lease.length and minute.length is None:
            minute.length = lease.length
        if lease.limit and (not lease.reset or minute.reset is None or minute.place(lease.reset) == 0):
            minute.limit = lease.limit
            minute.used = max(minute.used, lease.used)
        if lease.day_after and day.over(lease.day_after):
            self._roll_day(now)
        if lease.day_reset and day.reset is None and day.place(lease.day_reset) >= 0:
            day.settle(lease.day_reset)
        if lease.day_limit and (not lease.day_reset or day.reset is None or day.place(lease.day_reset) == 0):
            day.limit = lease.day_limit
            day.used = max(day.used, lease.day_used)
        self._elsewhere = lease.elsewhere
        if lease.pause > 0:
            self._paused_until = max(self._paused_until, asked + lease.pause)
        self._lent = (self._lent or 0) + lease.granted
        self._lent_until = asked + lease.seconds
        self._look_at = -inf

    def view(self, now: float, waiting: dict[Priority, int], *, shared: bool = False) -> QuotaView:
        """What a user sees."""
        minute, day = self._minute, self._day
        if now >= minute.turn() and minute.reset is not None:
            self._roll_minute(now)
        if now >= day.turn() and day.reset is not None:
            self._roll_day(now)
        return QuotaView(
            minute=_shown(minute),
            day=_shown(day),
            used_minute=max(minute.used, minute.counted) + self._held,
            used_day=max(day.used, day.counted) + self._held,
            under_way=self._under_way,
            waiting=waiting,
            paused_for=max(0.0, self._paused_until - now),
            shared=shared,
        )


def _shown(window: FixedWindow) -> Window | None:
    if window.last_reset is None and not window.used:
        return None
    resets_at = None if window.reset is None else datetime.fromtimestamp(window.reset, UTC)
    return Window(limit=window.limit, remaining=max(0, window.limit - window.used), resets_at=resets_at)


def _plausible(reset: float | None, date: float | None, length: float, ahead: float) -> float | None:
    """The reset, or where it cannot be meant, the next full minute or day (UTC) after the answer's `Date`."""
    if date is None:
        return reset
    if reset is None or not -5.0 <= reset - date <= ahead:
        return (date // length + 1.0) * length
    return reset
