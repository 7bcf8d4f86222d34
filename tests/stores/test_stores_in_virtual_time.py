"""The stores where waiting takes no time: what leases, partitions and lost data do to writes that are under way."""

from __future__ import annotations

import asyncio
import math

import pytest

from fusebill_async import (
    FusebillClient,
    NotUnresolvedError,
    Outcome,
    OutcomeUnknownError,
    QuotaPolicy,
    RequestTimeoutError,
    SettlingPolicy,
    StoreUnavailableError,
    Timeouts,
)
from fusebill_async.settling.intent import Intent
from fusebill_async.stores import RedisStore, SQLiteStore
from fusebill_async.testing import Fault, FusebillSimulator, run_simulated
from fusebill_async.testing.redis_twin import RedisTwin

URL = "redis://simulated/0"
IMPATIENT = SettlingPolicy(give_up=2.0, wait=1.0, close_wait=1.0)


@pytest.fixture(params=["sqlite", "redis"])
def stores(request, tmp_path):
    """Makes stores in one place, each as a process of its own would."""
    twin = RedisTwin()

    def make(**options):
        if request.param == "sqlite":
            return SQLiteStore(tmp_path / "store.sqlite", **options)
        return RedisStore(URL, driver=twin.driver(), **options)

    return make


def client_of(fusebill, store, **options):
    return FusebillClient("key", base_url=fusebill.base_url, store=store, quota=QuotaPolicy.off(), **options)


def intent_of(number):
    return Intent(id=f"intent-{number}", operation="customers.hold", customer_id=number, named={}, opened_at=number)


async def until(condition):
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came")


def test_changes_of_two_processes_all_land(stores):
    async def main():
        async with FusebillSimulator(latency=0.05) as fusebill:
            fusebill.add_customer(id=1, status="Active")

            async def change(field):
                async with client_of(fusebill, stores()) as client:
                    for number in range(20):
                        await client.customers.update(1, **{field: f"{field} {number}"})

            await asyncio.gather(change("first_name"), change("last_name"))
            assert fusebill.effects("update", 1) == 40
            customer = fusebill.customer(1)
            assert (customer["firstName"], customer["lastName"]) == ("first_name 19", "last_name 19")

    run_simulated(main, seed=1)


def test_the_same_seed_gives_the_same_run(stores, tmp_path):
    def run():
        taken = []

        async def main():
            both = [stores(), stores()]
            for store in both:
                store.open("account")

            async def use(name, store):
                for _ in range(10):
                    await store.locks.acquire(1, 60.0)
                    taken.append(name)
                    await asyncio.sleep(0.03)
                    store.locks.release(1)

            await asyncio.gather(*(use(name, store) for name, store in zip("ab", both, strict=True)))
            for store in both:
                await store.aclose()

        run_simulated(main, seed=5)
        return taken

    first = run()
    for file in tmp_path.iterdir():
        file.unlink()
    assert run() == first
    assert set(first[:10]) == {"a", "b"}


def test_a_machine_that_slept_through_its_lease_sends_nothing_and_keeps_the_others_change(stores):
    async def main():
        clock = asyncio.get_running_loop().clock
        async with FusebillSimulator(latency=0.1) as fusebill:
            fusebill.add_customer(id=1, status="Active")
            async with client_of(fusebill, stores()) as sleeper:
                call = asyncio.create_task(sleeper.customers.update(1, company_name="Grok Ltd"))
                await until(lambda: fusebill.received("get", 1))
                # Its read is answered when it wakes. Meanwhile the other one, on another machine, had time enough.
                clock.suspend(12.0)
                with pytest.raises(RequestTimeoutError, match="ran out") as refused:
                    await call
                assert refused.value.outcome is Outcome.NOT_SENT
            assert fusebill.received("update", 1) == 0

    run_simulated(main, seed=2)


def test_a_stop_shorter_than_the_lease_costs_nothing(stores):
    async def main():
        clock = asyncio.get_running_loop().clock
        async with FusebillSimulator(latency=0.1) as fusebill:
            fusebill.add_customer(id=1, status="Active")
            async with client_of(fusebill, stores()) as client:
                call = asyncio.create_task(client.customers.hold(1))
                await asyncio.sleep(0.001)
                clock.suspend(3.0)
                assert (await call).status == "Hold"

    run_simulated(main, seed=3)


# --- Redis


@pytest.mark.parametrize("fault", ["refused", "request lost", "request late", "answer lost"])
def test_no_write_goes_out_while_redis_does_not_say_that_it_is_recorded(fault):
    async def main():
        twin = RedisTwin()
        driver = twin.driver()
        async with FusebillSimulator() as fusebill:
            fusebill.add_customer(id=1, status="Active")
            async with client_of(fusebill, RedisStore(URL, driver=driver), settling=IMPATIENT) as client:
                driver.fault = fault
                with pytest.raises(StoreUnavailableError) as refused:
                    await client.customers.hold(1)
                assert refused.value.outcome is Outcome.NOT_SENT
                assert fusebill.received("hold", 1) == 0
                driver.mend()
                # What arrived all the same is taken back, and stands in nobody's way.
                await asyncio.sleep(1.0)
                async with client_of(fusebill, RedisStore(URL, driver=twin.driver())) as other:
                    assert other.unresolved() == []
                    assert (await other.customers.hold(1)).status == "Hold"

    run_simulated(main, seed=4)


