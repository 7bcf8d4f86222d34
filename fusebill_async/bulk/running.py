"""One run of a job: from what its journal leaves to do, to the end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from fusebill_async.bulk.batch import with_ledger
from fusebill_async.bulk.carrying import Carried, CarryOut, LocalCarrier
from fusebill_async.bulk.handing_out import HandingOut, order_for
from fusebill_async.bulk.id_sets import IdSets
from fusebill_async.bulk.items import Item, Kind
from fusebill_async.bulk.journal import JobFacts, Journal
from fusebill_async.bulk.limits import Judge
from fusebill_async.bulk.options import LARGEST_CANARY, JobOptions
from fusebill_async.bulk.pool import Feed, Pool
from fusebill_async.bulk.report import BulkItem
from fusebill_async.bulk.snapshots import Snapshots
from fusebill_async.bulk.tallies import Tally
from fusebill_async.bulk.watching import Watcher
from fusebill_async.errors import ConfigurationError
from fusebill_async.resources.core import ClientCore
from fusebill_async.session.events import ItemEvent, JobEvent
from fusebill_async.session.gate import Gate


class JobRun:
    """One run. Use it with `async with`; left early, it sees what is under way to its end.

    Args:
        core: of the client.
        journal: open, with its input.
        kind: what the job does.
        facts: what the journal says of it.
        options: how.

    Attributes:
        total: how many items are to end in it; known when it has begun.
    """

    def __init__(self, core: ClientCore, journal: Journal, kind: Kind, facts: JobFacts, options: JobOptions) -> None:
        self._gate = Gate()
        self._core = with_ledger(core, journal, self._gate)
        self._journal = journal
        self._kind = kind
        self._facts = facts
        self._options = options
        self._effects = core.session.effects
        self._listeners = core.session.teller.listeners
        self._judge = Judge(options.limits, self._effects.now())
        self._pool: Pool | None = None
        self._canary_alone = False
        self.total = 0
        self._watcher: Watcher | None = None

    async def __aenter__(self) -> Self:
        workers, left_open = self._options.workers, await self._journal.open_items()
        if workers is None:
            _check_here(self._journal, left_open)
            await self._begin(left_open)
            return self
        await workers.start()
        try:
            await self._begin(left_open)
        except BaseException:
            await workers.aclose()
            raise
        return self

    async def _begin(self, left_open: list[Item]) -> None:
        journal, kind, options = self._journal, self._kind, self._options
        await journal.begin_run(options.as_json())
        if options.retry in ("rejected", "not_applied"):
            await journal.retry(Tally(options.retry), options.message)
        only_read = options.retry == "unknown"
        self._canary_alone = await journal.holds_back_all_but_canary()
        self.total = len(left_open)
        if self._canary_alone:
            self.total += len(await journal.items_to_do(0, LARGEST_CANARY, of_canary=True))
        elif not only_read:
            self.total = await journal.count_to_do()
        feed = Feed(left_open, _nothing if only_read else self._items_to_do(), self._effects.now)
        carry_out = self._carrier(only_read=only_read)
        self._pool = Pool(feed, carry_out, self._judge, options.concurrency, self._effects)
        self._listeners.tell("job", JobEvent(operation=kind.operation.title, state="began"))
        self._watcher = Watcher(self._core, journal, self._judge, self._gate, self._pool.wake)
        await self._watcher.start(self._pool.fail)
        self._pool.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._pool is not None
        if isinstance(error, (asyncio.CancelledError, GeneratorExit)):
            self.stop("it was cancelled")
        elif error is not None:
            self.stop(f"it failed: {error}")
        try:
            await self._pool.finish()
        finally:
            if self._watcher is not None:
                await self._watcher.end()
            ended_as = self._judge.stopped
            self._journal.end_run(ended_as)
            event = JobEvent(operation=self._kind.operation.title, state="ended", reason=ended_as)
            self._listeners.tell("job", event)
            try:
                # Nothing is under way now, but for what was dropped.
                await self._core.writing.writer.end(0.0)
            finally:
                if self._options.workers is not None:
                    await self._options.workers.aclose()

    def _carrier(self, *, only_read: bool) -> CarryOut:
        """What carries an item out: this process, or others."""
        kind, ledger, options = self._kind, self._journal.ledger, self._options
        local = LocalCarrier(self._core, kind, ledger, only_read=only_read)
        if options.workers is None:
            return local
        anew = options.retry in ("rejected", "not_applied")
        order = order_for(self._facts, kind, anew=anew, only_read=only_read)
        return HandingOut(local, options.workers, ledger, kind, order, self._effects)

    @property
    def operation(self) -> str:
        """What the job does, such as "customers.hold"."""
        return self._kind.operation.title

    @property
    def waits_for(self) -> str:
        """Why nothing is begun at this moment, in words; "" if nothing holds it back."""
        hold = self._judge.hold(self._effects.wall())
        return "" if hold is None else str(hold)

    def _items_to_do(self) -> Callable[[int, int], Awaitable[list[Item]]]:
        """What gives the next items: the journal, or whoever reads their customers first."""
        options = self._options
        if self._canary_alone:
            # Each customer is seen whole, before and after.
            sets = IdSets(self._core, concurrency=options.concurrency, one_by_one=True)
            return Snapshots(self._journal, self._kind, sets, options.skip_done, of_canary=True).items_to_do
        if not options.reads_ahead(self._kind):
            return self._journal.items_to_do
        sets = IdSets(self._core, single_reads=options.single_reads, concurrency=options.concurrency)
        return Snapshots(self._journal, self._kind, sets, options.skip_done).items_to_do

    def stop(self, reason: str) -> None:
        """Begin no more items. What waits for the quota is not under way, and might wait for minutes."""
        self._gate.end()
        if self._pool is not None:
            self._pool.stop(reason)

    async def next(self) -> BulkItem | None:
        """The next item that has ended; None when all have, or when the job has stopped."""
        assert self._pool is not None
        ended = await self._pool.next()
        if ended is None:
            if self._canary_alone and await self._journal.items_to_do(0, 1):
                self._judge.stop("the canary has ended, and the others wait for a yes")
            return None
        item, carried = ended
        if carried.tally is Tally.UNKNOWN:
            self._journal.note_unknown(item, str(carried.error or ""))
        if self._listeners.users:
            self._listeners.tell("item", _item_event(self._kind, item, carried))
        return _bulk_item(item, carried, self._journal.ledger.run)


def _check_here(journal: Journal, left_open: list[Item]) -> None:
    """See that nothing is left open that only workers can tell of.

    Raises:
        ConfigurationError: it is.
    """
    handed_out = sum(item.handed_out for item in left_open)
    if handed_out:
        raise ConfigurationError(
            f"{handed_out:,} items of {journal.path} were handed to workers, and only their idempotency keys tell what "
            "became of them: run it on workers once more, with workers= (--workers)"
        )


async def _nothing(_: int, __: int) -> list[Item]:
    """No further items: what is open is settled, and nothing is sent."""
    return []


def _bulk_item(item: Item, carried: Carried, run: int) -> BulkItem:
    return BulkItem(
        number=item.number,
        customer_id=item.customer_id,
        outcome=carried.outcome,
        tally=carried.tally,
        error=carried.error,
        message=carried.reason if carried.error is None else str(carried.error),
        attempts=carried.attempts,
        attribution=carried.attribution,
        status=carried.status,
        run=run,
    )


def _item_event(kind: Kind, item: Item, carried: Carried) -> ItemEvent:
    return ItemEvent(
        operation=kind.operation.title,
        customer_id=item.customer_id,
        outcome=carried.outcome,
        attempts=carried.attempts,
        attribution=carried.attribution,
    )
