"""The SQLite file of a job: made for its owner alone, and used by one process at a time."""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path

import attrs

from fusebill_async.errors import ConfigurationError, StoreUnavailableError
from fusebill_async.stores.effects import Process, StoreEffects, machine_name
from fusebill_async.stores.sqlite_file import (
    connect_to,
    identity_of,
    into_wal_mode,
    is_busy,
    keep_private,
    make_private,
)

_APPLICATION_ID = 0x46754A6F  # "FuJo"
_SCHEMA_VERSION = 2

TABLES = (
    # One row: what the job is. `input_rows` is null until the input was read to its end.
    """CREATE TABLE job (
        operation TEXT NOT NULL, options TEXT NOT NULL, service TEXT NOT NULL, began REAL NOT NULL,
        input_rows INTEGER, duplicates INTEGER NOT NULL DEFAULT 0, fingerprint TEXT, wiped REAL, approved REAL
    )""",
    # The process that has the job open, if any.
    """CREATE TABLE owner (
        token TEXT NOT NULL, machine TEXT NOT NULL, host TEXT NOT NULL, pid INTEGER NOT NULL, started TEXT NOT NULL,
        since REAL NOT NULL
    )""",
    """CREATE TABLE runs (
        number INTEGER PRIMARY KEY, began REAL NOT NULL, ended REAL, ended_as TEXT, machine TEXT NOT NULL,
        pid INTEGER NOT NULL, version TEXT NOT NULL, options TEXT NOT NULL, note TEXT,
        per_minute REAL, per_day REAL
    )""",
    # At most one row: what is wanted of the job, written by any process.
    """CREATE TABLE control (
        wanted TEXT NOT NULL, since REAL NOT NULL, by TEXT NOT NULL
    )""",
    # What befell a run: "paused", "parked" or "away" until it "went_on" (`until` is the time, if it was known), and
    # "refused" by a 429, `count` times.
    """CREATE TABLE events (
        at REAL NOT NULL, run INTEGER NOT NULL, kind TEXT NOT NULL, count INTEGER, until REAL, note TEXT
    )""",
    # The items that go first, drawn at random. The others wait for `approved`.
    """CREATE TABLE canary (
        item INTEGER PRIMARY KEY
    )""",
    # The input, in its order. An item without a customer is a bad row.
    """CREATE TABLE items (
        number INTEGER PRIMARY KEY, customer_id INTEGER UNIQUE, asked TEXT, known TEXT
    )""",
    # What was sent, or is about to be, and has no known outcome. `reason` says why it could not be settled.
    """CREATE TABLE intents (
        item INTEGER PRIMARY KEY, id TEXT NOT NULL, run INTEGER NOT NULL, record TEXT NOT NULL, reason TEXT
    )""",
    # How items ended. One that is to be tried again stands here as unprocessed, with what it came to before.
    # `modified` is the service's timestamp of the customer as the write left it, `seconds` what its requests took.
    """CREATE TABLE outcomes (
        item INTEGER PRIMARY KEY, tally TEXT NOT NULL, outcome TEXT NOT NULL, attribution TEXT, status INTEGER,
        attempts INTEGER NOT NULL, ended REAL NOT NULL, seconds REAL NOT NULL, run INTEGER NOT NULL, message TEXT,
        before TEXT, modified TEXT
    )""",
    # The customers as they were shortly before their items were carried out, byte for byte, compressed.
    """CREATE TABLE snapshots (
        item INTEGER PRIMARY KEY, wire BLOB NOT NULL, read_at REAL NOT NULL
    )""",
)


_OWNER = "SELECT token, machine, host, pid, started, since FROM owner"


@attrs.frozen(kw_only=True)
class JobOwner:
    """The process that has a journal open.

    Attributes:
        machine: its name.
        pid: of the process there.
        since: when it opened the journal (aware, UTC).
        is_gone: whether it has certainly ended without closing it, as one that was killed.
    """

    machine: str
    pid: int
    since: datetime
    is_gone: bool

    def __str__(self) -> str:
        return f"process {self.pid} on {self.machine}"


