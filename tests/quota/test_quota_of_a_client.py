"""The quota as a client's callers meet it, in virtual time. The oracle is what the service counted."""

from __future__ import annotations

import asyncio

import pytest

from fusebill_async import (
    ClientStateError,
    FusebillClient,
    Hooks,
    PoolSettings,
    QuotaExhaustedError,
    QuotaPolicy,
    RequestTimeoutError,
    SettlingPolicy,
    Timeouts,
)
from fusebill_async.testing import ClockSkew, Fault, FusebillSimulator, SimulatorQuota, run_simulated


def make_client(fusebill, **options):
    return FusebillClient("key", base_url=fusebill.base_url, **options)


async def read(client, times):
    for _ in range(times):
        await client.customers.get(1)


async def read_for(client, seconds, callers=30):
    """Read as much as the quota allows, for so many seconds."""

    tasks = [asyncio.create_task(read(client, 10**9)) for _ in range(callers)]
    await asyncio.wait(tasks, timeout=seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize(
    "skew",
    [ClockSkew(), ClockSkew(date=4), ClockSkew(date=-4), ClockSkew(limiter=4), ClockSkew(limiter=-4),
     ClockSkew(date=None, limiter=2)],
    ids=["none", "Date ahead", "Date behind", "limiter ahead", "limiter behind", "no Date"],
)  # fmt: skip
def test_windows_turn_when_the_answers_say_so_and_are_used_whole(skew):
    quota = SimulatorQuota(per_minute=120)

    async def main():
        async with (
            FusebillSimulator(customers=1, quota=quota, clock_skew=skew) as fusebill,
            make_client(fusebill, timeouts=Timeouts(queue=None)) as client,
        ):
            await read_for(client, 500)

    run_simulated(main)
    windows = [window for window in quota.windows if window.name == "minute"]
    assert sum(window.refused for window in windows[:3]) <= (0 if skew == ClockSkew() else 8)
    assert not any(window.refused for window in windows[3:])
    full = windows[2:-1]
    assert len(full) > 4
    assert sum(window.used for window in full) >= 0.95 * 120 * len(full)


def test_a_client_shares_the_account_with_another_program():
    quota = SimulatorQuota(per_minute=600)

    async def main():
        async with (
            FusebillSimulator(customers=1, quota=quota) as fusebill,
            make_client(fusebill, timeouts=Timeouts(queue=None)) as client,
        ):
            others = asyncio.create_task(take(fusebill, 3.0))
            await read_for(client, 400)
            others.cancel()

    async def take(fusebill, rate):
        while True:
            fusebill.quota.take(fusebill.service.clock.seconds())
            await asyncio.sleep(1 / rate)

    run_simulated(main)
    full = [window for window in quota.windows if window.name == "minute"][2:-1]
    assert sum(window.refused for window in full) <= 0.01 * sum(window.used for window in full)
    assert sum(window.used for window in full) >= 0.95 * 600 * len(full)


def test_thresholds_are_told_to_hooks():
    heard = []

    class Listener(Hooks):
        def quota_threshold(self, quota):
            heard.append((quota.window, quota.used))

    async def main():
        async with FusebillSimulator(customers=1, quota=SimulatorQuota(per_minute=20, per_day=40)) as fusebill:
            policy = QuotaPolicy(burst=1, thresholds=(0.5, 0.9))
            async with make_client(fusebill, hooks=[Listener()], quota=policy, timeouts=Timeouts(queue=None)) as client:
                await read(client, 30)

    run_simulated(main)
    assert heard == [("minute", 0.5), ("minute", 0.9), ("day", 0.5), ("minute", 0.5)]


def test_an_exhausted_day_is_told_at_once_with_its_end():
    async def main():
        quota = SimulatorQuota(per_minute=600, per_day=50)
        async with FusebillSimulator(customers=1, quota=quota) as fusebill, make_client(fusebill) as client:
            started = asyncio.get_running_loop().time()
            with pytest.raises(QuotaExhaustedError) as caught:
                await read(client, 60)
            assert quota.refusals == 0
            assert fusebill.received("get", 1) >= 48
            assert asyncio.get_running_loop().time() - started < 20
        assert (caught.value.opens_at.hour, caught.value.opens_at.minute) == (0, 0)

    run_simulated(main)


def test_the_queue_limit_is_for_lock_and_pool_together():
    async def main():
        async with FusebillSimulator() as fusebill:
            fusebill.add_customer(id=1, status="Active")
            fusebill.add_customer(id=2)
            pool, timeouts = PoolSettings(connections=1), Timeouts(read=20, total=30, queue=0.6)
            async with make_client(fusebill, pool=pool, timeouts=timeouts) as client:
                fusebill.inject(Fault.delay(0.45, operation="hubspot.unlatch"), Fault.delay(3.0, operation="get"))
                one = asyncio.create_task(client.hubspot.unlatch(1))
                await asyncio.sleep(0.02)
                second = asyncio.create_task(client.customers.hold(1))  # waits for the lock, 0.43 s
                third = asyncio.create_task(client.customers.get(2))  # takes the place next
                started = asyncio.get_running_loop().time()
                with pytest.raises(RequestTimeoutError):
                    await second
                assert asyncio.get_running_loop().time() - started == pytest.approx(0.6, abs=0.05)
                await asyncio.gather(one, third)

    run_simulated(main)


def test_a_write_under_way_is_settled_while_the_client_closes_and_nothing_else_starts():
    async def main():
        async with FusebillSimulator() as fusebill:
            fusebill.add_customer(id=1, status="Active")
            fusebill.latency = 0.3
            fusebill.inject(Fault.reset_after_effect(operation="hold"))
            settling = SettlingPolicy(close_wait=5, wait=5)
            client = make_client(fusebill, pool=PoolSettings(connections=1), settling=settling)
            hold = asyncio.create_task(client.customers.hold(1))
            await asyncio.sleep(0.1)
            assert fusebill.received("hold", 1) == 1
            waiting = asyncio.create_task(client.customers.get(1))
            await asyncio.sleep(0.05)
            waiting.cancel()
            closing = asyncio.create_task(client.aclose())
            await asyncio.sleep(0)
            with pytest.raises(ClientStateError):
                await client.customers.get(1)
            assert (await hold).status == "Hold"
            await closing
            assert fusebill.received("get", 1) == 1

    run_simulated(main)
