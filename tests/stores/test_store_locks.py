"""Locks between stores, and what is left when somebody stops waiting."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import sqlite3
import time
from contextlib import closing

import pytest

from fusebill_async import (
    ClientStateError,
    ConfigurationError,
    FusebillClient,
    Outcome,
    QuotaPolicy,
    StoreUnavailableError,
    Timeouts,
)
from fusebill_async.settling.intent import Intent
from fusebill_async.stores import SQLiteStore
from fusebill_async.stores.effects import StoreEffects
from fusebill_async.stores.memory import MemoryLocks
from fusebill_async.testing import Fault, FusebillSimulator


@pytest.fixture
async def stores(place, make_store):
    """Two stores in one place, as two processes would have them."""
    both = make_store(place), make_store(place)
    for store in both:
        store.open("account")
    yield both
    for store in both:
        await store.aclose()


async def test_only_one_holds_it_and_waiters_get_it(stores):
    inside = 0
    turns = []

    async def use(store, name):
        nonlocal inside
        for _ in range(20):
            await store.locks.acquire(7, 20.0)
            assert inside == 0
            inside += 1
            await asyncio.sleep(0.002)
            assert store.locks.still_held(7)
            inside -= 1
            turns.append(name)
            store.locks.release(7)

    await asyncio.gather(*(use(store, name) for store, name in zip(stores, "ab", strict=True) for _ in range(3)))
    assert len(turns) == 120
    assert set(turns) == {"a", "b"}


async def test_within_a_process_first_come_is_first_served(place, make_store):
    store = make_store(place)
    store.open("account")
    served = []

    async def use(number):
        await store.locks.acquire(1, 10.0)
        served.append(number)
        await asyncio.sleep(0.001)
        store.locks.release(1)

    await asyncio.gather(*(use(number) for number in range(20)))
    assert served == list(range(20))
    await store.aclose()


async def test_another_customer_is_not_waited_for(stores):
    one, other = stores
    await one.locks.acquire(1, 2.0)
    await other.locks.acquire(2, 2.0)
    one.locks.release(1)
    other.locks.release(2)


def test_a_store_in_use_in_another_event_loop_is_refused(tmp_path):
    store = SQLiteStore(tmp_path / "store.sqlite")
    store.open("account")
    first = asyncio.new_event_loop()

    async def end():
        store.locks.release(1)
        await store.aclose()

    async def elsewhere():
        with pytest.raises(ClientStateError, match="another event loop"):
            await store.locks.acquire(2, 1.0)

    try:
        first.run_until_complete(store.locks.acquire(1, 1.0))
        asyncio.run(elsewhere())
        first.run_until_complete(end())
    finally:
        first.close()


async def test_a_wait_ends_in_time_and_leaves_nothing(stores):
    one, other = stores
    assert not one.locks.acquire_now(1)
    await one.locks.acquire(1, None)
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        await other.locks.acquire(1, 0.4)
    assert 0.3 < time.monotonic() - started < 1.0
    assert len(other.locks) == 0
    one.locks.release(1)
    await one.locks.acquire(1, 0.4)
    one.locks.release(1)
    assert not one.locks.still_held(1)


async def test_whoever_is_cancelled_leaves_no_lock(stores):
    one, other = stores
    chance = random.Random(7)
    for _ in range(100):
        waits = [asyncio.create_task(store.locks.acquire(3, None)) for store in (one, other, one)]
        await asyncio.sleep(chance.choice([0, 0, 0.0005, 0.001, 0.003, 0.03]))
        ends = []
        for wait in waits:
            wait.cancel()
            ends.append((await asyncio.gather(wait, return_exceptions=True))[0])
        for store, end in zip((one, other, one), ends, strict=True):
            if end is None:
                store.locks.release(3)
        assert len(one.locks) == len(other.locks) == 0
    for store in (one, other):
        await store.locks.acquire(3, 2.0)
        store.locks.release(3)


async def test_a_cancelled_write_leaves_neither_lock_nor_intent(place, make_store):
    chance = random.Random(11)
    async with FusebillSimulator() as fusebill:
        for customer_id in range(1, 101):
            fusebill.add_customer(id=customer_id, status="Active")
        store = make_store(place)
        async with FusebillClient("key", base_url=fusebill.base_url, store=store) as client:
            await client.customers.get(1)
            dropped = 0
            for customer_id in range(1, 101):
                call = asyncio.create_task(client.customers.hold(customer_id))
                await asyncio.sleep(chance.uniform(0.0, 0.004))
                call.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await call
                dropped += call.cancelled()
            async with asyncio.timeout(10):
                while client.unresolved() or len(store.locks):  # noqa: ASYNC110 (nobody tells of it)
                    await asyncio.sleep(0.01)
            assert dropped >= 20
            for customer_id in range(1, 101):
                assert fusebill.effects("hold", customer_id) == fusebill.received("hold", customer_id) <= 1


async def test_a_write_waits_for_the_lease_and_is_told_when_it_does_not_come(place, make_store):
    async with FusebillSimulator() as fusebill:
        fusebill.add_customer(id=1, status="Active")
        fusebill.inject(Fault.delay(1.0, operation="hold", times=1))
        options = {"base_url": fusebill.base_url, "timeouts": Timeouts(queue=0.3)}
        async with (
            FusebillClient("key", store=make_store(place), **options) as one,
            FusebillClient("key", store=make_store(place), **options) as other,
        ):
            holding = asyncio.create_task(one.customers.hold(1))
            while not fusebill.received("hold", 1):  # noqa: ASYNC110 (nobody tells of it)
                await asyncio.sleep(0.01)
            with pytest.raises(TimeoutError) as refused:
                await other.customers.update(1, company_name="Grok")
            assert refused.value.outcome is Outcome.NOT_SENT
            assert fusebill.received("update", 1) == 0
            await holding
            # The one that closed it knows at once, the other one when that is written.
            while other.unresolved():  # noqa: ASYNC110 (nobody tells of it)
                await asyncio.sleep(0.01)


# --- Redis alone


@pytest.fixture
async def silent_port():
    """A port on which nobody answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        yield listener.getsockname()[1]


