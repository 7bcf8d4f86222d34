"""What is compared, each in a process of its own, so that nobody pays for another's imports, objects or threads.

`python -m benchmarks.contenders NAME URL CONCURRENCY` reads lines of JSON such as `{"calls": 1000}` and answers each
with one line of figures. `Contender` is the other end of that.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import json
import os
import resource
import subprocess
import sys
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import local
from typing import Any, TypeAlias

from benchmarks.server import ROOT

KEY = "MDpub3QtYS1yZWFsLWtleQ"
FIRST_ID, IDS = 12_000_000, 100_000
"""Ids go round in so many, all of the length that real ones have."""
HEADERS = {"Authorization": f"Basic {KEY}", "Content-Type": "application/json"}
KEEPS_ITS_MEMORY = {"MALLOC_TOP_PAD_": "16000000", "MALLOC_TRIM_THRESHOLD_": "100000000"}
"""Tells glibc not to give memory back to the kernel after each read. Other allocators do that by themselves."""

Call: TypeAlias = Callable[[int], Awaitable[Any]]


@contextlib.asynccontextmanager
async def aiohttp_read(url: str, concurrency: int, *, parse: bool = False) -> AsyncIterator[Call]:
    """Bare aiohttp: the reference."""
    import aiohttp  # noqa: PLC0415 - each process imports what its contender needs

    connector = aiohttp.TCPConnector(limit=concurrency)
    async with aiohttp.ClientSession(headers=HEADERS, connector=connector) as session:

        async def call(customer_id: int) -> Any:
            async with session.post(f"{url}/CustomerHold/{customer_id}") as response:
                return await (response.json() if parse else response.read())

        yield call


def aiohttp_json(url: str, concurrency: int) -> contextlib.AbstractAsyncContextManager[Call]:
    """Bare aiohttp with the parsed answer, as most programs have it."""
    return aiohttp_read(url, concurrency, parse=True)


@contextlib.asynccontextmanager
async def hold(url: str, concurrency: int, *, look: bool = False) -> AsyncIterator[Call]:
    """What a user writes."""
    from fusebill_async import FusebillClient, PoolSettings  # noqa: PLC0415 - as above

    async with FusebillClient(KEY, base_url=url, pool=PoolSettings(connections=concurrency)) as client:

        async def call(customer_id: int) -> Any:
            customer = await client.customers.hold(customer_id)
            if look:
                return customer.status, customer.company_name, customer.monthly_recurring_revenue
            return customer

        yield call


def hold_and_look(url: str, concurrency: int) -> contextlib.AbstractAsyncContextManager[Call]:
    """The same, and three fields of the customer looked at."""
    return hold(url, concurrency, look=True)


@contextlib.asynccontextmanager
async def httpx_client(url: str, concurrency: int) -> AsyncIterator[Call]:
    import httpx  # noqa: PLC0415 - an extra

    limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    async with httpx.AsyncClient(headers=HEADERS, limits=limits, timeout=60) as client:

        async def call(customer_id: int) -> bytes:
            return (await client.post(f"{url}/CustomerHold/{customer_id}")).content

        yield call


@contextlib.asynccontextmanager
async def requests_threads(url: str, concurrency: int) -> AsyncIterator[Call]:
    """A `requests.Session` in each of as many threads."""
    import requests  # noqa: PLC0415 - an extra

    kept = local()

    def post(customer_id: int) -> bytes:
        if not hasattr(kept, "session"):
            kept.session = requests.Session()
            kept.session.headers.update(HEADERS)
        return kept.session.post(f"{url}/CustomerHold/{customer_id}", timeout=60).content

    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(concurrency) as threads:
        yield lambda customer_id: loop.run_in_executor(threads, post, customer_id)


REFERENCE, JSON, HOLD = "aiohttp", "aiohttp json", "hold"
CONTENDERS: dict[str, tuple[str, Callable[[str, int], contextlib.AbstractAsyncContextManager[Call]]]] = {
    REFERENCE: ("aiohttp: post, read", aiohttp_read),
    JSON: ("aiohttp: post, resp.json()", aiohttp_json),
    HOLD: ("fusebill_async: customers.hold(id)", hold),
    "hold, 3 fields": ("the same, and three fields read", hold_and_look),
    "httpx": ("httpx.AsyncClient", httpx_client),
    "requests": ("requests.Session in threads", requests_threads),
}


class Contender:
    """One contender in its process, from the outside."""

    def __init__(
        self,
        name: str,
        url: str,
        concurrency: int,
        *,
        uvloop: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "benchmarks.contenders", name, url, str(concurrency), *["uvloop"] * uvloop],
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def make(self, calls: int, *, trace: bool = False) -> dict[str, float]:
        """Let it make so many calls; give the figures of `figures_of`, or of `traced`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"calls": calls, "trace": trace}) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError("a contender ended")
        found: dict[str, float] = json.loads(answer)
        return found

    def close(self) -> None:
        """End the process."""
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._process.wait(30)


def resident() -> float:
    """The memory of this process in megabytes: what is resident now, or the peak where that cannot be told."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


async def many(call: Call, ids: itertools.cycle[int], calls: int, concurrency: int) -> None:
    """Make so many calls by fixed workers."""
    rest = itertools.islice(ids, calls)

    async def work() -> None:
        for customer_id in rest:
            await call(customer_id)

    await asyncio.gather(*(work() for _ in range(concurrency)))


async def serve(name: str, url: str, concurrency: int) -> None:
    """Do what the lines of the input say."""
    ids = itertools.cycle(range(FIRST_ID, FIRST_ID + IDS))
    async with CONTENDERS[name][1](url, concurrency) as call:
        await many(call, ids, 4 * concurrency, concurrency)
        # The loop stands still between the rounds, so that nobody takes time from the one whose turn it is.
        for line in sys.stdin:
            asked = json.loads(line)
            measure = traced if asked["trace"] else figures_of
            found = await measure(lambda calls: many(call, ids, calls, concurrency), asked["calls"])
            sys.stdout.write(json.dumps(found) + "\n")
            sys.stdout.flush()


async def figures_of(make: Call, calls: int) -> dict[str, float]:
    """CPU and wall time of a call in microseconds, and the memory afterwards in megabytes."""
    wall, cpu = time.perf_counter(), time.process_time()
    await make(calls)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {"cpu": cpu / calls * 1e6, "wall": wall / calls * 1e6, "resident": resident()}


async def traced(make: Call, calls: int) -> dict[str, float]:
    """What stays of a call, in bytes: a leak of one object a call shows here."""
    tracemalloc.start()
    await make(1_000)  # fills what is kept on purpose, such as the last customers seen
    gc.collect()
    before, _ = tracemalloc.get_traced_memory()
    await make(calls)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return {"stays": (after - before) / calls}


def main() -> None:
    name, url, concurrency, *fast = sys.argv[1:]
    work = serve(name, url, int(concurrency))
    if fast:
        import uvloop  # noqa: PLC0415 - an extra

        uvloop.run(work)
    else:
        asyncio.run(work)


if __name__ == "__main__":
    main()
