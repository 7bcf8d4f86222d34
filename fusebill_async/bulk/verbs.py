"""`client.bulk`: one method for each write of the table that acts on an existing customer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypedDict, Unpack

from fusebill_async.bulk.handing_out import Workers
from fusebill_async.bulk.items import Kind, UpdateJob, verb_job
from fusebill_async.bulk.job import BulkJob
from fusebill_async.bulk.kinds import kind_of, undo_of
from fusebill_async.bulk.limits import Limits, OnDayEnd
from fusebill_async.bulk.options import JobOptions, Retry
from fusebill_async.bulk.reading import Items, check_items
from fusebill_async.bulk.report import read_facts
from fusebill_async.bulk.reversing import undo_arguments
from fusebill_async.bulk.undoing import undo_rows
from fusebill_async.bulk.window import Window
from fusebill_async.errors import ConfigurationError, ValidationError, shown
from fusebill_async.operations import (
    ACTIVATE,
    ACTIVATE_ITEMS,
    CANCEL,
    GEOTAB_LATCH,
    GEOTAB_UNLATCH,
    HOLD,
    HUBSPOT_LATCH,
    HUBSPOT_UNLATCH,
    NETSUITE_DISABLE_SYNC,
    NETSUITE_ENABLE_SYNC,
    NETSUITE_LATCH,
    NETSUITE_UNLATCH,
    RELEASE_HOLD,
    REPLACE,
    SALESFORCE_LATCH,
    UNCANCEL,
    UPDATE,
    Operation,
)
from fusebill_async.resources.core import ClientCore
from fusebill_async.resources.updates import Check
from fusebill_async.stores.effects import StoreEffects

JournalPath: TypeAlias = str | Path


class JobSettings(TypedDict, total=False):
    """What every job takes; see `StartJob`."""

    concurrency: int
    skip_bad_rows: bool
    max_failures: int | None
    max_failure_percent: float | None
    patience: float
    on_day_end: OnDayEnd
    window: str | None
    tz: str | None
    canary: int | None
    take_over: bool
    snapshot: bool | None
    skip_done: bool
    single_reads: bool
    workers: Workers | None
    effects: StoreEffects | None


class StartJob(Protocol):
    """Makes a job of one operation."""

    def __call__(
        self,
        items: Items,
        *,
        journal: JournalPath,
        concurrency: int = 32,
        skip_bad_rows: bool = False,
        max_failures: int | None = None,
        max_failure_percent: float | None = None,
        patience: float = 600.0,
        on_day_end: OnDayEnd = "wait",
        window: str | None = None,
        tz: str | None = None,
        canary: int | None = None,
        take_over: bool = False,
        snapshot: bool | None = None,
        skip_done: bool = False,
        single_reads: bool = False,
        workers: Workers | None = None,
        effects: StoreEffects | None = None,
        **options: Any,
    ) -> BulkJob:
        """A job that is begun by `run`, `plan` or `async for`.

        Args:
            items: an iterable or async iterable of ids, of customers that were read before, or of pairs of one and a
                dict of options. A customer may come once; rows that say the same are one item, and rows that ask for
                different things for one customer are bad.
            journal: the file that the job is written down in, on a local disk. If it is there the job goes on where it
                was, with the same items and options.
            concurrency: calls at once, 1 to 10,000.
            skip_bad_rows: set bad rows aside; else the job refuses to begin.
            max_failures: stop once more items than this were rejected, not applied or unknown; None never stops.
            max_failure_percent: the same as a part of the items of this run, once 100 have ended.
            patience: seconds for which the service may be out of reach before the job stops.
            on_day_end: "wait" until the day's quota opens again, or "stop".
            window: the hours in which the job may send, such as "22:00-06:00"; outside of them it waits. None is any
                hour.
            tz: the time zone of the window, such as "Europe/Berlin"; None is that of this machine.
            canary: so many items, 1 to 1,000, drawn at random, go first. The run ends then; `BulkJob.canary` shows what
                they have changed, and after `BulkJob.approve_canary` the next run does the others.
            take_over: use the journal even if another process has it open that cannot be seen to be gone.
            snapshot: read the customers shortly before their items, 200 a call, and keep them in the journal: what was
                there tells whose an effect was, and an undo goes back to it. None does so for all but updates and
                replacements, whose own read is kept.
            skip_done: set aside, without a call, whom that read shows to be so already.
            single_reads: where the service does not filter by ids, read customers one by one: a call for each.
            workers: other processes that carry the items out, as in `Workers("redis://host/0")` of
                `fusebill_async.distributed`; None does it here.
            effects: clocks and threads, for simulations.
            options: parameters of the operation, for every item that does not give its own.

        Raises:
            ValidationError: a parameter that the operation does not have, or that cannot be sent.
            ConfigurationError: a setting that cannot work.
        """
        ...


class _Verb:
    """A method of `Bulk` that makes jobs of one operation."""

    def __init__(self, operation: Operation) -> None:
        self._operation = operation
        self.__doc__ = f"{operation.summary[:-1]}, for many customers; see `StartJob`.\n\nAPI page: {operation.page}"

    def __get__(self, bulk: Bulk | None, owner: type) -> StartJob:
        def start(items: Items, *, journal: JournalPath, **options: Any) -> BulkJob:
            assert bulk is not None
            settings, arguments = _parted(options)
            return bulk.start(verb_job(self._operation, arguments), items, journal, settings)

        start.__doc__ = self.__doc__
        return start


class Bulk:
    """Jobs that act on many customers, written down in a journal: they survive `kill -9`, and can be resumed."""

    def __init__(self, core: ClientCore) -> None:
        self._core = core

    hold = _Verb(HOLD)
    release_hold = _Verb(RELEASE_HOLD)
    cancel = _Verb(CANCEL)
    uncancel = _Verb(UNCANCEL)
    activate = _Verb(ACTIVATE)
    activate_items = _Verb(ACTIVATE_ITEMS)
    unlatch = _Verb(HUBSPOT_UNLATCH)
    hubspot_unlatch = _Verb(HUBSPOT_UNLATCH)
    hubspot_latch = _Verb(HUBSPOT_LATCH)
    salesforce_latch = _Verb(SALESFORCE_LATCH)
    netsuite_latch = _Verb(NETSUITE_LATCH)
    netsuite_unlatch = _Verb(NETSUITE_UNLATCH)
    netsuite_enable_sync = _Verb(NETSUITE_ENABLE_SYNC)
    netsuite_disable_sync = _Verb(NETSUITE_DISABLE_SYNC)
    geotab_latch = _Verb(GEOTAB_LATCH)
    geotab_unlatch = _Verb(GEOTAB_UNLATCH)

    def update(
        self,
        items: Items,
        *,
        journal: JournalPath,
        validate: bool = True,
        allow_erase: Collection[str] = (),
        allow_status_change: bool = False,
        check: Check = "fresh",
        **changes: Any,
    ) -> BulkJob:
        """Change fields of many customers; everything else goes back as it came.

        Args:
            items: pairs of an id, or of a customer that was read before, and its changes, such as
                `(42, {"company_name": "X"})`; ids alone where `changes` say the same for all.
            journal: the file; see `StartJob`.
            validate: see `customers.update`.
            allow_erase: the same.
            allow_status_change: the same.
            check: the same.
            changes: for every item; its own go before them. Also the settings of `StartJob`, such as `concurrency`.

        API page: https://developer.staxbill.com/reference/customers-2
        """
        settings, named = _parted(changes)
        kind = UpdateJob(
            operation=UPDATE,
            changes=named,
            validate=validate,
            allow_erase=tuple(allow_erase),
            allow_status_change=allow_status_change,
            check=check,
        )
        return self.start(kind, items, journal, settings)

    def replace(
        self,
        items: Items,
        *,
        journal: JournalPath,
        validate: bool = True,
        allow_erase: Collection[str] = (),
        allow_status_change: bool = False,
        **settings: Unpack[JobSettings],
    ) -> BulkJob:
        """Send many whole customers, as the API has it.

        Args:
            items: customers.
            journal: the file; see `StartJob`.
            validate: see `customers.replace`.
            allow_erase: the same.
            allow_status_change: the same.
            settings: see `StartJob`.

        API page: https://developer.staxbill.com/reference/customers-2
        """
        kind = UpdateJob(
            operation=REPLACE,
            validate=validate,
            allow_erase=tuple(allow_erase),
            allow_status_change=allow_status_change,
        )
        return self.start(kind, items, journal, settings)

    def resume(
        self,
        journal: JournalPath,
        *,
        retry: Retry | None = None,
        message: str | None = None,
        **settings: Unpack[JobSettings],
    ) -> BulkJob:
        """Go on with the job of a journal. It takes no input.

        What an earlier run left open is settled first, by reading. Then what has no outcome is carried out.

        Args:
            journal: the file.
            retry: "rejected" and "not_applied" have items tried again that ended so; for what moves money the latter
                is your decision that it may be sent again. "unknown" settles what is open, and sends nothing.
            message: with "rejected" and "not_applied": only those whose message contains this.
            settings: see `StartJob`.
        """
        return self.start(None, None, journal, settings, retry=retry, message=message)

    def undo(
        self,
        undone: JournalPath,
        *,
        journal: JournalPath,
        service_start_option: str | None = None,
        allow_charges: bool = False,
        **settings: Unpack[JobSettings],
    ) -> BulkJob:
        """Take a job back, by a job like any other.

        It acts on the customers that the job has changed and that stand as it left them, by their timestamp and fields;
        each is read right before its write. All others are set aside as skipped, with the reason. Updates and
        replacements go back to the values that their PUT was based on, latches to the ids of the snapshot.

        Args:
            undone: the journal of the job.
            journal: the file of the undo; see `StartJob`.
            service_start_option: what is charged for the time on hold: a hold is undone by `release_hold`.
            allow_charges: a cancellation is undone by `uncancel`, which may invoice and charge: it needs this.
            settings: see `StartJob`.

        Raises:
            ValidationError: an argument that is missing, or that this undo does not take.
            ConfigurationError: the journal cannot be read or was wiped, or the job cannot be undone.
        """
        path = Path(_checked_path(undone, "undone")).absolute()
        facts = read_facts(path)
        if facts.service != self._core.base_url:
            raise ConfigurationError(f"the journal {path} is of a job at {facts.service}, not at {self._core.base_url}")
        if path == Path(_checked_path(journal, "journal")).absolute():
            raise ConfigurationError("journal= must be another file than that of the job: an undo has its own")
        kind = kind_of(facts.operation, facts.options)
        arguments = undo_arguments(kind.operation, service_start_option, allow_charges=allow_charges)
        return self.start(undo_of(kind, arguments), undo_rows(path, kind), journal, settings)

    def start(
        self,
        kind: Kind | None,
        items: Items | None,
        journal: JournalPath,
        settings: JobSettings,
        *,
        retry: Retry | None = None,
        message: str | None = None,
    ) -> BulkJob:
        """A job of any kind.

        Args:
            kind: what it does; None for what the journal says.
            items: the input; None for what the journal holds.
            journal: the file.
            settings: see `StartJob`.
            retry: see `resume`.
            message: see `resume`.

        Raises:
            ValidationError: no input that can be read.
            ConfigurationError: no path, or a setting that cannot work.
        """
        path = _checked_path(journal, "journal")
        if kind is not None and items is None:
            raise ValidationError("a job takes items", field="items")
        given_limits: Any = {name: value for name, value in settings.items() if name in _LIMITS}
        return BulkJob(
            self._core,
            Path(path).absolute(),
            kind=kind,
            items=None if items is None else check_items(items),
            options=JobOptions(
                concurrency=settings.get("concurrency", 32),
                skip_bad_rows=settings.get("skip_bad_rows", False),
                limits=Limits(**given_limits, window=_window(settings)),
                retry=retry,
                message=message,
                take_over=settings.get("take_over", False),
                snapshot=settings.get("snapshot"),
                skip_done=settings.get("skip_done", False),
                single_reads=settings.get("single_reads", False),
                canary=settings.get("canary"),
                workers=settings.get("workers"),
            ),
            effects=settings.get("effects"),
        )


def _checked_path(path: Any, name: str) -> str | Path:
    if not isinstance(path, (str, Path)) or not str(path):
        raise ConfigurationError(f"{name}= must be the path of a file, not {shown(path)}")
    return path


_LIMITS = ("max_failures", "max_failure_percent", "patience", "on_day_end")


def _window(settings: JobSettings) -> Window | None:
    hours, zone = settings.get("window"), settings.get("tz")
    if hours is None:
        if zone is not None:
            raise ConfigurationError("tz= is the time zone of window=: give both")
        return None
    return Window.of(hours, zone)


def _parted(given: Mapping[str, Any]) -> tuple[JobSettings, dict[str, Any]]:
    """The settings of the job, and what is left: parameters of the operation, or changes."""
    settings: Any = {name: value for name, value in given.items() if name in JobSettings.__annotations__}
    return settings, {name: value for name, value in given.items() if name not in settings}
