"""Backends for state that outlives a call: open intents, customer locks and the quota."""

from __future__ import annotations

from fusebill_async.stores.memory import MemoryStore

__all__ = ["MemoryStore"]
