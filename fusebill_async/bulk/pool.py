"""A fixed number of workers that carry out the items of a job, and step aside while one is settled."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from math import inf

from fusebill_async.bulk.carrying import Carried, CarryOut
from fusebill_async.bulk.items import Item
from fusebill_async.bulk.limits import Judge
from fusebill_async.bulk.tallies import Tally
from fusebill_async.errors import ConfigurationError, FusebillError, StoreUnavailableError
from fusebill_async.outcome import Outcome
from fusebill_async.session.effects import Effects

_AT_ONCE = 500
"""Items that are read from the journal at once, at most."""
_FEW = 50
"""Items left when the next ones begin to be read."""
_STALE = 300.0
"""Seconds after which items that were read are read anew, with what was read of their customers."""


class Feed:
    """Gives the items of a job: first those that an earlier run left open, then the others in the order of the input.

    Args:
        left_open: by an earlier run.
        read: reads the next items from the journal, after the one with a number, so many at most.
        now: the session's clock.
    """

    def __init__(
        self, left_open: list[Item], read: Callable[[int, int], Awaitable[list[Item]]], now: Callable[[], float]
    ) -> None:
        self._left_open = deque(left_open)
        self._given_first = {item.number for item in left_open}
        """When such a write is settled as not applied, its item has neither intent nor outcome: it is read as well."""
        self._items: deque[Item] = deque()
        self._again: deque[Item] = deque()
        self._read = read
        self._now = now
        self._read_at = now()
        self._last: int | None = 0
        """The number of the last item that was read; None when there are no more."""
        self._ahead: asyncio.Task[list[Item]] | None = None

    async def next(self) -> Item | None:
        """The next item, None if there is none (any more).

        Raises:
            FusebillError: what is read ahead of the items could not be read.
        """
        if self._left_open:
            return self._left_open.popleft()
        self._drop_stale()
        while not self._items and self._last is not None:
            await self._read_on(self._last)
        if self._items:
            item = self._items.popleft()
            if len(self._items) <= _FEW and self._last is not None:
                self._look_ahead(self._last)
            return item
        return self._again.popleft() if self._again else None

    def give_back(self, item: Item) -> None:
        """An item for which nothing was sent comes again when the others have had their turn."""
        self._again.append(item)

    async def aclose(self) -> None:
        """Read nothing more."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            ahead.cancel()
            await asyncio.gather(ahead, return_exceptions=True)

    def _look_ahead(self, last: int) -> asyncio.Task[list[Item]]:
        if self._ahead is None:
            self._ahead = asyncio.create_task(self._read_after(last), name="fusebill_async: reads a job's items")
        return self._ahead

    async def _read_after(self, last: int) -> list[Item]:
        return await self._read(last, _AT_ONCE)

    async def _read_on(self, last: int) -> None:
        """Wait for the next items. All who wait share one reading, and its error."""
        ahead = self._look_ahead(last)
        try:
            items = await asyncio.shield(ahead)
        finally:
            is_first = ahead is self._ahead and ahead.done()
            if is_first:
                self._ahead = None
        if is_first:
            self._items.extend(item for item in items if item.number not in self._given_first)
            self._last = items[-1].number if items else None
            self._read_at = self._now()

    def _drop_stale(self) -> None:
        """After a long wait, as for the quota of a day, what was read of the customers is no news any more."""
        if self._items and self._now() - self._read_at > _STALE:
            self._last = self._items[0].number - 1
            self._items.clear()
            if self._ahead is not None:
                self._ahead.cancel()
                self._ahead = None


