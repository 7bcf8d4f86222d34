"""A fixed number of workers that carry out the items of a job, and step aside while one is settled."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from fusebill_async.bulk.carrying import Carried, CarryOut
from fusebill_async.bulk.items import Item
from fusebill_async.bulk.limits import Judge
from fusebill_async.bulk.tallies import Tally
from fusebill_async.session.effects import Effects

_READ_AHEAD = 500
"""Items that are read from the journal at once."""


class Feed:
    """Gives the items of a job: first those that an earlier run left open, then the others in the order of the input.

    Args:
        left_open: by an earlier run.
        read: reads the next items from the journal, after the one with a number.
    """

    def __init__(self, left_open: list[Item], read: Callable[[int, int], Awaitable[list[Item]]]) -> None:
        self._items = deque(left_open)
        self._again: deque[Item] = deque()
        self._read = read
        self._last = 0
        self._reading = asyncio.Lock()

    async def next(self) -> Item | None:
        """The next item, None if there is none (any more)."""
        if not self._items:
            await self._read_on()
        if self._items:
            return self._items.popleft()
        return self._again.popleft() if self._again else None

    def give_back(self, item: Item) -> None:
        """An item for which nothing was sent comes again when the others have had their turn."""
        self._again.append(item)

    async def _read_on(self) -> None:
        async with self._reading:
            if self._items or self._last < 0:
                return
            items = await self._read(self._last, _READ_AHEAD)
            self._items.extend(items)
            self._last = items[-1].number if items else -1


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
            self._wake()
        if ended is None and self._failed is not None:
            raise self._failed
        return ended

    def stop(self, reason: str) -> None:
        """Begin nothing more."""
        self._judge.stop(reason)
        self._wake()

    # --- a worker

    def _start_worker(self) -> None:
        worker = asyncio.create_task(self._work(), name="fusebill_async: a worker of a job")
        self._workers.add(worker)
        worker.add_done_callback(self._has_left)

    def _has_left(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        if not worker.cancelled() and worker.exception() is not None:
            self._failed = self._failed or worker.exception()
            self.stop(f"it failed: {self._failed}")
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
                self._wake()
                if len(self._workers) - self._parked > self._concurrency:
                    # Another one has taken its place.
                    return

    async def _next(self) -> Item | None:
        """The next item, when it may be sent; None if there is none, or if the job stops."""
        judge, effects = self._judge, self._effects
        while not judge.stopped:
            pause = judge.not_before - effects.now()
            if pause > 0:
                await self._wait(pause)
            elif self._parked > self._concurrency or self._ended.qsize() >= self._most_untold:
                await self._wait(None)
            else:
                return await self._feed.next()
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

    def _wake(self) -> None:
        self._changed.set()

    def _note(self, item: Item, carried: Carried) -> None:
        effects = self._effects
        self._judge.look_at(carried, effects.now(), effects.wall())
        if self._judge.stopped:
            self._wake()
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
            while self._workers:
                await asyncio.wait(self._workers)
        except asyncio.CancelledError:
            for worker in self._workers:
                worker.cancel()
            await asyncio.gather(*self._workers, return_exceptions=True)
            raise
