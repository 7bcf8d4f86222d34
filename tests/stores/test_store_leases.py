"""How long a lease is believed, by whom, and what ends it. Clocks are handed in: a machine can sleep at once."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from contextlib import closing

import attrs
import pytest

from fusebill_async import FusebillClient, Outcome, RequestTimeoutError
from fusebill_async.stores import RedisStore, SQLiteStore
from fusebill_async.stores.effects import Process, StoreEffects
from fusebill_async.stores.lease import Moment, surely_held
from fusebill_async.testing import FusebillSimulator


@attrs.define
class Clocks:
    """Both clocks of a machine, each moved by a test."""

    monotonic: float = 0.0
    wall: float = 0.0

    @property
    def effects(self):
        return StoreEffects(monotonic=lambda: time.monotonic() + self.monotonic, wall=lambda: time.time() + self.wall)


def store_at(place, **options):
    return (RedisStore if place.startswith("redis:") else SQLiteStore)(place, **options)


@pytest.fixture
def clocks():
    return Clocks()


# --- the rule


@pytest.mark.parametrize(
    ("monotonic", "wall", "held"),
    [
        (0.0, 0.0, True),
        (7.9, 7.9, True),
        (8.1, 8.1, False),  # a fifth of the time is left to the request itself
        (0.1, 8.1, False),  # the machine slept, or its clock was set forward: others see the lease run out
        (8.1, 0.1, False),  # the clock was set back
        (1.0, -3600.0, True),  # the clock was set back, and little time went by
    ],
)
def test_a_lease_is_believed_for_four_fifths_of_its_time_by_both_clocks(monotonic, wall, held):
    asked = Moment(1000.0, 1_700_000_000.0)
    now = Moment(asked.monotonic + monotonic, asked.wall + wall)
    assert surely_held(10.0, asked, now) is held


# --- both stores


@pytest.mark.parametrize("clock", ["wall", "monotonic"])
async def test_either_clock_ends_a_lease(place, clocks, clock):
    store = store_at(place, lease=10.0, effects=clocks.effects)
    store.open("account")
    await store.locks.acquire(1, 2.0)
    assert store.locks.still_held(1)
    setattr(clocks, clock, 7.0)
    assert store.locks.still_held(1)
    setattr(clocks, clock, 9.0)
    assert not store.locks.still_held(1)
    store.locks.release(1)
    await store.aclose()


async def test_the_time_of_a_lease_counts_from_when_it_was_asked_for(place, clocks):
    """An answer that was long on its way tells of a lease that is as old as the question."""
    store = store_at(place, lease=10.0, effects=clocks.effects)
    store.open("account")

    def take_long(_):
        clocks.monotonic += 9.0

    if place.startswith("redis:"):
        try_once = store._commands.try_once

        async def slowly(command):
            answer = await try_once(command)
            take_long(command)
            return answer

        store._commands.try_once = slowly
        await store.locks.acquire(1, 2.0)
    else:
        # In the same transaction, after the renewal.
        await asyncio.gather(store.locks.acquire(1, 2.0), store._commits.submit(take_long))
    assert not store.locks.still_held(1)
    store.locks.release(1)
    await store.aclose()


async def test_a_lease_that_is_renewed_is_held_beyond_its_time(place, make_store):
    store = make_store(place, lease=0.4, renew=0.1)
    store.open("account")
    await store.locks.acquire(1, 2.0)
    until = time.monotonic() + 1.2
    while time.monotonic() < until:
        assert store.locks.still_held(1)
        await asyncio.sleep(0.05)
    store.locks.release(1)
    await store.aclose()


async def test_who_lost_a_lease_does_not_give_back_that_of_the_next(place, make_store):
    options = {"lease": 0.5, "renew": 0.1}
    first, second, third = (make_store(place, **options) for _ in range(3))
    for store in (first, second, third):
        store.open("account")
    await first.locks.acquire(1, 2.0)
    stop_renewing(first)
    await second.locks.acquire(1, 5.0)
    assert not first.locks.still_held(1)
    first.locks.release(1)
    await settled(first)
    with pytest.raises(TimeoutError):
        await third.locks.acquire(1, 0.3)
    assert second.locks.still_held(1)
    second.locks.release(1)
    for store in (first, second, third):
        await store.aclose()


def stop_renewing(store):
    """As a process that is stopped. What another process may see of it is the same."""
    if isinstance(store, RedisStore):
        store.locks._renewing.cancel()
    else:
        store._leases.due = lambda: None
        store._leases._effects = attrs.evolve(store._leases._effects, this_process=lambda: Process("elsewhere", 1, ""))
        with closing(sqlite3.connect(store._file.path)) as connection, connection:
            connection.execute("UPDATE owners SET host = 'elsewhere' WHERE id = ?", (store._leases._owner.id,))
        connection.close()


async def settled(store):
    """Wait until what was posted is written."""
    if isinstance(store, RedisStore):
        await store._commands.submit(lambda pipeline: pipeline.ping())
    else:
        await store._commits.submit(lambda connection: None)


async def test_whoever_asks_again_and_again_starves_nobody(place, make_store):
    one, other = make_store(place), make_store(place)
    for store in (one, other):
        store.open("account")
    taken = 0

    async def ask_on():
        nonlocal taken
        while True:
            await one.locks.acquire(1, None)
            try:
                taken += 1
                await asyncio.sleep(0.01)
            finally:
                # Free for less time than it takes to look twice: a look alone would hardly ever find it so.
                one.locks.release(1)

    busy = asyncio.create_task(ask_on())
    try:
        for _ in range(3):
            await asyncio.sleep(0.05)
            started, before = time.monotonic(), taken
            await other.locks.acquire(1, 5.0)
            waited, passed_by = time.monotonic() - started, taken - before
            other.locks.release(1)
            assert waited < 2.0
            assert passed_by < 100
    finally:
        busy.cancel()
        await asyncio.wait({busy})
        for store in (one, other):
            await store.aclose()
    assert taken > 20, "nobody was in the way"


async def test_a_lease_is_looked_at_after_its_write_was_recorded(place, make_store, monkeypatch):
    """Recording may take longer than the lease lasts, as on a slow disk."""
    store = make_store(place, lease=0.4, renew=0.1)
    record = store.ledger.open

    async def slowly(intent):
        await record(intent)
        (store._leases if isinstance(store, SQLiteStore) else store.locks)._ttl = 0.0

    monkeypatch.setattr(store.ledger, "open", slowly)
    async with FusebillSimulator() as fusebill:
        fusebill.add_customer(id=1, status="Active")
        async with FusebillClient("key", base_url=fusebill.base_url, store=store) as client:
            with pytest.raises(RequestTimeoutError) as refused:
                await client.customers.hold(1)
            assert refused.value.outcome is Outcome.NOT_SENT
            assert client.unresolved() == []
        assert fusebill.received("hold", 1) == 0


# --- the file alone


async def test_a_renewal_that_was_rolled_back_is_none(tmp_path):
    store = SQLiteStore(tmp_path / "store.sqlite", lease=0.6, renew=0.1)
    store.open("account")
    await store.locks.acquire(1, None)

    def spoil(connection):
        raise RuntimeError

    until = time.monotonic() + 1.0
    while time.monotonic() < until:
        # Each spoils the transaction that it is in, and the renewal in it.
        with contextlib.suppress(Exception):
            await store._commits.submit(spoil)
        await asyncio.sleep(0.01)
        with closing(sqlite3.connect(tmp_path / "store.sqlite")) as connection, connection:
            [(expires_at,)] = connection.execute("SELECT expires_at FROM owners").fetchall()
        connection.close()
        if store.locks.still_held(1):
            assert time.time() < expires_at
    store.locks.release(1)
    await store.aclose()


async def test_a_lease_of_the_dead_comes_free_even_after_the_clock_was_set_back(tmp_path):
    path = tmp_path / "store.sqlite"
    store = SQLiteStore(path, lease=0.6, renew=0.1)
    store.open("account")
    with closing(sqlite3.connect(path)) as connection, connection:
        # It died on a machine of which nothing can be asked, with an hour to go by the clock as it is now.
        connection.execute("INSERT INTO owners VALUES ('dead', 'elsewhere', 1, '', 0.6, ?)", (time.time() + 3600,))
        connection.execute("INSERT INTO leases (account, customer_id, owner) VALUES ('account', 1, 'dead')")
    started = time.monotonic()
    await store.locks.acquire(1, 3.0)
    assert time.monotonic() - started > 0.5, "taken from somebody who might have lived"
    store.locks.release(1)
    await store.aclose()


async def test_a_process_that_is_seen_to_be_dead_keeps_nothing(tmp_path):
    dead = Process("here", 4711, "")
    path = tmp_path / "store.sqlite"
    one = SQLiteStore(path, lease=60.0, effects=StoreEffects(this_process=lambda: dead))
    other = SQLiteStore(path, effects=StoreEffects(is_gone=lambda process: process == dead))
    for store in (one, other):
        store.open("account")
    await one.locks.acquire(1, None)
    await other.locks.acquire(1, 1.0)
    assert other.locks.still_held(1)
    other.locks.release(1)
    one.locks.release(1)
    for store in (one, other):
        await store.aclose()
