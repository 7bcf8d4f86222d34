"""What a list of 100,000 customers costs: wall time against the pages alone, memory, and the longest hold of the loop.

The service runs in a process of its own, as it does in life. The contenders alternate in one run:
`python benchmarks/listing.py [customers]`.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import operator
import statistics
import sys
import time
import tracemalloc
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

import aiohttp

from fusebill_async import FusebillClient
from fusebill_async.testing import FusebillSimulator
from fusebill_async.wire.paging import Sort, page_request

KEY = "MDpiZW5jaG1hcms"
CUSTOMERS = 100_000
PAGE = 1000
ROUNDS = 3
LATENCY = 0.1
"""Seconds that a page takes besides being made: a page is more than a megabyte, and the real service is far away."""
MOST = 1.1
"""The wall time of a list may be this many times that of its pages alone."""

MOST_HOLD = 10.0
"""Milliseconds for which the loop may be held."""


def serve(customers: int, channel: Connection) -> None:
    """Run the service until the other side lets go."""

    async def run() -> None:
        async with FusebillSimulator(customers=customers, latency=LATENCY, record_requests=False) as fusebill:
            # Pages are made once and kept, so that the service does not compete with the client for the processor.
            make, kept = fusebill.service._listing.answer, {}

            def answer(options: Any) -> Any:
                key = tuple(options.items())
                if key not in kept:
                    kept[key] = make(options)
                return kept[key]

            fusebill.service._listing.answer = answer
            channel.send(fusebill.base_url)
            await asyncio.get_running_loop().run_in_executor(None, channel.recv)

    asyncio.run(run())


async def pages_alone(_client: FusebillClient, base_url: str) -> int:
    """The pages and nothing else: a bare aiohttp session, one request after the other, no byte looked into."""
    async with aiohttp.ClientSession(headers={"Authorization": f"Basic {KEY}"}) as session:
        for number in itertools.count():
            target = page_request(None, number, PAGE, Sort()).target
            async with session.get(f"{base_url}{target}") as response:
                await response.read()
                if response.headers["X-NextPage"] == "-1":
                    return int(response.headers["X-Count"])
    raise AssertionError


async def every_customer(client: FusebillClient, _base_url: str, *, prefetch: bool = True) -> int:
    """What a user writes: two fields of every customer."""
    seen = 0
    async for customer in client.customers.list(page_size=PAGE, prefetch=prefetch):
        seen += customer.status != "" and customer.company_name != ""
    return seen


async def without_prefetch(client: FusebillClient, base_url: str) -> int:
    """The same without asking ahead, for comparison."""
    return await every_customer(client, base_url, prefetch=False)


async def timed(contender: Any, client: FusebillClient, base_url: str, customers: int) -> float:
    gc.collect()
    started = time.perf_counter()
    seen = await contender(client, base_url)
    assert seen == customers, seen
    return time.perf_counter() - started


async def peak(client: FusebillClient, customers: int) -> float:
    """The most memory that Python held at once while listing, in MB."""
    gc.collect()
    tracemalloc.start()
    seen = 0
    async for customer in client.customers.list(limit=customers, page_size=PAGE):
        seen += customer.status != ""
    assert seen == customers
    most: float = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return most


async def longest_hold(client: FusebillClient, customers: int) -> float:
    """The longest time for which the loop was kept from others while listing, in ms; the middle of some rounds."""
    found = []
    for _ in range(ROUNDS):
        longest, stop = 0.0, False

        async def watch() -> None:
            nonlocal longest
            while not stop:  # noqa: B023 (it measures the loop itself)
                started = time.perf_counter()
                await asyncio.sleep(0)
                longest = max(longest, time.perf_counter() - started)

        watching = asyncio.create_task(watch())
        async for page in client.customers.list(limit=min(customers, 10 * PAGE), page_size=PAGE).pages():
            assert page.customers
        stop = True
        await watching
        found.append(longest * 1e3)
    return statistics.median(found)


async def measure(base_url: str, customers: int) -> bool:
    async with FusebillClient(KEY, base_url=base_url) as client:
        await every_customer(client, base_url)
        contenders = {"pages alone": pages_alone, "prefetch": every_customer, "no prefetch": without_prefetch}
        seconds: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(ROUNDS):
            for name, contender in contenders.items():
                seconds[name].append(await timed(contender, client, base_url, customers))
        # Each round is compared with its own neighbour, so that what else the machine does counts for both.
        ratios = {
            name: statistics.median(map(operator.truediv, found, seconds["pages alone"]))
            for name, found in seconds.items()
        }
        for name, found in seconds.items():
            print(f"{name:<12} {statistics.median(found):6.2f} s  {ratios[name]:5.2f} times the pages alone")
        few, many = await peak(client, customers // 10), await peak(client, customers)
        print(f"memory       {few:6.2f} MB for {customers // 10:,}, {many:.2f} MB for {customers:,}")
        hold = await longest_hold(client, customers)
        print(f"loop         {hold:6.2f} ms held at most")
        return ratios["prefetch"] <= MOST and many < 1.2 * few and hold < MOST_HOLD


def main() -> None:
    customers = int(sys.argv[1]) if len(sys.argv) > 1 else CUSTOMERS
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    service = context.Process(target=serve, args=(customers, theirs), daemon=True)
    service.start()
    try:
        good = asyncio.run(measure(ours.recv(), customers))
    finally:
        ours.send(None)
        service.join(5)
    sys.exit(not good)


if __name__ == "__main__":
    main()
