"""One budget for many processes, on a real Redis."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import socket
import subprocess
import time
from contextlib import suppress

import pytest

from fusebill_async.policy.clock import ServiceClock
from fusebill_async.policy.priority import Priority
from fusebill_async.session.admission import Admission, QueueTimeout
from fusebill_async.session.effects import Effects
from fusebill_async.settings import QuotaPolicy
from fusebill_async.stores.redis_quota import RedisQuota
from tests.quota.conftest import load_simulation

if shutil.which("redis-server") is None and os.environ.get("CI") != "true":
    pytest.skip("redis-server is not installed", allow_module_level=True)
redis_asyncio = pytest.importorskip("redis.asyncio")
redis_exceptions = pytest.importorskip("redis.exceptions")

KEY = "MDpzZWNyZXQ="


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
    """One process of the account: its own door, the same budget."""

    def __init__(self, redis, service, policy):
        shared = RedisQuota(redis, KEY, policy)
        self.door = Admission(places=20, policy=policy, effects=Effects(), clock=ServiceClock(), shared=shared)
        self.service = service
        self.statuses = []

    async def run(self, seconds):
        end = time.monotonic() + seconds

        async def caller():
            while True:
                try:
                    permit = await self.door.enter(Priority.BULK, until=end)
                except QueueTimeout:
                    return
                sent = time.monotonic()
                self.door.sent(permit)
                await asyncio.sleep(0.01)
                status, headers = self.service.count(time.time())
                self.statuses.append(status)
                self.door.answered(permit, status, headers, sent, time.monotonic())
                self.door.leave(permit)

        async with asyncio.TaskGroup() as group:
            for _ in range(10):
                group.create_task(caller())
        await self.door.aclose()


async def test_processes_share_one_budget_and_the_key_stays_out_of_it(redis):
    service = load_simulation().Service(limit=60, length=2.0)
    workers = [Worker(redis, service, QuotaPolicy(per_minute=60)) for _ in range(3)]
    await asyncio.gather(*(worker.run(9.0) for worker in workers))
    assert all(window.refused == 0 for window in service.windows.values())
    assert all(worker.statuses for worker in workers)
    # Until the first whole window has been seen to turn, nobody knows where in it we are, and calls are held back.
    full = [window for _, window in sorted(service.windows.items())][2:-1]
    assert full
    assert all(window.ours >= 30 for window in full)
    stored = {key: await redis.get(key) for key in await redis.keys()}
    assert len(stored) == 1
    assert KEY not in str(stored)


async def test_a_budget_that_is_away_leaves_each_process_its_part(redis, redis_server, caplog):
    caplog.set_level(logging.WARNING, "fusebill_async.quota")
    policy = QuotaPolicy(per_minute=1000, workers=4)
    shared = RedisQuota(redis, KEY, policy)
    door = Admission(places=2000, policy=policy, effects=Effects(), clock=ServiceClock(), shared=shared)
    door.leave(await door.enter(Priority.BULK))
    assert door.quota.shared
    redis_server.stop()
    permits = []
    with suppress(QueueTimeout):
        while True:
            permits.append(await door.enter(Priority.BULK, until=time.monotonic() + 2.0))
            assert len(permits) <= 250
            if len(permits) > 20:
                break
    assert not door.quota.shared
    assert len(caplog.records) == 1
    assert caplog.records[0].message.startswith("The shared quota is away")
    assert caplog.records[0].message.endswith("this process keeps to 1/4 of it")
    redis_server.start()
    for _ in range(100):
        with suppress(QueueTimeout):
            door.leave(await door.enter(Priority.BULK, until=time.monotonic() + 0.1))
        if door.quota.shared:
            break
        await asyncio.sleep(0.05)
    assert door.quota.shared
    assert [record.message for record in caplog.records][1:] == ["The shared quota is back"]
    await door.aclose()


async def test_a_refusal_of_one_process_pauses_the_other(redis):
    policy = QuotaPolicy(per_minute=1000)
    one, other = Worker(redis, None, policy).door, Worker(redis, None, policy).door
    permit = await one.enter(Priority.BULK)
    one.sent(permit)
    now = time.monotonic()
    one.answered(permit, 429, {"Retry-After": "30"}, now, now)
    one.leave(permit)
    with pytest.raises(QueueTimeout):
        await one.enter(Priority.BULK, until=now + 0.3)
    with pytest.raises(QueueTimeout):
        await other.enter(Priority.BULK, until=time.monotonic() + 0.3)
    assert 25 < other.quota.paused_for <= 32  # up to a second is left to chance
    await one.aclose()
    await other.aclose()
