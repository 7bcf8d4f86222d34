"""Where the customers live: in memory, and on request in a SQLite file that survives a restart."""

from __future__ import annotations

import math
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from fusebill_async.testing.customers import StoredCustomer, Template, generated_status
from fusebill_async.testing.messages import raw_fields

_VERSIONS_KEPT = 64

_SCHEMA = "CREATE TABLE IF NOT EXISTS customers (id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT"
_UPSERT = "INSERT INTO customers (id, body) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body"


class CustomerStore:
    """The customers by id.

    Generated ones are made when somebody asks for them, so that a million of them costs nothing at the start.

    Attributes:
        version: grows with every change; what was worked out from the customers is good while it stands.
    """

    def __init__(self, template: Template, generated: int, status: str | None, path: Path | None) -> None:
        self.version = 0
        self._template = template
        self._generated = generated
        self._status = status
        self._path = path
        self._customers: dict[int, StoredCustomer] = {}
        self._dirty: set[int] = set()
        self._connection: sqlite3.Connection | None = None
        self._next_id = generated + 1
        self._seconds: Callable[[], float] | None = None
        self._versions: dict[int, deque[tuple[float, bytes]]] = {}

    def open(self) -> None:
        """Load the file, if there is one to load. An empty one is filled with the generated customers.

        Raises:
            sqlite3.OperationalError: another simulator has the file open, or it cannot be opened.
        """
        if self._path is None:
            return
        self._connection = _opened(self._path)
        rows = self._connection.execute("SELECT id, body FROM customers ORDER BY id").fetchall()
        if rows:
            self._generated = 0
            self._next_id = max(self._customers, default=0) + 1
            for customer_id, body in rows:
                # A customer that was added before the start is newer than the file.
                if customer_id not in self._dirty:
                    self._keep(StoredCustomer(customer_id, raw_fields(body)))
            self.save()
        else:
            self._dirty.update(self.ids())
            self.save()

    def close(self) -> None:
        """Let the file go."""
        self.save()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def save(self) -> None:
        """Write what changed since the last time. After it, a killed process loses none of that."""
        if self._connection is None or not self._dirty:
            return
        found = (self.get(customer_id) for customer_id in sorted(self._dirty))
        with self._connection:
            self._connection.executemany(_UPSERT, [(one.id, one.body) for one in found if one is not None])
        self._dirty.clear()

    def get(self, customer_id: int) -> StoredCustomer | None:
        """Return a customer, None if there is none."""
        customer = self._customers.get(customer_id)
        if customer is None and 0 < customer_id <= self._generated:
            customer = self._generate(customer_id)
            self._customers[customer_id] = customer
        if self._seconds is not None and customer is not None and customer_id not in self._versions:
            # Whoever changes a customer asks for it first, so this is what it was before.
            self._versions[customer_id] = deque([(-math.inf, customer.body)], maxlen=_VERSIONS_KEPT)
        return customer

    def keep_versions(self, seconds: Callable[[], float]) -> None:
        """From now on remember what customers were before each change, for reads that lag behind.

        Args:
            seconds: the clock.
        """
        self._seconds = self._seconds or seconds

    def version_of(self, customer_id: int, at: float) -> StoredCustomer | None:
        """Return a customer as it was at a time, None if there was none."""
        present = self.get(customer_id)
        versions = self._versions.get(customer_id)
        if versions is None or present is None:
            return present
        bodies = [body for since, body in versions if since <= at]
        return StoredCustomer(customer_id, raw_fields(bodies[-1])) if bodies else None

    def add(self, customer: StoredCustomer) -> None:
        """Keep a new customer, or one in the place of another."""
        self._keep(customer)
        self.changed(customer)

    def changed(self, customer: StoredCustomer) -> None:
        """Note that a customer changed."""
        self.version += 1
        if self._seconds is not None:
            versions = self._versions.setdefault(customer.id, deque(maxlen=_VERSIONS_KEPT))
            versions.append((self._seconds(), customer.body))
        if self._path is not None:
            self._dirty.add(customer.id)
            self.save()

    def new_id(self) -> int:
        """Return an id that nobody has."""
        return self._next_id

    def ids(self) -> list[int]:
        """Return the ids of all customers, ascending."""
        if not self._customers:
            return list(range(1, self._generated + 1))
        return sorted({*range(1, self._generated + 1), *self._customers})

    def scan(self) -> Iterator[StoredCustomer]:
        """Go through all customers by ascending id, without keeping those that nobody asked for."""
        for customer_id in self.ids():
            yield self._customers.get(customer_id) or self._generate(customer_id)

    def peek(self, customer_id: int) -> StoredCustomer:
        """Return a customer that exists, without keeping one that nobody asked for."""
        return self._customers.get(customer_id) or self._generate(customer_id)

    def __len__(self) -> int:
        return len(self.ids())

    def _keep(self, customer: StoredCustomer) -> None:
        self._customers[customer.id] = customer
        self._next_id = max(self._next_id, customer.id + 1)

    def _generate(self, customer_id: int) -> StoredCustomer:
        fields = self._template.fields(customer_id)
        fields["status"] = f'"{self._status or generated_status(customer_id)}"'.encode()
        return StoredCustomer(customer_id, fields)


def _opened(path: Path) -> sqlite3.Connection:
    """Open a file for this process alone: another one would not see what this one keeps in memory."""
    connection = sqlite3.connect(path, timeout=1.0)
    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        # A commit before each answer: this mode needs no wait for the disk, and a killed process loses nothing.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(_SCHEMA)
        connection.commit()
    except sqlite3.OperationalError as error:
        connection.close()
        if "locked" in str(error):
            raise sqlite3.OperationalError(f"another simulator has {path} open") from error
        raise
    return connection


class Replica(CustomerStore):
    """The customers as they were at a time, only to be read: what a replica shows that is behind."""

    def __init__(self, original: CustomerStore, at: float) -> None:
        self._original = original
        self._at = at
        self.version = 0

    def get(self, customer_id: int) -> StoredCustomer | None:
        """Return a customer as it was, None if there was none."""
        return self._original.version_of(customer_id, self._at)

    def ids(self) -> list[int]:
        """Return the ids of all customers that there were, ascending."""
        return [customer_id for customer_id in self._original.ids() if self.get(customer_id) is not None]

    def scan(self) -> Iterator[StoredCustomer]:
        """Go through all customers that there were, by ascending id."""
        return filter(None, map(self.get, self._original.ids()))

    def peek(self, customer_id: int) -> StoredCustomer:
        """Return a customer that there was."""
        customer = self.get(customer_id)
        if customer is None:
            raise KeyError(customer_id)
        return customer
