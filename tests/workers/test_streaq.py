"""The worker that comes with the package: its tasks, the blocks of the guide, and the command."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fusebill_async import ConfigurationError, StoreUnavailableError
from fusebill_async.distributed import Workers, worker
from fusebill_async.operations import OPERATIONS
from fusebill_async.testing import FusebillSimulator
from tests.docs.documents import blocks
from tests.workers.farm import free_port

pytestmark = [
    pytest.mark.usefixtures("with_redis"),
    # coredis leaves the streams of its connections to the garbage collector.
    pytest.mark.filterwarnings("ignore:Unclosed <MemoryObject:ResourceWarning"),
]

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def collected():
    """No other test is to be blamed for what was left."""
    yield
    gc.collect()


@pytest.fixture
async def fusebill():
    async with FusebillSimulator() as made:
        for each in range(1, 301):
            made.add_customer(id=each, status="Active")
        made.add_customer(id=12000750, status="Active")
        yield made


@pytest.fixture
async def start(fusebill, tmp_path):
    """Starts programs with the key and the base URL in their environment, and ends them."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "FUSEBILL_API_KEY": "MDpub3QtYS1yZWFsLWtleQ",
        "FUSEBILL_BASE_URL": fusebill.base_url,
        "FUSEBILL_ACCOUNT": "one",
    }
    started = []

    async def begin(*arguments):
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.communicate()
        process._transport.close()


@pytest.fixture
async def running(start, redis):
    """The command, as a worker of a queue that a test talks to."""
    process = await start("-m", "fusebill_async", "worker", "--redis", redis.url, "--redeliver-after", "2")
    yield process
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 20) == 0, (await process.stderr.read()).decode()


async def called(queue, title, *arguments, key, **options):
    task = queue.enqueue_unsafe(title, *arguments, **options)
    task.id = key
    await task
    return (await task.result(timeout=30)).result


async def test_a_message_that_is_delivered_twice_has_one_effect_and_one_outcome(running, redis, fusebill):
    async with worker(redis.url) as queue:
        first = await called(queue, "customers.hold", 1, key="order-1")
        # What the engine still keeps of the first delivery must not answer the second one.
        await queue.redis.delete([queue.results_key + "order-1"])
        replayed = await called(queue, "customers.hold", 1, key="order-1")
    expected = {"outcome": "applied", "customer_id": 1, "attribution": "ours", "error": "", "message": ""}
    assert first == {**expected, "replayed": False}
    assert replayed == {**expected, "replayed": True}
    assert fusebill.received("hold", 1) == 1


async def test_an_error_of_the_client_is_a_result_that_the_engine_does_not_retry(running, redis, fusebill):
    fusebill.change(2, status="Cancelled")
    async with worker(redis.url) as queue:
        refused = await called(queue, "customers.hold", 2, key="order-2")
        wrong = await called(queue, "customers.hold", "two", key="order-3")
        await queue.redis.delete([queue.results_key + "order-2"])
        other = await called(queue, "customers.hold", 3, key="order-2")
    assert (refused["outcome"], refused["error"]) == ("rejected", "ConflictError")
    assert (wrong["outcome"], wrong["error"]) == ("not_sent", "ValidationError")
    assert (other["outcome"], other["error"]) == ("not_sent", "IdempotencyError")
    assert fusebill.received("hold", 2) == 1
    assert fusebill.received("hold", 3) == 0


def test_there_is_a_task_for_each_write_of_the_table():
    queue = worker("redis://localhost/0")
    assert set(queue.registry) == {each.title for each in OPERATIONS if each.writes} | {"bulk.order"}
    # The engine retries nothing, and gives up nothing.
    assert {(task.max_tries, task.timeout, task.retry_timeouts) for task in queue.registry.values()} == {
        (None, None, False)
    }


async def test_the_blocks_of_the_guide(start, redis, fusebill, tmp_path):
    programs = {}
    for name, word in (("worker", "run_worker"), ("job", "Workers("), ("call", "enqueue_unsafe")):
        [block] = [each for each in blocks(runner="tests/workers") if word in each.code]
        programs[name] = tmp_path / f"{name}.py"
        programs[name].write_text(block.code.replace("redis://localhost:6379/0", redis.url))
    await start(str(programs["worker"]))
    call, job = await start(str(programs["call"])), await start(str(programs["job"]))
    told, _ = await asyncio.wait_for(call.communicate(), 40)
    assert told == b"applied  \n"
    report, errors = await asyncio.wait_for(job.communicate(), 40)
    assert b"applied=300" in report, errors.decode()
    assert sum(fusebill.effects("hold", each) for each in [*range(1, 301), 12000750]) == 301


async def test_a_queue_that_is_away_is_told_before_the_job_begins(monkeypatch):
    monkeypatch.setattr("fusebill_async.bulk.queued._START", 0.5)
    workers = Workers(f"redis://:hidden@127.0.0.1:{free_port()}/0")
    with pytest.raises(StoreUnavailableError, match="out of reach") as away:
        await workers.start()
    assert "hidden" not in f"{away.value!r} {workers!r}"


@pytest.mark.parametrize("url", ["http://host", "localhost:6379", ""])
def test_what_is_no_queue_is_refused(url):
    for made in (worker, Workers):
        with pytest.raises(ConfigurationError, match="redis://"):
            made(url)


@pytest.mark.parametrize("wait", [0, -1.0, True])
def test_a_wait_that_cannot_be_is_refused(wait):
    with pytest.raises(ConfigurationError, match="wait="):
        Workers("redis://localhost/0", wait=wait)


async def test_a_worker_without_its_redis_says_so_and_ends(start):
    process = await start("-m", "fusebill_async", "worker", "--redis", f"redis://127.0.0.1:{free_port()}/0", "--json")
    out, errors = await asyncio.wait_for(process.communicate(), 40)
    assert process.returncode == 1, errors.decode()
    assert "Redis is away" in json.loads(out)["message"], out
