"""What is written down is what was meant, and it stays in the file for as long as it is needed."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from decimal import Decimal

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusebill_async import (
    ConfigurationError,
    FusebillClient,
    OutcomeUnknownError,
    SettlingPolicy,
    UnresolvedWritesWarning,
    ValidationError,
)
from fusebill_async.settling.intent import Intent
from fusebill_async.settling.seen import Before
from fusebill_async.stores import SQLiteStore, sqlite_file
from fusebill_async.stores.intent_json import decode_intent, encode_intent
from fusebill_async.testing import Fault, FusebillSimulator

_NUMBERS = st.integers() | st.decimals(allow_nan=False, allow_infinity=False)
_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
_VALUES = st.recursive(
    st.none() | st.booleans() | _NUMBERS | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=12,
)


def intent_of(number=1, **changes):
    known = Intent(
        id=f"intent-{number}",
        operation="customers.update",
        customer_id=2**63 - number,
        named={"companyName": "Grok", "customerReference": {"reference1": None}},
        opened_at=1_700_000_000.123456 + number,
        before=Before(
            status="Active",
            modified="2024-01-01T00:00:00.1234567Z",
            fields={"companyName": "Old", "customerReference": {"reference1": "A"}},
            recent=True,
        ),
    )
    return attrs.evolve(known, **changes)


@given(st.dictionaries(_TEXT, _VALUES, max_size=5))
def test_an_intent_comes_back_with_the_same_values_of_the_same_types(named):
    before = Before(status="Hold", modified=None, fields=named)
    intent = intent_of(named=named, before=before)
    back = decode_intent(encode_intent(intent))
    assert repr(back) == repr(intent)
    assert repr(back.before.fields) == repr(named)


@pytest.mark.parametrize("text", ["5", "25.9800", "-0", "1E+2", "1E-30", "0.000000", "-12345678901234567890"])
def test_a_decimal_keeps_its_digits_and_its_exponent(text):
    back = decode_intent(encode_intent(intent_of(named={"amount": Decimal(text)})))
    assert type(back.named["amount"]) is Decimal
    assert back.named["amount"].as_tuple() == Decimal(text).as_tuple()


async def test_another_store_finds_what_was_opened_in_the_order_of_opening(place, make_store):
    one = make_store(place)
    one.open("account")
    intents = [intent_of(number) for number in range(1, 6)]
    for intent in intents:
        await one.ledger.open(intent)
    other, strange = make_store(place), make_store(place)
    other.open("account")
    strange.open("another account")
    assert other.ledger.unresolved() == intents
    assert strange.ledger.unresolved() == []
    one.ledger.close(intents[2])
    # Known at once in the process that closed it, and in the others when it is written.
    assert intents[2] not in one.ledger.unresolved()
    await one.aclose()
    assert other.ledger.unresolved() == [*intents[:2], *intents[3:]]
    await other.aclose()
    await strange.aclose()


async def test_another_key_is_another_account(place, make_store):
    """Its open writes are not shown, and never resolved, by a client with a key that another account may have."""
    off = SettlingPolicy(enabled=False)
    async with FusebillSimulator() as fusebill:
        fusebill.add_customer(id=1, status="Active")
        fusebill.inject(Fault.reset_after_effect(operation="hold", times=None))
        options = {"base_url": fusebill.base_url, "settling": off}
        one = FusebillClient("one key", store=make_store(place), **options)
        with pytest.raises(OutcomeUnknownError):
            await one.customers.hold(1)
        with pytest.warns(UnresolvedWritesWarning):
            await one.aclose()
        async with FusebillClient("another key", store=make_store(place), **options) as other:
            assert other.unresolved() == []
        async with FusebillClient("one key", store=make_store(place), **options) as again:
            assert [write.customer_id for write in again.unresolved()] == [1]


async def test_the_store_is_closed_even_if_closing_the_connections_fails(place, make_store, monkeypatch):
    store = make_store(place)
    closed = []
    close = store.aclose

    async def noted():
        closed.append(await close())

    store.aclose = noted
    async with FusebillSimulator() as fusebill:
        fusebill.add_customer(id=1, status="Active")
        client = FusebillClient("key", base_url=fusebill.base_url, store=store)
        await client.customers.hold(1)
        close_session = client._core.session.aclose

        async def fail():
            await close_session()
            raise OSError("no")

        monkeypatch.setattr(client._core.session, "aclose", fail)
        with pytest.raises(OSError, match="no"):
            await client.aclose()
    assert closed == [None]
    # Nothing of it is left that another process would have to wait for.
    other = make_store(place)
    other.open(account_of(store))
    await other.locks.acquire(1, 0.5)
    assert other.ledger.unresolved() == []
    other.locks.release(1)
    await other.aclose()


def account_of(store):
    return store.ledger.account


async def test_what_cannot_be_written_is_refused_before_anything_is_sent(place, make_store):
    store = make_store(place)
    store.open("account")
    with pytest.raises(ValidationError):
        await store.ledger.open(intent_of(named={"x": Decimal("NaN")}))
    await store.aclose()


async def test_a_store_serves_one_account_and_opens_again(place, make_store):
    store = make_store(place)
    store.open("account")
    with pytest.raises(ConfigurationError, match="one account"):
        store.open("another")
    await store.ledger.open(intent_of())
    await store.aclose()
    store.open("account")
    assert store.ledger.unresolved() == [intent_of()]
    store.ledger.close(intent_of())
    await store.aclose()


async def test_nothing_of_a_write_stays_in_the_file_when_its_outcome_is_known(tmp_path):
    path = tmp_path / "store.sqlite"
    async with FusebillSimulator() as fusebill:
        fusebill.add_customer(id=1, status="Active")
        async with FusebillClient("a-secret-key", base_url=fusebill.base_url, store=SQLiteStore(path)) as client:
            await client.customers.update(1, company_name="Grok")
            await client.customers.hold(1)
    with closing(sqlite3.connect(path)) as connection, connection:
        for table in ("intents", "owners", "leases"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)  # noqa: S608
    assert b"a-secret-key" not in path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["store.sqlite"]


# --- files that cannot be used


def use(path, **options):
    SQLiteStore(path, **options).open("account")


def test_a_directory_that_is_not_there(tmp_path):
    with pytest.raises(ConfigurationError, match="no such directory"):
        use(tmp_path / "nowhere" / "store.sqlite")


def test_a_directory_in_place_of_a_file(tmp_path):
    with pytest.raises(ConfigurationError, match="is a directory"):
        use(tmp_path)


def test_a_file_that_is_no_database(tmp_path):
    path = tmp_path / "letter.txt"
    path.write_text("Dear customer, " * 1000)
    with pytest.raises(ConfigurationError, match="not a database"):
        use(path)
    assert path.read_text().startswith("Dear customer")


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("CREATE TABLE mine (x)", "another program's"),
        ("PRAGMA application_id=7", "another program's"),
    ],
)
def test_a_database_of_somebody_else(tmp_path, statement, told):
    path = tmp_path / "theirs.sqlite"
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.close()
    with pytest.raises(ConfigurationError, match=told):
        use(path)


def test_two_processes_that_make_the_file_at_once(tmp_path, monkeypatch):
    path = tmp_path / "store.sqlite"
    into_wal_mode = sqlite_file.into_wal_mode

    def another_is_faster(connection, where):
        monkeypatch.setattr(sqlite_file, "into_wal_mode", into_wal_mode)
        into_wal_mode(connection, where)
        use(where)

    monkeypatch.setattr(sqlite_file, "into_wal_mode", another_is_faster)
    use(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute("SELECT count(*) FROM file").fetchone() == (1,)


def test_a_file_of_another_version(tmp_path):
    path = tmp_path / "store.sqlite"
    use(path)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(ConfigurationError, match="another version"):
        use(path)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_that_may_not_be_written_to(tmp_path):
    path = tmp_path / "store.sqlite"
    use(path)
    path.chmod(0o400)
    with pytest.raises(ConfigurationError, match="readonly"):
        use(path)


@pytest.mark.parametrize("path", ["", ":memory:", "file:x?mode=memory", None, 3])
def test_what_is_no_path(path):
    with pytest.raises(ConfigurationError, match="MemoryStore"):
        SQLiteStore(path)


@pytest.mark.parametrize(
    "times",
    [{"lease": 0}, {"lease": True}, {"lease": "10"}, {"lease": float("nan")}, {"renew": 5.0}, {"renew": 0}],
)
def test_times_that_cannot_work(tmp_path, times):
    with pytest.raises(ConfigurationError):
        SQLiteStore(tmp_path / "store.sqlite", **times)


def test_the_package_does_without_redis():
    code = (
        "import sys, fusebill_async, fusebill_async.stores\n"
        "assert 'redis' not in sys.modules, 'imported'\n"
        "sys.modules['redis'] = None\n"
        "from fusebill_async.stores import RedisStore\n"
        "try:\n"
        "    RedisStore('redis://localhost')\n"
        "except fusebill_async.ConfigurationError as error:\n"
        "    assert 'fusebill-async[redis]' in str(error)\n"
        "else:\n"
        "    raise SystemExit('no error')\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
