"""Leases in a SQLite file: the customer locks of all processes that share it.

An owner is one store in one process. It has one expiry for all its leases, so that renewing a thousand of them
writes one row, and whoever finds it dead takes all of them away at once.
"""

from __future__ import annotations

import sqlite3
from typing import Any

import attrs

from fusebill_async.stores.effects import Process, StoreEffects
from fusebill_async.stores.lease import Moment, surely_held
from fusebill_async.stores.memory import NEWEST_KEPT

TABLES = (
    """CREATE TABLE owners (
        id TEXT PRIMARY KEY, host TEXT NOT NULL, pid INTEGER NOT NULL, started TEXT NOT NULL,
        ttl REAL NOT NULL, expires_at REAL NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE leases (
        account TEXT NOT NULL, customer_id INTEGER NOT NULL, owner TEXT, next_owner TEXT, next_until REAL,
        PRIMARY KEY (account, customer_id)
    ) WITHOUT ROWID""",
    "CREATE INDEX leases_of_owner ON leases (owner)",
    """CREATE TABLE newest (
        account TEXT NOT NULL, customer_id INTEGER NOT NULL, modified TEXT NOT NULL, until REAL NOT NULL,
        PRIMARY KEY (account, customer_id)
    ) WITHOUT ROWID""",
    "CREATE INDEX newest_until ON newest (until)",
)

_RESERVED = 0.5
"""Seconds for which a lease that comes free is kept for whoever has waited long."""
_FORGOTTEN = 3600.0
"""Seconds after which an expired owner without leases is swept away."""


@attrs.define(eq=False)
class Owner:
    """This store as a holder of leases, until it is found dead; then it goes on under another name."""

    id: str
    committed: bool = False
    lost: bool = False
    renewed: Moment | None = None
    """The moment right before it was last renewed with success."""


@attrs.frozen
class Lease:
    """A lease that was taken.

    Attributes:
        owner: this store, as it was called then.
        newest: the newest `modifiedTimestamp` of the customer that its holders had seen by then.
    """

    owner: Owner
    newest: str | None


@attrs.frozen
class Refusal:
    """A lease that is somebody else's: whose, when it was last renewed to, and how long a lease of theirs lasts."""

    owner: str | None = None
    expires_at: float = 0.0
    ttl: float = 0.0