async def test_while_redis_is_away_nothing_is_sent_unrecorded(silent_port, make_store):
    async with FusebillSimulator() as fusebill:
        fusebill.add_customer(id=1, status="Active")
        store = make_store(f"redis://:secret@127.0.0.1:{silent_port}/0", patience=0.2)
        client = FusebillClient("key", base_url=fusebill.base_url, store=store)
        with pytest.raises(StoreUnavailableError) as refused:
            await client.customers.hold(1)
        assert refused.value.outcome is Outcome.NOT_SENT
        assert "secret" not in str(refused.value)
        intent = Intent(id="1", operation="customers.hold", customer_id=1, named={}, opened_at=0.0)
        with pytest.raises(StoreUnavailableError) as refused:
            await store.ledger.open(intent)
        assert (refused.value.operation, refused.value.customer_id) == ("customers.hold", 1)
        assert fusebill.received("hold", 1) == 0
        assert len(store.locks) == 0
        assert (await client.customers.get(1)).status == "Active"
        with pytest.raises(StoreUnavailableError):
            client.unresolved()
        # Closing tries for a moment to give back what it may hold there, and then gives up.
        with contextlib.suppress(StoreUnavailableError):
            await client.aclose()


async def test_an_error_that_redis_answers_is_no_success(redis_url, make_store):
    """What stands under our name is not ours: nothing was recorded, so nothing may be sent."""
    import redis

    async with FusebillSimulator() as fusebill:
        fusebill.add_customer(id=1, status="Active")
        store = make_store(redis_url)
        async with FusebillClient("key", base_url=fusebill.base_url, store=store) as client:
            with redis.Redis.from_url(redis_url) as server:
                server.set(store.ledger._keys[0], "not a hash")
                with pytest.raises(StoreUnavailableError, match="WRONGTYPE") as refused:
                    await client.customers.hold(1)
                assert refused.value.outcome is Outcome.NOT_SENT
                server.delete(store.ledger._keys[0])
        assert fusebill.received("hold", 1) == 0


def test_a_look_at_what_is_open_waits_no_longer_than_the_patience(make_store):
    """The event loop waits with it."""
    with socket.socket() as quiet:
        quiet.bind(("127.0.0.1", 0))
        quiet.listen()
        store = make_store(f"redis://127.0.0.1:{quiet.getsockname()[1]}/0", patience=0.2)
        store.open("account")
        started = time.monotonic()
        with pytest.raises(StoreUnavailableError):
            store.ledger.unresolved()
        assert time.monotonic() - started < 2.0


