"""The store that the processes of a world share, and what really stands in it, looked at from outside."""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import attrs

from fusebill_async.settling.intent import Intent
from fusebill_async.stores import RedisStore, SQLiteStore
from fusebill_async.stores.effects import StoreEffects
from fusebill_async.stores.intent_json import decode_intent
from fusebill_async.stores.redis_store import RECORD
from fusebill_async.testing.redis_twin import RedisTwin, TwinDriver
from fusebill_async.testing.simulated_process import KilledError, SimulatedProcess

_MEMORY = Path("/dev/shm")  # noqa: S108 (a disk in memory, where there is one: no sync takes time there)


@attrs.define(eq=False)
class Way:
    """The way of one process to the store."""

    store: SQLiteStore | RedisStore
    driver: TwinDriver | None = None
    dies_at: str = ""
    """At its next commit the process dies: "before" or "after" it."""
    at_record: Callable[[], None] | None = None
    """Called when Redis is asked to record an intent."""


class SharedStore(Protocol):
    """Where the processes of a world meet."""

    def way(self, process: SimulatedProcess, name: str, effects: StoreEffects, lease: float) -> Way:
        """A store for one process."""
        ...

    def intents(self) -> list[Intent]:
        """What is open, as anybody would find it who came now."""
        ...

    def lease_left(self, name: str, customer_id: int) -> float:
        """Seconds that the lease of a customer is that process's yet; 0 if it is not."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


@attrs.define(eq=False)
class _DyingConnection:
    """A connection whose process may die in a commit: what was not acknowledged is then there, or it is not."""

    connection: sqlite3.Connection
    process: SimulatedProcess
    way: Way

    def execute(self, sql: str, *values: Any) -> Any:
        if sql != "COMMIT" or not self.way.dies_at:
            return self.connection.execute(sql, *values)
        if self.way.dies_at == "after":
            self.connection.execute(sql)
        self.way.dies_at = ""
        self.process.kill()
        raise KilledError

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)


class SharedFile:
    """A SQLite file of several processes."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None)
        self._path = Path(self._folder.name) / "store.sqlite"
        self._reader: sqlite3.Connection | None = None

    def way(self, process: SimulatedProcess, name: str, effects: StoreEffects, lease: float) -> Way:
        """A store on the file. The system closes what a dead process had open."""
        del name
        store = SQLiteStore(self._path, lease=lease, renew=lease / 4, effects=effects)
        way = Way(store)
        connect: Callable[[], sqlite3.Connection] = store._file.connect

        def connect_and_watch() -> Any:
            connection = connect()
            process.at_death(connection.close)
            return _DyingConnection(connection, process, way)

        store._file.connect = connect_and_watch  # type: ignore[method-assign]
        return way

    def intents(self) -> list[Intent]:
        """What is open in the file."""
        rows = self._ask("SELECT record FROM intents")
        return [decode_intent(record.encode()) for (record,) in rows]

    def lease_left(self, name: str, customer_id: int) -> float:
        """Seconds that the lease is that of the process yet."""
        rows = self._ask(
            "SELECT owners.id, expires_at FROM leases JOIN owners ON owners.id = leases.owner WHERE customer_id = ?",
            customer_id,
        )
        return max((until - time.time() for owner, until in rows if owner.startswith(f"{name}-")), default=0.0)

    def _ask(self, question: str, *values: Any) -> list[Any]:
        if self._reader is None:
            self._reader = sqlite3.connect(f"{self._path.as_uri()}?mode=ro", uri=True, isolation_level=None)
        return self._reader.execute(question, values).fetchall()

    def close(self) -> None:
        """Remove the file."""
        if self._reader is not None:
            self._reader.close()
        self._folder.cleanup()


class SharedRedis:
    """A Redis of several processes.

    Args:
        delay: seconds until a request reaches it.
        wait: seconds for which a write waits for it while it is away.
    """

    def __init__(self, delay: float, wait: float) -> None:
        self.twin = RedisTwin()
        self._delay = delay
        self._wait = wait

    def way(self, process: SimulatedProcess, name: str, effects: StoreEffects, lease: float) -> Way:
        """A store on the server."""
        del process, name
        driver = self.twin.driver()
        driver.delay = self._delay
        store = RedisStore(
            "redis://simulated/0", lease=lease, renew=lease / 4, wait=self._wait, effects=effects, driver=driver
        )
        way = Way(store, driver)
        exchange = driver.exchange

        async def exchange_and_tell(commands: Sequence[Any]) -> list[Any]:
            if way.at_record is not None and any(RECORD in asked.arguments for asked in commands):
                way.at_record()
            return await exchange(commands)

        driver.exchange = exchange_and_tell  # type: ignore[method-assign]
        return way

    def intents(self) -> list[Intent]:
        """What is open on the server."""
        value, _ = self._find(":intents")
        return [decode_intent(record) for record in value.values()] if isinstance(value, dict) else []

    def lease_left(self, name: str, customer_id: int) -> float:
        """Seconds that the lease is that of the process yet."""
        value, left = self._find(f":lease:{customer_id}")
        ours = isinstance(value, bytes) and value.startswith(f"{name}-".encode())
        return left or 0.0 if ours else 0.0

    def _find(self, ending: str) -> tuple[bytes | dict[bytes, bytes] | None, float | None]:
        """The world has one account, whatever it is called."""
        return next((entry for key, entry in self.twin.dump().items() if key.endswith(ending)), (None, None))

    def close(self) -> None:
        """There is nothing to let go of."""
