"""A run in virtual time: waiting takes no time, the same seed is the same run, and what is real is refused."""

import asyncio
import os
import random
import subprocess
import sys
import threading
import time
import uuid

import pytest

from fusebill_async import FusebillClient, NotAppliedError, Outcome, SettlingPolicy
from fusebill_async.testing import (
    Fault,
    FusebillSimulator,
    NotSimulatedError,
    SimulatedNetwork,
    SimulationDeadlockError,
    SimulationTooLongError,
    Trace,
    run_simulated,
)

PATIENT = SettlingPolicy(wait=90)


async def lost_activation():
    async with FusebillSimulator() as fusebill:
        fusebill.add_customer(id=1, status="Draft")
        fusebill.inject(Fault.reset_before_effect(operation="activate", times=1))
        async with FusebillClient("key", base_url=fusebill.base_url, settling=PATIENT) as client:
            with pytest.raises(NotAppliedError) as caught:
                await client.customers.activate(1, True, True, False)
        assert caught.value.outcome is Outcome.NOT_APPLIED
        assert fusebill.effects("activate", 1) == 0
        assert fusebill.received("customers.get", 1) == 2
    return asyncio.get_running_loop().time()


def test_an_activation_that_was_lost_is_settled_over_a_minute_within_milliseconds():
    run_simulated(lost_activation)
    began = time.perf_counter()
    ended_at = run_simulated(lost_activation, seed=7)
    assert time.perf_counter() - began < 0.2
    assert 1060 < ended_at < 1065


def test_the_same_seed_is_the_same_run_and_another_one_is_not():
    def digest(seed):
        trace = Trace()
        return run_simulated(lost_activation, seed=seed, network=SimulatedNetwork(trace=trace)), trace.digest()

    assert digest(7) == digest(7)
    assert digest(7) != digest(8)


def test_time_chance_and_ids_are_of_the_run_and_the_computers_own_are_back_afterwards():
    async def main():
        wall, monotonic = time.time(), time.monotonic()
        await asyncio.sleep(100)
        assert time.time() - wall == pytest.approx(100)
        assert time.monotonic() - monotonic == pytest.approx(100)
        time.sleep(7)  # noqa: ASYNC251 (it blocks the loop, as it does in truth)
        assert time.monotonic() - monotonic == pytest.approx(107)
        return wall, random.random(), uuid.uuid4()

    before = time.time, time.monotonic, time.sleep, os.urandom, threading.Thread.start
    random.seed(1)
    state = random.getstate()
    first, second, third = run_simulated(main, seed=3), run_simulated(main, seed=3), run_simulated(main, seed=4)
    assert first == second
    assert first[0] == third[0] == 1767225600.0
    assert set(first[1:]).isdisjoint(third[1:])
    assert random.getstate() == state
    assert before == (time.time, time.monotonic, time.sleep, os.urandom, threading.Thread.start)
    assert time.time() > 1767225600.0


def test_a_deadlock_is_an_error_that_names_who_waits():
    async def waits_in_vain():
        await asyncio.get_running_loop().create_future()

    async def main():
        other = asyncio.create_task(waits_in_vain(), name="the other one")
        await asyncio.sleep(5)
        await other

    with pytest.raises(SimulationDeadlockError, match=r"the other one: \S*waits_in_vain \(test_run_simulated.py:\d+\)"):
        run_simulated(main)


def test_a_run_that_never_ends_is_an_error():
    async def main():
        while True:  # noqa: ASYNC110
            await asyncio.sleep(10)

    with pytest.raises(SimulationTooLongError, match="main"):
        run_simulated(main, limit=3600)


@pytest.mark.parametrize(
    "real",
    [
        lambda: asyncio.to_thread(time.sleep, 0),
        lambda: asyncio.create_subprocess_exec(sys.executable, "-V", stdout=subprocess.PIPE),
        lambda: asyncio.get_running_loop().create_datagram_endpoint(asyncio.DatagramProtocol, ("127.0.0.1", 0)),
        lambda: asyncio.open_unix_connection("/nowhere"),
        lambda: asyncio.open_connection("127.0.0.1", 40_001, ssl=True),
    ],
    ids=["thread", "subprocess", "datagram", "unix", "tls"],
)
def test_what_is_real_is_refused_in_plain_words(real):
    async def main():
        await real()

    with pytest.raises(NotSimulatedError):
        run_simulated(main)


def test_a_thread_is_refused_but_only_in_the_run():
    async def main():
        threading.Thread(target=int, name="worker").start()

    with pytest.raises(NotSimulatedError, match="worker"):
        run_simulated(main)
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()


def test_a_run_cannot_be_begun_inside_of_a_loop():
    async def main():
        run_simulated(lost_activation)

    with pytest.raises(RuntimeError, match="running event loop"):
        asyncio.run(main())