class JournalFile:
    """The file of one job, as the group commit uses it.

    Args:
        path: where it is.
        effects: who this process is, and which others live.
        create: make it if it is not there.
        take_over: use it even if another process has it open that may still live.
    """

    def __init__(self, path: Path, effects: StoreEffects, *, create: bool, take_over: bool = False) -> None:
        self.path = path
        self._effects = effects
        self._create = create
        self._take_over = take_over
        self._token: str | None = None
        self._identity: tuple[object, ...] = ()

    def prepare(self) -> None:
        """Take the journal for this process, and make it if it is not there.

        Raises:
            ConfigurationError: it cannot be used, or another process has it open.
            StoreUnavailableError: another program keeps it locked.
        """
        self.connect().close()

    def connect(self) -> sqlite3.Connection:
        """Open the file for this process alone, and make it at the first time if it is not there.

        Raises:
            ConfigurationError: it cannot be used, or another process has it open.
            StoreUnavailableError: it was taken away, or another program keeps it locked.
        """
        path = self.path
        try:
            if self._token is None:
                self._see_to_it_that_it_is_there()
            elif not path.exists():
                raise StoreUnavailableError(f"the journal {path} was taken away while the job ran")
            connection = connect_to(path)
            try:
                self._open(connection)
            except BaseException:
                connection.close()
                raise
            keep_private(path)
        except sqlite3.Error as error:
            if is_busy(error):
                raise StoreUnavailableError(f"the journal {path} is locked by another program: {error}") from error
            raise ConfigurationError(
                f"the journal {path} cannot be read ({error}): put a copy in its place, "
                "or start the job anew with another journal"
            ) from error
        except OSError as error:
            raise ConfigurationError(f"the journal {path} cannot be used: {error.strerror}") from error
        self._identity = self._look()
        return connection

    def is_there(self) -> bool:
        """Whether the path still leads to the file that is written to."""
        return self._identity == self._look()

    def restore(self, connection: sqlite3.Connection) -> None:
        """See that the journal is still this process's. Called at the beginning of every transaction.

        Raises:
            StoreUnavailableError: another process has taken it over.
        """
        token = connection.execute("SELECT token FROM owner").fetchone()
        if token is None or token[0] != self._token:
            raise StoreUnavailableError(f"another process has taken over the journal {self.path}")

    def restored(self) -> None:
        """Nothing was."""

    def give_back(self, connection: sqlite3.Connection) -> None:
        """Let another process have it."""
        connection.execute("DELETE FROM owner WHERE token = ?", (self._token,))

    def _look(self) -> tuple[object, ...]:
        return identity_of(self.path), identity_of(Path(f"{self.path}-wal"))

    def _see_to_it_that_it_is_there(self) -> None:
        if self._create:
            make_private(self.path)
        elif not self.path.is_file():
            raise ConfigurationError(f"there is no journal {self.path}")

    def _open(self, connection: sqlite3.Connection) -> None:
        # Every commit is on the disk before anybody is told.
        connection.execute("PRAGMA synchronous=FULL")
        if _is_new(connection, self.path):
            if not self._create:
                raise ConfigurationError(f"{self.path} is empty: it is no journal")
            into_wal_mode(connection, self.path)
        connection.execute("BEGIN IMMEDIATE")
        try:
            if _is_new(connection, self.path):
                for statement in TABLES:
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id={_APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version={_SCHEMA_VERSION}")
            self._take(connection)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def _take(self, connection: sqlite3.Connection) -> None:
        """Make it ours, unless a process has it that may live."""
        effects = self._effects
        row = connection.execute(_OWNER).fetchone()
        if row is not None:
            token, machine, host, pid, started, since = row
            if token == self._token:
                return
            if self._token is not None:
                raise StoreUnavailableError(f"another process has taken over the journal {self.path}")
            if not self._take_over and not _is_gone(effects, machine, Process(host, pid, started)):
                when = datetime.fromtimestamp(since, UTC)
                raise ConfigurationError(
                    f"the journal {self.path} is in use by process {pid} on {machine} since "
                    f"{when:%Y-%m-%d %H:%M:%S} UTC. If that one is certainly gone, take the journal over: "
                    "take_over=True, or --take-over"
                )
        self._token = self._token or effects.new_name()
        this = effects.this_process()
        connection.execute("DELETE FROM owner")
        connection.execute(
            "INSERT INTO owner VALUES (?, ?, ?, ?, ?, ?)",
            (self._token, machine_name(), this.host, this.pid, this.started, effects.wall()),
        )


def _is_gone(effects: StoreEffects, machine: str, process: Process) -> bool:
    """Whether the process that has the journal has certainly ended."""
    if effects.is_gone(process):
        return True
    # The same machine under another name of its boot was started anew since, and no process of it lives.
    restarted: bool = machine == machine_name() and process.host != effects.this_process().host
    return restarted


def _is_new(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the file has no tables yet.

    Raises:
        ConfigurationError: it has, and they are not ours.
    """
    application, version, tables = (
        connection.execute(question).fetchone()[0]
        for question in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
    )
    if (application, version, tables) == (0, 0, 0):
        return True
    if application != _APPLICATION_ID:
        raise ConfigurationError(f"{path} is no journal of a job: it is another program's database")
    if version != _SCHEMA_VERSION:
        raise ConfigurationError(
            f"the journal {path} was made by another version of fusebill_async (schema {version}, "
            f"not {_SCHEMA_VERSION}): resume it with that version, or start the job anew with another journal"
        )
    return False


def open_to_read(path: Path) -> sqlite3.Connection:
    """Open a journal that another process may be writing to, to read it.

    Raises:
        ConfigurationError: there is no such journal, or it cannot be read.
    """
    path = path.absolute()
    if not path.is_file():
        raise ConfigurationError(f"there is no journal {path}")
    try:
        with ExitStack() as opened:
            connection = opened.enter_context(closing(connect_to(path)))
            if not _is_new(connection, path):
                opened.pop_all()
                return connection
    except sqlite3.Error as error:
        raise ConfigurationError(f"the journal {path} cannot be read ({error})") from error
    raise ConfigurationError(f"{path} is empty: it is no journal")


def read_owner(path: Path, effects: StoreEffects | None = None) -> JobOwner | None:
    """The process that has a journal open; None if none has.

    Raises:
        ConfigurationError: there is no such journal, or it cannot be read.
    """
    with closing(open_to_read(path)) as connection:
        return owner_in(connection, effects)


def owner_in(connection: sqlite3.Connection, effects: StoreEffects | None = None) -> JobOwner | None:
    """The process that has the journal open to which a connection leads; None if none has."""
    row = connection.execute(_OWNER).fetchone()
    if row is None:
        return None
    _, machine, host, pid, started, since = row
    is_gone = _is_gone(effects or StoreEffects(), machine, Process(host, pid, started))
    return JobOwner(machine=machine, pid=pid, since=datetime.fromtimestamp(since, UTC), is_gone=is_gone)
