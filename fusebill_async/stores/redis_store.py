"""Everything that the processes of an account share, on Redis, for processes on many machines."""

from __future__ import annotations

from functools import partial
from typing import Any

import attrs

from fusebill_async.errors import ConfigurationError, StoreUnavailableError
from fusebill_async.settings import QuotaPolicy
from fusebill_async.settling.intent import Intent
from fusebill_async.stores.intent_json import decode_intent, encode_intent
from fusebill_async.stores.lease import check_times
from fusebill_async.stores.memory import MemoryLedger, MemoryLocks
from fusebill_async.stores.redis_commands import RedisCommands
from fusebill_async.stores.redis_locks import RedisLocks
from fusebill_async.stores.redis_quota import RedisQuota

_SCHEMES = ("redis://", "rediss://", "unix://")


class RedisLedger:
    """The open intents of all processes of the account. They outlive what Redis itself outlives: see its AOF."""

    durable = True

    def __init__(self, commands: RedisCommands) -> None:
        self.account = ""
        self._commands = commands
        self._closing: set[str] = set()
        """Closed, and not yet written as such."""

    @property
    def _key(self) -> str:
        return f"fusebill_async:{{{self.account}}}:intents"

    async def open(self, intent: Intent) -> None:
        """Record an intent. When this returns, Redis has it.

        Raises:
            StoreUnavailableError: Redis is away.
        """
        command = partial(_set, key=self._key, intent_id=intent.id, record=encode_intent(intent))
        try:
            await self._commands.submit(command)
        except StoreUnavailableError as error:
            error.operation, error.customer_id = intent.operation.rpartition(".")[2], intent.customer_id
            raise

    async def close(self, intent: Intent) -> None:
        """Forget it. Nothing is waited for, so nothing here can be cancelled, and an outcome is never held up."""
        self._closing.add(intent.id)
        self._commands.post(
            partial(_delete, key=self._key, intent_id=intent.id), partial(self._closing.discard, intent.id)
        )

    def unresolved(self) -> list[Intent]:
        """Every open intent of the account, oldest first. The event loop waits for one round trip to Redis.

        Raises:
            StoreUnavailableError: Redis is away.
        """
        intents = [decode_intent(record) for record in self._commands.read_now(self._key)]
        return sorted((i for i in intents if i.id not in self._closing), key=_opened_at)


def _opened_at(intent: Intent) -> float:
    return intent.opened_at


def _set(pipeline: Any, *, key: str, intent_id: str, record: bytes) -> None:
    pipeline.hset(key, intent_id, record)


def _delete(pipeline: Any, *, key: str, intent_id: str) -> None:
    pipeline.hdel(key, intent_id)


class RedisStore:
    """One quota, one set of open intents and one lock per customer for all processes that use the same Redis.

    While Redis is away the quota goes on with this process's part of it, reads go on, and writes are refused with
    `StoreUnavailableError` before anything is sent. Redis gets what writes under way have named, until their
    outcome is known; it never gets the API key. Leases and intents are as durable as Redis is configured to be
    (`appendonly yes`). One store object serves one account, in one event loop.

    Args:
        url: such as "redis://localhost:6379/0", "rediss://..." or "unix://...".
        ledger: False shares the quota alone; open intents and locks then stay in this process.
        workers: how many processes share the account; each keeps to its part while Redis is away.
        lease: seconds after which the lock of a process that does not answer for it is free, 0.2 to 3600.
        renew: seconds between renewals of what is held, above 0 and at most a third of `lease`.
        patience: seconds after which Redis counts as away, above 0 and at most 60.

    Raises:
        ConfigurationError: the extra is not installed, or a URL or numbers that cannot work.
    """

    def __init__(
        self,
        url: str,
        *,
        ledger: bool = True,
        workers: int = 1,
        lease: float = 10.0,
        renew: float = 3.0,
        patience: float = 1.0,
    ) -> None:
        # A URL may hold a password, so no text shows it.
        if not str(url).startswith(_SCHEMES):
            raise ConfigurationError(f"RedisStore takes a URL that begins with one of {', '.join(_SCHEMES)}")
        if isinstance(workers, bool) or workers < 1:
            raise ConfigurationError(f"workers= must be a whole number from 1, not {workers!r}")
        if isinstance(patience, bool) or not 0 < patience <= 60:
            raise ConfigurationError(f"patience= must be above 0 and at most 60 seconds, not {patience!r}")
        check_times(lease, renew)
        self.workers = workers
        self._patience = patience
        self._commands = RedisCommands(url, patience)
        self._account = ""
        self._clients = 0
        self._shared: tuple[RedisLedger, RedisLocks] | None = None
        self._ledger: RedisLedger | MemoryLedger = MemoryLedger()
        self._locks: RedisLocks | MemoryLocks = MemoryLocks()
        if ledger:
            self._shared = RedisLedger(self._commands), RedisLocks(self._commands, lease, renew)
            self._ledger, self._locks = self._shared

    @property
    def ledger(self) -> RedisLedger | MemoryLedger:
        """The open intents."""
        return self._ledger

    @property
    def locks(self) -> RedisLocks | MemoryLocks:
        """The locks of the customers."""
        return self._locks

    def open(self, account: str) -> None:
        """Begin to serve an account. Nothing is sent to Redis yet.

        Raises:
            ConfigurationError: the store serves another account already.
        """
        if self._account not in {"", account}:
            raise ConfigurationError("a store object serves one account: make another RedisStore on the same URL")
        self._account = account
        for part in self._shared or ():
            part.account = account
        self._clients += 1

    def quota(self, policy: QuotaPolicy) -> Any | None:
        """The budget that all processes of the account share."""
        workers = max(self.workers, policy.workers)
        return RedisQuota(
            self._commands.client, self._account, attrs.evolve(policy, workers=workers), patience=self._patience
        )

    async def aclose(self) -> None:
        """A client is done with it. The last one sends what is left to be sent, and closes the connection."""
        self._clients -= 1
        if self._clients <= 0:
            self._clients = 0
            if self._shared is not None:
                await self._shared[1].aclose()
            await self._commands.aclose()
