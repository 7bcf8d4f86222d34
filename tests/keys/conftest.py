"""The three stores, and a service whose effects are counted."""

from __future__ import annotations

import pytest

from fusebill_async import FusebillClient, RetryPolicy, Timeouts
from fusebill_async.stores import MemoryStore, RedisStore, SQLiteStore
from tests.conftest import KEY, QUICK
from tests.stores.conftest import redis_url

__all__ = ["redis_url"]


@pytest.fixture(params=["memory", "sqlite", "redis"])
def new_store(request, tmp_path):
    """Makes stores that hold the same, as processes would that share it."""
    if request.param == "memory":
        one = MemoryStore()
        return lambda: one
    if request.param == "sqlite":
        return lambda: SQLiteStore(tmp_path / "store.sqlite", lease=1.0, renew=0.3)
    url = request.getfixturevalue("redis_url")
    return lambda: RedisStore(url, lease=1.0, renew=0.3)


@pytest.fixture
def connect(fusebill, new_store, request):
    """Makes clients of the service on the same store, under a name that no other test has."""

    def made(**options):
        settings = {
            "account": request.node.nodeid[-200:],
            "base_url": fusebill.base_url,
            "settling": QUICK,
            "retry": RetryPolicy(backoff=0.001),
            "timeouts": Timeouts(read=2.0, queue=3.0),
            "store": new_store(),
        }
        return FusebillClient(options.pop("key", KEY), **(settings | options))

    return made
