"""A job: one operation on many customers, written down in a journal so that it survives anything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any, Literal, TypeAlias

import attrs

from fusebill_async.bulk.carrying import Carried, LocalCarrier
from fusebill_async.bulk.items import Item, Kind, kind_of
from fusebill_async.bulk.journal import JobFacts, Journal
from fusebill_async.bulk.limits import Judge, Limits
from fusebill_async.bulk.pool import Feed, Pool
from fusebill_async.bulk.reading import InputReader, Items
from fusebill_async.bulk.report import BulkItem, BulkPlan, BulkReport, read_report
from fusebill_async.bulk.tallies import Tally
from fusebill_async.errors import ClientStateError, ConfigurationError, ValidationError, shown
from fusebill_async.resources.core import ClientCore
from fusebill_async.session.events import ItemEvent, JobEvent
from fusebill_async.settings import Priority
from fusebill_async.stores.effects import StoreEffects

Retry: TypeAlias = Literal["rejected", "not_applied", "unknown"]

_SHORTEST_QUEUE = 120.0
"""Seconds for which an item waits for the quota in any case: a minute's window opens within 60."""
_WAITS_FOR_SETTLING = 86_400.0
"""Seconds: an item ends with its outcome, however long settling takes."""
_MOST_WORKERS = 10_000
_EXAMPLES = 20
"""Bad rows that a plan names, at most."""


@attrs.frozen(kw_only=True)
class JobOptions:
    """How a job is run; see `Bulk`."""

    concurrency: int = 32
    skip_bad_rows: bool = False
    limits: Limits = attrs.field(factory=Limits)
    retry: Retry | None = None
    message: str | None = None
    take_over: bool = False

    def __attrs_post_init__(self) -> None:
        if type(self.concurrency) is not int or not 1 <= self.concurrency <= _MOST_WORKERS:
            raise ConfigurationError(
                f"concurrency= must be a whole number from 1 to {_MOST_WORKERS:,}, not {shown(self.concurrency)}"
            )
        if self.retry not in (None, "rejected", "not_applied", "unknown"):
            raise ConfigurationError(
                f'retry= must be "rejected", "not_applied", "unknown" or None, not {shown(self.retry)}'
            )
        if self.message is not None and self.retry not in ("rejected", "not_applied"):
            raise ConfigurationError('message= chooses among those of retry="rejected" or retry="not_applied"')

    def as_json(self) -> dict[str, Any]:
        """The options, for the journal."""
        return {"concurrency": self.concurrency, "retry": self.retry, "message": self.message}


