"""Everything that can hold a customer, from hand-written bytes on a socket to threads: one name for each.

Each contender is measured in a process of its own (`python -m benchmarks.contenders NAME URL CONCURRENCY`), which
reads a number of calls from a line of its input, makes them, and answers with one line of JSON. So nobody pays for
another's imports, objects or threads, and the rounds of all of them can alternate.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import resource
import statistics
import sys
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol, TypeAlias

KEY = "MDpub3QtYS1yZWFsLWtleQ"
FIRST_ID = 12_000_000
IDS = 100_000
"""Ids go round in so many, all of the length that real ones have."""
HEADERS = {"Authorization": f"Basic {KEY}", "Content-Type": "application/json"}

AsyncCall: TypeAlias = Callable[[int], Awaitable[Any]]


class Ids:
    """The ids of all calls, one after the other."""

    def __init__(self) -> None:
        self._next = 0

    def take(self, calls: int) -> Iterator[int]:
        """Give the next so many."""
        begin = self._next
        self._next += calls
        return (FIRST_ID + number % IDS for number in range(begin, begin + calls))


class Runner(Protocol):
    """Makes calls, and gives the seconds that each of them took, in the order in which they ended."""

    def run(self, ids: Iterator[int]) -> list[float]:
        """Make the calls."""
        ...

    def close(self) -> None:
        """End what is open."""
        ...


# --- on one event loop


@contextlib.asynccontextmanager
async def streams(url: str, concurrency: int) -> AsyncIterator[AsyncCall]:
    """Streams of asyncio, the bytes written by hand: what no client can be cheaper than."""
    scheme, _, rest = url.partition("://")
    host, _, port = rest.partition("/")[0].partition(":")
    free: deque[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = deque()
    tail = (
        f" HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Basic {KEY}\r\n"
        "Content-Type: application/json\r\nContent-Length: 0\r\n\r\n"
    ).encode()

    def connect() -> Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        return asyncio.open_connection(host, int(port), ssl=True if scheme == "https" else None)

    async def call(customer_id: int) -> bytes:
        reader, writer = free.pop() if free else await connect()
        writer.write(b"POST /v1/CustomerHold/%d" % customer_id + tail)
        head = await reader.readuntil(b"\r\n\r\n")
        place = head.index(b"Content-Length: ") + 16
        body = await reader.readexactly(int(head[place : head.index(b"\r", place)]))
        free.append((reader, writer))
        return body

    try:
        yield call
    finally:
        del concurrency
        for _, writer in free:
            writer.close()


@contextlib.asynccontextmanager
async def aiohttp_session(concurrency: int) -> AsyncIterator[Any]:
    import aiohttp  # noqa: PLC0415 - each process imports what its contender needs

    connector = aiohttp.TCPConnector(limit=max(100, concurrency))
    async with aiohttp.ClientSession(headers=HEADERS, connector=connector) as session:
        yield session


@contextlib.asynccontextmanager
async def aiohttp_read(url: str, concurrency: int) -> AsyncIterator[AsyncCall]:
    """Bare aiohttp: the reference."""
    async with aiohttp_session(concurrency) as session:

        async def call(customer_id: int) -> bytes:
            async with session.post(f"{url}/CustomerHold/{customer_id}") as response:
                return await response.read()

        yield call


@contextlib.asynccontextmanager
async def aiohttp_json(url: str, concurrency: int) -> AsyncIterator[AsyncCall]:
    """Bare aiohttp with the parsed answer, as most programs have it."""
    async with aiohttp_session(concurrency) as session:

        async def call(customer_id: int) -> Any:
            async with session.post(f"{url}/CustomerHold/{customer_id}") as response:
                return await response.json()

        yield call


@contextlib.asynccontextmanager
async def straightforward(url: str, concurrency: int) -> AsyncIterator[AsyncCall]:
    from benchmarks.straightforward import Client  # noqa: PLC0415 - as above

    client = Client(KEY, url, connections=max(100, concurrency))
    yield client.hold
    await client.aclose()


@contextlib.asynccontextmanager
async def our_client(url: str, concurrency: int, *, quota: bool = True) -> AsyncIterator[Any]:
    from fusebill_async import FusebillClient, PoolSettings, QuotaPolicy  # noqa: PLC0415 - as above

    async with FusebillClient(
        KEY,
        base_url=url,
        pool=PoolSettings(connections=max(100, concurrency)),
        quota=QuotaPolicy() if quota else QuotaPolicy.off(),
    ) as client:
        yield client


@contextlib.asynccontextmanager
async def ours_attempt(url: str, concurrency: int) -> AsyncIterator[AsyncCall]:
    """One attempt in a place of the pool, its phases watched, its answer checked; the quota is off."""
    from fusebill_async.operations import HOLD  # noqa: PLC0415 - as above
    from fusebill_async.policy.priority import Priority  # noqa: PLC0415
    from fusebill_async.session.call import Call  # noqa: PLC0415
    from fusebill_async.wire.request import build_request  # noqa: PLC0415

    async with our_client(url, concurrency, quota=False) as client:
        session, options = client._handle.session, client._handle.options
        session.open()

        async def call(customer_id: int) -> Any:
            asked = Call(HOLD, customer_id, build_request(HOLD, customer_id), options)
            permit = session.admission.enter_now(Priority.INTERACTIVE, 1)
            try:
                return await session.attempt(asked, permit)
            finally:
                permit.leave()

        yield call


@contextlib.asynccontextmanager
async def ours_retry_and_quota(url: str, concurrency: int) -> AsyncIterator[AsyncCall]:
    """The session's loop: admission, quota, attempts, retry."""
    from fusebill_async.operations import HOLD  # noqa: PLC0415 - as above
    from fusebill_async.session.call import Call  # noqa: PLC0415
    from fusebill_async.wire.request import build_request  # noqa: PLC0415

    async with our_client(url, concurrency) as client:
        session, options = client._handle.session, client._handle.options

        async def call(customer_id: int) -> Any:
            return await session.send(Call(HOLD, customer_id, build_request(HOLD, customer_id), options))

        yield call


