"""Everything that the processes of an account share, on Redis, for processes on many machines."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import attrs

from fusebill_async.errors import ConfigurationError, StoreUnavailableError
from fusebill_async.settings import QuotaPolicy
from fusebill_async.settling.intent import Intent
from fusebill_async.settling.keys import KEEP_OUTCOMES, Ended, KeyTakenError, Recorded
from fusebill_async.stores.effects import StoreEffects
from fusebill_async.stores.intent_json import decode_intent, decode_recorded, encode_intent, encode_recorded
from fusebill_async.stores.lease import check_keeping, check_times
from fusebill_async.stores.memory import MemoryLedger, MemoryLocks, OwnIntents, recorded
from fusebill_async.stores.redis_commands import Command, Driver, RedisCommands, RedisPy
from fusebill_async.stores.redis_locks import RedisLocks
from fusebill_async.stores.redis_quota import RedisQuota

logger = logging.getLogger("fusebill_async.store")

_SCHEMES = ("redis://", "rediss://", "unix://", "redis+cluster://", "rediss+cluster://")


# KEYS: the open intents, the count of this writer. ARGV: the intent's name, its record, seconds to keep the count.
RECORD = """
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
local count = redis.call('INCR', KEYS[2])
redis.call('EXPIRE', KEYS[2], ARGV[3])
return count
"""
# KEYS: as above, and the key's own. ARGV: as above; what is kept under the key, and whose place that may take.
RECORD_WITH_KEY = """
local holder = redis.call('HGET', KEYS[3], 'intent')
if holder and holder ~= ARGV[1] and holder ~= ARGV[5] then return -1 end
redis.call('DEL', KEYS[3])
redis.call('HSET', KEYS[3], 'intent', ARGV[1], 'record', ARGV[4], 'open', '1')
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
local count = redis.call('INCR', KEYS[2])
redis.call('EXPIRE', KEYS[2], ARGV[3])
return count
"""
# KEYS: the open intents, the key's own. ARGV: the intent's name, what is kept under the key, milliseconds to keep it.
KEEP = """
redis.call('HDEL', KEYS[1], ARGV[1])
if redis.call('HGET', KEYS[2], 'intent') == ARGV[1] and redis.call('HDEL', KEYS[2], 'open') == 1 then
  redis.call('HSET', KEYS[2], 'record', ARGV[2])
  redis.call('PEXPIRE', KEYS[2], ARGV[3])
