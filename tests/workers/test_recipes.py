"""Each recipe of the guide on workers: 300 messages, each delivered twice, one worker killed, 300 effects."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from fusebill_async.testing import FusebillSimulator
from tests.docs.documents import blocks
from tests.workers.conftest import library, needs
from tests.workers.farm import free_port

pytestmark = pytest.mark.campaign

MESSAGES = 300
ROOT = Path(__file__).parents[2]
TWICE = [
    {"customer_id": each, "key": f"order-{each}"} for start in range(1, MESSAGES, 50)
    for each in [*range(start, start + 50)] * 2
]  # fmt: skip
"""Each fifty messages, and the same once more."""
QUICK = (
    "from fusebill_async import QuotaPolicy, RetryPolicy, SettlingPolicy\n"
    "QUICK = dict(settling=SettlingPolicy(first_read=0.01, quiet_period=0.3, retry_delay=0.02),"
    " quota=QuotaPolicy.off(), retry=RetryPolicy(max_attempts=10, budget_ratio=1.0))\n"
)


def recipe(word):
    """The block of the guide that has a word, with settings that make it fast."""
    [block] = [each for each in blocks(runner="tests/workers") if word in each.code]
    code = block.code.replace("from_env(", "from_env(**QUICK, ")
    for store, quick in (
        ("RedisStore(URL)", "RedisStore(URL, lease=0.9, renew=0.3)"),
        ('SQLiteStore("fusebill.sqlite")', 'SQLiteStore("fusebill.sqlite", lease=0.9, renew=0.3)'),
        ("idle_timeout=30_000", "idle_timeout=1_000"),
        ("timedelta(seconds=30)", "timedelta(seconds=1)"),
        ("timedelta(seconds=5)", "timedelta(seconds=0.5)"),
    ):
        code = code.replace(store, quick)
    return QUICK + code


class Bench:
    """A service with customers, and the processes of an engine in a folder of their own."""

    def __init__(self, fusebill, folder):
        self.fusebill, self.folder, self.processes = fusebill, folder, []
        self.environment = {
            **os.environ,
            "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}",
            "FUSEBILL_API_KEY": "MDpub3QtYS1yZWFsLWtleQ",
            "FUSEBILL_BASE_URL": fusebill.base_url,
            "FUSEBILL_ACCOUNT": "one",
        }

    def write(self, word):
        (self.folder / "billing.py").write_text(recipe(word))

    def start(self, *arguments, **options):
        with (self.folder / "errors.txt").open("ab") as errors:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=self.folder,
                env=self.environment,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
                **options,
            )
        self.processes.append(process)
        return process

    def effects(self):
        return sum(self.fusebill.effects("hold", each) for each in range(1, MESSAGES + 1))

    async def effects_reach(self, count, seconds=40):
        until = time.monotonic() + seconds
        while self.effects() < count:
            assert time.monotonic() < until, self.errors()
            await asyncio.sleep(0.02)

    def errors(self):
        return f"{self.effects()} effects: {(self.folder / 'errors.txt').read_text()[-3000:]}"

    async def ends_with_one_effect_each(self, is_empty):
        """When every message was consumed."""
        await self.effects_reach(MESSAGES)
        until = time.monotonic() + 30
        while not await is_empty():
            assert time.monotonic() < until, self.errors()
            await asyncio.sleep(0.1)
        assert [self.fusebill.effects("hold", each) for each in range(1, MESSAGES + 1)] == [1] * MESSAGES

    def end(self):
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()


@pytest.fixture
async def bench(tmp_path):
    async with FusebillSimulator() as fusebill:
        for each in range(1, MESSAGES + 1):
            fusebill.add_customer(id=each, status="Active")
        made = Bench(fusebill, tmp_path)
        yield made
        made.end()


def children_of(pid):
    """The processes that a process has started, in their order."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def test_celery(bench, redis):
    celery = library("celery")
    bench.write("Celery(")
    bench.environment["REDIS_URL"] = redis.url
    main = bench.start("-m", "celery", "-A", "billing", "worker", "--concurrency", "2", "--loglevel", "WARNING")
    app = celery.Celery(broker=redis.url)
    with app.connection_for_write() as connection:
        for message in TWICE:
            app.send_task("billing.hold", kwargs=message, connection=connection)
    await bench.effects_reach(60)
    os.kill(children_of(main.pid)[-1], signal.SIGKILL)

    async def is_empty():
        with library("redis").Redis.from_url(redis.url) as server:
            return not server.llen("celery") and not server.hlen("unacked")

    await bench.ends_with_one_effect_each(is_empty)
    app.close()


