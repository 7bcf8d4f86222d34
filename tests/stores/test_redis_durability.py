"""A Redis that would lose what it was told is refused, and one that is away is waited for."""

from __future__ import annotations

import asyncio
import socket

import pytest

from fusebill_async import ConfigurationError, FusebillClient, Outcome, StoreUnavailableError
from fusebill_async.stores import RedisStore
from fusebill_async.testing import FusebillSimulator, run_simulated
from fusebill_async.testing.redis_twin import RedisTwin, TwinError

URL = "redis://simulated/0"


def client_of(fusebill, twin_or_driver, **options):
    driver = twin_or_driver.driver() if isinstance(twin_or_driver, RedisTwin) else twin_or_driver
    store = RedisStore(URL, driver=driver, **options)
    return FusebillClient("key", base_url=fusebill.base_url, account="one", store=store)


@pytest.mark.parametrize(
    ("section", "setting", "remedy"),
    [
        ("persistence", {"aof_enabled": 0}, "appendonly yes"),
        ("memory", {"maxmemory_policy": "allkeys-lru"}, "maxmemory-policy noeviction"),
        ("memory", {"maxmemory_policy": "volatile-ttl"}, "maxmemory-policy noeviction"),
    ],
)
@pytest.mark.parametrize("entered", [True, False])
def test_a_redis_that_would_lose_records_is_refused_before_anything_is_sent(section, setting, remedy, entered):
    async def main():
        twin = RedisTwin()
        twin.settings[section] = setting
        async with FusebillSimulator() as fusebill:
            fusebill.add_customer(id=1, status="Active")
            client = client_of(fusebill, twin)
            with pytest.raises(ConfigurationError, match=remedy) as refused:
                await (client.__aenter__() if entered else client.customers.hold(1))
            assert "require_durable=False" in str(refused.value)
            assert fusebill.received("hold", 1) == 0
            await client.aclose()
            async with client_of(fusebill, twin, require_durable=False) as knows:
                assert (await knows.customers.hold(1)).status == "Hold"

    run_simulated(main, seed=1)


def test_what_shares_the_quota_alone_needs_no_durable_redis():
    async def main():
        twin = RedisTwin()
        twin.settings["persistence"] = {"aof_enabled": 0}
        async with FusebillSimulator() as fusebill:
            fusebill.add_customer(id=1, status="Active")
            async with client_of(fusebill, twin, ledger=False) as client:
                assert (await client.customers.hold(1)).status == "Hold"

    run_simulated(main, seed=2)


def test_away_at_the_start_is_told_in_clear_words():
    async def main():
        twin = RedisTwin()
        twin.stop()
        async with FusebillSimulator() as fusebill:
            client = client_of(fusebill, twin)
            with pytest.raises(StoreUnavailableError, match="Redis is away"):
                await client.__aenter__()

    run_simulated(main, seed=3)


@pytest.mark.parametrize("away", [3.0, 60.0])
def test_away_in_the_middle_a_write_waits_and_reads_go_on(away):
    async def main():
        twin = RedisTwin()
        async with FusebillSimulator() as fusebill:
            fusebill.add_customer(id=1, status="Active")
            async with client_of(fusebill, twin, wait=10.0) as client:
                twin.stop()
                write = asyncio.create_task(client.customers.hold(1))
                asyncio.get_running_loop().call_later(away, twin.start)
                assert (await client.customers.get(1)).status == "Active"
                await asyncio.sleep(min(away, 10.0) - 1.0)
                assert fusebill.received("hold", 1) == 0
                assert not write.done()
                if away < 10.0:
                    assert (await write).status == "Hold"
                else:
                    with pytest.raises(StoreUnavailableError) as refused:
                        await write
                    assert refused.value.outcome is Outcome.NOT_SENT
                    assert fusebill.received("hold", 1) == 0

    run_simulated(main, seed=4)


def test_an_outcome_that_redis_refuses_is_written_when_it_takes_it_again(caplog):
    """As when its memory is full, or its disk."""

    async def main():
        twin = RedisTwin()
        full = False
        carry_out = twin.eval

        def evaluate(script, keys, arguments):
            if full and "HDEL" in script:
                raise TwinError("OOM command not allowed when used memory > 'maxmemory'")
            return carry_out(script, keys, arguments)

        twin.eval = evaluate
        async with FusebillSimulator() as fusebill:
            fusebill.add_customer(id=1, status="Active")
            async with client_of(fusebill, twin) as client:
                full = True
                await client.customers.hold(1, idempotency_key="k")
                await asyncio.sleep(1.0)
                async with client_of(fusebill, twin) as other:
                    assert (await other.recorded("k")).outcome is Outcome.UNKNOWN
                full = False
                await asyncio.sleep(1.0)
                async with client_of(fusebill, twin) as other:
                    assert (await other.recorded("k")).outcome is Outcome.APPLIED

    run_simulated(main, seed=5)
    assert "Redis refuses" in caplog.text


def test_what_redis_refuses_is_no_outage():
    """It is told at once, in the words of Redis: to wait for it would mend nothing."""

    async def main():
        twin = RedisTwin()

        def refuse(script, keys, arguments):
            raise TwinError("NOPERM this user has no permissions to run the 'eval' command")

        twin.eval = refuse
        async with FusebillSimulator() as fusebill:
            fusebill.add_customer(id=1, status="Active")
            async with client_of(fusebill, twin, wait=3600.0) as client:
                began = asyncio.get_running_loop().time()
                with pytest.raises(StoreUnavailableError, match="NOPERM"):
                    await client.customers.hold(1)
                assert asyncio.get_running_loop().time() - began < 2.0
                assert fusebill.received("hold", 1) == 0

    run_simulated(main, seed=6)


async def test_a_real_redis_without_a_file_is_refused(redis_url):
    import redis

    with redis.Redis.from_url(redis_url) as server:
        server.config_set("appendonly", "no")
        try:
            store = RedisStore(redis_url)
            store.open("account")
            with pytest.raises(ConfigurationError, match="appendonly yes"):
                await store.check()
        finally:
            server.config_set("appendonly", "yes")
        await store.check()
        await store.aclose()


async def test_a_wrong_password_is_told_at_once_and_not_shown(redis_url):
    hidden = "nobodys-word"
    store = RedisStore(redis_url.replace("redis://", f"redis://somebody:{hidden}@"), wait=3600.0)
    store.open("account")
    with pytest.raises(StoreUnavailableError) as refused:
        await store.check()
    assert "password" in str(refused.value)
    assert hidden not in f"{refused.value!r} {store!r} {vars(refused.value)}"
    await store.aclose()


@pytest.mark.parametrize("wait", [-1, 3601, True])
def test_a_wait_that_cannot_be_is_refused(wait):
    with pytest.raises(ConfigurationError, match="wait="):
        RedisStore("redis://localhost", wait=wait)


def test_a_port_where_nobody_listens_is_told_with_its_name():
    async def main():
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        store = RedisStore(f"redis://:hidden@127.0.0.1:{port}/0", wait=0)
        store.open("account")
        with pytest.raises(StoreUnavailableError, match=str(port)) as away:
            await store.check()
        assert "hidden" not in str(away.value)
        await store.aclose()

    asyncio.run(main())
