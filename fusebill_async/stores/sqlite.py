"""Open intents and customer locks in one SQLite file, for processes of one machine.

An intent is on the disk before the first byte of its write leaves, so a process that is killed, or a machine that
loses power, leaves it for the next process that opens the file.
"""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from functools import partial
from pathlib import Path
from typing import Any

from fusebill_async.errors import ClientStateError, ConfigurationError, StoreUnavailableError
from fusebill_async.outcome import Attribution, Outcome
from fusebill_async.settings import QuotaPolicy
from fusebill_async.settling.intent import Intent
from fusebill_async.settling.keys import KEEP_OUTCOMES, Ended, KeyTakenError, Recorded
from fusebill_async.stores.effects import StoreEffects
from fusebill_async.stores.group_commit import GroupCommit
from fusebill_async.stores.intent_json import decode_intent, encode_intent
from fusebill_async.stores.lease import IMPATIENT_AFTER, POLL, check_keeping, check_times
from fusebill_async.stores.memory import MemoryLocks, OwnIntents, recorded
from fusebill_async.stores.sqlite_file import SQLiteFile
from fusebill_async.stores.sqlite_leases import TABLES, Lease, Leases, Refusal

_KEYS = (
    # A key is hashed together with its account. What is open has neither outcome nor end, and is never forgotten.
    """CREATE TABLE keys (
        id BLOB PRIMARY KEY, intent TEXT NOT NULL, operation TEXT NOT NULL, customer_id INTEGER, digest TEXT NOT NULL,
        outcome TEXT, attribution TEXT, status INTEGER, began REAL NOT NULL, ended REAL
    ) WITHOUT ROWID""",
    "CREATE INDEX keys_ended ON keys (ended) WHERE ended IS NOT NULL",
)
_TABLES = (
    """CREATE TABLE intents (
        number INTEGER PRIMARY KEY, account TEXT NOT NULL, id TEXT NOT NULL, record TEXT NOT NULL,
        UNIQUE (account, id)
    )""",
    *TABLES,
    *_KEYS,
)
_LOOKED_FOR = 50
"""After so many outcomes those that are old enough are forgotten, twice as many at most: that holds nobody up."""


