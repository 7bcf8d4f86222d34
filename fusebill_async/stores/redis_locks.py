"""Customer locks between processes: leases on Redis, which expire unless their holder renews them."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import attrs

from fusebill_async.errors import StoreUnavailableError
from fusebill_async.stores.effects import StoreEffects
from fusebill_async.stores.lease import IMPATIENT_AFTER, POLL, Moment, surely_held
from fusebill_async.stores.memory import NEWEST_KEPT, MemoryLocks
from fusebill_async.stores.redis_commands import AwayError, RedisCommands

# KEYS: the lease, whose turn is next, the newest timestamp. ARGV: owner, milliseconds, "1" if it has waited long.
TAKE = """
local holder, first = redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2])
local reserved = first and first ~= ARGV[1]
if (not holder and not reserved) or holder == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  if first == ARGV[1] then redis.call('DEL', KEYS[2]) end
  return {1, redis.call('GET', KEYS[3]) or ''}
end
if ARGV[3] == '1' and not reserved then redis.call('SET', KEYS[2], ARGV[1], 'PX', 500) end
return {0, ''}
"""

# KEYS: as above. ARGV: owner, the newest timestamp that it has seen or "", milliseconds to keep that.
GIVE_BACK = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
  if ARGV[2] ~= '' then redis.call('SET', KEYS[3], ARGV[2], 'PX', ARGV[3]) end
end
if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
return 1
"""

RENEW = """
local kept = {}
for i, key in ipairs(KEYS) do
  kept[i] = 0
  if redis.call('GET', key) == ARGV[1] then kept[i] = redis.call('PEXPIRE', key, ARGV[2]) end
end
return kept
"""


@attrs.define(eq=False)
class _Lease:
    asked: Moment | None
    """When it was last asked for with success; None once it is lost."""
    newest: str | None


class RedisLocks:
    """A lock per customer: first come, first served in this process, and a lease between processes.

    Args:
        commands: the connection.
        lease: seconds after which a lease that was not renewed is free.
        renew: seconds between renewals.
        effects: clocks, waiting, chance and names.
    """

    shared = True

    def __init__(self, commands: RedisCommands, lease: float, renew: float, effects: StoreEffects) -> None:
        self.account = ""
        self._commands = commands
        self._effects = effects
        self._ttl, self._renew_every = lease, renew
        self._here = MemoryLocks()
        self._held: dict[int, _Lease] = {}
        self._owner = effects.new_name()
        self._renewing: asyncio.Task[None] | None = None

    def acquire_now(self, customer_id: int) -> bool:  # noqa: ARG002 (the protocol's)
        """Never: a lease takes a round trip to Redis."""
        return False

    async def acquire(self, customer_id: int, timeout: float | None) -> None:
        """Take the lock, waiting up to `timeout` seconds.

        Raises:
            TimeoutError: it did not come free in time.
            StoreUnavailableError: Redis is away.
        """
        async with asyncio.timeout(timeout):
            await self._here.acquire(customer_id, None)
            try:
                await self._take(customer_id)
            except BaseException as error:
                if isinstance(error, StoreUnavailableError):
                    error.customer_id = customer_id
                # It may have been taken, or be taken yet: the command that gives it back comes after that one.
                self.release(customer_id)
                raise

    async def _take(self, customer_id: int) -> None:
        effects, commands = self._effects, self._commands
        started, waiting = effects.monotonic(), commands.waiting()
        keys = self._keys(customer_id)
        while True:
            asked = Moment.now(effects)
            impatient = "1" if asked.monotonic - started > IMPATIENT_AFTER else "0"
            arguments = (self._owner, str(self._milliseconds), impatient)
            try:
                taken, newest = await commands.try_once(partial(_run, script=TAKE, keys=keys, arguments=arguments))
            except AwayError as error:
                await waiting.after(error)
                continue
            waiting = commands.waiting()
            if taken:
                self._held[customer_id] = _Lease(asked, newest.decode() or None)
                if self._renewing is None:
                    self._renewing = asyncio.get_running_loop().create_task(self._renew())
                return
            await effects.sleep(effects.between(*POLL))

    def newest(self, customer_id: int) -> str | None:
        """The newest `modifiedTimestamp` that holders of the lock had seen when it was taken."""
        lease = self._held.get(customer_id)
        return None if lease is None else lease.newest

    def release(self, customer_id: int, newest: str | None = None) -> None:
        """Give it back, with the newest `modifiedTimestamp` seen. Nothing is waited for."""
        self._held.pop(customer_id, None)
        arguments = (self._owner, newest or "", str(int(NEWEST_KEPT * 1000)))
        self._commands.post(partial(_run, script=GIVE_BACK, keys=self._keys(customer_id), arguments=arguments))
        self._here.release(customer_id)

    def still_held(self, customer_id: int) -> bool:
        """Whether the lease is certainly still ours."""
        lease = self._held.get(customer_id)
        if lease is None or lease.asked is None:
            return False
        return surely_held(self._ttl, lease.asked, Moment.now(self._effects))

    async def aclose(self) -> None:
        """Renew no more."""
        task, self._renewing = self._renewing, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    def __len__(self) -> int:
        """How many customers are locked by this store."""
        return len(self._here)

    # --- renewing

    async def _renew(self) -> None:
        """Runs while anything is held."""
        try:
            while self._held:
                await self._effects.sleep(self._renew_every)
                await self.check()
        finally:
            if self._renewing is asyncio.current_task():
                self._renewing = None

    async def check(self) -> None:
        """Renew what is held, and find out what is held no more."""
        held = dict(self._held)
        if not held:
            return
        asked = Moment.now(self._effects)
        keys = tuple(self._keys(customer_id)[0] for customer_id in held)
        arguments = (self._owner, str(self._milliseconds))
        try:
            kept = await self._commands.submit(partial(_run, script=RENEW, keys=keys, arguments=arguments))
        except StoreUnavailableError:
            return  # `still_held` tells when that goes on for too long
        for lease, still in zip(held.values(), kept, strict=True):
            lease.asked = asked if still else None

    @property
    def _milliseconds(self) -> int:
        return int(self._ttl * 1000)

    def _keys(self, customer_id: int) -> tuple[str, str, str]:
        # The braces keep the keys of an account in one slot of a Redis Cluster.
        lease = f"fusebill_async:{{{self.account}}}:lease:{customer_id}"
        return lease, f"{lease}:next", f"{lease}:newest"


def _run(pipeline: Any, *, script: str, keys: tuple[str, ...], arguments: tuple[str, ...]) -> None:
    pipeline.eval(script, len(keys), *keys, *arguments)
