"""The open intents of an account in a hash on Redis."""

from __future__ import annotations

from functools import partial
from typing import Any

from fusebill_async.errors import StoreUnavailableError
from fusebill_async.settling.intent import Intent
from fusebill_async.stores.records import decode_intent, encode_intent
from fusebill_async.stores.redis_commands import RedisCommands


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
