"""Open intents and customer locks in one SQLite file, for processes of one machine.

An intent is on the disk before the first byte of its write leaves, so a process that is killed, or a machine that
loses power, leaves it for the next process that opens the file.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import time
from functools import partial
from pathlib import Path
from typing import Any

from fusebill_async.converting import decode_json
from fusebill_async.errors import ClientStateError, ConfigurationError, StoreUnavailableError
from fusebill_async.settings import QuotaPolicy
from fusebill_async.settling.intent import Intent
from fusebill_async.stores.group_commit import GroupCommit
from fusebill_async.stores.intent_json import decode_before, encode_value
from fusebill_async.stores.lease import check_times
from fusebill_async.stores.memory import MemoryLocks
from fusebill_async.stores.sqlite_leases import TABLES, Leases, Owner, Refusal

_APPLICATION_ID = 0x46757362  # "Fusb"
_SCHEMA_VERSION = 1
_BUSY = 5.0
"""Seconds that a transaction waits for another process's."""
_POLL = (0.02, 0.05)
"""Seconds between two looks at a lease that another process holds; chance parts those who wait together."""
_IMPATIENT_AFTER = 0.25
"""Seconds after which a lease that comes free is kept for us, however often its holder asks for it again."""

_TABLES = (
    """CREATE TABLE intents (
        number INTEGER PRIMARY KEY, account TEXT NOT NULL, id TEXT NOT NULL, operation TEXT NOT NULL,
        customer_id INTEGER, named TEXT NOT NULL, opened_at REAL NOT NULL, before TEXT,
        UNIQUE (account, id)
    )""",
    *TABLES,
)


class SQLiteLedger:
    """The open intents of one account in the file, those of other processes and of dead ones included."""

    durable = True

    def __init__(self, path: Path, commits: GroupCommit) -> None:
        self.account = ""
        self._path = path
        self._commits = commits
        self._closing: set[str] = set()
        """Closed, and not yet written as such."""

    async def open(self, intent: Intent) -> None:
        """Record an intent. When this returns, a loss of power would leave it.

        Raises:
            StoreUnavailableError: it could not be written.
        """
        row = (
            self.account,
            intent.id,
            intent.operation,
            intent.customer_id,
            encode_value(intent.named).decode(),
            intent.opened_at,
            None if intent.before is None else encode_value(intent.before).decode(),
        )
        try:
            await self._commits.submit(partial(_insert, row=row), durable=True)
        except StoreUnavailableError as error:
            error.operation, error.customer_id = intent.operation.rpartition(".")[2], intent.customer_id
            raise

    async def close(self, intent: Intent) -> None:
        """Forget it. Nothing is waited for, so nothing here can be cancelled.

        If the process dies before that is written, the next one settles the intent once more, by reading.
        """
        self._closing.add(intent.id)
        self._commits.post(
            partial(_delete, account=self.account, intent_id=intent.id), partial(self._closing.discard, intent.id)
        )

    def unresolved(self) -> list[Intent]:
        """Every open intent of the account in the file, oldest first.

        Raises:
            StoreUnavailableError: the file cannot be read.
        """
        # Taken before the file is read: what is written meanwhile may be in what was read, or not.
        closing = set(self._closing)
        try:
            connection = _connect(self._path)
            try:
                rows: list[Any] = connection.execute(
                    "SELECT id, operation, customer_id, named, opened_at, before FROM intents "
                    "WHERE account = ? ORDER BY number",
                    (self.account,),
                ).fetchall()
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise StoreUnavailableError(f"the store cannot be read: {error}") from error
        return [_intent(row) for row in rows if row[0] not in closing]


def _insert(connection: sqlite3.Connection, *, row: tuple[Any, ...]) -> None:
    connection.execute(
        "INSERT INTO intents (account, id, operation, customer_id, named, opened_at, before) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        row,
    )


def _delete(connection: sqlite3.Connection, *, account: str, intent_id: str) -> None:
    connection.execute("DELETE FROM intents WHERE account = ? AND id = ?", (account, intent_id))