class Leases:
    """The leases of one account, as seen by one store. All but `due` and `in_use` belongs to the writer's thread.

    Args:
        ttl: seconds after which a lease that was not renewed may be taken over.
        renew: seconds between renewals.
        effects: clocks, names and the life of processes.
    """

    def __init__(self, ttl: float, renew: float, effects: StoreEffects) -> None:
        self.account = ""
        self.in_use = 0
        """How many leases are held or waited for."""
        self._ttl = ttl
        self._renew = renew
        self._effects = effects
        self._process: Process | None = None
        self._owner = Owner(effects.new_name())
        self._tried_at = 0.0
        """When a renewal was last tried, on the monotonic clock."""
        self._renewing: Moment | None = None

    def are_held(self, owner: Owner) -> bool:
        """Whether the leases of an owner are certainly still held. Called in the event loop."""
        if owner.lost or owner.renewed is None:
            return False
        return surely_held(self._ttl, owner.renewed, Moment.now(self._effects))

    # --- renewing: the timer of the writer's thread

    def due(self) -> float | None:
        """When the owner is to be renewed next, on the monotonic clock."""
        return self._tried_at + self._renew if self.in_use and self._owner.committed else None

    def run(self, connection: sqlite3.Connection) -> None:
        """Renew."""
        self._present(connection)

    def ended(self, *, committed: bool) -> None:
        """A transaction has ended: what it wrote of the owner is true, or never was."""
        renewing, self._renewing = self._renewing, None
        if renewing is None:
            return
        # A renewal that failed is tried again after a while, not at once; `are_held` knows that it failed.
        self._tried_at = self._effects.monotonic()
        if committed:
            self._owner.committed = True
            self._owner.renewed = renewing

    def _present(self, connection: sqlite3.Connection) -> Owner:
        """The owner, present in the file and renewed lately."""
        if self._renewing is not None or self._was_renewed(connection):
            return self._owner
        now = Moment.now(self._effects)
        expires_at = now.wall + self._ttl
        known = connection.execute(
            "UPDATE owners SET expires_at = ? WHERE id = ?", (expires_at, self._owner.id)
        ).rowcount
        if not known:
            if self._owner.committed:
                # Somebody took us for dead, and our leases with it.
                self._owner.lost = True
                self._owner = Owner(self._effects.new_name())
            self._process = self._process or self._effects.this_process()
            connection.execute(
                "DELETE FROM owners WHERE expires_at < ? AND id NOT IN "
                "(SELECT owner FROM leases WHERE owner IS NOT NULL)",
                (now.wall - _FORGOTTEN,),
            )
            connection.execute(
                "INSERT INTO owners VALUES (?, ?, ?, ?, ?, ?)",
                (self._owner.id, *attrs.astuple(self._process), self._ttl, expires_at),
            )
        self._renewing = now
        return self._owner

    def _was_renewed(self, connection: sqlite3.Connection) -> bool:
        owner = self._owner
        lately = self._effects.monotonic() <= self._tried_at + self._renew / 2
        if not owner.committed or not lately or not self.are_held(owner):
            return False
        return connection.execute("SELECT 1 FROM owners WHERE id = ?", (owner.id,)).fetchone() is not None

    # --- taking and giving back

    def take(
        self, connection: sqlite3.Connection, customer_id: int, *, impatient: bool, stale: Refusal | None
    ) -> Lease | Refusal:
        """Take a lease if it is free.

        Args:
            connection: in a transaction.
            customer_id: of the lease.
            impatient: it was waited for so long that it shall be kept for us when it comes free.
            stale: the holder whose lease was seen not to be renewed for its whole time.
        """
        me = self._present(connection)
        key = (self.account, customer_id)
        row: Any = connection.execute(
            "SELECT owner, next_owner, next_until FROM leases WHERE account = ? AND customer_id = ?", key
        ).fetchone()
        holder, next_owner, next_until = row or (None, None, 0.0)
        refusal = None
        if holder is not None and holder != me.id:
            refusal = self._refusal(connection, holder, stale)
        wall = self._effects.wall()
        reserved = next_owner not in {None, me.id} and bool(wall < next_until < wall + 2 * _RESERVED)
        if refusal is None and not reserved:
            connection.execute("INSERT OR REPLACE INTO leases VALUES (?, ?, ?, NULL, NULL)", (*key, me.id))
            seen: Any = connection.execute(
                "SELECT modified FROM newest WHERE account = ? AND customer_id = ? AND until > ?", (*key, wall)
            ).fetchone()
            return Lease(me, None if seen is None else seen[0])
        if impatient and not reserved:
            connection.execute(
                "UPDATE leases SET next_owner = ?, next_until = ? WHERE account = ? AND customer_id = ?",
                (me.id, wall + _RESERVED, *key),
            )
        return refusal or Refusal()

    def _refusal(self, connection: sqlite3.Connection, holder: str, stale: Refusal | None) -> Refusal | None:
        """Why the holder keeps its lease; None if it is dead, and then its leases are gone."""
        row: Any = connection.execute(
            "SELECT host, pid, started, ttl, expires_at FROM owners WHERE id = ?", (holder,)
        ).fetchone()
        if row is not None:
            *process, ttl, expires_at = row
            refusal = Refusal(holder, expires_at, ttl)
            alive = self._effects.wall() < expires_at and refusal != stale
            if alive and not self._effects.is_gone(Process(*process)):
                return refusal
        self._bury(connection, holder)
        return None

    def give_back(
        self, connection: sqlite3.Connection, customer_id: int, owner: Owner | None, newest: str | None
    ) -> None:
        """Give a lease back, and end waiting for it.

        Args:
            connection: in a transaction.
            customer_id: of the lease.
            owner: who took it; None if it was waited for, and perhaps not taken.
            newest: the newest `modifiedTimestamp` seen of the customer, None to leave what is there.
        """
        name = (owner or self._owner).id
        key = (self.account, customer_id)
        if newest is not None:
            self._note(connection, key, name, newest)
        connection.execute(
            "UPDATE leases SET next_owner = NULL WHERE account = ? AND customer_id = ? AND next_owner = ?",
            (*key, name),
        )
        freed = connection.execute(
            "DELETE FROM leases WHERE account = ? AND customer_id = ? AND owner = ? AND next_owner IS NULL",
            (*key, name),
        ).rowcount
        if not freed:
            connection.execute(
                "UPDATE leases SET owner = NULL WHERE account = ? AND customer_id = ? AND owner = ?", (*key, name)
            )

    def _note(self, connection: sqlite3.Connection, key: tuple[str, int], name: str, newest: str) -> None:
        wall = self._effects.wall()
        connection.execute("DELETE FROM newest WHERE until <= ?", (wall,))
        # Who has lost the lease may know less than who holds it.
        connection.execute(
            "INSERT OR REPLACE INTO newest SELECT account, customer_id, ?, ? FROM leases "
            "WHERE account = ? AND customer_id = ? AND owner = ?",
            (newest, wall + NEWEST_KEPT, *key, name),
        )

    def retire(self, connection: sqlite3.Connection) -> None:
        """Give everything back: the store is closed."""
        self._bury(connection, self._owner.id)
        self._owner = Owner(self._effects.new_name())

    def _bury(self, connection: sqlite3.Connection, owner: str) -> None:
        connection.execute("DELETE FROM owners WHERE id = ?", (owner,))
        connection.execute("DELETE FROM leases WHERE owner = ?", (owner,))
