"""What a store keeps of a call with a key: enough for its outcome, nothing about a person, and not for ever."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from fusebill_async import ConfigurationError, FusebillClient, Outcome
from fusebill_async.settling.keys import key_id
from fusebill_async.stores import MemoryStore, RedisStore, SQLiteStore, memory
from tests.conftest import KEY


def tables(path):
    with closing(sqlite3.connect(path)) as connection, connection:
        return [connection.execute(question).fetchall() for question in ("SELECT * FROM intents", "SELECT * FROM keys")]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store.sqlite"


@pytest.fixture
def open_client(fusebill, path):
    return lambda store=None, **options: FusebillClient(
        KEY, base_url=fusebill.base_url, account="one", store=store or SQLiteStore(path), **options
    )


async def test_nothing_of_what_was_sent_is_kept(fusebill, open_client, path):
    fusebill.add_customer(id=1, status="Active")
    async with open_client() as client:
        await client.customers.update(
            1, company_name="Very Private", primary_email="a@b.example", idempotency_key="u-7"
        )
    intents, keys = tables(path)
    assert intents == []
    [(name, intent, operation, customer_id, digest, outcome, attribution, status, began, ended)] = keys
    assert (operation, customer_id, outcome, attribution, status) == ("customers.update", 1, "applied", "ours", 200)
    assert (len(name), len(digest)) == (16, 32)
    assert began <= ended
    assert intent
    everything = b"".join(each.read_bytes() for each in path.parent.iterdir())
    for secret in (b"Private", b"b.example", KEY.encode(), b"u-7"):
        assert secret not in everything, secret


async def test_a_file_of_the_first_edition_is_carried_over(fusebill, open_client, path):
    fusebill.add_customer(id=1, status="Active")
    store = SQLiteStore(path)
    store.open("x")
    await store.aclose()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript("DROP TABLE keys; PRAGMA user_version=2;")
    async with open_client() as client:
        await client.customers.hold(1, idempotency_key="k")
        assert (await client.recorded("k")).outcome is Outcome.APPLIED
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (3,)


async def test_outcomes_are_forgotten_in_time_and_what_is_open_is_not(fusebill, open_client, path):
    fusebill.add_customer(id=1, status="Active")
    async with open_client(SQLiteStore(path, keep_outcomes=60)) as client:
        for number in range(50):
            await client.hubspot.unlatch(1, idempotency_key=f"k{number}")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE keys SET ended = ended - 100")
        connection.execute("UPDATE keys SET outcome = NULL, ended = NULL WHERE id = (SELECT min(id) FROM keys)")
    async with open_client(SQLiteStore(path, keep_outcomes=60)) as client:
        for number in range(3):
            await client.hubspot.unlatch(1, idempotency_key=f"new{number}")
    with closing(sqlite3.connect(path)) as connection, connection:
        kept = connection.execute("SELECT count(*), count(outcome) FROM keys").fetchone()
    # Three new ones, and the open one.
    assert kept == (4, 3)


async def test_redis_forgets_an_outcome_in_time_and_nothing_open(fusebill, open_client, redis_url):
    import redis.asyncio

    fusebill.add_customer(id=1, status="Active")
    async with open_client(RedisStore(redis_url, keep_outcomes=60)) as client:
        await client.customers.hold(1, idempotency_key="redis-k")
    async with redis.asyncio.Redis.from_url(redis_url) as server:
        [name] = [key async for key in server.scan_iter(f"*:key:{key_id('redis-k')}")]
        assert 50 < await server.ttl(name) <= 60


async def test_a_memory_store_keeps_the_last_ones(fusebill, open_client, monkeypatch):
    monkeypatch.setattr(memory, "OUTCOMES_KEPT", 3)
    fusebill.add_customer(id=1, status="Active")
    async with open_client(MemoryStore()) as client:
        for number in range(5):
            await client.hubspot.unlatch(1, idempotency_key=f"k{number}")
        kept = [await client.recorded(f"k{number}") is not None for number in range(5)]
    assert kept == [False, False, True, True, True]


@pytest.mark.parametrize("seconds", [0, 59, -1, True, "30 days", float("nan")])
def test_a_time_that_cannot_work_is_refused(seconds, path):
    with pytest.raises(ConfigurationError, match="keep_outcomes="):
        SQLiteStore(path, keep_outcomes=seconds)
    with pytest.raises(ConfigurationError, match="keep_outcomes="):
        RedisStore("redis://127.0.0.1:1/0", keep_outcomes=seconds)


@pytest.mark.parametrize("account", ["", 7, "x" * 256, "two\nlines"])
def test_an_account_is_a_name(account, fusebill):
    with pytest.raises(ConfigurationError, match="account="):
        FusebillClient(KEY, base_url=fusebill.base_url, account=account)