def _intent(row: tuple[Any, ...]) -> Intent:
    intent_id, operation, customer_id, named, opened_at, before = row
    return Intent(
        id=intent_id,
        operation=operation,
        customer_id=customer_id,
        named=decode_json(named.encode()),
        opened_at=opened_at,
        before=None if before is None else decode_before(decode_json(before.encode())),
    )


class SQLiteLocks:
    """A lock per customer: first come, first served in this process, and a lease between processes."""

    shared = True

    def __init__(self, commits: GroupCommit, leases: Leases) -> None:
        self._commits = commits
        self._leases = leases
        self._here = MemoryLocks()
        self._held: dict[int, Owner] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def acquire_now(self, customer_id: int) -> bool:  # noqa: ARG002 (the protocol's)
        """Never: a lease takes a look into the file, and that is not done in the event loop."""
        return False

    async def acquire(self, customer_id: int, timeout: float | None) -> None:
        """Take the lock, waiting up to `timeout` seconds.

        Raises:
            TimeoutError: it did not come free in time.
            StoreUnavailableError: the file cannot be written to.
            ClientStateError: the store is in use in another event loop.
        """
        self._bind()
        async with asyncio.timeout(timeout):
            await self._here.acquire(customer_id, None)
            self._leases.in_use += 1
            try:
                self._held[customer_id] = await self._take(customer_id)
            except BaseException as error:
                if isinstance(error, StoreUnavailableError):
                    error.customer_id = customer_id
                # It may have been taken, or be taken yet: the job that gives it back comes after the one that takes.
                self.release(customer_id)
                raise

    def _bind(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            if self._loop is not None and not self._loop.is_closed() and len(self._here):
                raise ClientStateError("the store is in use in another event loop: make one for each, on the same file")
            self._loop = loop

    async def _take(self, customer_id: int) -> Owner:
        started = time.monotonic()
        seen, seen_at = Refusal(), started
        while True:
            now = time.monotonic()
            # Its own clock tells whether the lease was renewed, even after the system's clock was set back.
            stale = seen if seen.owner is not None and now - seen_at > seen.ttl else None
            answer: Owner | Refusal = await self._commits.submit(
                partial(
                    self._leases.take,
                    customer_id=customer_id,
                    impatient=now - started > _IMPATIENT_AFTER,
                    stale=stale,
                )
            )
            if isinstance(answer, Owner):
                return answer
            if answer != seen:
                seen, seen_at = answer, now
            await asyncio.sleep(random.uniform(*_POLL))  # noqa: S311 (not a secret)

    def release(self, customer_id: int) -> None:
        """Give it back. Nothing is waited for."""
        self._leases.in_use -= 1
        owner = self._held.pop(customer_id, None)
        self._commits.post(partial(self._leases.give_back, customer_id=customer_id, owner=owner))
        self._here.release(customer_id)

    def still_held(self, customer_id: int) -> bool:
        """Whether the lease is certainly still ours."""
        owner = self._held.get(customer_id)
        return owner is not None and owner.is_valid()

    def __len__(self) -> int:
        """How many customers are locked by this store."""
        return len(self._here)


class SQLiteStore:
    """Open intents and customer locks in a SQLite file.

    Several clients and several processes of one machine may share the file, also for different accounts; one store
    object serves one account, in one event loop. The file holds what writes that are under way have named, and
    nothing of it once their outcome is known; it never holds the API key. It is made readable for its owner
    alone, unless it is there already. The quota is not shared: see `RedisStore`.

    Args:
        path: the file, on a local disk; made if it is not there. SQLite keeps two more beside it, with `-wal`
            and `-shm` at the end of their names.
        lease: seconds after which the lock of a process that does not answer for it may be taken over, 0.2 to
            3600. That of a process that is seen to be dead is taken over at once.
        renew: seconds between renewals of what is held, above 0 and at most a third of `lease`.

    Raises:
        ConfigurationError: a path or times that cannot work. The file itself is looked at by `open`.
    """

    def __init__(self, path: str | Path, *, lease: float = 10.0, renew: float = 3.0) -> None:
        check_times(lease, renew)
        self._path = _checked_path(path)
        self._leases = Leases(lease, renew)
        self._commits = GroupCommit(partial(_connect, self._path), self._leases)
        self._ledger = SQLiteLedger(self._path, self._commits)
        self._locks = SQLiteLocks(self._commits, self._leases)
        self._clients = 0

    def __repr__(self) -> str:
        return f"SQLiteStore({str(self._path)!r})"

    @property
    def ledger(self) -> SQLiteLedger:
        """The open intents."""
        return self._ledger

    @property
    def locks(self) -> SQLiteLocks:
        """The locks of the customers."""
        return self._locks

    def open(self, account: str) -> None:
        """Begin to serve an account: make the file, or check that it is one of ours.

        Raises:
            ConfigurationError: the file cannot be used, or the store serves another account already.
            StoreUnavailableError: another process keeps the file locked.
        """
        if self._ledger.account not in {"", account}:
            raise ConfigurationError("a store object serves one account: make another SQLiteStore on the same file")
        _prepare(self._path)
        self._ledger.account = self._leases.account = account
        self._clients += 1

    def quota(self, policy: QuotaPolicy) -> Any | None:  # noqa: ARG002 (the protocol's)
        """Each process counts for itself."""
        return None

    async def aclose(self) -> None:
        """A client is done with it. The last one writes what is left to be written, and closes the file."""
        self._clients -= 1
        if self._clients <= 0:
            self._clients = 0
            self._commits.post(self._leases.retire)
            await self._commits.aclose()


def _checked_path(path: Any) -> Path:
    name: str = str(path) if isinstance(path, (str, Path)) else ""
    if not name or name.startswith((":", "file:")):
        raise ConfigurationError(f"SQLiteStore takes the path of a file, not {path!r}; in memory is MemoryStore()")
    return Path(name).absolute()


# --- the file


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY, isolation_level=None)
    # Without it macOS leaves what was "synced" in the disk's own cache. It changes nothing elsewhere.
    connection.execute("PRAGMA fullfsync=ON")
    return connection


