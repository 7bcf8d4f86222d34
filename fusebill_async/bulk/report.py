"""What a job shows: its plan, its items as they end, and its report."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs

from fusebill_async.bulk.journal import JobFacts, awaits_approval, checked_facts
from fusebill_async.bulk.journal_file import open_to_read
from fusebill_async.bulk.page import write_page
from fusebill_async.bulk.tallies import Tally, handed_out_in, tallies_in
from fusebill_async.errors import ConfigurationError, FusebillError
from fusebill_async.outcome import Attribution, Outcome
from fusebill_async.policy.quota import QuotaView
from fusebill_async.wire.request import Request

_ALL = (
    "SELECT number, customer_id, "
    "CASE WHEN intents.item IS NULL THEN coalesce(tally, 'unprocessed') ELSE 'unknown' END, "
    "outcome, attribution, status, coalesce(attempts, 0), ended, coalesce(message, reason, ''), outcomes.run "
    "FROM items LEFT JOIN outcomes ON outcomes.item = number LEFT JOIN intents ON intents.item = number "
    "ORDER BY number"
)


@attrs.frozen(kw_only=True)
class BulkPlan:
    """What a job would do. Nothing was written at the service.

    Attributes:
        operation: its title, such as "customers.hold".
        items: those of the input; rows that say the same are one.
        duplicates: rows that said the same as an earlier one.
        bad_rows: how many rows cannot be carried out, and are skipped if the job is run with `skip_bad_rows=True`; of
            an undo, those that it sets aside.
        examples: of the bad rows the first ones: the number of the row, and what is wrong with it.
        to_do: items that have no outcome yet.
        calls: requests that they take, if nothing goes wrong.
        quota: what is known of the quota.
        seconds: how long they take at least, as the quota has it; nights for which the day's quota is used up count.
        days: on how many days calls are made.
        first_requests: the first five; of an update the body holds the changes alone.
    """

    operation: str
    items: int
    duplicates: int
    bad_rows: int
    examples: tuple[tuple[int, str], ...]
    to_do: int
    calls: int
    quota: QuotaView
    seconds: float
    days: int
    first_requests: tuple[Request, ...] = attrs.field(repr=False)

    @property
    def duration(self) -> timedelta:
        """How long it takes at least."""
        return timedelta(seconds=round(self.seconds))


@attrs.frozen(kw_only=True)
class BulkItem:
    """One item of a job that has ended.

    Attributes:
        number: its place in the input, from 1.
        customer_id: whom it acted on; None for a bad row.
        outcome: of the call; `NOT_SENT` if nothing was sent.
        tally: where it is counted.
        error: that the call ended with; None for what was applied, and for items that are read from the journal.
        message: of the error, "" for none.
        attempts: requests that were sent for it.
        attribution: for what was applied, whether this job caused it.
        status: of the answer that told the outcome.
        run: the number of the run in which it ended.
        ended_at: when (aware, UTC).
    """

    number: int
    customer_id: int | None
    outcome: Outcome
    tally: Tally
    error: FusebillError | None = None
    message: str = ""
    attempts: int = 0
    attribution: Attribution | None = None
    status: int | None = None
    run: int | None = None
    ended_at: datetime | None = None


@attrs.frozen(kw_only=True)
class BulkReport:
    """How a job stands, over all of its runs. The six tallies are together the items.

    Attributes:
        operation: its title.
        applied, rejected, not_applied, unknown, skipped, unprocessed: how many items; see `Tally`.
        duplicates: rows that said the same as an earlier one, and are no items.
        runs: how many there were.
        stopped: why the last run ended before all was done, in words; "" if it did not.
        notes: what else is to be said of the runs, such as that no snapshot was kept.
        awaits_approval: its canary has ended, and nobody has said that the others may follow.
        journal: the file that it was read from.
        handed_out: how many of the unknown ones were handed to workers, and are settled by a run on workers alone.
    """

    operation: str
    applied: int = 0
    rejected: int = 0
    not_applied: int = 0
    unknown: int = 0
    skipped: int = 0
    unprocessed: int = 0
    duplicates: int = 0
    runs: int = 0
    stopped: str = ""
    notes: tuple[str, ...] = ()
    awaits_approval: bool = False
    journal: Path | None = attrs.field(default=None, eq=False)
    handed_out: int = 0

    @property
    def items(self) -> int:
        """All of them."""
        return sum(self.tallies.values())

    @property
    def tallies(self) -> dict[str, int]:
        """The six, by name."""
        return {tally.value: getattr(self, tally.value) for tally in Tally}

    @property
    def is_done(self) -> bool:
        """Whether every item has an outcome that is known."""
        return not self.unprocessed and not self.unknown

    def html(self, file: str | Path) -> None:
        """Write the job as a page for people, from its journal as it stands now; see `write_page`.

        Args:
            file: is written over.

        Raises:
            ConfigurationError: the journal cannot be read.
            OSError: the file cannot be written.
        """
        assert self.journal is not None
        write_page(self.journal, file)


def read_report(path: Path) -> BulkReport:
    """The report of a job, also while another process runs it.

    Raises:
        ConfigurationError: there is no such journal, or it cannot be read.
    """
    with closing(open_to_read(path)) as connection:
        return report_in(connection, path)


def report_in(connection: sqlite3.Connection, path: Path) -> BulkReport:
    """The report of the journal that a connection leads to."""
    facts = checked_facts(connection, path)
    runs, stopped = connection.execute(
        "SELECT count(*), (SELECT ended_as FROM runs ORDER BY number DESC LIMIT 1) FROM runs"
    ).fetchone()
    notes = connection.execute("SELECT DISTINCT note FROM runs WHERE note IS NOT NULL").fetchall()
    tallies = tallies_in(connection)
    return BulkReport(
        operation=facts.operation,
        duplicates=facts.duplicates,
        runs=runs,
        stopped=stopped or "",
        notes=tuple(note for (note,) in notes),
        handed_out=handed_out_in(connection),
        awaits_approval=tallies[Tally.UNPROCESSED] > 0 and awaits_approval(connection),
        journal=path,
        **tallies,
    )


def read_facts(path: Path) -> JobFacts:
    """What a journal says of its job.

    Raises:
        ConfigurationError: there is no such journal, it cannot be read, or it was wiped.
    """
    with closing(open_to_read(path)) as connection:
        facts = checked_facts(connection, path)
        if connection.execute("SELECT wiped FROM job").fetchone()[0] is not None:
            raise ConfigurationError(f"the journal {path} was wiped: what was sent stands in it no more")
        return facts


def read_items(path: Path) -> Iterator[BulkItem]:
    """Every item of a job as it stands, in the order of the input, in constant memory.

    Raises:
        ConfigurationError: there is no such journal, or it cannot be read.
    """
    with closing(open_to_read(path)) as connection:
        checked_facts(connection, path)
        for row in connection.execute(_ALL):
            yield item_from(row)


def item_from(row: tuple[Any, ...]) -> BulkItem:
    """An item from its row: number, customer, tally, outcome, attribution, status, attempts, end, message, run."""
    number, customer_id, tally, outcome, attribution, status, attempts, ended, message, run = row
    return BulkItem(
        number=number,
        customer_id=customer_id,
        tally=Tally(tally),
        outcome=Outcome.UNKNOWN if tally == Tally.UNKNOWN else Outcome(outcome or Outcome.NOT_SENT),
        attribution=None if attribution is None else Attribution(attribution),
        status=status,
        attempts=attempts,
        message=message,
        run=run,
        ended_at=None if ended is None else datetime.fromtimestamp(ended, UTC),
    )