def test_a_process_that_redis_does_not_hear_of_loses_its_lock_and_knows_it():
    async def main():
        twin = RedisTwin()
        driver = twin.driver()
        one, other = RedisStore(URL, driver=driver), RedisStore(URL, driver=twin.driver())
        for store in (one, other):
            store.open("account")
        await one.locks.acquire(1, 1.0)
        driver.fault = "request lost"
        loop = asyncio.get_running_loop()
        cut_off = loop.time()
        taken = asyncio.create_task(other.locks.acquire(1, 60.0))
        while not taken.done():
            # At no moment do both believe that it is theirs.
            assert not (one.locks.still_held(1) and other.locks.still_held(1))
            await asyncio.sleep(0.05)
        assert 9.0 < loop.time() - cut_off < 14.0
        assert other.locks.still_held(1)
        driver.mend()
        await asyncio.sleep(5.0)
        assert not one.locks.still_held(1)
        one.locks.release(1)
        await asyncio.sleep(1.0)
        assert other.locks.still_held(1)
        other.locks.release(1)
        for store in (one, other):
            await store.aclose()

    run_simulated(main, seed=5)


@pytest.mark.parametrize("lost", [0.5, math.inf])
def test_a_redis_that_restarts_without_its_latest_writes_forgets_no_open_write(lost):
    async def main():
        twin = RedisTwin()
        async with FusebillSimulator() as fusebill:
            for customer_id in (1, 2):
                fusebill.add_customer(id=customer_id, status="Active")
            fusebill.inject(Fault.reset_after_effect(operation="hold", times=1))
            fusebill.inject(Fault.status(503, operation="get", times=None))
            async with client_of(fusebill, RedisStore(URL, driver=twin.driver()), settling=IMPATIENT) as client:
                call = asyncio.create_task(client.customers.hold(1))
                await until(lambda: fusebill.effects("hold", 1))
                twin.stop()
                twin.start(lost=lost)
                with pytest.raises(OutcomeUnknownError):
                    await call
                assert [write.customer_id for write in client.unresolved()] == [1]
                fusebill.clear_faults()
                await client.customers.hold(2)
                await asyncio.sleep(0.1)
                # By now another process finds it, too.
                async with client_of(fusebill, RedisStore(URL, driver=twin.driver())) as other:
                    assert [write.customer_id for write in other.unresolved()] == [1]
                    [resolution] = await other.resolve_all()
                    assert resolution.outcome is Outcome.APPLIED
                await until(lambda: not client.unresolved())

    run_simulated(main, seed=6)


@pytest.mark.parametrize("first", [True, False])
def test_a_lease_that_was_lost_with_the_rest_is_noticed_before_the_write(first):
    """Not only at the next renewal: another process may have it by then."""

    async def main():
        twin = RedisTwin()
        one, other = (RedisStore(URL, driver=twin.driver()) for _ in range(2))
        for store in (one, other):
            store.open("account")
        if not first:
            await one.ledger.open(intent_of(1))
        await one.locks.acquire(1, 1.0)
        twin.start(lost=math.inf)
        await other.locks.acquire(1, 1.0)
        await one.locks.acquire(2, 1.0)
        await one.ledger.open(intent_of(2))
        assert not one.locks.still_held(1)
        # What was taken since is ours.
        assert one.locks.still_held(2)
        assert other.locks.still_held(1)
        for store, customer_id in ((one, 1), (one, 2), (other, 1)):
            store.locks.release(customer_id)
        for store in (one, other):
            await store.aclose()

    run_simulated(main, seed=9)


def test_what_is_posted_while_redis_is_away_is_done_in_its_order_when_it_is_back():
    async def main():
        twin = RedisTwin()
        store = RedisStore(URL, driver=twin.driver())
        store.open("account")
        commands = store._commands
        twin.stop()
        for number in range(600):
            commands.post(lambda pipeline, number=number: pipeline.hset("written", mapping={number: number}))
        with pytest.raises(StoreUnavailableError):
            await commands.submit(lambda pipeline: pipeline.ping())
        # One attempt has failed.
        await asyncio.sleep(0.1)
        twin.start()
        await asyncio.sleep(1.0)
        assert twin.hvals("written") == [str(number).encode() for number in range(600)]
        await store.aclose()

    run_simulated(main, seed=7)


# --- who resolves


@pytest.mark.parametrize("operation", ["hold", "create"])
def test_a_write_that_its_process_still_waits_for_is_not_settled_over_its_head(stores, operation):
    async def main():
        async with FusebillSimulator() as fusebill:
            fusebill.add_customer(id=1, status="Active")
            fusebill.inject(Fault.delay(100.0, operation=operation, times=1))
            patient = Timeouts(read=200.0, total=200.0)
            async with (
                client_of(fusebill, stores(), timeouts=patient) as one,
                client_of(fusebill, stores()) as other,
            ):
                call = one.customers.hold(1) if operation == "hold" else one.customers.create(reference="R-1")
                under_way = asyncio.create_task(call)
                await until(lambda: fusebill.received(operation))
                [write] = other.unresolved()
                # It waits for the lock, and finds that the write's own process has settled it.
                with pytest.raises(NotUnresolvedError):
                    await other.resolve(write)
                assert under_way.done()
                await under_way
            assert fusebill.effects(operation) == 1

    run_simulated(main, seed=8)
