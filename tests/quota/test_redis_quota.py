"""One budget for many processes, on a real Redis."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import socket
import subprocess
import time
from contextlib import suppress

import pytest

from fusebill_async.policy.clock import ServiceClock
from fusebill_async.policy.quota import Quota
from fusebill_async.policy.shared import QuotaReport, WindowFacts
from fusebill_async.session.admission import Admission, QueueTimeout
from fusebill_async.session.effects import Effects
from fusebill_async.settings import Priority, QuotaPolicy
from fusebill_async.stores.redis_quota import RedisQuota
from tests.quota.conftest import load_simulation

if shutil.which("redis-server") is None and os.environ.get("CI") != "true":
    pytest.skip("redis-server is not installed", allow_module_level=True)
redis_asyncio = pytest.importorskip("redis.asyncio")
redis_exceptions = pytest.importorskip("redis.exceptions")

KEY = "MDpzZWNyZXQ="
T = 1_800_000_000.0


class RedisServer:
    def __init__(self, folder):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.folder = folder

    def start(self):
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder)]
        self.process = subprocess.Popen(["redis-server", *arguments], stdout=subprocess.DEVNULL)  # noqa: S607
        for _ in range(200):
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.02)
        raise RuntimeError("redis-server did not start")

    def stop(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def redis_server(tmp_path):
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def redis(redis_server):
    async with redis_asyncio.Redis(port=redis_server.port) as client:
        yield client


class Worker:
    """One process of the account: its own admission, the same budget."""

    def __init__(self, redis, service, policy):
        shared = RedisQuota(redis, KEY, policy)
        self.admission = Admission(places=20, policy=policy, effects=Effects(), clock=ServiceClock(), shared=shared)
        self.service = service
        self.statuses = []

    async def run(self, seconds):
        end = time.monotonic() + seconds

        async def caller():
            with suppress(QueueTimeout):
                while True:
                    with await self.admission.enter(Priority.BULK, until=end) as permit:
                        sent = time.monotonic()
                        permit.sent()
                        await asyncio.sleep(0.01)
                        status, headers = self.service.count(time.time())
                        self.statuses.append(status)
                        permit.answered(status, headers, sent, time.monotonic())

        async with asyncio.TaskGroup() as group:
            for _ in range(10):
                group.create_task(caller())
        await self.admission.aclose()


def window(reset=T, limit=1000, used=0, own=0):
    return WindowFacts(reset=reset, limit=limit, used=used, own=own)


def report(want=0, held=0, minute=None, day=None, **more):
    facts = {"probe": False, "length": 60.0, "day_reserve": 0, "pause": 0.0, **more}
    return QuotaReport(
        want=want, held=held, minute=minute or window(), day=day or window(limit=180_000, reset=T), **facts
    )  # fmt: skip


@pytest.fixture
def process(redis):
    """Makes the budget of another process of the account."""
    return lambda policy=None: RedisQuota(redis, KEY, policy or QuotaPolicy())


async def test_processes_share_one_budget_and_the_key_stays_out_of_it(redis):
    service = load_simulation().Service(limit=60, length=1.5)
    workers = [Worker(redis, service, QuotaPolicy(per_minute=60)) for _ in range(3)]
    await asyncio.gather(*(worker.run(6.2) for worker in workers))
    assert all(window.refused == 0 for window in service.windows.values())
    assert all(worker.statuses for worker in workers)
    # Until the first whole window has been seen to turn, nobody knows where in it we are, and calls are held back.
    counted = [window.ours for _, window in sorted(service.windows.items())]
    # How fully it is used is measured by the benchmark; here the computer may be busy with other things.
    assert max(counted) >= 30, counted
    stored = {key: await redis.get(key) for key in await redis.keys()}
    assert len(stored) == 1
    assert KEY not in str(stored)


async def test_calls_go_on_while_the_budget_is_away_and_it_is_found_again(redis, redis_server, caplog):
    """How many may go meanwhile is asserted in virtual time, in test_admission."""
    caplog.set_level(logging.WARNING, "fusebill_async.quota")
    policy = QuotaPolicy(per_minute=1000, workers=4)
    shared = RedisQuota(redis, KEY, policy)
    admission = Admission(places=20, policy=policy, effects=Effects(), clock=ServiceClock(), shared=shared)
    (await admission.enter(Priority.BULK)).leave()
    assert admission.quota.shared
    redis_server.stop()
    for _ in range(12):  # those that were granted before are among them
        (await admission.enter(Priority.BULK, until=time.monotonic() + 3)).leave()
    assert not admission.quota.shared
    assert len(caplog.records) == 1
    assert caplog.records[0].message.startswith("The shared quota is away")
    assert caplog.records[0].message.endswith("this process keeps to 1/4 of it")
    redis_server.start()
    end = time.monotonic() + 10
    while not admission.quota.shared and time.monotonic() < end:  # noqa: ASYNC110 - nobody tells of it
        await asyncio.sleep(0.05)
    assert admission.quota.shared
    assert [record.message for record in caplog.records][1:] == ["The shared quota is back"]
    await admission.aclose()


async def test_a_refusal_of_one_process_pauses_the_other(redis):
    policy = QuotaPolicy(per_minute=1000)
    one, other = Worker(redis, None, policy).admission, Worker(redis, None, policy).admission
    now = time.monotonic()
    with await one.enter(Priority.BULK) as permit:
        permit.sent()
        permit.answered(429, {"Retry-After": "30"}, now, now)
    for admission in (one, other):
        with pytest.raises(QueueTimeout):
            await admission.enter(Priority.BULK, until=time.monotonic() + 0.3)
    assert 25 < other.quota.paused_for <= 32  # up to a second is left to chance
    await one.aclose()
    await other.aclose()


async def test_what_was_granted_and_not_used_goes_back_when_a_process_closes(redis, process):
    worker = Worker(redis, None, QuotaPolicy(per_minute=1000))
    (await worker.admission.enter(Priority.BULK)).leave()
    assert (await process().exchange(report())).elsewhere > 0
    await worker.admission.aclose()
    assert (await process().exchange(report())).elsewhere == 0


async def test_what_others_hold_is_granted_to_nobody(process):
    one, other = process(), process()
    assert (await one.exchange(report(want=700))).granted == 700
    assert (await other.exchange(report(want=700))).granted == 300
    # A total, not a change: an answer that was lost is mended by the next report.
    again = await one.exchange(report(want=700, held=600))
    assert (again.granted, again.elsewhere, again.processes) == (100, 300, 2)


async def test_the_day_bounds_what_is_granted_and_its_reserve_is_kept(process):
    day = window(reset=T + 5000, limit=100, used=90)
    minute = window(reset=T + 60)
    one = process()
    assert (await one.exchange(report(want=50, minute=minute, day=day, day_reserve=4))).granted == 6
    assert (await one.exchange(report(want=50, held=6, minute=minute, day=day))).granted == 4


async def test_a_share_bounds_all_processes_together(process):
    half = QuotaPolicy(share=0.5)
    one, other = process(half), process(half)
    assert (await one.exchange(report(minute=window(reset=T, used=450, own=450)))).granted == 0
    assert (await other.exchange(report(want=100, minute=window(reset=T, used=460, own=10)))).granted == 40


async def test_a_process_that_is_late_does_not_bring_an_old_window_back(process):
    one, late = process(), process()
    await one.exchange(report(minute=window(reset=T + 60, used=900)))
    await one.exchange(report(minute=window(reset=T + 120, used=3)))
    heard = await late.exchange(report(held=5, minute=window(reset=T + 60, used=1000, own=100)))
    assert (heard.minute.reset, heard.minute.used, heard.minute.own) == (T + 120, 3, 0)
    assert (await one.exchange(report(want=1000))).granted == 1000 - 3 - 5


@pytest.mark.parametrize("reset", [T + 60, 0.0], ids=["with resets", "without"])
async def test_a_process_that_joins_is_told_the_limit_and_does_not_undo_it(process, reset):
    await process().exchange(report(minute=window(reset=reset, limit=50, used=20)))
    heard = await process().exchange(report(want=100, minute=window(reset=0.0, limit=0)))
    assert (heard.minute.limit, heard.minute.used, heard.granted) == (50, 20, 30)


async def test_what_a_dead_process_held_is_free_after_a_window(redis, process):
    dead, alive = process(), process()
    await dead.exchange(report(held=500))
    assert (await alive.exchange(report())).elsewhere == 500
    [key] = await redis.keys()
    state = json.loads(await redis.get(key))
    state["processes"][dead._mine["name"]]["at"] -= 61
    await redis.set(key, json.dumps(state))
    assert (await alive.exchange(report())).elsewhere == 0


async def test_with_nothing_left_one_process_sends_one_call_to_see(process):
    minute = window(reset=T, used=1000)
    granted = [
        (await process().exchange(report(want=1, probe=True, minute=minute))).granted for _ in range(3)
    ]  # fmt: skip
    assert granted == [1, 0, 0]


def test_a_process_tells_the_shared_budget_what_it_keeps_of_the_day():
    quota = Quota(QuotaPolicy(per_day=1000, day_reserve=0.1), ServiceClock())
    quota.use_shared()
    kept = {priority: quota.report(0.0, 1, 1, priority).day_reserve for priority in Priority}
    assert kept == {Priority.SETTLING: 0, Priority.INTERACTIVE: 100, Priority.BULK: 100}