end
return 1
"""
_COUNT_KEPT = 30 * 24 * 3600
_WOULD_LOSE = "would lose open writes and idempotency keys"
_AOF = "set `appendonly yes` in redis.conf, or by CONFIG SET"
_EVICTION = "set `maxmemory-policy noeviction` in redis.conf, or by CONFIG SET"
_OR_ELSE = ", or give RedisStore(require_durable=False) if you know what is lost then"


class RedisLedger:
    """The open intents of all processes of the account. They outlive what Redis itself outlives: see its AOF.

    Redis counts what this ledger wrote. A count lower than what it told before says that Redis has lost something:
    it was emptied, or was restarted without its latest writes.
    """

    durable = True
    keeps_outcomes = False

    def __init__(
        self,
        commands: RedisCommands,
        effects: StoreEffects,
        check_leases: Callable[[], Awaitable[None]],
        keep_outcomes: float,
        *,
        require_durable: bool,
    ) -> None:
        self.account = ""
        self._commands = commands
        self._unchecked = require_durable
        self._keep_outcomes = keep_outcomes
        self._check_leases = check_leases
        self._own = OwnIntents()
        self._name = effects.new_name()
        self._count = 0
        self._restoring = False

    async def check(self) -> None:
        """See that Redis keeps what it is told, over a restart and while its memory grows short.

        Raises:
            StoreUnavailableError: Redis is away, or does not say.
            ConfigurationError: it does not.
        """
        if not self._unchecked:
            return
        for told in await self._commands.info("persistence"):
            if not told.get("aof_enabled"):
                raise ConfigurationError(f"Redis {_WOULD_LOSE} in a restart: {_AOF}{_OR_ELSE}")
        for told in await self._commands.info("memory"):
            policy = told.get("maxmemory_policy", "noeviction")
            if policy != "noeviction":
                raise ConfigurationError(
                    f"Redis {_WOULD_LOSE} when its memory is full ({policy}): {_EVICTION}{_OR_ELSE}"
                )
        self._unchecked = False

    @property
    def _keys(self) -> tuple[str, str]:
        # The braces keep the keys of an account in one slot of a Redis Cluster.
        account = f"fusebill_async:{{{self.account}}}"
        return f"{account}:intents", f"{account}:count:{self._name}"

    def _key(self, key_id: str) -> str:
        return f"fusebill_async:{{{self.account}}}:key:{key_id}"

    async def open(self, intent: Intent) -> None:
        """Record an intent, and its key. When this returns, Redis has them.

        Raises:
            StoreUnavailableError: Redis is away, or refuses it.
            ConfigurationError: Redis would lose it.
            KeyTakenError: its key belongs to an intent that it does not replace.
        """
        try:
            await self.check()
            count = await self._commands.submit_patiently(self._recording(intent))
        except StoreUnavailableError as error:
            error.operation, error.customer_id = intent.operation, intent.customer_id
            raise
        if count < 0:
            raise KeyTakenError
        known, self._count = self._count, count
        self._own.opened(intent)
        if count <= known:
            self._restore()
        if count <= known or not known:
            # Leases may be lost with the rest, and others may have them by now: they are asked for before the write.
            await self._check_leases()

    def _recording(self, intent: Intent) -> Command:
        """The command that records an intent, with its key if it has one."""
        arguments = (intent.id, encode_intent(intent), _COUNT_KEPT)
        if intent.key is None:
            return partial(_run, script=RECORD, keys=self._keys, arguments=arguments)
        kept = encode_recorded(recorded(intent, intent.key))
        return partial(
            _run,
            script=RECORD_WITH_KEY,
            keys=(*self._keys, self._key(intent.key.id)),
            arguments=(*arguments, kept, intent.replaces or ""),
        )

    def _restore(self) -> None:
        """Write what this process knows to be open into a Redis that does not know it any more."""
        own = self._own.open_now()
        if not own:
            return
        logger.warning("Redis has lost what was written to it: %d open intents are written anew", len(own))
        self._restoring = True
        for intent in own:
            if intent.key is not None:
                self._commands.post(self._recording(intent), lasting=True)
        records = {intent.id: encode_intent(intent) for intent in own if intent.key is None}
        self._commands.post(partial(_restore, key=self._keys[0], records=records), self._restored, lasting=True)

    def _restored(self) -> None:
        self._restoring = False

    def close(self, intent: Intent, ended: Ended | None = None) -> None:
        """Forget it, and keep its outcome under its key. Nothing is waited for, and an outcome is never held up."""
        self._own.closed(intent)
        command = partial(_delete, key=self._keys[0], intent_id=intent.id)
        if intent.key is not None and ended is not None:
            command = partial(
                _run,
                script=KEEP,
                keys=(self._keys[0], self._key(intent.key.id)),
                arguments=(
                    intent.id,
                    encode_recorded(recorded(intent, intent.key).with_end(ended)),
                    int(self._keep_outcomes * 1000),
                ),
            )
        self._commands.post(command, partial(self._own.written, intent.id), lasting=True)

    async def find(self, key_id: str) -> Recorded | None:
        """What is kept under a key.

        Raises:
            StoreUnavailableError: Redis is away.
        """
        found = await self._commands.submit_patiently(partial(_field, key=self._key(key_id), name="record"))
        return None if found is None else decode_recorded(found)

    def unresolved(self) -> list[Intent]:
        """Every open intent of the account, oldest first: those on Redis, and those that Redis has lost.

        The event loop waits for one round trip to Redis.

        Raises:
            StoreUnavailableError: Redis is away.
        """
        return sorted(self._own.list_with(self._look), key=_opened_at)

    def _look(self) -> tuple[list[Intent], bool]:
        intents, count = self._keys
        records, told = self._commands.ask_now(partial(_values, key=intents), partial(_get, key=count))
        remembers = int(told or 0) >= self._count and not self._restoring
        return [decode_intent(record) for record in records], remembers

    def retire(self) -> None:
        """The store is closed: leave no count behind."""
        if self._count:
            self._count = 0
            self._commands.post(partial(_forget, key=self._keys[1]))


def _opened_at(intent: Intent) -> float:
    return intent.opened_at


def _run(pipeline: Any, *, script: str, keys: tuple[str, ...], arguments: tuple[Any, ...]) -> None:
    pipeline.eval(script, len(keys), *keys, *arguments)


def _restore(pipeline: Any, *, key: str, records: dict[str, bytes]) -> None:
    if records:
        pipeline.hset(key, mapping=records)
    else:
        pipeline.hvals(key)


def _field(pipeline: Any, *, key: str, name: str) -> None:
    pipeline.hget(key, name)


def _values(pipeline: Any, *, key: str) -> None:
    pipeline.hvals(key)


def _get(pipeline: Any, *, key: str) -> None:
    pipeline.get(key)


def _forget(pipeline: Any, *, key: str) -> None:
    pipeline.delete(key)


def _delete(pipeline: Any, *, key: str, intent_id: str) -> None:
    pipeline.hdel(key, intent_id)


class RedisStore:
    """One quota, one set of open intents and one lock per customer for all processes that use the same Redis.

    While Redis is away the quota goes on with this process's part of it, reads go on, and a write waits; after `wait`
    seconds it is refused with `StoreUnavailableError`, before anything is sent. Redis gets what writes under way have
    named, until their outcome is known; it never gets the API key. A Redis that would lose records is refused: it needs
    `appendonly yes` and `maxmemory-policy noeviction`. One store object serves one account, in one event loop.

    Args:
        url: such as "redis://localhost:6379/0", "rediss://..." or "unix://..."; of any server of a Redis Cluster,
            "redis+cluster://..." or "rediss+cluster://...".
        ledger: False shares the quota alone; open intents and locks then stay in this process.
        workers: how many processes share the account; each keeps to its part while Redis is away.
        lease: seconds after which the lock of a process that does not answer for it is free, 0.2 to 3600.
        renew: seconds between renewals of what is held, above 0 and at most a third of `lease`.
        patience: seconds after which Redis counts as away, above 0 and at most 60.
        wait: seconds for which a write waits for a Redis that is away, 0 to 3600.
        require_durable: False takes a Redis that may lose what it was told; see the guide on workers.
        keep_outcomes: seconds for which the outcome of an idempotency key is kept, from 60; 30 days by default.
        effects: clocks, waiting and chance; for simulations.
        driver: reaches Redis in another way than by redis-py and the URL; for simulations.

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
        wait: float = 5.0,
        require_durable: bool = True,
        keep_outcomes: float = KEEP_OUTCOMES,
        effects: StoreEffects | None = None,
        driver: Driver | None = None,
    ) -> None:
        # A URL may hold a password, so no text shows it.
        if not str(url).startswith(_SCHEMES):
            raise ConfigurationError(f"RedisStore takes a URL that begins with one of {', '.join(_SCHEMES)}")
        if isinstance(workers, bool) or workers < 1:
            raise ConfigurationError(f"workers= must be a whole number from 1, not {workers!r}")
        if isinstance(patience, bool) or not 0 < patience <= 60:
            raise ConfigurationError(f"patience= must be above 0 and at most 60 seconds, not {patience!r}")
        if isinstance(wait, bool) or not 0 <= wait <= 3600:
            raise ConfigurationError(f"wait= must be 0 to 3600 seconds, not {wait!r}")
        check_times(lease, renew)
        check_keeping(keep_outcomes)
        self.workers = workers
        self._patience = patience
        effects = effects or StoreEffects()
        self._commands = RedisCommands(driver or RedisPy(url, patience), patience, effects, wait)
        self._account = ""
        self._clients = 0
        self._shared: tuple[RedisLedger, RedisLocks] | None = None
        self._ledger: RedisLedger | MemoryLedger = MemoryLedger()
        self._locks: RedisLocks | MemoryLocks = MemoryLocks()
        if ledger:
            locks = RedisLocks(self._commands, lease, renew, effects)
            opened = RedisLedger(self._commands, effects, locks.check, keep_outcomes, require_durable=require_durable)
            self._shared = opened, locks
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

    async def check(self) -> None:
        """See that Redis is there, and that it keeps what it is told. A client does so when it is entered.

        Raises:
            StoreUnavailableError: Redis is away.
            ConfigurationError: it would lose open writes and idempotency keys.
        """
        if self._shared is not None:
            await self._commands.info("server")
            await self._shared[0].check()

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
                ledger, locks = self._shared
                ledger.retire()
                await locks.aclose()
            await self._commands.aclose()
