"""Admits calls by priority; gives each a pool slot and quota together.

Both are given in one step. A call never holds a place while it waits for quota, nor quota while it waits for a
place, so a read that settles an unknown outcome never stands behind a thousand bulk calls in a second queue.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from datetime import datetime
from functools import partial
from logging import getLogger
from math import inf
from typing import Literal, Self

import attrs

from fusebill_async.policy.clock import ServiceClock
from fusebill_async.policy.quota import Quota, QuotaView
from fusebill_async.policy.shared import SharedQuota
from fusebill_async.session.effects import Effects
from fusebill_async.session.gate import Gate, GateClosed
from fusebill_async.session.sharing import QuotaSharing
from fusebill_async.settings import Priority, QuotaPolicy
from fusebill_async.wire.quota_headers import read_quota, retry_after

_logger = getLogger("fusebill_async.quota")

_PATIENCE = 15
"""How often a waiting class is passed over by a higher one before one call of it goes."""

_TICK = 0.0005
"""Seconds; no wait is shorter, since clocks and timers disagree by that much."""


class AdmissionError(Exception):
    """A call was not admitted. Nothing was sent."""


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


@attrs.define(eq=False)
class Permit:
    """A place in the pool and quota for some requests. It belongs to one call, until it is left.

    It may be used in a `with` statement, and is left at its end.
    """

    _admission: Admission
    _quota: Quota
    _unsent: int
    _unanswered: int = 0
    _held: bool = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def sent(self) -> None:
        """One of its requests is on its way. Call it at the hand-out of a connection."""
        if self._unsent:
            self._unsent -= 1
        else:
            # Such as a read that is repeated: nobody took quota for it, and its answer gives some back.
            self._quota.take_one_more()
        self._unanswered += 1
        self._quota.under_way += 1

    def answered(self, status: int, headers: Mapping[str, str], sent_at: float, received_at: float) -> None:
        """A request was answered: learn from the headers.

        Args:
            status: of the answer.
            headers: of the answer.
            sent_at: the time on `effects.now` at which the request was sent.
            received_at: the time at which the headers came.
        """
        self._unanswered -= 1
        self._admission.learn(status, headers, sent_at, received_at)

    def leave(self) -> None:
        """Give back the place, and the quota of requests that were never sent. Leaving twice does no harm.

        A request without an answer is taken for counted by the service.
        """
        if self._held:
            self._held = False
            self._admission.take_back(self._unsent, self._unanswered)


@attrs.define(eq=False)
class _Waiter:
    permit: asyncio.Future[Permit]
    priority: Priority
    requests: int


class Admission:
    """Admits calls by priority; gives each a pool slot and quota together.

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
        on_threshold: Callable[[str, float], object] = lambda _window, _part: None,
    ) -> None:
        self._places = places
        self._effects = effects
        self._now = effects.now
        self._clock = clock
        self._on_threshold = on_threshold
        self._quota = Quota(policy, clock)
        self._sharing: QuotaSharing | None = None
        if shared is not None and policy.enabled:
            self._sharing = QuotaSharing(
                shared, self._quota, policy, effects, waiting=self._who_waits, changed=self._admit
            )
        # Keys only, in the order of arrival: who leaves is out at once, and is counted out once.
        self._queues: dict[Priority, dict[_Waiter, None]] = {priority: {} for priority in Priority}
        self._passed_over = dict.fromkeys(Priority, 0)
        self._timer: asyncio.Task[None] | None = None
        self._wakes_at = inf
        self._lowest: int = Priority.BULK
        self.refusals = 0
        """Answers with 429 so far."""

    # -- getting in ------------------------------------------------------------------------------------------

    async def enter(
        self, priority: Priority, *, requests: int = 1, until: float | None = None, gate: Gate | None = None
    ) -> Permit:
        """Get a permit, waiting for a place and for quota. Cancelling it leaves nothing behind.

        Args:
            priority: of the call.
            requests: how many it will send, at least 1.
            until: the time on `effects.now` at which waiting ends; None waits as long as it takes.
            gate: of its batch; None for a call of its own.

        Raises:
            GateClosed: the gate was closed meanwhile.
            QueueTimeout: `until` came first.
            QuotaExhausted: an interactive call, and the day is used up.
            AdmissionClosed: it is closed.
        """
        if priority > self._lowest:
            raise AdmissionClosed
        permit = self.enter_now(priority, requests)
        if permit is not None:
            return permit
        waiter = _Waiter(asyncio.get_running_loop().create_future(), priority, requests)
        self._queues[priority][waiter] = None
        self._admit()
        watched = nullcontext() if gate is None else gate.in_line(waiter.permit)
        try:
            with watched:
                async with asyncio.timeout(None if until is None else until - self._now()):
                    return await waiter.permit
        except (TimeoutError, asyncio.CancelledError, GateClosed) as ended:
            self._drop(waiter)
            if isinstance(ended, TimeoutError):
                raise self._timed_out(priority) from None
            raise

    def enter_now(self, priority: Priority, requests: int = 1) -> Permit | None:
        """Get a permit at once, or None if that is not possible or others wait."""
        if self._places <= 0 or priority > self._lowest or any(self._queues.values()):
            return None
        if not self._quota.take(self._now(), requests, priority):
            return None
        self._places -= 1
        return Permit(self, self._quota, requests)

    def _drop(self, waiter: _Waiter) -> None:
        """It waits no more. What it was given at that moment goes to others."""
        self._queues[waiter.priority].pop(waiter, None)
        if waiter.permit.done() and not waiter.permit.cancelled() and waiter.permit.exception() is None:
            waiter.permit.result().leave()
        self._admit()

    def _timed_out(self, priority: Priority) -> QueueTimeout:
        if self._places <= 0:
            return QueueTimeout("pool")
        now = self._now()
        return QueueTimeout("quota", self._quota.opens_at(now, day=self._quota.out_of_day(now, priority)))

    # -- what permits do --------------------------------------------------------------------------------------

    def learn(self, status: int, headers: Mapping[str, str], sent_at: float, received_at: float) -> None:
        """A request was answered; see `Permit.answered`."""
        seen = read_quota(headers)
        if seen.date is not None:
            self._clock.observe(seen.date.timestamp(), sent_at, received_at)
        was_paced = self._quota.paced
        passed = self._quota.answered(status, seen, sent_at, received_at)
        if status == 429:
            self.refusals += 1
            self._quota.refused(sent_at, received_at, retry_after(headers), self._effects.random())
        if was_paced and not self._quota.paced:
            _logger.warning("The service tells no quota: calls are not paced until it does")
        if any(self._queues.values()):
            self._admit()
        for window, part in passed:
            self._on_threshold(window, part)

    def take_back(self, unsent: int, unanswered: int) -> None:
        """A permit was left; see `Permit.leave`."""
        for _ in range(unanswered):
            self._quota.lost(self._now())
        if unsent > 0:
            self._quota.give_back(unsent)
        self._places += 1
        if any(self._queues.values()):
            self._admit()

    @property
    def quota(self) -> QuotaView:
        """The quota as the headers last said, and who waits for it."""
        return self._quota.view(self._now(), {priority: len(queue) for priority, queue in self._queues.items()})

    @property
    def is_paused(self) -> bool:
        """Whether nothing may go after a 429."""
        return self._quota.is_paused(self._now())

    @property
    def waits_for(self) -> Literal["pool", "quota"]:
        """What a call that is not admitted at once waits for first."""
        return "pool" if self._places <= 0 else "quota"

    # -- closing ---------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Wake every waiter with `AdmissionClosed`, and admit nothing more except settling reads."""
        self._admit_only(Priority.SETTLING)

    def close(self) -> None:
        """Wake every waiter with `AdmissionClosed`, and admit nothing more."""
        self._admit_only(-1)

    async def aclose(self) -> None:
        """Close, and give back what a shared budget granted."""
        self.close()
        if self._sharing is not None:
            await self._sharing.aclose()

    def _admit_only(self, lowest: int) -> None:
        self._lowest = lowest
        for priority in Priority:
            if priority > lowest:
                self._turn_away(priority, AdmissionClosed)
        self._admit()

    def _turn_away(self, priority: Priority, error: Callable[[], AdmissionError]) -> None:
        queue = self._queues[priority]
        while queue:
            waiter = queue.popitem()[0]
            if not waiter.permit.done():
                waiter.permit.set_exception(error())

    # -- admitting -------------------------------------------------------------------------------------------

    def _admit(self) -> None:
        """Admit every call that may go now, and look again when the next may."""
        now, wake = self._now(), inf
        while (waiter := self._next(now)) is not None and self._places > 0:
            if not self._quota.take(now, waiter.requests, waiter.priority):
                break
            del self._queues[waiter.priority][waiter]
            self._note_passed_over(waiter.priority)
            self._places -= 1
            waiter.permit.set_result(Permit(self, self._quota, waiter.requests))
        if self._places > 0 and any(self._queues.values()):
            # If none of them is next, all of them wait for the next day.
            requests, priority = (waiter.requests, waiter.priority) if waiter else (1, Priority.BULK)
            wake = now + max(self._quota.delay(now, requests, priority), _TICK)
            if self._sharing is not None:
                self._sharing.wake()
        self._look_again_at(wake)

    def _next(self, now: float) -> _Waiter | None:
        """The next waiter. A priority for which the day has nothing left does not block the others."""
        first: _Waiter | None = None
        for priority, queue in self._queues.items():
            while queue and (waiter := next(iter(queue))).permit.done():
                del queue[waiter]  # cancelled, and its task has not run yet
            if queue and self._quota.out_of_day(now, priority):
                if priority is Priority.INTERACTIVE:
                    self._turn_away(priority, partial(QuotaExhausted, self._quota.opens_at(now, day=True)))
            elif queue and (first is None or self._passed_over[priority] >= _PATIENCE):
                first = next(iter(queue))
        return first

    def _note_passed_over(self, gone: Priority) -> None:
        self._passed_over[gone] = 0
        for priority, queue in self._queues.items():
            if priority > gone and queue:
                self._passed_over[priority] += 1

    def _who_waits(self) -> tuple[int, int, Priority]:
        """How many requests could go if there were quota, how many the next call sends, and its priority."""
        waiter = self._next(self._now()) if self._places > 0 else None
        if waiter is None:
            return 0, 0, Priority.BULK
        calls = sum(map(len, self._queues.values()))
        return max(min(calls, self._places), waiter.requests), waiter.requests, waiter.priority

    def _look_again_at(self, wake: float) -> None:
        """Look again at that time, infinite for never. A timer runs only while somebody waits for time."""
        if self._timer is not None and (wake == inf or wake < self._wakes_at - _TICK):
            self._timer.cancel()
            self._timer = None
        if self._timer is None and wake < inf:
            self._wakes_at = wake
            self._timer = asyncio.get_running_loop().create_task(self._look_again(wake))

    async def _look_again(self, wake: float) -> None:
        await self._effects.sleep(max(wake - self._now(), 0.0))
        self._timer = None  # a new one may start; this one ends without another await
        self._admit()
