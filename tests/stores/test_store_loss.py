"""A store that loses what it held: a file that is tidied away, a Redis that is emptied or lost its latest writes."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from fusebill_async import FusebillClient, Outcome, OutcomeUnknownError, SettlingPolicy, StoreUnavailableError
from fusebill_async.settling.intent import Intent
from fusebill_async.stores import SQLiteStore
from fusebill_async.testing import Fault, FusebillSimulator

IMPATIENT = SettlingPolicy(first_read=0.01, quiet_period=0.1, retry_delay=0.01, wait=0.3, give_up=0.2, close_wait=0.5)


def intent_of(number):
    return Intent(id=f"intent-{number}", operation="customers.hold", customer_id=number, named={}, opened_at=number)


def names(intents):
    return [intent.id for intent in intents]


@pytest.fixture
def forget(place):
    """Lets the store lose everything."""

    def lose():
        if place.startswith("redis:"):
            import redis

            with redis.Redis.from_url(place) as client:
                client.flushall()
        else:
            for file in Path(place).parent.glob("store.sqlite*"):
                file.unlink()

    return lose


@pytest.fixture
async def store(place, make_store):
    opened = make_store(place)
    opened.open("account")
    yield opened
    await opened.aclose()


async def seen_by_another(place, make_store):
    """What a process that starts now finds open."""
    other = make_store(place)
    other.open("account")
    found = names(other.ledger.unresolved())
    await other.aclose()
    return found


async def test_what_the_process_knows_stays_open_and_is_written_anew_before_the_next_write(
    place, make_store, store, forget, caplog
):
    caplog.set_level(logging.WARNING, "fusebill_async.store")
    for number in (1, 2, 3):
        await store.ledger.open(intent_of(number))
    store.ledger.close(intent_of(2))
    forget()
    assert names(store.ledger.unresolved()) == ["intent-1", "intent-3"]
    await store.ledger.open(intent_of(4))
    # The others follow in the same connection: a round trip to the lock is after them.
    await store.locks.acquire(9, 2.0)
    store.locks.release(9)
    assert names(store.ledger.unresolved()) == ["intent-1", "intent-3", "intent-4"]
    assert sorted(await seen_by_another(place, make_store)) == ["intent-1", "intent-3", "intent-4"]
    assert "anew" in caplog.text
    for number in (1, 3, 4):
        store.ledger.close(intent_of(number))
    assert store.ledger.unresolved() == []


async def test_what_another_process_has_settled_is_not_taken_for_lost(place, make_store, store, forget):
    await store.ledger.open(intent_of(1))
    await store.ledger.open(intent_of(2))
    other = make_store(place)
    other.open("account")
    other.ledger.close(intent_of(1))
    await other.aclose()
    assert names(store.ledger.unresolved()) == ["intent-2"]
    # Known to be settled by now, it does not come back with what is lost later.
    forget()
    assert names(store.ledger.unresolved()) == ["intent-2"]


async def test_a_lease_that_the_store_forgot_is_noticed_at_the_next_renewal(place, make_store, forget):
    store = make_store(place, lease=0.6, renew=0.1)
    store.open("account")
    await store.locks.acquire(1, 2.0)
    assert store.locks.still_held(1)
    forget()
    await store.ledger.open(intent_of(1))
    for _ in range(100):
        if not store.locks.still_held(1):
            break
        await asyncio.sleep(0.01)
    assert not store.locks.still_held(1)
    store.locks.release(1)
    store.ledger.close(intent_of(1))
    await store.aclose()


async def test_a_write_that_the_store_forgot_is_listed_and_settled(place, make_store, forget):
    async with FusebillSimulator() as fusebill:
        fusebill.add_customer(id=1, status="Active")
        fusebill.inject(Fault.reset_after_effect(operation="hold", times=1))
        fusebill.inject(Fault.status(503, operation="get", times=None))
        async with FusebillClient(
            "key", base_url=fusebill.base_url, store=make_store(place), settling=IMPATIENT
        ) as client:
            with pytest.raises(OutcomeUnknownError) as unknown:
                await client.customers.hold(1)
            forget()
            fusebill.clear_faults()
            assert [write.customer_id for write in client.unresolved()] == [1]
            resolution = await client.resolve(unknown.value)
            assert resolution.outcome is Outcome.APPLIED
            assert client.unresolved() == []
        assert fusebill.effects("hold", 1) == 1


async def test_redis_that_comes_back_without_its_latest_writes(redis_url, make_store):
    """As after a crash with `appendfsync everysec`."""
    import redis

    store = make_store(redis_url)
    store.open("account of a lost tail")
    with redis.Redis.from_url(redis_url) as server:
        server.flushall()
        await store.ledger.open(intent_of(1))
        saved = {key: server.dump(key) for key in server.scan_iter()}
        await store.ledger.open(intent_of(2))
        server.flushall()
        for key, dump in saved.items():
            server.restore(key, 0, dump)
        assert names(store.ledger.unresolved()) == ["intent-1", "intent-2"]
        await store.ledger.open(intent_of(3))
        await store.locks.acquire(9, 2.0)
        store.locks.release(9)
        assert server.hlen(store.ledger._keys[0]) == 3
        for number in (1, 2, 3):
            store.ledger.close(intent_of(number))
        await store.aclose()
        assert [key for key in server.scan_iter() if b"lost tail" in key] == []


# --- a file alone


async def test_a_commit_into_a_file_that_is_taken_away_at_that_moment_counts_as_not_written(tmp_path):
    path = tmp_path / "store.sqlite"
    store = SQLiteStore(path)
    store.open("account")
    await store.ledger.open(intent_of(1))

    def take_away(connection):
        for file in tmp_path.glob("store.sqlite*"):
            file.unlink()

    taken = store._commits.submit(take_away, durable=True)
    with pytest.raises(Exception, match="taken away"):
        await taken
    await store.ledger.open(intent_of(2))
    assert names(store.ledger.unresolved()) == ["intent-1", "intent-2"]
    await store.aclose()
    other = SQLiteStore(path)
    other.open("account")
    assert names(other.ledger.unresolved()) == ["intent-1", "intent-2"]
    await other.aclose()


async def test_what_was_committed_into_a_file_that_is_taken_away_is_written_into_the_next(tmp_path):
    path = tmp_path / "store.sqlite"
    store = SQLiteStore(path)
    store.open("account")
    await store.ledger.open(intent_of(1))

    def take_away_once(connection):
        if not (tmp_path / "done").exists():
            (tmp_path / "done").touch()
            for file in tmp_path.glob("store.sqlite*"):
                file.unlink()

    await asyncio.gather(store.ledger.open(intent_of(2)), store._commits.submit(take_away_once))
    other = SQLiteStore(path)
    other.open("account")
    assert names(other.ledger.unresolved()) == ["intent-1", "intent-2"]
    for opened in (other, store):
        await opened.aclose()


async def test_a_log_of_commits_that_is_taken_away_is_found_out(tmp_path):
    path = tmp_path / "store.sqlite"
    store = SQLiteStore(path)
    store.open("account")
    await store.ledger.open(intent_of(1))
    (tmp_path / "store.sqlite-wal").unlink()
    (tmp_path / "store.sqlite-shm").unlink()
    await store.ledger.open(intent_of(2))
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in tmp_path.glob("store.sqlite*"):
        shutil.copy(file, copy)
    # As a process finds it that starts after this one was killed.
    other = SQLiteStore(copy / "store.sqlite")
    other.open("account")
    assert sorted(names(other.ledger.unresolved())) == ["intent-1", "intent-2"]
    await other.aclose()
    await store.aclose()


@pytest.mark.parametrize("what", ["no directory", "a letter"])
async def test_where_nothing_can_be_recorded_nothing_is_sent(tmp_path, what):
    folder = tmp_path / "folder"
    folder.mkdir()
    store = SQLiteStore(folder / "store.sqlite")
    async with FusebillSimulator() as fusebill:
        fusebill.add_customer(id=1, status="Active")
        fusebill.add_customer(id=2, status="Active")
        async with FusebillClient("key", base_url=fusebill.base_url, store=store, settling=IMPATIENT) as client:
            await client.customers.hold(1)
            await store._commits.submit(lambda connection: None)
            shutil.rmtree(folder)
            if what == "a letter":
                folder.mkdir()
                (folder / "store.sqlite").write_text("Dear customer, " * 1000)
            with pytest.raises(StoreUnavailableError) as refused:
                await client.customers.hold(2)
            assert refused.value.outcome is Outcome.NOT_SENT
            assert fusebill.received("hold", 2) == 0
            if what == "a letter":
                (folder / "store.sqlite").unlink()
            else:
                folder.mkdir()
            # As soon as it can be recorded again, it is sent.
            assert (await client.customers.hold(2)).status == "Hold"


async def test_a_full_disk_is_told_and_harms_nothing_that_was_recorded(tmp_path):
    store = SQLiteStore(tmp_path / "store.sqlite")
    store.open("account")
    await store.ledger.open(intent_of(1))

    def fill(connection):
        [pages] = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count={pages}")

    await store._commits.submit(fill)
    large = attrs.evolve(intent_of(2), named={"companyName": "Grok " * 10_000})
    with pytest.raises(StoreUnavailableError, match="full"):
        await store.ledger.open(large)
    assert names(store.ledger.unresolved()) == ["intent-1"]
    # There is room again.
    await store.ledger.open(large)
    assert names(store.ledger.unresolved()) == ["intent-1", "intent-2"]
    await store.aclose()


@pytest.mark.skipif(os.name != "posix", reason="modes are a matter of POSIX")
def test_the_files_are_for_their_owner_alone(tmp_path):
    """Also when they are made anew, when a look comes first, and when somebody has opened them wide."""
    code = f"""
import asyncio, os, pathlib, sys
from fusebill_async.settling.intent import Intent
from fusebill_async.stores import SQLiteStore

os.umask(0)
folder = pathlib.Path({str(tmp_path)!r})

def check(when):
    modes = {{file.name: oct(file.stat().st_mode & 0o777) for file in folder.iterdir()}}
    assert len(modes) == 3 and set(modes.values()) == {{"0o600"}}, (when, modes)

def intent(number):
    return Intent(id=str(number), operation="customers.hold", customer_id=1, named={{}}, opened_at=0.0)

async def main():
    store = SQLiteStore(folder / "store.sqlite")
    store.open("account")
    await store.ledger.open(intent(1))
    check("made")
    for file in folder.iterdir():
        file.unlink()
    store.ledger.unresolved()
    assert not list(folder.iterdir()), "a look made a file"
    await store.ledger.open(intent(2))
    check("made anew")
    for file in folder.iterdir():
        file.chmod(0o666)
    other = SQLiteStore(folder / "store.sqlite")
    other.open("account")
    check("opened again")
    await other.aclose()
    await store.aclose()

asyncio.run(main())
"""
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
    assert stat.S_IMODE((tmp_path / "store.sqlite").stat().st_mode) == 0o600
