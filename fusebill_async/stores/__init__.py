"""Backends for state that outlives a call: open intents, customer locks and the quota."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fusebill_async.stores.memory import MemoryStore

if TYPE_CHECKING:
    from fusebill_async.stores.redis_store import RedisStore
    from fusebill_async.stores.sqlite import SQLiteStore

__all__ = ["MemoryStore", "RedisStore", "SQLiteStore"]

_ON_DEMAND = {
    "RedisStore": "fusebill_async.stores.redis_store",
    "SQLiteStore": "fusebill_async.stores.sqlite",
}
"""What needs a module that most programs have no use for."""


def __getattr__(name: str) -> Any:
    if name not in _ON_DEMAND:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ON_DEMAND[name]), name)
