"""The journal of a job: what it is to do, what it has sent, and how each item ended. One SQLite file."""

from __future__ import annotations

import platform
import sqlite3
import zlib
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import attrs

from fusebill_async._version import __version__
from fusebill_async.bulk.control import Control, control_in, forget_stop
from fusebill_async.bulk.items import Item, Row
from fusebill_async.bulk.journal_file import JournalFile
from fusebill_async.bulk.ledger import JournalLedger
from fusebill_async.bulk.tallies import Tally
from fusebill_async.converting import decode_json, encode
from fusebill_async.errors import ConfigurationError, StoreUnavailableError
from fusebill_async.outcome import Outcome
from fusebill_async.stores.effects import StoreEffects, machine_name
from fusebill_async.stores.group_commit import GroupCommit
from fusebill_async.stores.intent_json import decode_intent
from fusebill_async.stores.sqlite_file import connect_to

T = TypeVar("T")

_TO_DO = (
    "SELECT items.number, customer_id, asked, known, coalesce(attempts, 0) FROM items "
    "LEFT JOIN outcomes ON outcomes.item = number WHERE number > ? AND customer_id IS NOT NULL "
    "AND (tally IS NULL OR tally = 'unprocessed') AND NOT EXISTS (SELECT 1 FROM intents WHERE intents.item = number)"
)
_OF_CANARY = "AND number IN (SELECT item FROM canary)"
_OPEN = (
    "SELECT items.number, customer_id, asked, known, coalesce(attempts, 0), id, record FROM intents "
    "JOIN items ON number = intents.item LEFT JOIN outcomes ON outcomes.item = number ORDER BY number"
)


@attrs.frozen(kw_only=True)
class JobFacts:
    """What a journal says of its job.

    Attributes:
        operation: its title.
        options: of the job, as JSON has them.
        service: the base URL that it is meant for.
        began: when it was made, in epoch seconds.
        input_rows: how many rows were read; None if the input was not read to its end.
        duplicates: rows that said the same as an earlier one.
        fingerprint: of the input.
        runs: how many there were; before the first one nothing was sent.
    """

    operation: str
    options: dict[str, Any]
    service: str
    began: float
    input_rows: int | None = None
    duplicates: int = 0
    fingerprint: str | None = None
    runs: int = 0


class _NoTimer:
    """A journal has no work that becomes due by itself."""

    def due(self) -> float | None:
        """Never."""
        return None

    def run(self, connection: sqlite3.Connection) -> None:
        """Nothing."""

    def ended(self, *, committed: bool) -> None:
        """Nothing."""


