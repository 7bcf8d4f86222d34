"""Keeps the quota of this process in step with the budget that it shares with others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from logging import getLogger
from math import inf

from fusebill_async.policy.quota import Quota
from fusebill_async.policy.shared import SharedQuota
from fusebill_async.session.effects import Effects
from fusebill_async.settings import Priority, QuotaPolicy

_logger = getLogger("fusebill_async.quota")

_RETRY = 1.0
"""Seconds between two attempts to reach a shared budget that is away."""

_REPORT = 1.0
"""Seconds between two reports while nobody waits and calls are under way."""


class QuotaSharing:
    """Asks the shared budget for calls while somebody waits, and reports to it while calls are under way.

    Args:
        shared: the budget.
        quota: of this process.
        policy: how it is used.
        effects: clock and sleep.
        waiting: how many requests wait, how many the next call needs (0: nobody waits), and its priority.
        changed: called when more may go than before, or others.
    """

    def __init__(
        self,
        shared: SharedQuota,
        quota: Quota,
        policy: QuotaPolicy,
        effects: Effects,
        *,
        waiting: Callable[[], tuple[int, int, Priority]],
        changed: Callable[[], None],
    ) -> None:
        self._shared = shared
        self._quota = quota
        self._policy = policy
        self._effects = effects
        self._waiting = waiting
        self._changed = changed
        self._task: asyncio.Task[None] | None = None
        self._wakes_at = inf
        self._not_before = -inf
        self._asking = self._away = self._closed = False
        quota.use_shared()

    def wake(self) -> None:
        """Ask the budget as soon as that is of use."""
        due = max(self._effects.now(), self._not_before)
        if self._closed or self._asking or (self._task is not None and self._wakes_at <= due):
            return
        if self._task is not None:
            self._task.cancel()
        self._wakes_at = due
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def aclose(self) -> None:
        """Give back what was granted, and ask no more."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if not self._away and self._not_before > -inf:
            self._quota.use_local(self._policy.share / self._policy.workers)
            with suppress(Exception):
                await self._shared.exchange(self._quota.report(self._effects.now(), 0, 0, Priority.BULK))

    async def _run(self) -> None:
        while True:
            now = self._effects.now()
            if self._wakes_at > now:
                await self._effects.sleep(self._wakes_at - now)
            self._asking = True
            try:
                held = await self._exchange()
                self._changed()
            finally:
                self._asking = False
            if self._waiting()[1]:
                self._wakes_at = self._not_before
            elif held or self._quota.holds or self._away:
                self._wakes_at = self._effects.now() + _REPORT
            else:
                self._task = None
                return

    async def _exchange(self) -> int:
        """Report once; gives how many calls were reported as held."""
        asked = self._effects.now()
        report = self._quota.report(asked, *self._waiting())
        try:
            grant = await self._shared.exchange(report)
        except Exception as error:  # noqa: BLE001 (whatever keeps it away, calls go on in our part)
            self._not_before = self._effects.now() + _RETRY
            self._lose(error)
            return 0
        now = self._effects.now()
        self._find()
        self._quota.grant(grant, report, asked, now)
        self._not_before = now if grant.granted else now + self._quota.step
        return report.held

    def _lose(self, error: Exception) -> None:
        self._quota.use_local(self._policy.share / self._policy.workers)
        if not self._away:
            self._away = True
            _logger.warning(
                "The shared quota is away (%s); this process keeps to 1/%d of it",
                type(error).__name__,
                self._policy.workers,
            )

    def _find(self) -> None:
        if self._away:
            self._away = False
            _logger.warning("The shared quota is back")