@contextlib.asynccontextmanager
async def ours_settling(url: str, concurrency: int) -> AsyncIterator[AsyncCall]:
    """With settling, ledger and the customer's lock: a `Response`."""
    async with our_client(url, concurrency) as client:
        yield client.with_response.customers.hold


@contextlib.asynccontextmanager
async def ours_hold(url: str, concurrency: int) -> AsyncIterator[AsyncCall]:
    """What a user writes."""
    async with our_client(url, concurrency) as client:
        yield client.customers.hold


@contextlib.asynccontextmanager
async def ours_hold_and_look(url: str, concurrency: int) -> AsyncIterator[AsyncCall]:
    """What a user writes, and three fields of the customer looked at."""
    async with our_client(url, concurrency) as client:
        hold = client.customers.hold

        async def call(customer_id: int) -> Any:
            customer = await hold(customer_id)
            return customer.status, customer.company_name, customer.monthly_recurring_revenue

        yield call


@contextlib.asynccontextmanager
async def httpx_client(url: str, concurrency: int) -> AsyncIterator[AsyncCall]:
    import httpx  # noqa: PLC0415 - as above

    limits = httpx.Limits(max_connections=max(100, concurrency), max_keepalive_connections=max(100, concurrency))
    async with httpx.AsyncClient(headers=HEADERS, limits=limits, timeout=60) as client:

        async def call(customer_id: int) -> bytes:
            return (await client.post(f"{url}/CustomerHold/{customer_id}")).content

        yield call


class LoopRunner:
    """Fixed workers on one event loop, which rests between the rounds."""

    def __init__(
        self,
        contender: Callable[[str, int], AbstractAsyncContextManager[AsyncCall]],
        url: str,
        concurrency: int,
        *,
        uvloop: bool,
    ) -> None:
        self._loop = _new_loop(uvloop=uvloop)
        self._concurrency = concurrency
        self._contender = contender(url, concurrency)
        self._call = self._loop.run_until_complete(self._contender.__aenter__())

    def run(self, ids: Iterator[int]) -> list[float]:
        """Make the calls."""
        return self._loop.run_until_complete(self._drive(ids))

    async def _drive(self, ids: Iterator[int]) -> list[float]:
        call, clock = self._call, time.perf_counter
        took: list[float] = []

        async def work() -> None:
            for customer_id in ids:
                begin = clock()
                await call(customer_id)
                took.append(clock() - begin)

        await asyncio.gather(*(work() for _ in range(self._concurrency)))
        return took

    def close(self) -> None:
        """Close the client and the loop."""
        self._loop.run_until_complete(self._contender.__aexit__(None, None, None))
        self._loop.close()


def _new_loop(*, uvloop: bool) -> asyncio.AbstractEventLoop:
    if not uvloop:
        return asyncio.new_event_loop()
    import uvloop as fast  # noqa: PLC0415 - an extra

    return fast.new_event_loop()


# --- in threads


def requests_call(url: str) -> Callable[[], Callable[[int], Any]]:
    """As the API pages show it: a connection for each call."""
    import requests  # noqa: PLC0415 - as above

    return lambda: (
        lambda customer_id: requests.post(f"{url}/CustomerHold/{customer_id}", headers=HEADERS, timeout=60).content
    )


def requests_session(url: str) -> Callable[[], Callable[[int], Any]]:
    """A session for each thread, since a session is not made for more."""
    import requests  # noqa: PLC0415 - as above

    def make() -> Callable[[int], Any]:
        session = requests.Session()
        session.headers.update(HEADERS)
        return lambda customer_id: session.post(f"{url}/CustomerHold/{customer_id}", timeout=60).content

    return make