class Pool:
    """Workers that carry out items.

    A worker whose item takes reads to be settled steps aside, and another one takes its place: the item is parked.
    While more are parked than there are workers, nothing is begun: in an outage the job waits.

    Args:
        feed: gives the items.
        carry_out: carries one out.
        judge: says whether the job goes on.
        concurrency: how many workers there are.
        effects: the clocks.
    """

    def __init__(self, feed: Feed, carry_out: CarryOut, judge: Judge, concurrency: int, effects: Effects) -> None:
        self._feed = feed
        self._carry_out = carry_out
        self._judge = judge
        self._concurrency = concurrency
        self._effects = effects
        self._workers: set[asyncio.Task[None]] = set()
        self._ended: asyncio.Queue[tuple[Item, Carried] | None] = asyncio.Queue()
        self._most_untold = 2 * concurrency
        """Ended items that wait to be taken, at most: who takes them slowly slows the job."""
        self._parked = 0
        self._changed = asyncio.Event()
        """Set when a worker that waits should look again: there is room, or the job stops."""
        self._failed: BaseException | None = None

    def start(self) -> None:
        """Begin."""
        for _ in range(self._concurrency):
            self._start_worker()

    async def next(self) -> tuple[Item, Carried] | None:
        """The next item that has ended; None when every worker has left."""
        ended = await self._ended.get()
        if self._ended.qsize() == self._most_untold - 1:
            self.wake()
        if ended is None and self._failed is not None:
            raise self._failed
        return ended

    def stop(self, reason: str) -> None:
        """Begin nothing more."""
        self._judge.stop(reason)
        self.wake()

    def fail(self, error: BaseException) -> None:
        """Begin nothing more; `next` raises this when every worker has left."""
        self._failed = self._failed or error
        self.stop(f"it failed: {self._failed}")

    def wake(self) -> None:
        """Have the workers that wait look again."""
        self._changed.set()

    # --- a worker

    def _start_worker(self) -> None:
        worker = asyncio.create_task(self._work(), name="fusebill_async: a worker of a job")
        self._workers.add(worker)
        worker.add_done_callback(self._has_left)

    def _has_left(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        error = None if worker.cancelled() else worker.exception()
        if error is not None:
            self.fail(error)
        if not self._workers:
            self._ended.put_nowait(None)

    async def _work(self) -> None:
        while (item := await self._next()) is not None:
            stepped_aside = False

            def step_aside() -> None:
                nonlocal stepped_aside
                if not stepped_aside:
                    stepped_aside = True
                    self._parked += 1
                    self._start_worker()

            carried = await self._carry_out(item, step_aside)
            self._note(item, carried)
            if stepped_aside:
                self._parked -= 1
                self.wake()
                if len(self._workers) - self._parked > self._concurrency:
                    # Another one has taken its place.
                    return

    async def _next(self) -> Item | None:
        """The next item, when it may be sent; None if there is none, or if the job stops."""
        judge, effects = self._judge, self._effects
        while not judge.stopped:
            pause = judge.seconds_to_wait(effects.now(), effects.wall())
            if pause > 0:
                await self._wait(None if pause == inf else pause)
            elif self._parked > self._concurrency or self._ended.qsize() >= self._most_untold:
                await self._wait(None)
            else:
                try:
                    return await self._feed.next()
                except (ConfigurationError, StoreUnavailableError):
                    raise
                except FusebillError as error:
                    self._look_at(Carried(tally=Tally.UNPROCESSED, outcome=Outcome.NOT_SENT, error=error))
        return None

    async def _wait(self, seconds: float | None) -> None:
        """Wait until something has changed, or for so many seconds."""
        self._changed.clear()
        if seconds is None:
            await self._changed.wait()
            return
        changed = asyncio.ensure_future(self._changed.wait())
        clock = asyncio.ensure_future(self._effects.sleep(seconds))
        try:
            await asyncio.wait([changed, clock], return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()
            clock.cancel()

    def _look_at(self, carried: Carried) -> None:
        self._judge.look_at(carried, self._effects.now(), self._effects.wall())
        if self._judge.stopped:
            self.wake()

    def _note(self, item: Item, carried: Carried) -> None:
        self._look_at(carried)
        if carried.tally is Tally.UNPROCESSED:
            self._feed.give_back(item)
        else:
            self._ended.put_nowait((item, carried))

    # --- the end

    async def finish(self) -> None:
        """See what is under way to its end, and begin nothing else; cancelled meanwhile, drop it."""
        if self._workers:
            self.stop("it was left")
        try:
            await self._feed.aclose()
            while self._workers:
                await asyncio.wait(self._workers)
        except asyncio.CancelledError:
            for worker in self._workers:
                worker.cancel()
            await asyncio.gather(*self._workers, return_exceptions=True)
            raise
