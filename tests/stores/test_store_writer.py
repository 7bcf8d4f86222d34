"""What is written to the file together, in which order, and what a power cut would leave."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import time

import pytest

from fusebill_async import ClientStateError, StoreUnavailableError
from fusebill_async.settling.intent import Intent
from fusebill_async.stores import SQLiteStore, sqlite_file
from fusebill_async.stores.effects import StoreEffects

FULL, NORMAL = 2, 1
"""As `PRAGMA synchronous` tells: fsync before a commit returns, or leave it to the next checkpoint."""


def intent_of(number=1):
    return Intent(id=f"intent-{number}", operation="customers.hold", customer_id=number, named={}, opened_at=number)


def synchronous(connection):
    return connection.execute("PRAGMA synchronous").fetchone()[0]


@pytest.fixture(params=["thread", "event loop"])
def effects(request):
    return StoreEffects(threads=request.param == "thread")


@pytest.fixture
async def store(tmp_path, effects):
    opened = SQLiteStore(tmp_path / "store.sqlite", effects=effects)
    opened.open("account")
    yield opened
    await opened.aclose()


@pytest.fixture
def seen(store, monkeypatch):
    """How the connection stands while an intent is recorded, and while it is closed."""
    from fusebill_async.stores import sqlite

    happened = []
    for name in ("_insert", "_delete"):
        right = getattr(sqlite, name)

        def noted(connection, *, name=name, right=right, **arguments):
            happened.append((name, synchronous(connection)))
            return right(connection, **arguments)

        monkeypatch.setattr(sqlite, name, noted)
    return happened


async def test_an_intent_is_on_the_disk_before_its_write_goes_out_and_closing_costs_no_fsync(store, seen):
    await store.ledger.open(intent_of())
    assert store._commits.syncs == 1
    store.ledger.close(intent_of())
    await store._commits.submit(lambda connection: None)
    assert seen == [("_insert", FULL), ("_delete", NORMAL)]
    assert store._commits.syncs == 1


async def test_what_must_survive_is_safe_together_with_what_need_not(store, seen):
    """A lock and an intent in one transaction: the one is not worth an fsync, the other is."""
    commits = store._commits.commits
    await asyncio.gather(store.locks.acquire(2, 1.0), store.ledger.open(intent_of()))
    assert store._commits.commits == commits + 1
    assert seen == [("_insert", FULL)]
    assert store._commits.syncs == 1
    store.locks.release(2)


async def test_a_thousand_writes_cost_a_few_fsyncs(store):
    commits = store._commits
    await asyncio.gather(*(store.ledger.open(intent_of(number)) for number in range(1000)))
    assert 1 <= commits.syncs <= 5
    assert len(store.ledger.unresolved()) == 1000
    # One after the other, each has its own: nobody is told before it.
    syncs = commits.syncs
    for number in range(1000, 1010):
        await store.ledger.open(intent_of(number))
    assert commits.syncs == syncs + 10
    for number in range(1010):
        store.ledger.close(intent_of(number))
    await store.aclose()
    # What may be done again needs no fsync of its own.
    assert commits.syncs == syncs + 10


# --- the file is locked by somebody for longer than a transaction waits


@pytest.fixture
def locked(store, tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite_file, "_BUSY", 0.02)
    connection = sqlite3.connect(tmp_path / "store.sqlite", isolation_level=None, timeout=5.0)
    connection.execute("BEGIN IMMEDIATE")
    yield connection
    connection.close()


async def test_whoever_waits_is_told_and_what_nobody_waits_for_is_done_later_in_its_order(store, locked):
    done = []

    def note(number):
        def work(connection):
            connection.execute("SELECT 1")
            done.append(number)

        return work

    for number in range(3):
        store._commits.post(note(number))
    with pytest.raises(StoreUnavailableError, match="locked"):
        await store.ledger.open(intent_of())
    assert done == []
    for number in range(3, 6):
        store._commits.post(note(number))
    await asyncio.sleep(0.1)
    locked.execute("ROLLBACK")
    await store.aclose()
    assert done == [0, 1, 2, 3, 4, 5]


async def test_whoever_waits_behind_a_thousand_others_is_told_too(store, locked):
    for _ in range(1500):
        store._commits.post(lambda connection: None)
    async with asyncio.timeout(5):
        with pytest.raises(StoreUnavailableError):
            await store.ledger.open(intent_of())
    locked.execute("ROLLBACK")


async def test_what_is_closed_while_the_file_is_locked_is_closed_for_others_too(store, locked, tmp_path):
    locked.execute("ROLLBACK")
    await store.ledger.open(intent_of())
    locked.execute("BEGIN IMMEDIATE")
    store.ledger.close(intent_of())
    await asyncio.sleep(0.1)
    locked.execute("ROLLBACK")
    await store.aclose()
    other = SQLiteStore(tmp_path / "store.sqlite")
    other.open("account")
    assert other.ledger.unresolved() == []
    await other.aclose()


async def test_closing_gives_up_on_a_file_that_stays_locked(store, locked, caplog):
    store.ledger.close(intent_of())
    async with asyncio.timeout(5):
        await store.aclose()
    assert "could not be written" in caplog.text


async def test_a_write_that_fails_takes_nothing_of_the_others_with_it(store):
    def fail(connection):
        connection.execute("INSERT INTO owners VALUES ('half', 'here', 1, '', 1.0, 1.0)")
        raise RuntimeError

    with pytest.raises(StoreUnavailableError):
        await store._commits.submit(fail)
    await store.ledger.open(intent_of())
    count = await store._commits.submit(lambda connection: connection.execute("SELECT count(*) FROM owners").fetchone())
    assert count == (0,)


# --- processes and threads


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forking is a matter of POSIX")
async def test_after_a_fork_the_child_is_told_and_does_not_hang(store):
    await store.ledger.open(intent_of())
    child = os.fork()
    if not child:
        # Only what must be tried: the child has the parent's event loop, and none of its threads.
        try:
            store.ledger.close(intent_of())
        except ClientStateError:
            os._exit(7)
        finally:
            os._exit(1)
    _, status = await asyncio.to_thread(os.waitpid, child, 0)
    assert os.waitstatus_to_exitcode(status) == 7
    assert len(store.ledger.unresolved()) == 1


async def test_without_threads_everything_is_done_in_the_event_loop(tmp_path):
    store = SQLiteStore(tmp_path / "store.sqlite", lease=0.4, renew=0.1, effects=StoreEffects(threads=False))
    store.open("account")
    threads = threading.active_count()
    await store.locks.acquire(1, 1.0)
    await store.ledger.open(intent_of())
    ran_in = await store._commits.submit(lambda connection: threading.current_thread())
    assert ran_in is threading.current_thread()
    assert threading.active_count() == threads
    # The lease is renewed there too.
    until = time.monotonic() + 0.8
    while time.monotonic() < until:
        assert store.locks.still_held(1)
        await asyncio.sleep(0.02)
    store.ledger.close(intent_of())
    store.locks.release(1)
    await store.aclose()
    other = SQLiteStore(tmp_path / "store.sqlite")
    other.open("account")
    assert other.ledger.unresolved() == []
    await other.aclose()
