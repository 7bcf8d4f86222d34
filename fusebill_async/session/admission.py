"""The door: a place in the pool together with quota, in order of priority.

Both are handed out in one step. A call never holds a place while it waits for quota, nor quota while it
waits for a place, so a read that settles an unknown outcome is never behind a thousand bulk calls in one
line after it has come through the other.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from itertools import count
from logging import getLogger
from math import inf
from typing import TYPE_CHECKING, Literal

from fusebill_async.policy.clock import ServiceClock
from fusebill_async.policy.priority import Priority
from fusebill_async.policy.quota import Quota, QuotaView
from fusebill_async.session.effects import Effects
from fusebill_async.settings import QuotaPolicy
from fusebill_async.wire.quota_headers import moment, read, retry_after

if TYPE_CHECKING:
    from fusebill_async.policy.shared import SharedQuota

__all__ = [
    "Admission",
    "AdmissionClosed",
    "AdmissionError",
    "Permit",
    "QueueTimeout",
    "QuotaExhausted",
]

_logger = getLogger("fusebill_async.quota")

_PATIENCE = 15
"""How often a waiting class is passed over by a higher one before one call of it goes."""

_ASK_AGAIN = 1.0
"""Seconds between two attempts to reach a shared budget that is away."""

_UNREAD = 0.005
"""Seconds after an answer in which others are not read, while the quota is ample and nobody waits."""

_TICK = 0.0005
"""Seconds; no wait is shorter, since clocks and timers disagree by that much."""


class AdmissionError(Exception):
    """A call did not get in. Nothing was sent."""


class QueueTimeout(AdmissionError):  # noqa: N818 - a fact that the session translates
    """The wait was longer than the call allows.

    Attributes:
        waited_for: "pool" or "quota".
        opens_at: when the quota opens (aware, UTC), None if that is not known or it waited for the pool.
    """

    def __init__(self, waited_for: Literal["pool", "quota"], opens_at: datetime | None = None) -> None:
        super().__init__(f"waited too long for {waited_for}")
        self.waited_for: Literal["pool", "quota"] = waited_for
        self.opens_at = opens_at


class QuotaExhausted(AdmissionError):  # noqa: N818 - as above
    """The day's quota is used up, and an interactive call does not wait for tomorrow.

    Attributes:
        opens_at: when the next day begins (aware, UTC), None if the service has not said.
    """

    def __init__(self, opens_at: datetime | None) -> None:
        super().__init__("the quota of the day is used up")
        self.opens_at = opens_at


class AdmissionClosed(AdmissionError):  # noqa: N818 - as above
    """The client was closed while the call waited."""


class Permit:
    """A place in the pool and quota for `unsent` calls. It belongs to one call, until `Admission.leave`."""

    __slots__ = ("held", "in_flight", "priority", "sent_at", "unsent")

    def __init__(self, priority: Priority, calls: int) -> None:
        self.priority = priority
        self.unsent = calls
        self.in_flight = 0
        self.sent_at = 0.0
        self.held = True


class _Waiter:
    __slots__ = ("calls", "door", "priority", "until")

    def __init__(self, door: asyncio.Future[Permit], priority: Priority, calls: int, until: float | None) -> None:
        self.door = door
        self.priority = priority
        self.calls = calls
        self.until = until


class Admission:
    """Lets calls in, one place and some quota at a time.

    Args:
        places: how many calls may be inside at once.
        policy: how the quota is used.
        effects: clock, sleep and chance.
        clock: the service's clock; each answer makes it more exact.
        shared: the budget of all processes of the account; None keeps it in this process.
        on_threshold: called with "minute" or "day" and the part used, once a window for each of the policy's
            thresholds. It must not raise.
    """

    def __init__(
        self,
        *,
        places: int,
        policy: QuotaPolicy,
        effects: Effects,
        clock: ServiceClock,
        shared: SharedQuota | None = None,
        on_threshold: Callable[[str, float], None] | None = None,
    ) -> None:
        self._places = places
        self._effects = effects
        self._now = effects.now
        self._clock = clock
        self._policy = policy
        self._quota = Quota(policy, clock)
        self._shared = shared if policy.enabled else None
        self._sharing: asyncio.Task[None] | None = None
        self._asking = False
        self._ask_at = -inf
        self._share_wakes_at = inf
        self._shared_is_away = False
        if self._shared is not None:
            self._quota.together(policy.share)
        self._on_threshold = on_threshold
        self._queues: tuple[deque[_Waiter], ...] = tuple(deque() for _ in Priority)
        self._lengths = [0] * len(Priority)
        self._waiting = 0
        self._passed = [0] * len(Priority)
        self._deadlines: list[tuple[float, int, _Waiter]] = []
        self._numbers = count()
        self._pump: asyncio.Task[None] | None = None
        self._wakes_at = inf
        self._closed = False
        self._read_at = -inf
        self._lowest: int = Priority.BULK

    # -- getting in ------------------------------------------------------------------------------------------

    def enter_now(self, priority: Priority, calls: int = 1) -> Permit | None:
        """Get in at once, or None if that is not possible or others wait.

        Args:
            priority: of the call.
            calls: how many requests it will send, at least 1.
        """
        if self._waiting or self._places <= 0 or priority > self._lowest:
            return None
        if self._shared_is_away:
            self._ask(self._now())
        if not self._quota.take(self._now(), calls, priority):
            return None
        self._places -= 1
        return Permit(priority, calls)

    async def enter(self, priority: Priority, *, calls: int = 1, until: float | None = None) -> Permit:
        """Get in, waiting for a place and for quota. Cancelling it leaves nothing behind.

        Args:
            priority: of the call.
            calls: how many requests it will send, at least 1.
            until: the time on `effects.now` at which waiting ends; None waits as long as it takes.

        Raises:
            QueueTimeout: `until` came first.
            QuotaExhausted: an interactive call, and the day is used up.
            AdmissionClosed: it is closed.
        """
        if priority > self._lowest:
            raise AdmissionClosed
        permit = self.enter_now(priority, calls)
        if permit is not None:
            return permit
        now = self._now()
        if priority is Priority.INTERACTIVE and self._quota.out_of_day(now, priority):
            raise QuotaExhausted(self._opens_at(now, day=True))
        door: asyncio.Future[Permit] = asyncio.get_running_loop().create_future()
        waiter = _Waiter(door, priority, calls, until)
        self._queues[priority].append(waiter)
        self._lengths[priority] += 1
        self._waiting += 1
        if until is not None:
            heapq.heappush(self._deadlines, (until, next(self._numbers), waiter))
        self._open()
        try:
            return await door
        except asyncio.CancelledError:
            if door.cancelled() or not door.done():
                door.cancel()
                self._forget(waiter)
            elif door.exception() is None:
                self.leave(door.result())
            raise

    def _forget(self, waiter: _Waiter) -> None:
        """A waiter went away; its place in the queue is dropped when it comes to the front."""
        self._lengths[waiter.priority] -= 1
        self._waiting -= 1
        if not self._waiting:
            self._stand_down()
        else:
            self._open()

    # -- being inside ----------------------------------------------------------------------------------------

    def sent(self, permit: Permit) -> None:
        """One of the permit's calls is on its way. Call it at the hand-out of a connection."""
        permit.unsent -= 1
        permit.in_flight += 1
        permit.sent_at = self._now()
        self._quota.sent()

    def answered(
        self, permit: Permit, status: int, headers: Mapping[str, str], sent_at: float, received_at: float
    ) -> None:
        """A call was answered: learn from the headers.

        Args:
            permit: of the call.
            status: of the answer.
            headers: of the answer.
            sent_at: the time on `effects.now` at which the request was sent.
            received_at: the time at which the headers came.
        """
        permit.in_flight -= 1
        if received_at < self._read_at and status != 429:
            self._quota.answered_unread(sent_at, received_at)
            return
        reading = read(headers)
        date = reading.date
        if date is not None:
            self._clock.observe_epoch(date, sent_at, received_at)
        quota = self._quota
        quota.answered(reading, sent_at, received_at)
        if not reading.minute_limit and not reading.day_limit and status < 300 and quota.heard_nothing():
            _logger.warning("The service tells no quota: calls are not paced until it does")
        if status == 429:
            quota.refused(reading, retry_after(headers, date), received_at, self._effects.random())
        if self._waiting:
            self._open()
        elif quota.ample:
            # A thousand answers a second tell the same: one in a few milliseconds is read.
            self._read_at = received_at + _UNREAD
        if quota.crossed:
            self._tell_thresholds()

    def lost(self, permit: Permit) -> None:
        """A call was sent and no answer will come."""
        permit.in_flight -= 1
        self._quota.lost(permit.sent_at, self._now())
        if self._waiting:
            self._open()

    def leave(self, permit: Permit) -> None:
        """Give back the place, and the quota of calls that were never sent. Leaving twice does no harm."""
        if not permit.held:
            return
        permit.held = False
        while permit.in_flight > 0:
            permit.in_flight -= 1
            self._quota.lost(permit.sent_at, self._now())
        if permit.unsent > 0:
            self._quota.give_back(permit.unsent)
            permit.unsent = 0
        self._places += 1
        if self._waiting:
            self._open()

    @property
    def quota(self) -> QuotaView:
        """The quota as the headers last said, and who waits for it."""
        waiting = {priority: self._lengths[priority] for priority in Priority}
        return self._quota.view(self._now(), waiting, shared=self._quota.shared)

    def stop(self) -> None:
        """Wake every waiter with `AdmissionClosed`, and let nobody in any more, but for those who settle."""
        self._lowest = Priority.SETTLING
        for priority in (Priority.INTERACTIVE, Priority.BULK):
            for waiter in self._drain(priority):
                waiter.door.set_exception(AdmissionClosed())
        if not self._waiting:
            self._stand_down()

    def close(self) -> None:
        """Wake every waiter with `AdmissionClosed`, and let nobody in any more."""
        self._closed = True
        self._lowest = -1
        for waiter in self._drain(None):
            waiter.door.set_exception(AdmissionClosed())
        self._stand_down()
        if self._sharing is not None:
            self._sharing.cancel()
            self._sharing = None

    async def aclose(self) -> None:
        """Close, and give back what a shared budget lent."""
        self.close()
        if self._shared is not None and not self._shared_is_away and self._quota.lent_until > -inf:
            self._quota.alone(self._alone_share())
            with suppress(Exception):
                await self._shared.exchange(self._quota.claim(self._now(), 0))

    # -- opening ---------------------------------------------------------------------------------------------

    def _open(self) -> None:
        """Let in whoever may go now, and see to it that somebody looks again when the next may."""
        now = self._now()
        wake = self._let_in(now)
        if not self._waiting:
            self._stand_down()
            return
        if self._shared is not None and self._places > 0:
            self._ask(now)
        while self._deadlines and self._deadlines[0][2].door.done():
            heapq.heappop(self._deadlines)
        if self._deadlines:
            wake = min(wake, self._deadlines[0][0])
        if wake < self._wakes_at - _TICK and wake < inf:
            if self._pump is not None:
                self._pump.cancel()
            self._wakes_at = wake
            self._pump = asyncio.get_running_loop().create_task(self._look_again())

    def _let_in(self, now: float) -> float:
        """Let in whoever may go; the time at which the next may, infinite if that is not a matter of time."""
        while self._waiting:
            if self._places <= 0:
                return inf
            waiter = self._next(now)
            if waiter is None:
                return now + self._quota.delay(now, 1, Priority.BULK)
            if not self._quota.take(now, waiter.calls, waiter.priority):
                return now + max(self._quota.delay(now, waiter.calls, waiter.priority), _TICK)
            self._queues[waiter.priority].popleft()
            self._lengths[waiter.priority] -= 1
            self._waiting -= 1
            self._note_passed(waiter.priority)
            self._places -= 1
            waiter.door.set_result(Permit(waiter.priority, waiter.calls))
        return inf

    def _next(self, now: float) -> _Waiter | None:
        """Who is next. A class that the day holds back does not stand in the way of the others."""
        candidates: list[_Waiter] = []
        for priority in Priority:
            queue = self._queues[priority]
            while queue and queue[0].door.done():
                queue.popleft()
            if not queue:
                continue
            if self._quota.out_of_day_now(priority, 1):
                if priority is Priority.INTERACTIVE and self._quota.out_of_day(now, priority):
                    opens_at = self._opens_at(now, day=True)
                    for waiter in self._drain(priority):
                        waiter.door.set_exception(QuotaExhausted(opens_at))
                    continue
                # Its turn may have come with the day's; only a look at the windows can tell.
                self._quota.out_of_day(now, priority)
                if self._quota.out_of_day_now(priority, 1):
                    continue
            if self._passed[priority] >= _PATIENCE:
                return queue[0]
            candidates.append(queue[0])
        return candidates[0] if candidates else None

    def _note_passed(self, gone: Priority) -> None:
        self._passed[gone] = 0
        for priority in range(gone + 1, len(self._passed)):
            if self._lengths[priority]:
                self._passed[priority] += 1

    async def _look_again(self) -> None:
        """Runs only while somebody waits for something that time brings."""
        await self._effects.sleep(max(self._wakes_at - self._now(), 0.0))
        # From here on a new pump may start; this one ends without another await.
        self._pump = None
        self._wakes_at = inf
        self._turn_away(self._now())
        if self._waiting:
            self._open()

    def _turn_away(self, now: float) -> None:
        """End the waits whose time is up."""
        waited_for: Literal["pool", "quota"] = "pool" if self._places <= 0 else "quota"
        if waited_for == "quota":
            self._let_in(now)
        while self._deadlines and (self._deadlines[0][0] <= now + _TICK or self._deadlines[0][2].door.done()):
            waiter = heapq.heappop(self._deadlines)[2]
            if waiter.door.done():
                continue
            self._lengths[waiter.priority] -= 1
            self._waiting -= 1
            opens_at = None
            if waited_for == "quota":
                day = self._quota.out_of_day_now(waiter.priority, 1)
                opens_at = self._opens_at(now, day=day)
            waiter.door.set_exception(QueueTimeout(waited_for, opens_at))

    def _drain(self, only: Priority | None) -> list[_Waiter]:
        gone: list[_Waiter] = []
        for priority in Priority:
            if only is None or priority is only:
                queue = self._queues[priority]
                gone += [waiter for waiter in queue if not waiter.door.done()]
                queue.clear()
                self._waiting -= self._lengths[priority]
                self._lengths[priority] = 0
        return gone

    def _stand_down(self) -> None:
        if self._pump is not None:
            self._pump.cancel()
            self._pump = None
        self._wakes_at = inf
        self._deadlines.clear()

    # -- the shared budget -----------------------------------------------------------------------------------

    def _alone_share(self) -> float:
        return self._policy.share / self._policy.workers

    def _ask(self, now: float) -> None:
        """See to it that the shared budget is asked, now or as soon as that is of use."""
        if self._closed or self._asking or (self._shared_is_away and now < self._ask_at):
            return
        if self._sharing is not None:
            if self._share_wakes_at <= max(now, self._ask_at) + _TICK:
                return
            self._sharing.cancel()
        self._share_wakes_at = max(now, self._ask_at)
        assert self._shared is not None
        self._sharing = asyncio.get_running_loop().create_task(self._share(self._shared))

    async def _share(self, shared: SharedQuota) -> None:
        """Runs while somebody waits for the shared budget, or something lent is to be given back."""
        while True:
            now = self._now()
            if self._share_wakes_at > now:
                await self._effects.sleep(self._share_wakes_at - now)
            asked = self._now()
            want = 0
            if self._waiting:
                want = min(self._wanted(), max(self._places, 1)) + self._quota.spare()
            self._asking = True
            try:
                lease = await shared.exchange(self._quota.claim(asked, want))
            except Exception as error:  # noqa: BLE001 - whatever keeps it away, calls go on in our part
                self._lose_shared(error)
                self._ask_at = self._now() + _ASK_AGAIN
            else:
                self._find_shared()
                now = self._now()
                self._quota.leased(lease, asked, now)
                self._ask_at = now + max(lease.wait, _TICK)
            finally:
                self._asking = False
            if self._waiting:
                # Set first: `_open` leaves a task alone that wakes soon enough, and this one is it.
                self._share_wakes_at = self._ask_at
                self._open()
            if self._waiting:
                self._share_wakes_at = self._ask_at
            elif self._quota.lent_until > -inf:
                self._share_wakes_at = max(self._quota.lent_until, self._now()) + _TICK
            else:
                self._sharing = None
                return

    def _wanted(self) -> int:
        return sum(self._lengths)

    def _lose_shared(self, error: Exception) -> None:
        self._quota.alone(self._alone_share())
        if not self._shared_is_away:
            self._shared_is_away = True
            _logger.warning(
                "The shared quota is away (%s); this process keeps to 1/%d of it",
                type(error).__name__,
                self._policy.workers,
            )

    def _find_shared(self) -> None:
        if self._shared_is_away:
            self._shared_is_away = False
            self._quota.together(self._policy.share)
            _logger.warning("The shared quota is back")

    def _opens_at(self, now: float, *, day: bool) -> datetime | None:
        return moment(self._quota.opens_at(now, day=day))

    def _tell_thresholds(self) -> None:
        crossed, self._quota.crossed = self._quota.crossed, []
        if self._on_threshold is not None:
            for window, part in crossed:
                self._on_threshold(window, part)
