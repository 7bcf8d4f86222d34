"""Backends for state that outlives a call: open intents, customer locks and the quota."""

from fusebill_async.stores.memory import MemoryStore
from fusebill_async.stores.redis_store import RedisStore
from fusebill_async.stores.sqlite import SQLiteStore

__all__ = ["MemoryStore", "RedisStore", "SQLiteStore"]