class SQLiteLedger:
    """The open intents of one account in the file, those of other processes and of dead ones included."""

    durable = True
    keeps_outcomes = False

    def __init__(self, file: SQLiteFile, commits: GroupCommit, effects: StoreEffects, keep_outcomes: float) -> None:
        self.account = ""
        self._file = file
        self._commits = commits
        self._effects = effects
        self._keep_outcomes = keep_outcomes
        self._kept = 0
        self._own = OwnIntents()

    async def open(self, intent: Intent) -> None:
        """Record an intent, and its key. When this returns, a loss of power would leave them.

        Raises:
            StoreUnavailableError: it could not be written.
            KeyTakenError: its key belongs to an intent that it does not replace.
        """
        try:
            opened: bool = await self._commits.submit(self._recording(intent), durable=True)
        except StoreUnavailableError as error:
            error.operation, error.customer_id = intent.operation, intent.customer_id
            raise
        if opened is False:
            raise KeyTakenError
        self._own.opened(intent)

    def close(self, intent: Intent, ended: Ended | None = None) -> None:
        """Forget it, and keep its outcome under its key. Nothing is waited for, so nothing here can be cancelled.

        If the process dies before that is written, the next one settles the intent once more, by reading.
        """
        self._own.closed(intent)
        self._commits.post(partial(self._close, intent=intent, ended=ended), partial(self._own.written, intent.id))

    async def find(self, key_id: str) -> Recorded | None:
        """What is kept under a key.

        Raises:
            StoreUnavailableError: the file cannot be read.
        """
        found: Recorded | None = await self._commits.submit(partial(_find, key=self._key(key_id)))
        return found

    def unresolved(self) -> list[Intent]:
        """Every open intent of the account, oldest first: those in the file, and those of a file that was lost.

        Raises:
            StoreUnavailableError: the file cannot be read.
        """
        return self._own.list_with(self._look)

    def _look(self) -> tuple[list[Intent], bool]:
        rows, remembers = self._file.read("SELECT record FROM intents WHERE account = ? ORDER BY number", self.account)
        return [decode_intent(record.encode()) for (record,) in rows], remembers

    def _key(self, key_id: str) -> bytes:
        """A key as the file has it: hashed together with the account."""
        return hashlib.blake2b(f"{self.account}/{key_id}".encode(), digest_size=16).digest()

    def restore(self, connection: sqlite3.Connection) -> None:
        """Write what this process knows to be open into a file that does not know it any more."""
        for intent in self._own.open_now():
            self._recording(intent)(connection)

    def _recording(self, intent: Intent) -> partial[bool]:
        """The work that writes an intent down, with its key."""
        key = None if intent.key is None else self._key(intent.key.id)
        record = encode_intent(intent).decode()
        return partial(_insert, account=self.account, intent=intent, record=record, key=key)

    def _close(self, connection: sqlite3.Connection, *, intent: Intent, ended: Ended | None) -> None:
        """Write an outcome down in the place of the intent, and now and then forget those that are old enough."""
        _delete(connection, account=self.account, intent_id=intent.id)
        if intent.key is None or ended is None:
            return
        connection.execute(
            "UPDATE keys SET customer_id = ?, outcome = ?, attribution = ?, status = ?, ended = ? "
            "WHERE id = ? AND intent = ? AND ended IS NULL",
            (
                ended.customer_id, ended.outcome, ended.attribution, ended.status, ended.at,
                self._key(intent.key.id), intent.id,
            ),
        )  # fmt: skip
        self._kept += 1
        if self._kept % _LOOKED_FOR == 1:
            connection.execute(
                "DELETE FROM keys WHERE id IN (SELECT id FROM keys WHERE ended < ? LIMIT ?)",
                (self._effects.wall() - self._keep_outcomes, 2 * _LOOKED_FOR),
            )


def _insert(connection: sqlite3.Connection, *, account: str, intent: Intent, record: str, key: bytes | None) -> bool:
    """Write an intent down, with its key; whether the key was free for it."""
    if key is not None and intent.key is not None:
        known = _find(connection, key=key)
        if known is not None and known.intent_id not in {intent.id, intent.replaces}:
            return False
        new = recorded(intent, intent.key)
        connection.execute(
            "INSERT OR REPLACE INTO keys VALUES (?, ?, ?, ?, ?, NULL, NULL, NULL, ?, NULL)",
            (key, new.intent_id, new.operation, new.customer_id, new.digest, new.began),
        )
    connection.execute(
        "INSERT OR REPLACE INTO intents (account, id, record) VALUES (?, ?, ?)", (account, intent.id, record)
    )
    return True


def _find(connection: sqlite3.Connection, *, key: bytes) -> Recorded | None:
    row: Any = connection.execute(
        "SELECT intent, operation, customer_id, digest, outcome, attribution, status, began, ended FROM keys "
        "WHERE id = ?",
        (key,),
    ).fetchone()
    if row is None:
        return None
    intent_id, operation, customer_id, digest, outcome, attribution, status, began, ended = row
    return Recorded(
        operation=operation,
        customer_id=customer_id,
        outcome=Outcome.UNKNOWN if outcome is None else Outcome(outcome),
        attribution=None if attribution is None else Attribution(attribution),
        status=status,
        began=began,
        ended=ended,
        intent_id=intent_id,
        digest=digest,
    )


def _delete(connection: sqlite3.Connection, *, account: str, intent_id: str) -> None:
    connection.execute("DELETE FROM intents WHERE account = ? AND id = ?", (account, intent_id))


