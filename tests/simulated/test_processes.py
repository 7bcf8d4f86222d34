"""Simulated processes: killed, everything of one vanishes at once; stopped, it goes on where it was."""

from __future__ import annotations

import asyncio

import pytest

from fusebill_async import FusebillClient, Outcome, QuotaPolicy, SettlingPolicy
from fusebill_async.stores import SQLiteStore
from fusebill_async.stores.effects import StoreEffects
from fusebill_async.testing import FusebillSimulator, SimulatedNetwork, Trace, run_simulated
from fusebill_async.testing.simulated_process import SimulatedProcess, is_gone


async def arrival(fusebill, operation, customer_id):
    for _ in range(10_000):
        if fusebill.received(operation, customer_id):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came")


def test_no_finally_runs_in_a_process_that_is_killed_and_nothing_of_it_goes_on():
    async def main():
        ran = []

        async def busy(name):
            try:
                while True:
                    ran.append(name)
                    await asyncio.sleep(1.0)
            finally:
                ran.append(f"{name} ends")

        async def parent():
            async with asyncio.TaskGroup() as group:
                group.create_task(busy("child"))
                asyncio.get_running_loop().call_later(5.0, ran.append, "timer")
                await busy("parent")

        process = SimulatedProcess()
        task = process.start(parent())
        await asyncio.sleep(2.5)
        process.kill()
        assert not await process.wait(task)
        at_death = list(ran)
        assert at_death.count("child") == at_death.count("parent") == 3
        await asyncio.sleep(100.0)
        assert ran == at_death

    run_simulated(main)


def test_a_stopped_process_goes_on_where_it_was_when_it_is_continued():
    async def main():
        loop, ran = asyncio.get_running_loop(), []

        async def busy():
            for _ in range(3):
                await asyncio.sleep(1.0)
                ran.append(loop.time() - began)

        began = loop.time()
        process = SimulatedProcess()
        task = process.start(busy())
        await asyncio.sleep(1.5)
        process.stop()
        await asyncio.sleep(10.0)
        assert len(ran) == 1
        process.go_on()
        assert await process.wait(task)
        assert ran == pytest.approx([1.0, 11.5, 12.5])

    run_simulated(main)


def test_the_connections_of_a_killed_process_are_reset_and_what_it_had_sent_arrives():
    async def main():
        async with FusebillSimulator(latency=0.5) as fusebill:
            fusebill.add_customer(id=1, status="Active")

            async def hold():
                async with FusebillClient("key", base_url=fusebill.base_url) as client:
                    await client.customers.hold(1)

            process = SimulatedProcess()
            process.start(hold())
            await arrival(fusebill, "hold", 1)
            process.kill()
            await asyncio.sleep(5.0)
            assert fusebill.effects("hold", 1) == 1

    trace = Trace(keep=True)
    run_simulated(main, network=SimulatedNetwork(trace=trace))
    assert any("client" in str(event) and "resets" in str(event) for event in trace.events)


def test_what_arrives_for_a_stopped_process_waits():
    async def main():
        loop = asyncio.get_running_loop()
        async with FusebillSimulator(latency=0.1) as fusebill:
            fusebill.add_customer(id=1, status="Active")
            told = []

            async def read():
                async with FusebillClient("key", base_url=fusebill.base_url) as client:
                    told.append((await client.customers.get(1)).id)

            process = SimulatedProcess()
            task = process.start(read())
            await arrival(fusebill, "get", 1)
            process.stop()
            began = loop.time()
            await asyncio.sleep(5.0)
            assert not told
            process.go_on()
            assert await process.wait(task)
            assert told == [1]
            assert loop.time() - began < 6.0

    run_simulated(main)


def test_a_new_process_settles_what_a_killed_one_left_open_in_the_file(tmp_path):
    async def main():
        processes = [SimulatedProcess(1), SimulatedProcess(2)]

        def client_of(process, fusebill):
            effects = StoreEffects(threads=False, this_process=lambda: process.identity, is_gone=is_gone(processes))
            return FusebillClient(
                "key",
                base_url=fusebill.base_url,
                store=SQLiteStore(tmp_path / "store.sqlite", effects=effects),
                quota=QuotaPolicy.off(),
                settling=SettlingPolicy(wait=200.0),
            )

        async with FusebillSimulator(latency=0.5) as fusebill:
            fusebill.add_customer(id=1, status="Draft")

            async def activate():
                async with client_of(processes[0], fusebill) as client:
                    await client.customers.activate(1, True, True, False)

            async def settle():
                async with client_of(processes[1], fusebill) as client:
                    [write] = client.unresolved()
                    return (await client.resolve(write)).outcome

            processes[0].start(activate())
            await arrival(fusebill, "activate", 1)
            processes[0].kill()
            task = processes[1].start(settle())
            assert await processes[1].wait(task)
            assert task.result() is Outcome.APPLIED
            assert fusebill.effects("activate", 1) == 1

    run_simulated(main)


def test_a_callback_that_kills_its_own_process_is_its_last():
    async def main():
        ran = []
        process = SimulatedProcess()

        async def suicide():
            process.kill()
            await asyncio.sleep(0)
            ran.append("went on")

        task = process.start(suicide())
        assert not await process.wait(task)
        await asyncio.sleep(1.0)
        assert not ran

    run_simulated(main)
