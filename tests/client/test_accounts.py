"""Several accounts in one process: settings and a TLS context are shared, connections and records never."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
import weakref
from collections import defaultdict

import pytest

from fusebill_async import ConfigurationError, FusebillClient, PoolSettings, SettlingPolicy, Timeouts
from fusebill_async.stores import MemoryStore, SQLiteStore
from fusebill_async.testing import FusebillSimulator
from tests.conftest import KEY

OTHER_KEY = "b3RoZXItYWNjb3VudC1rZXk"


async def test_clients_share_settings_and_no_connection(fusebill: FusebillSimulator):
    for number in range(1, 21):
        fusebill.add_customer(id=number, status="Active")
    shared = {
        "base_url": fusebill.base_url,
        "timeouts": Timeouts(read=5.0),
        "pool": PoolSettings(connections=5),
        "settling": SettlingPolicy(wait=1.0),
    }
    async with FusebillClient(KEY, **shared) as one, FusebillClient(OTHER_KEY, **shared) as other:
        for _ in range(3):
            reads = [client.customers.get(number) for number in range(1, 21) for client in (one, other)]
            await asyncio.gather(*reads)
        await asyncio.gather(*(client.customers.hold(number) for number, client in ((1, one), (2, other))))
    keys = defaultdict(set)
    for request in fusebill.requests:
        keys[request.connection].add(request.headers["authorization"])
    assert {len(found) for found in keys.values()} == {1}
    assert {key for found in keys.values() for key in found} == {f"Basic {KEY}", f"Basic {OTHER_KEY}"}
    # Kept connections were used again, so that they could have been shared.
    assert len(keys) < len(fusebill.requests) / 2


async def test_one_key_in_two_accounts_is_two_calls(fusebill: FusebillSimulator, tmp_path):
    for number in (1, 2):
        fusebill.add_customer(id=number, status="Active")
    stores = [SQLiteStore(tmp_path / "fusebill.sqlite") for _ in range(2)]
    async with (
        FusebillClient(KEY, base_url=fusebill.base_url, account="north", store=stores[0]) as north,
        FusebillClient(OTHER_KEY, base_url=fusebill.base_url, account="south", store=stores[1]) as south,
    ):
        await north.customers.hold(1, idempotency_key="order-1")
        assert await south.recorded("order-1") is None
        assert not (await south.with_response.customers.hold(2, idempotency_key="order-1")).replayed
    assert fusebill.effects("hold") == 2


@pytest.mark.parametrize("make", [MemoryStore, lambda: SQLiteStore("fusebill.sqlite")], ids=["memory", "SQLite"])
async def test_a_store_object_serves_one_account(make, tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    store = make()
    async with FusebillClient(KEY, store=store), FusebillClient(KEY, store=store):
        with pytest.raises(ConfigurationError, match="a store object serves one account"):
            FusebillClient(OTHER_KEY, store=store)


def use_handles(client: FusebillClient, times: int) -> None:
    for number in range(times):
        handle = client.with_options(headers={"X-Tenant": str(number)}, timeouts=Timeouts(read=number + 1.0))
        assert handle.with_response.customers is not None
        assert handle.hubspot is not None


async def test_ten_thousand_handles_use_constant_memory(client: FusebillClient):
    gc.collect()
    # What is gone without the collector is gone at once.
    gc.disable()
    tracemalloc.start()
    try:
        use_handles(client, 100)
        before = tracemalloc.get_traced_memory()[0]
        use_handles(client, 10_000)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
        gc.enable()
    # One byte a handle would be ten thousand.
    assert grown < 5_000


async def test_a_handle_is_gone_when_nobody_has_it(fusebill: FusebillSimulator, client: FusebillClient):
    fusebill.add_customer(id=1, status="Active")
    handle = client.with_options(headers={"X-Tenant": "north"})
    await handle.customers.hold(1)
    assert fusebill.requests[-1].headers["x-tenant"] == "north"
    await asyncio.sleep(0)
    gone = weakref.ref(handle)
    del handle
    assert gone() is None