async def test_redis_comes_back(redis_url, make_store):
    import redis

    with redis.Redis.from_url(redis_url) as server:
        pid = server.info("server")["process_id"]
    store = make_store(redis_url, patience=0.2, wait=0, lease=30.0)
    store.open("account that waits")
    intent = Intent(id="1", operation="customers.hold", customer_id=1, named={}, opened_at=0.0)
    await store.ledger.open(intent)
    os.kill(pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        with pytest.raises(StoreUnavailableError):
            await store.locks.acquire(1, None)
        store.ledger.close(intent)
        assert time.monotonic() - started < 1.0
    finally:
        os.kill(pid, signal.SIGCONT)
    await store.locks.acquire(1, 5.0)
    assert store.ledger.unresolved() == []
    store.locks.release(1)
    await store.aclose()


async def test_the_quota_alone(redis_url, make_store):
    store = make_store(redis_url, ledger=False, workers=4)
    store.open("account of the quota")
    assert store.locks.acquire_now(1)
    assert store.quota(QuotaPolicy()) is not None
    await store.aclose()


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("http://:secret@x", {}),
        ("redis://x", {"workers": 0}),
        ("redis://x", {"patience": 0}),
        ("redis://x", {"lease": 0}),
    ],
)
def test_a_redis_store_that_cannot_work(url, options):
    from fusebill_async.stores import RedisStore

    with pytest.raises(ConfigurationError) as refused:
        RedisStore(url, **options)
    assert "secret" not in str(refused.value)


# --- the newest that was seen


async def test_the_next_holder_hears_what_was_seen_last(stores):
    one, other = stores
    await one.locks.acquire(1, 2.0)
    assert one.locks.newest(1) is None
    one.locks.release(1, "2024-01-01T00:00:00.1234567Z")
    await other.locks.acquire(1, 2.0)
    assert other.locks.newest(1) == "2024-01-01T00:00:00.1234567Z"
    # Whoever has seen nothing leaves it as it is.
    other.locks.release(1)
    await one.locks.acquire(1, 2.0)
    assert one.locks.newest(1) == "2024-01-01T00:00:00.1234567Z"
    one.locks.release(1, "2024-01-01T00:00:05Z")
    await other.locks.acquire(1, 2.0)
    assert other.locks.newest(1) == "2024-01-01T00:00:05Z"
    await other.locks.acquire(2, 2.0)
    assert other.locks.newest(2) is None
    for customer_id in (1, 2):
        other.locks.release(customer_id)


async def test_what_was_seen_is_kept_for_a_minute(tmp_path):
    later = 0.0
    store = SQLiteStore(tmp_path / "store.sqlite", effects=StoreEffects(wall=lambda: time.time() + later))
    memory = MemoryLocks(now=lambda: time.monotonic() + later)
    store.open("account")
    for locks in (store.locks, memory):
        later = 0.0
        await locks.acquire(1, 2.0)
        locks.release(1, "2024-01-01T00:00:00Z")
        # Taking another lock waits until the first one is written.
        await locks.acquire(2, 2.0)
        for after, newest in ((50.0, "2024-01-01T00:00:00Z"), (70.0, None)):
            later = after
            await locks.acquire(1, 2.0)
            assert locks.newest(1) == newest
            locks.release(1)
        locks.release(2)
    later = 80.0
    await store.locks.acquire(2, 2.0)
    store.locks.release(2, "2024-01-01T00:00:00Z")
    await store.aclose()
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as connection, connection:
        assert connection.execute("SELECT customer_id FROM newest").fetchall() == [(2,)]


async def test_redis_keeps_what_was_seen_for_a_minute(redis_url, make_store):
    import redis

    store = make_store(redis_url)
    store.open("account of a minute")
    await store.locks.acquire(1, 2.0)
    store.locks.release(1, "2024-01-01T00:00:00Z")
    await store.aclose()
    with redis.Redis.from_url(redis_url) as server:
        [key] = server.scan_iter("*minute*newest")
        assert 55_000 < server.pttl(key) <= 60_000


async def test_who_has_lost_the_lock_notes_nothing(place, make_store):
    one, other = make_store(place, lease=0.5, renew=0.1), make_store(place)
    for store in (one, other):
        store.open("account")
    await one.locks.acquire(1, 2.0)
    if place.startswith("redis:"):
        one.locks._renewing.cancel()
        await asyncio.sleep(0.6)
    else:
        with closing(sqlite3.connect(place)) as connection, connection:
            connection.execute("DELETE FROM owners")
        connection.close()
    await other.locks.acquire(1, 2.0)
    other.locks.release(1, "2024-01-01T00:00:05Z")
    await other.locks.acquire(1, 2.0)
    one.locks.release(1, "2024-01-01T00:00:00Z")
    await one.aclose()
    other.locks.release(1)
    await other.locks.acquire(1, 2.0)
    assert other.locks.newest(1) == "2024-01-01T00:00:05Z"
    other.locks.release(1)
    await other.aclose()