class Journal:
    """The journal of one job, open for this process alone.

    Args:
        path: of the file, on a local disk.
        create: make it if it is not there.
        take_over: use it even if another process has it open that may still live.
        effects: clocks, threads, and who lives; for simulations.

    Attributes:
        ledger: the open intents.
    """

    def __init__(
        self, path: Path, *, create: bool, take_over: bool = False, effects: StoreEffects | None = None
    ) -> None:
        self.path = path
        self._effects = effects = effects or StoreEffects()
        self._file = JournalFile(path, effects, create=create, take_over=take_over)
        self._commits = GroupCommit(self._file, _NoTimer(), effects, name="journal")
        self._is_open = False
        self.ledger = JournalLedger(self._commits, effects.wall)

    async def open(self) -> JobFacts | None:
        """Take the journal; what it says of its job, None if it is new.

        Raises:
            ConfigurationError: it cannot be used, or another process has it open.
            StoreUnavailableError: another program keeps it locked.
        """
        await self._effects.off_loop(self._file.prepare)
        self._is_open = True
        return await self._do(facts_in)

    async def aclose(self) -> None:
        """Write what is left to be written, and let others have the journal."""
        if self._is_open:
            self._is_open = False
            self._commits.post(self._file.give_back)
            await self._commits.aclose()

    async def _do(self, work: Callable[[sqlite3.Connection], T], *, durable: bool = False) -> T:
        done: T = await self._commits.submit(work, durable=durable)
        return done

    # --- the input

    async def begin_job(self, facts: JobFacts) -> None:
        """Write down what the job is, in place of one whose input was not read to its end."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM job")
            connection.execute("DELETE FROM items")
            connection.execute("DELETE FROM outcomes")
            connection.execute("DELETE FROM snapshots")
            connection.execute("DELETE FROM canary")
            connection.execute(
                "INSERT INTO job (operation, options, service, began) VALUES (?, ?, ?, ?)",
                (facts.operation, encode(facts.options).decode(), facts.service, facts.began),
            )

        await self._do(work, durable=True)

    async def add(self, rows: Sequence[tuple[int, Row | str]]) -> int:
        """Write rows of the input down.

        Args:
            rows: each with its number, or what is wrong with it in words.

        Returns:
            How many say the same as an earlier one.
        """
        return await self._do(partial(_add, rows=rows, at=self._effects.wall()))

    async def bad_rows(self, limit: int) -> tuple[int, list[tuple[int, str]]]:
        """How many rows cannot be carried out, and of the first ones the number and what is wrong."""

        def work(connection: sqlite3.Connection) -> tuple[int, list[tuple[int, str]]]:
            bad = "FROM outcomes WHERE tally = 'skipped' AND run = 0"
            count = connection.execute(f"SELECT count(*) {bad}").fetchone()[0]
            found = connection.execute(f"SELECT item, message {bad} ORDER BY item LIMIT ?", (limit,))
            return count, found.fetchall()

        return await self._do(work)

    async def input_ended(self, facts: JobFacts) -> None:
        """The input was read to its end."""
        await self._do(
            lambda connection: connection.execute(
                "UPDATE job SET input_rows = ?, duplicates = ?, fingerprint = ?",
                (facts.input_rows, facts.duplicates, facts.fingerprint),
            ),
            durable=True,
        )

    # --- the runs

    async def begin_run(self, options: dict[str, Any]) -> None:
        """Begin a run, and learn what earlier ones left open."""
        process, at = self._effects.this_process(), self._effects.wall()
        version = f"{__version__}, Python {platform.python_version()}"

        def work(connection: sqlite3.Connection) -> tuple[int | None, list[Any]]:
            forget_stop(connection)
            number = connection.execute(
                "INSERT INTO runs (began, machine, pid, version, options) VALUES (?, ?, ?, ?, ?)",
                (at, machine_name(), process.pid, version, encode(options).decode()),
            ).lastrowid
            return number, connection.execute("SELECT record FROM intents ORDER BY item").fetchall()

        number, records = await self._do(work, durable=True)
        intents = (decode_intent(record.encode()) for (record,) in records)
        self.ledger.inherit({intent.id: intent for intent in intents})
        self.ledger.run = number or 0

    def end_run(self, ended_as: str) -> None:
        """The run ended so, in words. It is written before the journal is closed."""
        self._commits.post(
            partial(_end_run, number=self.ledger.run, at=self._effects.wall(), ended_as=ended_as), within=0.05
        )

    async def control(self) -> Control:
        """What is wanted of the job at this moment.

        Raises:
            StoreUnavailableError: the journal cannot be used any more, or another process has taken it over.
        """
        return await self._do(control_in)

    def note_event(self, kind: str, *, count: int | None = None, until: float | None = None, note: str = "") -> None:
        """Keep what befell the present run, for the report.

        Args:
            kind: of a `Hold`, or "went_on", or "refused": a 429.
            count: how often.
            until: how long, in epoch seconds; None if that is not known.
            note: why, in words.
        """
        row = (self._effects.wall(), self.ledger.run, kind, count, until, note or None)
        self._commits.post(
            lambda connection: connection.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", row), within=0.05
        )

    def note_quota(self, per_minute: float, per_day: float | None) -> None:
        """Keep how many calls the present run may make, for the report."""
        row = (per_minute, per_day, self.ledger.run)
        self._commits.post(
            lambda connection: connection.execute("UPDATE runs SET per_minute = ?, per_day = ? WHERE number = ?", row),
            within=0.05,
        )

    async def retry(self, tally: Tally, message: str | None) -> int:
        """Have items tried again that ended so; how many there are.

        Args:
            tally: `REJECTED` or `NOT_APPLIED`.
            message: only those whose message contains this.
        """

        def work(connection: sqlite3.Connection) -> int:
            return connection.execute(
                "UPDATE outcomes SET tally = 'unprocessed' WHERE tally = ? AND (? IS NULL OR instr(message, ?) > 0) "
                "AND item IN (SELECT number FROM items WHERE customer_id IS NOT NULL)",
                (tally, message, message),
            ).rowcount

        return await self._do(work, durable=True)

    async def open_items(self) -> list[Item]:
        """The items whose writes an earlier run left open."""
        rows = await self._do(lambda connection: connection.execute(_OPEN).fetchall())
        return [
            attrs.evolve(item_of(row[:5]), intent_id=row[5], handed_out=decode_intent(row[6].encode()).key is not None)
            for row in rows
        ]

    async def items_to_do(self, after: int, limit: int, *, of_canary: bool = False) -> list[Item]:
        """The next items that have no outcome, in the order of the input.

        Args:
            after: the number of the last one that was given.
            limit: how many at most.
            of_canary: only those that go first.
        """
        return await self._do(partial(to_do_in, after=after, limit=limit, of_canary=of_canary))

    # --- the canary

    async def has_canary(self) -> bool:
        """Whether a canary was drawn, or all items may go."""
        asked = "SELECT 1 FROM job WHERE approved IS NOT NULL OR EXISTS (SELECT 1 FROM canary)"
        return await self._do(lambda connection: connection.execute(asked).fetchone() is not None)

    async def draw_canary(self, numbers: Sequence[int]) -> None:
        """Have these items go first."""
        rows = [(number,) for number in numbers]
        await self._do(lambda connection: connection.executemany("INSERT INTO canary VALUES (?)", rows), durable=True)

    async def holds_back_all_but_canary(self) -> bool:
        """Whether only the canary may go."""
        return await self._do(holds_back_all_but_canary)

    async def approve_canary(self) -> None:
        """Have all the others follow."""
        at = self._effects.wall()
        await self._do(
            lambda connection: connection.execute("UPDATE job SET approved = coalesce(approved, ?)", (at,)),
            durable=True,
        )

    # --- what is read and told on the way

    def keep_snapshots(self, customers: Sequence[tuple[int, bytes]]) -> None:
        """Keep what was there before items are carried out. An intent that is recorded later is not without it.

        Args:
            customers: the number of each item, and its customer as it came.
        """
        self._commits.post(partial(_keep_snapshots, customers=customers, at=self._effects.wall()), within=0.05)

    def note_run(self, note: str) -> None:
        """Keep what is to be said of the present run in the report."""
        self._commits.post(
            lambda connection: connection.execute("UPDATE runs SET note = ? WHERE number = ?", (note, self.ledger.run)),
            within=0.05,
        )

    async def count_to_do(self) -> int:
        """How many items have no outcome that is known."""
        ended = "SELECT count(*) FROM outcomes WHERE tally <> 'unprocessed'"
        asked = f"SELECT (SELECT count(*) FROM items) - ({ended})"  # noqa: S608 (no value of anybody)
        return await self._do(lambda connection: int(connection.execute(asked).fetchone()[0]))

    def note_unknown(self, item: Item, reason: str) -> None:
        """Keep why an item could not be settled, for the report."""
        self._commits.post(
            lambda connection: connection.execute(
                "UPDATE intents SET reason = ? WHERE item = ?", (reason, item.number)
            ),
            within=0.05,
        )

    # --- after the job

    async def wipe(self) -> None:
        """Erase what the job was given and what was read of customers, and close; ids and outcomes stay.

        Raises:
            ConfigurationError: the outcome of an item is unknown, and what was sent is needed to settle it.
        """
        at = self._effects.wall()

        def work(connection: sqlite3.Connection) -> int:
            unknown: int = connection.execute("SELECT count(*) FROM intents").fetchone()[0]
            if not unknown:
                connection.execute("UPDATE items SET asked = NULL, known = NULL")
                connection.execute("UPDATE outcomes SET before = NULL, message = NULL")
                connection.execute("DELETE FROM snapshots")
                connection.execute("UPDATE job SET wiped = ?, options = '{}'", (at,))
            return unknown

        unknown = await self._do(work, durable=True)
        if unknown:
            raise ConfigurationError(
                f"the outcome of {unknown} items of {self.path} is unknown, and settling them takes what was sent: "
                "resume the job before it is wiped"
            )
        await self.aclose()
        await self._effects.off_loop(partial(_rewrite, self.path))


def _rewrite(path: Path) -> None:
    """Write a journal anew, so that nothing stands in it that was erased."""
    try:
        with closing(connect_to(path)) as connection:
            connection.execute("VACUUM")
    except sqlite3.Error as error:
        raise StoreUnavailableError(
            f"what was erased may still stand in {path}: it cannot be rewritten: {error}"
        ) from error


def item_of(row: Sequence[Any]) -> Item:
    """An item from its number, its customer, what is asked and known of it, and its attempts so far."""
    number, customer_id, asked, known, attempts = row
    return Item(
        number=number,
        customer_id=customer_id,
        asked=None if asked is None else asked.encode(),
        known=None if known is None else known.encode(),
        attempts=attempts,
    )


def to_do_in(connection: sqlite3.Connection, after: int, limit: int, *, of_canary: bool = False) -> list[Item]:
    """The items that have no outcome, from the one after a number on, so many at most; or those of the canary alone."""
    asked = f"{_TO_DO} {_OF_CANARY if of_canary else ''} ORDER BY number LIMIT ?"
    return [item_of(row) for row in connection.execute(asked, (after, limit))]


def facts_in(connection: sqlite3.Connection) -> JobFacts | None:
    """What a journal says of its job; None if it is new."""
    row = connection.execute(
        "SELECT operation, options, service, began, input_rows, duplicates, fingerprint, (SELECT count(*) FROM runs) "
        "FROM job"
    ).fetchone()
    if row is None:
        return None
    operation, options, service, began, input_rows, duplicates, fingerprint, runs = row
    return JobFacts(
        operation=operation,
        options=decode_json(options.encode()),
        service=service,
        began=began,
        input_rows=input_rows,
        duplicates=duplicates,
        fingerprint=fingerprint,
        runs=runs,
    )


def checked_facts(connection: sqlite3.Connection, path: Path) -> JobFacts:
    """What a journal says of its job.

    Raises:
        ConfigurationError: it holds none.
    """
    facts = facts_in(connection)
    if facts is None:
        raise ConfigurationError(f"the journal {path} holds no job yet")
    return facts


def holds_back_all_but_canary(connection: sqlite3.Connection) -> bool:
    """Whether a canary was drawn, and nobody has said that the others may follow."""
    found = connection.execute("SELECT 1 FROM job WHERE approved IS NULL AND EXISTS (SELECT 1 FROM canary)")
    return found.fetchone() is not None


def awaits_approval(connection: sqlite3.Connection) -> bool:
    """Whether the canary has ended, and nobody has said that the others may follow."""
    if not holds_back_all_but_canary(connection):
        return False
    return connection.execute(f"{_TO_DO} {_OF_CANARY} LIMIT 1", (0,)).fetchone() is None


def _keep_snapshots(connection: sqlite3.Connection, *, customers: Sequence[tuple[int, bytes]], at: float) -> None:
    rows = [(number, zlib.compress(wire), at) for number, wire in customers]
    connection.executemany("INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?)", rows)


def _end_run(connection: sqlite3.Connection, *, number: int, at: float, ended_as: str) -> None:
    connection.execute("UPDATE runs SET ended = ?, ended_as = ? WHERE number = ?", (at, ended_as, number))


def _text(json: bytes | None) -> str | None:
    return None if json is None else json.decode()


def _add(connection: sqlite3.Connection, *, rows: Sequence[tuple[int, Row | str]], at: float) -> int:
    """Write rows down. Where customers are there already, rows are looked at one by one."""
    bad = [(number, row) for number, row in rows if isinstance(row, str)]
    connection.executemany("INSERT INTO items (number) VALUES (?)", [(number,) for number, _ in bad])
    good = [
        (number, row.customer_id, _text(row.asked), _text(row.known)) for number, row in rows if isinstance(row, Row)
    ]
    written = connection.executemany("INSERT OR IGNORE INTO items VALUES (?, ?, ?, ?)", good).rowcount
    duplicates = 0
    for number, customer_id, asked, _ in good if written < len(good) else ():
        earlier, said = connection.execute(
            "SELECT number, asked FROM items WHERE customer_id = ?", (customer_id,)
        ).fetchone()
        if earlier == number:
            continue
        if said == asked:
            duplicates += 1
            continue
        # Which of the two is meant cannot be told, so neither is carried out.
        connection.execute("INSERT INTO items (number) VALUES (?)", (number,))
        bad += [
            (each, f"rows {earlier} and {number} ask for different things for customer {customer_id}")
            for each in (earlier, number)
        ]
    bad += [(number, row.aside) for number, row in rows if isinstance(row, Row) and row.aside]
    connection.executemany(
        "INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, NULL, NULL, 0, ?, 0, 0, ?, NULL, NULL)",
        [(number, Tally.SKIPPED, Outcome.NOT_SENT, at, why) for number, why in bad],
    )
    return duplicates