def _prepare(path: Path) -> None:
    try:
        _make(path)
        connection = _connect(path)
        try:
            _check(connection, path)
        finally:
            connection.close()
    except sqlite3.Error as error:
        if _is_busy(error):
            raise StoreUnavailableError(f"{path} is locked by another program: {error}") from error
        raise ConfigurationError(f"{path} cannot be used as a store: {error}") from error
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be used as a store: {error.strerror}") from error


def _make(path: Path) -> None:
    """Make an empty file that only its owner may read, and see to it that its name is on the disk."""
    if not path.parent.is_dir():
        raise ConfigurationError(f"{path} cannot be used as a store: there is no such directory")
    if path.is_dir():
        raise ConfigurationError(f"{path} cannot be used as a store: it is a directory")
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return
    if os.name == "posix":
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _check(connection: sqlite3.Connection, path: Path) -> None:
    if not _is_ours(connection, path):
        _into_wal_mode(connection, path)
        connection.execute("BEGIN IMMEDIATE")
        # Another process may have been faster.
        if not _is_ours(connection, path):
            for statement in _TABLES:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id={_APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={_SCHEMA_VERSION}")
        connection.execute("COMMIT")
    # A file that cannot be written to is told of now, not at the first write.
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("ROLLBACK")


def _is_ours(connection: sqlite3.Connection, path: Path) -> bool:
    application, version, tables = (
        connection.execute(question).fetchone()[0]
        for question in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
    )
    if (application, version, tables) == (0, 0, 0):
        return False
    if application != _APPLICATION_ID:
        raise ConfigurationError(f"{path} is another program's database: give the store a file of its own")
    if version != _SCHEMA_VERSION:
        raise ConfigurationError(
            f"{path} was made by another version of fusebill_async (schema {version}, not {_SCHEMA_VERSION}): "
            "settle what is open in it with that version, then remove it"
        )
    return True


def _into_wal_mode(connection: sqlite3.Connection, path: Path) -> None:
    """SQLite does not wait for others here by itself."""
    until = time.monotonic() + _BUSY
    while True:
        try:
            mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            break
    if mode != "wal":
        raise ConfigurationError(f"{path} cannot be used as a store: no WAL mode there (is it a network drive?)")


def _is_busy(error: sqlite3.Error) -> bool:
    # The low byte is the error's kind, the others say more of it.
    return error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


__all__ = ["SQLiteLedger", "SQLiteLocks", "SQLiteStore"]