async def test_taskiq(bench, redis):
    taskiq_redis = library("taskiq_redis")
    bench.write("RedisStreamBroker(")
    bench.environment["REDIS_URL"] = redis.url
    workers = [
        bench.start("-m", "taskiq", "worker", "billing:broker", "--workers", "1", "--ack-type", "when_executed")
        for _ in range(2)
    ]
    broker = taskiq_redis.RedisStreamBroker(redis.url, consumer_id="0")
    await broker.startup()
    hold = broker.register_task(lambda: None, task_name="billing:hold")
    for message in TWICE:
        await hold.kicker().kiq(**message)
    await bench.effects_reach(60)
    os.killpg(workers[0].pid, signal.SIGKILL)

    async def is_empty():
        with library("redis").Redis.from_url(redis.url) as server:
            [group] = server.xinfo_groups("taskiq")
            return group["pending"] <= 1 and not group["lag"]

    looking = asyncio.create_task(look_again(broker))
    await bench.ends_with_one_effect_each(is_empty)
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    await broker.shutdown()


async def look_again(broker):
    look = broker.register_task(lambda: None, task_name="billing:look_again")
    while True:
        await look.kicker().kiq()
        await asyncio.sleep(0.5)


@pytest.fixture
def postgres():
    """A server in a folder of its own, as the user postgres where we are root, who may not run one."""
    initdb, program, port = needs("initdb"), needs("postgres"), free_port()
    folder = Path(tempfile.mkdtemp(prefix="fusebill-postgres-"))
    options = {}
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        shutil.chown(folder, "postgres")
        options = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    environment = {**os.environ, "HOME": str(folder), "LC_ALL": "C"}
    data = str(folder / "data")
    run = {"env": environment, "cwd": str(folder), "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([initdb, "-D", data, "-U", "one", "-A", "trust", "--no-sync"], check=True, **run, **options)
    server = subprocess.Popen(
        [program, "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", "", "-c", "fsync=off"], **run, **options
    )
    try:
        for _ in range(300):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.1):
                break
            time.sleep(0.02)
        yield f"postgresql://one@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(signal.SIGQUIT)
        server.wait()
        shutil.rmtree(folder)


async def connected(asyncpg, url):
    """A connection, once the server lets one in."""
    for _ in range(200):
        with contextlib.suppress(OSError, asyncpg.CannotConnectNowError):
            return await asyncpg.connect(url)
        await asyncio.sleep(0.05)
    raise AssertionError("postgres did not start")


async def test_pgqueuer(bench, postgres):
    asyncpg, pgqueuer, drivers = library("asyncpg"), library("pgqueuer.queries"), library("pgqueuer.db")

    bench.write("PgQueuer")
    bench.environment["DATABASE_URL"] = postgres
    connection = await connected(asyncpg, postgres)
    queue = pgqueuer.Queries(drivers.AsyncpgDriver(connection))
    await queue.install()
    await queue.enqueue(["hold"] * len(TWICE), [json.dumps(each).encode() for each in TWICE], [0] * len(TWICE))
    workers = [bench.start("billing.py") for _ in range(2)]
    await bench.effects_reach(60)
    os.killpg(workers[0].pid, signal.SIGKILL)

    async def is_empty():
        return not await connection.fetchval("SELECT count(*) FROM pgqueuer")

    await bench.ends_with_one_effect_each(is_empty)
    await connection.close()


async def test_asyncio_queue(bench):
    bench.write("asyncio.Queue(")
    messages = b"".join(json.dumps(each).encode() + b"\n" for each in TWICE)
    first = bench.start("billing.py", stdin=subprocess.PIPE)
    feeding = asyncio.create_task(asyncio.to_thread(feed, first, messages))
    await bench.effects_reach(60)
    os.killpg(first.pid, signal.SIGKILL)
    await feeding
    again = bench.start("billing.py", stdin=subprocess.PIPE)
    await asyncio.to_thread(feed, again, messages)

    async def is_empty():
        return again.poll() == 0

    await bench.ends_with_one_effect_each(is_empty)


def feed(process, messages):
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(messages)
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()


@pytest.mark.parametrize("block", blocks(runner="tests/workers"), ids=str)
def test_a_recipe_is_short(block):
    assert len([line for line in block.code.splitlines() if line.strip()]) <= 25