class SQLiteLocks:
    """A lock per customer: first come, first served in this process, and a lease between processes."""

    shared = True

    def __init__(self, commits: GroupCommit, leases: Leases, effects: StoreEffects) -> None:
        self._commits = commits
        self._leases = leases
        self._effects = effects
        self._here = MemoryLocks()
        self._held: dict[int, Lease] = {}
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

    async def _take(self, customer_id: int) -> Lease:
        effects = self._effects
        started = effects.monotonic()
        seen, seen_at = Refusal(), started
        while True:
            now = effects.monotonic()
            # Its own clock tells whether the lease was renewed, even after the system's clock was set back.
            stale = seen if seen.owner is not None and now - seen_at > seen.ttl else None
            answer: Lease | Refusal = await self._commits.submit(
                partial(
                    self._leases.take,
                    customer_id=customer_id,
                    impatient=now - started > IMPATIENT_AFTER,
                    stale=stale,
                )
            )
            if isinstance(answer, Lease):
                return answer
            if answer != seen:
                seen, seen_at = answer, now
            await effects.sleep(effects.between(*POLL))

    def newest(self, customer_id: int) -> str | None:
        """The newest `modifiedTimestamp` that holders of the lock had seen when it was taken."""
        lease = self._held.get(customer_id)
        return None if lease is None else lease.newest

    def release(self, customer_id: int, newest: str | None = None) -> None:
        """Give it back, with the newest `modifiedTimestamp` seen. Nothing is waited for."""
        self._leases.in_use -= 1
        lease = self._held.pop(customer_id, None)
        owner = None if lease is None else lease.owner
        give_back = partial(self._leases.give_back, customer_id=customer_id, owner=owner, newest=newest)
        self._commits.post(give_back)
        self._here.release(customer_id)

    def still_held(self, customer_id: int) -> bool:
        """Whether the lease is certainly still ours."""
        lease = self._held.get(customer_id)
        return lease is not None and self._leases.are_held(lease.owner)

    def __len__(self) -> int:
        """How many customers are locked by this store."""
        return len(self._here)


class SQLiteStore:
    """Open intents and customer locks in a SQLite file.

    Several clients and several processes of one machine may share the file, also for different accounts; one store
    object serves one account, in one event loop. The file holds what writes that are under way have named, and
    nothing of it once their outcome is known; of a call with an idempotency key it keeps the outcome. It never holds
    the API key. Nobody but its owner may read it. A file
    that is taken away is made anew, with what this process knows to be open. The quota is not shared: see `RedisStore`.

    Args:
        path: the file, on a local disk; made if it is not there. SQLite keeps two more beside it, with `-wal`
            and `-shm` at the end of their names.
        lease: seconds after which the lock of a process that does not answer for it may be taken over, 0.2 to
            3600. That of a process that is seen to be dead is taken over at once.
        renew: seconds between renewals of what is held, above 0 and at most a third of `lease`.
        keep_outcomes: seconds for which the outcome of an idempotency key is kept, from 60; 30 days by default.
        effects: clocks, waiting, chance and threads; for simulations.

    Raises:
        ConfigurationError: a path or times that cannot work. The file itself is looked at by `open`.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        lease: float = 10.0,
        renew: float = 3.0,
        keep_outcomes: float = KEEP_OUTCOMES,
        effects: StoreEffects | None = None,
    ) -> None:
        check_times(lease, renew)
        check_keeping(keep_outcomes)
        effects = effects or StoreEffects()
        self._leases = Leases(lease, renew, effects)
        self._file = SQLiteFile(_checked_path(path), _TABLES, effects.new_name, since_version_2=_KEYS)
        self._commits = GroupCommit(self._file, self._leases, effects)
        self._ledger = SQLiteLedger(self._file, self._commits, effects, keep_outcomes)
        self._file.restoring = self._ledger.restore
        self._locks = SQLiteLocks(self._commits, self._leases, effects)
        self._clients = 0

    def __repr__(self) -> str:
        return f"SQLiteStore({str(self._file.path)!r})"

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
        self._file.prepare()
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


__all__ = ["SQLiteLedger", "SQLiteLocks", "SQLiteStore"]
