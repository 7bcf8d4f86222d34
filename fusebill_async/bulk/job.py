"""A job: one operation on many customers, written down in a journal so that it survives anything."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from pathlib import Path

from fusebill_async.bulk.batch import as_batch
from fusebill_async.bulk.canary import CanaryItem, look_at_canary
from fusebill_async.bulk.forecasts import Forecaster, ItemForecast
from fusebill_async.bulk.id_sets import MOST_IDS, IdSets
from fusebill_async.bulk.items import Kind
from fusebill_async.bulk.journal import JobFacts, Journal
from fusebill_async.bulk.kinds import kind_of
from fusebill_async.bulk.options import JobOptions
from fusebill_async.bulk.planning import planned
from fusebill_async.bulk.previews import ItemPreview, Previewer
from fusebill_async.bulk.progress import ProgressLines
from fusebill_async.bulk.reading import InputReader, Items
from fusebill_async.bulk.report import BulkItem, BulkPlan, BulkReport, read_facts, read_report
from fusebill_async.bulk.running import JobRun
from fusebill_async.bulk.sampling import sampled
from fusebill_async.bulk.undoing import UndoJob
from fusebill_async.bulk.verification import BulkCheck, Verifier
from fusebill_async.errors import ClientStateError, ConfigurationError, ValidationError
from fusebill_async.resources.core import ClientCore
from fusebill_async.stores.effects import StoreEffects

_EXAMPLES = 20
"""Bad rows that a plan names, at most."""


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
        self._run: JobRun | None = None
        self._is_open = False

    def __repr__(self) -> str:
        title = "" if self._kind is None else f"{self._kind.operation.title}, "
        return f"BulkJob({title}journal={str(self._path)!r})"

    @property
    def waits_for(self) -> str:
        """Why a job that runs begins nothing at this moment, in words; "" if nothing holds it back."""
        return "" if self._run is None else self._run.waits_for

    @property
    def total(self) -> int:
        """How many items are to end in the run that is under way; 0 if none is."""
        return 0 if self._run is None else self._run.total

    # --- what a user does with it

    async def plan(self) -> BulkPlan:
        """Read the input into the journal, and say what the job would do. No write is sent.

        Raises:
            ConfigurationError: the journal cannot be used, or is that of another job.
        """
        journal = await self._open()
        try:
            kind, _ = await self._know(journal)
            bad, first = await journal.bad_rows(_EXAMPLES), await journal.items_to_do(0, 5)
            reads_ahead = self._options.reads_ahead(kind)
            return planned(self._core, kind, await self.report(), bad=bad, first=first, reads_ahead=reads_ahead)
        finally:
            await self._close(journal)

    async def diff(self, sample: int | None = None) -> AsyncGenerator[ItemForecast]:
        """Read the customers, and give what each item would change. No write is sent.

        They are read by sets of ids, 200 a call. What others change before the job runs is not known yet.

        Args:
            sample: look at so many items, spread over the job; None is all.

        Raises:
            ConfigurationError: no read can tell, the journal cannot be used, or the service does not filter by ids,
                and the job was not given `single_reads=True`.
        """
        kind = await self._see_input()
        is_small = sample is not None and sample <= MOST_IDS
        sets = IdSets(as_batch(self._core), single_reads=self._options.single_reads or is_small)
        async with aclosing(Forecaster(sets, kind, self._path, self._effects).forecasts(sample)) as forecasts:
            async for forecast in forecasts:
                yield forecast

    async def preview(self, sample: int | None = None) -> AsyncGenerator[ItemPreview]:
        """Ask the service what each item would invoice, a call for each. Nothing is invoiced.

        The API has previews of `activate`, `activate_items` and `release_hold`.

        Args:
            sample: ask for so many items, spread over the job; None is all.

        Raises:
            ConfigurationError: the API has no preview of the operation, or the journal cannot be used.
            PreviewChangedStateError: after a preview a customer was in another state: the service may have acted.
        """
        kind = await self._see_input()
        core, concurrency = as_batch(self._core), self._options.concurrency
        previewer = Previewer(core, kind, self._path, self._effects, concurrency)
        async with aclosing(previewer.previews(sample)) as previews:
            async for preview in previews:
                yield preview

    async def run(self, *, progress: bool = False) -> BulkReport:
        """Carry out what is left to do.

        Cancelled once, it sees what is under way to its end, and ends with `CancelledError`. Cancelled once more, it
        leaves what is under way as unknown. Either way it can be resumed.

        Args:
            progress: print a line on standard error every 10 seconds.

        Returns:
            How the job stands, over all its runs.

        Raises:
            ValidationError: the input has bad rows, and `skip_bad_rows` is not set. Nothing was sent.
            ConfigurationError: the journal cannot be used, or is that of another job.
        """
        journal = await self._open()
        now = self._core.session.effects.now
        try:
            async with await self._begin(journal) as run:
                lines = ProgressLines(run.operation, run.total, now()) if progress else None
                while (item := await run.next()) is not None:
                    if lines is not None:
                        lines.note(item, now())
        finally:
            await self._close(journal)
        return await self.report()

    async def __aiter__(self) -> AsyncGenerator[BulkItem]:
        """Carry out what is left to do, and give each item as it ends. Leaving the loop is as cancelling `run`."""
        journal = await self._open()
        try:
            async with await self._begin(journal) as run:
                while (item := await run.next()) is not None:
                    yield item
        finally:
            await self._close(journal)

    async def report(self) -> BulkReport:
        """How the job stands, over all its runs; also while another process runs it.

        Raises:
            ConfigurationError: there is no journal, or it cannot be read.
        """
        return await self._effects.off_loop(partial(read_report, self._path))

    async def verify(self, sample: float | None = None) -> BulkCheck:
        """Read the customers of the applied items again, and compare each with what its item was to bring about.

        They are read by sets of ids, 200 a call.

        Args:
            sample: the part of the items that is looked at, such as 0.01; None is all.

        Raises:
            ConfigurationError: there is no journal, it was wiped, no read can tell of this operation, or the service
                does not filter by ids and the job was not given `single_reads=True`.
        """
        facts = await self._effects.off_loop(partial(read_facts, self._path))
        if facts.service != self._core.base_url:
            raise _elsewhere(self._path, facts, self._core.base_url)
        sets = IdSets(as_batch(self._core), single_reads=self._options.single_reads)
        kind = kind_of(facts.operation, facts.options)
        return await Verifier(sets, kind, self._path, self._effects, sample=sample).verify()

    async def canary(self) -> list[CanaryItem]:
        """How the items of the canary have ended, and what is different with their customers since.

        Each customer is read again, a call for each.

        Raises:
            ConfigurationError: there is no journal, or it cannot be read.
        """
        return await look_at_canary(IdSets(as_batch(self._core)), self._path, self._effects)

    async def approve_canary(self) -> None:
        """Have the next run do all the items that the canary held back.

        Raises:
            ConfigurationError: the journal cannot be used, or a process runs the job.
        """
        journal = await self._open()
        try:
            await journal.open()
            await journal.approve_canary()
        finally:
            await self._close(journal)

    def stop(self) -> None:
        """Begin no more items. `run` returns when those that are under way have ended."""
        if self._run is not None:
            self._run.stop("it was stopped")

    async def wipe(self) -> None:
        """Erase what the journal holds of persons: the changes that were asked for, and what was read of customers.

        Ids, outcomes and times stay. The job cannot be undone any more.

        Raises:
            ConfigurationError: an item is unknown, so that what was sent is still needed.
        """
        journal = await self._open()
        try:
            await journal.open()
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
        self._is_open, self._run = False, None
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
                raise _elsewhere(self._path, facts, service)
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

    async def _see_input(self) -> Kind:
        """Have the input in the journal, and say what the job does."""
        journal = await self._open()
        try:
            return (await self._know(journal))[0]
        finally:
            await self._close(journal)

    # --- a run

    async def _begin(self, journal: Journal) -> JobRun:
        kind, facts = await self._know(journal)
        # What an undo sets aside is no reason not to begin.
        if not self._options.skip_bad_rows and not facts.runs and not isinstance(kind, UndoJob):
            _check_rows(*await journal.bad_rows(5))
        if self._options.canary is not None and not await journal.has_canary():
            await journal.draw_canary(await self._drawn(self._options.canary))
        self._run = JobRun(self._core, journal, kind, facts, self._options)
        return self._run

    async def _drawn(self, count: int) -> list[int]:
        """The numbers of so many items, drawn at random from all parts of the job."""
        chance = self._core.session.effects.random
        async with aclosing(sampled(self._path, self._effects, chance, sample=count, at_once=count)) as sets:
            return [item.number async for items in sets for item in items]


def _elsewhere(path: Path, facts: JobFacts, service: str) -> ConfigurationError:
    return ConfigurationError(f"the journal {path} is of a job at {facts.service}, not at {service}")


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
