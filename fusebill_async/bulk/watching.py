"""Looks every second at what is wanted of a job, and at the clock; holds the job back, and lets it go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from fusebill_async.bulk.control import Wanted
from fusebill_async.bulk.journal import Journal
from fusebill_async.bulk.limits import Hold, Judge
from fusebill_async.errors import StoreUnavailableError
from fusebill_async.resources.core import ClientCore
from fusebill_async.session.gate import Gate

_EVERY = 1.0
"""Seconds between two looks."""


class Watcher:
    """Holds a job back and lets it go on, and writes down what befell it.

    Args:
        core: of the client.
        journal: of the job.
        judge: says whether the job may send.
        gate: of the job's calls.
        wake: has the workers ask the judge anew.
    """

    def __init__(self, core: ClientCore, journal: Journal, judge: Judge, gate: Gate, wake: Callable[[], None]) -> None:
        self._core = core
        self._effects = core.session.effects
        self._journal = journal
        self._judge = judge
        self._gate = gate
        self._wake = wake
        self._refusals = core.session.admission.refusals
        self._quota: tuple[float, float | None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._noted: tuple[str, float | None] | None = None
        """The kind and the end of the hold that was written down last; None if the job went on since."""

    async def start(self, on_failure: Callable[[BaseException], None]) -> None:
        """Look once, before anything is sent, and then every second.

        Args:
            on_failure: called with the error, if the journal cannot be used any more.
        """
        await self.look()
        self._task = asyncio.create_task(self._watch(on_failure), name="fusebill_async: watches a job")

    async def end(self) -> None:
        """Look no more, and write down what there is to say."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        self._note_quota()

    async def look(self) -> None:
        """Look once.

        Raises:
            StoreUnavailableError: the journal cannot be used any more.
        """
        control = await self._journal.control()
        judge = self._judge
        judge.paused_by = control.by if control.wanted is Wanted.PAUSE else ""
        if control.wanted is Wanted.STOP:
            judge.stop(f"it was stopped by {control.by}")
        judge.look_at_clock(self._effects.wall())
        self._hold_or_release(judge.hold(self._effects.wall()))
        self._note_quota()

    async def _watch(self, on_failure: Callable[[BaseException], None]) -> None:
        try:
            while True:
                await self._effects.sleep(self._judge.seconds_to_turn(self._effects.wall(), _EVERY))
                await self.look()
        except StoreUnavailableError as error:
            on_failure(error)

    def _hold_or_release(self, hold: Hold | None) -> None:
        judge, gate = self._judge, self._gate
        if judge.stopped:
            gate.end()
            self._wake()
        elif hold is not None and hold.closes:
            gate.close()
        elif not gate.is_open:
            gate.open()
        noted = None if hold is None else (hold.kind, hold.until)
        if noted != self._noted:
            if hold is None:
                self._journal.note_event("went_on")
            else:
                self._journal.note_event(hold.kind, until=hold.until, note=hold.reason)
            self._noted = noted
            # They wait by a clock that may have stood still.
            self._wake()

    def _note_quota(self) -> None:
        admission, policy = self._core.session.admission, self._core.quota_policy
        if admission.refusals > self._refusals:
            self._journal.note_event("refused", count=admission.refusals - self._refusals)
            self._refusals = admission.refusals
        seen = admission.quota
        if not policy.enabled or seen.minute is None:
            return
        quota = seen.minute.limit * policy.share, None if seen.day is None else seen.day.limit * policy.share
        if quota != self._quota:
            self._quota = quota
            self._journal.note_quota(*quota)