class ThreadRunner:
    """Fixed threads, which wait between the rounds."""

    def __init__(
        self, contender: Callable[[str], Callable[[], Callable[[int], Any]]], url: str, concurrency: int
    ) -> None:
        self._ids: Iterator[int] = iter(())
        self._taking = threading.Lock()
        self._took: list[float] = []
        self._begin = threading.Barrier(concurrency + 1)
        self._end = threading.Barrier(concurrency + 1)
        self._failed: list[Exception] = []
        make = contender(url)
        for _ in range(concurrency):
            threading.Thread(target=self._work, args=(make(),), daemon=True).start()

    def _work(self, call: Callable[[int], Any]) -> None:
        clock = time.perf_counter
        while True:
            self._begin.wait()
            try:
                while (customer_id := self._next()) is not None:
                    begin = clock()
                    call(customer_id)
                    self._took.append(clock() - begin)
            except Exception as error:  # noqa: BLE001 - told by the round
                self._failed.append(error)
            self._end.wait()

    def _next(self) -> int | None:
        with self._taking:
            return next(self._ids, None)

    def run(self, ids: Iterator[int]) -> list[float]:
        """Make the calls."""
        self._ids, self._took = ids, []
        self._begin.wait()
        self._end.wait()
        if self._failed:
            raise self._failed[0]
        return self._took

    def close(self) -> None:
        """The threads end with the process."""


LOOPS: dict[str, Callable[[str, int], AbstractAsyncContextManager[AsyncCall]]] = {
    "streams": streams,
    "aiohttp read": aiohttp_read,
    "aiohttp json": aiohttp_json,
    "straightforward": straightforward,
    "ours: attempt": ours_attempt,
    "ours: retry, quota": ours_retry_and_quota,
    "ours: settling, ledger": ours_settling,
    "ours: hold()": ours_hold,
    "ours: hold(), 3 fields": ours_hold_and_look,
    "httpx": httpx_client,
}
THREADS: dict[str, Callable[[str], Callable[[], Callable[[int], Any]]]] = {
    "requests, one by one": requests_call,
    "requests session": requests_session,
}
REFERENCE = "aiohttp read"
ABOUT = {
    "streams": "asyncio streams by hand, the floor",
    "aiohttp read": "aiohttp: post, read",
    "aiohttp json": "aiohttp: post, json",
    "straightforward": "aiohttp + json + cattrs SDK",
    "ours: attempt": "fusebill_async: the attempt alone",
    "ours: retry, quota": "… with retry and quota",
    "ours: settling, ledger": "… with settling and ledger",
    "ours: hold()": "fusebill_async: customers.hold(id)",
    "ours: hold(), 3 fields": "… and three fields read",
    "httpx": "httpx.AsyncClient",
    "requests, one by one": "requests.post in threads, as the API pages",
    "requests session": "requests.Session in threads",
}
"""Every contender, in the order of the table."""


def peak_memory() -> float:
    """The largest resident set of this process so far in megabytes."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    # What getrusage tells on Linux begins with the size of the parent that started us.
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def measure(runner: Runner, ids: Iterator[int], concurrency: int) -> dict[str, float]:
    """One round: CPU and wall time of a call in microseconds, latencies, peak memory so far in megabytes.

    The latencies are those of a service under way: the first two calls of every worker are left out. A round begins
    with all workers in the same instant, and what they would show is their place in that line.
    """
    wall, cpu = time.perf_counter(), time.process_time()
    took = runner.run(ids)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    calls = len(took)
    cuts = statistics.quantiles(took[min(2 * concurrency, calls // 2) :], n=100)
    return {
        "calls": calls,
        "cpu": cpu / calls * 1e6,
        "wall": wall / calls * 1e6,
        "p50": cuts[49] * 1e6,
        "p99": cuts[98] * 1e6,
        "memory": peak_memory(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=[*LOOPS, *THREADS])
    parser.add_argument("url")
    parser.add_argument("concurrency", type=int)
    parser.add_argument("--uvloop", action="store_true")
    given = parser.parse_args()
    runner: Runner
    if given.name in LOOPS:
        runner = LoopRunner(LOOPS[given.name], given.url, given.concurrency, uvloop=given.uvloop)
    else:
        runner = ThreadRunner(THREADS[given.name], given.url, given.concurrency)
    ids = Ids()
    # One call first: until an answer has told the quota, nobody may send many.
    runner.run(ids.take(1))
    for line in sys.stdin:
        sys.stdout.write(json.dumps(measure(runner, ids.take(int(line)), given.concurrency)) + "\n")
        sys.stdout.flush()
    runner.close()


if __name__ == "__main__":
    main()