class BulkJob:
    """One operation on many customers, from `client.bulk`.

    The input is read to its end into the journal before anything is sent. Each item is recorded there before its first
    byte leaves, and its outcome when it is known. A job that was killed at any instant goes on where it was: run it
    again with the same journal, or use `client.bulk.resume(journal)`.

        job = client.bulk.hold(ids, journal="hold.sqlite")
        report = await job.run()

    One process runs a job at a time.
    """

    def __init__(
        self,
        core: ClientCore,
        journal: Path,
        *,
        kind: Kind | None,
        items: Items | None,
        options: JobOptions,
        effects: StoreEffects | None = None,
    ) -> None:
        self._core = core
        self._path = journal
        self._kind = kind
        self._items = items
        self._options = options
        self._effects = effects or StoreEffects()
        self._has_read = False
        self._pool: Pool | None = None
        self._is_open = False

    def __repr__(self) -> str:
        title = "" if self._kind is None else f"{self._kind.operation.title}, "
        return f"BulkJob({title}journal={str(self._path)!r})"

    # --- what a user does with it

    async def plan(self) -> BulkPlan:
        """Read the input into the journal, and say what the job would do. No write is sent.

        Raises:
            ConfigurationError: the journal cannot be used, or is that of another job.
        """
        journal = await self._open()
        try:
            kind, facts = await self._know(journal)
            bad, first = await journal.bad_rows(_EXAMPLES), await journal.items_to_do(0, 5)
            return self._planned(kind, facts, await self.report(), bad, first)
        finally:
            await self._close(journal)

    async def run(self, *, progress: bool = False) -> BulkReport:
        """Carry out what is left to do.

        Cancelled once, it sees what is under way to its end, and ends with `CancelledError`. Cancelled once more, it
        leaves what is under way as unknown. Either way it can be resumed.

        Args:
            progress: show it on standard error.

        Returns:
            How the job stands, over all its runs.

        Raises:
            ValidationError: the input has bad rows, and `skip_bad_rows` is not set. Nothing was sent.
            ConfigurationError: the journal cannot be used, or is that of another job.
        """
        del progress
        async with aclosing(self.__aiter__()) as items:
            async for _ in items:
                pass
        return await self.report()

    async def __aiter__(self) -> AsyncGenerator[BulkItem]:
        """Carry out what is left to do, and give each item as it ends. Leaving the loop is as cancelling `run`."""
        journal = await self._open()
        try:
            kind, facts = await self._know(journal)
            if not self._options.skip_bad_rows and not facts.runs:
                _check_rows(*await journal.bad_rows(5))
            async with aclosing(self._run(journal, kind)) as items:
                async for item in items:
                    yield item
        finally:
            await self._close(journal)

    async def report(self) -> BulkReport:
        """How the job stands, over all its runs; also while another process runs it.

        Raises:
            ConfigurationError: there is no journal, or it cannot be read.
        """
        return await self._effects.off_loop(partial(read_report, self._path))

    def stop(self) -> None:
        """Begin no more items. `run` returns when those that are under way have ended."""
        if self._pool is not None:
            self._pool.stop("it was stopped")

    async def wipe(self) -> None:
        """Erase what the journal holds of persons: the changes that were asked for, and what was read of customers.

        Ids, outcomes and times stay. The job cannot be undone any more.

        Raises:
            ConfigurationError: an item is unknown, so that what was sent is still needed.
        """
        journal = await self._open()
        try:
            await journal.wipe()
        finally:
            await self._close(journal)

    # --- the journal

    async def _open(self) -> Journal:
        if self._is_open:
            raise ClientStateError("the job is under way already")
        journal = Journal(
            self._path,
            create=self._kind is not None,
            take_over=self._options.take_over,
            effects=self._effects,
        )
        self._is_open = True
        return journal

    async def _close(self, journal: Journal) -> None:
        self._is_open = False
        await journal.aclose()

    async def _know(self, journal: Journal) -> tuple[Kind, JobFacts]:
        """What the job does. Its input is read, or compared with the one that was read before its first run."""
        facts = await journal.open()
        kind = self._kind
        if kind is None:
            if facts is None or facts.input_rows is None:
                raise ConfigurationError(
                    f"the input of {self._path} was not read to its end, and nothing was sent: run the job once more "
                    "with its input"
                )
            kind = kind_of(facts.operation, facts.options)
        reader = InputReader(self._core, kind, journal)
        service = self._core.base_url
        has_begun = facts is not None and facts.runs > 0
        if facts is not None and (has_begun or self._items is None or self._has_read):
            if facts.service != service:
                raise ConfigurationError(f"the journal {self._path} is of a job at {facts.service}, not at {service}")
            if (facts.operation, facts.options) != (kind.operation.title, kind.options()):
                raise ConfigurationError(
                    f"the journal {self._path} is of another job ({facts.operation}, or with other options): give this "
                    "one a journal of its own"
                )
            if self._items is not None and not self._has_read:
                # Read anew, it could not take the place of what was sent already.
                await reader.compare(self._items, facts)
        else:
            assert self._items is not None
            wall = self._core.session.effects.wall()
            facts = JobFacts(operation=kind.operation.title, options=kind.options(), service=service, began=wall)
            facts = await reader.read(self._items, facts)
        self._has_read = True
        return kind, facts

    # --- a run

    async def _run(self, journal: Journal, kind: Kind) -> AsyncGenerator[BulkItem]:
        options, effects, tell = self._options, self._core.session.effects, self._core.session.teller.listeners.tell
        await journal.begin_run(options.as_json())
        if options.retry in ("rejected", "not_applied"):
            await journal.retry(Tally(options.retry), options.message)
        core = self._core_of_the_job(journal)
        only_read = options.retry == "unknown"
        carrier = LocalCarrier(core, kind, journal.ledger, only_read=only_read)
        feed = Feed(await journal.open_items(), _nothing if only_read else journal.items_to_do)
        judge = Judge(options.limits, effects.now())
        self._pool = Pool(feed, carrier, judge, options.concurrency, effects)
        tell("job", JobEvent(operation=kind.operation.title, state="began"))
        ended_as = "it failed"
        try:
            async with aclosing(self._pool.run()) as pairs:
                async for item, carried in pairs:
                    if carried.tally is Tally.UNKNOWN:
                        journal.note_unknown(item, str(carried.error or ""))
                    tell("item", _item_event(kind, item, carried))
                    yield _bulk_item(item, carried, journal.ledger.run)
            ended_as = judge.stopped
        except (asyncio.CancelledError, GeneratorExit):
            ended_as = "it was cancelled"
            raise
        finally:
            self._pool = None
            journal.end_run(ended_as)
            tell("job", JobEvent(operation=kind.operation.title, state="ended", reason=ended_as))
            await core.writing.writer.end(0.0)

    def _core_of_the_job(self, journal: Journal) -> ClientCore:
        """The client, with the priority of a batch, and with writes that are recorded in the journal."""
        core = self._core
        timeouts = core.options.timeouts
        queue = None if timeouts.queue is None else max(timeouts.queue, _SHORTEST_QUEUE)
        settling = attrs.evolve(core.setup.settling, wait=_WAITS_FOR_SETTLING)
        setup = attrs.evolve(core.setup, settling=settling)
        return attrs.evolve(
            core,
            setup=setup,
            writing=setup.over(journal.ledger),
            options=attrs.evolve(
                core.options, priority=Priority.BULK, timeouts=attrs.evolve(timeouts, queue=queue), on_cancel="finish"
            ),
        )

    # --- a plan

    def _planned(
        self, kind: Kind, facts: JobFacts, report: BulkReport, bad: tuple[int, list[tuple[int, str]]], first: list[Item]
    ) -> BulkPlan:
        quota, policy = self._core.session.admission.quota, self._core.quota_policy
        calls = report.unprocessed * kind.requests
        minute = (quota.minute.limit if quota.minute else policy.per_minute) * policy.share
        day = (quota.day.limit if quota.day else policy.per_day) * policy.share * (1 - policy.day_reserve)
        left = day - quota.used_day
        further_days = max(0, ceil((calls - left) / day)) if policy.enabled and calls > left else 0
        return BulkPlan(
            operation=kind.operation.title,
            items=report.items,
            duplicates=facts.duplicates,
            bad_rows=bad[0],
            examples=tuple(bad[1]),
            to_do=report.unprocessed,
            calls=calls,
            quota=quota,
            seconds=calls / minute * 60 if policy.enabled else 0.0,
            days=further_days + 1,
            first_requests=tuple(self._request(kind, item) for item in first),
        )

    def _request(self, kind: Kind, item: Item) -> Any:
        write = kind.write(self._core, item)
        if write.call.request is not None:
            return write.call.request
        assert write.update is not None
        return write.update.as_asked()


async def _nothing(_: int, __: int) -> list[Item]:
    """No further items: what is open is settled, and nothing is sent."""
    return []


def _check_rows(bad: int, examples: list[tuple[int, str]]) -> None:
    """See that no row is bad.

    Raises:
        ValidationError: some are.
    """
    if not bad:
        return
    named = "; ".join(f"row {number}: {why}" for number, why in examples)
    more = f"; and {bad - len(examples)} more" if bad > len(examples) else ""
    raise ValidationError(
        f"{bad} rows of the input cannot be carried out, and nothing was sent: {named}{more}. "
        "Correct them, or leave them out with skip_bad_rows=True",
        field="items",
    )


def _bulk_item(item: Item, carried: Carried, run: int) -> BulkItem:
    return BulkItem(
        number=item.number,
        customer_id=item.customer_id,
        outcome=carried.outcome,
        tally=carried.tally,
        error=carried.error,
        message="" if carried.error is None else str(carried.error),
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
