"""The window of an update: the time between the last read and the PUT at the service, and what is lost in it.

    python benchmarks/update_window.py [--races 1000] [--latency 0.0 0.02]

Part one measures the window where it counts: at the service, from having read the customer for the GET to reading
the PUT. A change by somebody else that falls into it is overwritten; a change before or after it is not.

Part two lets two clients count up two different fields of the same customers at the same time. With one client the
lock keeps them apart; separate clients without a store meet in the window, and every counter that goes down is a
lost update.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

from fusebill_async import FusebillClient
from fusebill_async.stores import SQLiteStore
from fusebill_async.testing import FusebillSimulator

KEY = "benchmark"


class Watched(FusebillSimulator):
    """Notes when a customer was read and written, and counts the counters that went down."""

    def __init__(self, *, latency: float) -> None:
        super().__init__(latency=latency, record_requests=False, log_size=0)
        self.windows: list[float] = []
        self.lost = 0
        self._read_at: dict[int, float] = {}

    def _answer(self, request, fault):
        customer_id = request.customer_id
        before = self.counters(customer_id)
        now = time.perf_counter()
        if request.method == "PUT" and customer_id in self._read_at:
            self.windows.append(now - self._read_at.pop(customer_id))
        answer = super()._answer(request, fault)
        if request.method == "GET":
            self._read_at[customer_id] = now
        self.lost += sum(new < old for old, new in zip(before, self.counters(customer_id), strict=True))
        return answer

    def counters(self, customer_id: int) -> tuple[int, int]:
        """The two fields that the two writers count up."""
        shown = self.customer(customer_id)
        return int(shown["companyName"]), int(shown["lastName"])


async def measure_window(latency: float, updates: int, check: str, store: SQLiteStore | None) -> str:
    async with (
        Watched(latency=latency) as fusebill,
        FusebillClient(KEY, base_url=fusebill.base_url, store=store) as client,
    ):
        fusebill.add_customer(id=1, company_name="0", last_name="0")
        for number in range(1, updates + 1):
            await client.customers.update(1, company_name=str(number), check=check)
        windows = sorted(fusebill.windows)
        middle, high = statistics.median(windows), windows[int(len(windows) * 0.99)]
        return f"median {middle * 1000:7.2f} ms   99th percentile {high * 1000:7.2f} ms   ({len(windows)} updates)"


Clients = Callable[[AsyncExitStack, str], Awaitable[tuple[FusebillClient, FusebillClient]]]


async def race(latency: float, races: int, clients: Clients) -> str:
    customers = 10
    rounds = races // customers
    async with AsyncExitStack() as stack:
        fusebill = await stack.enter_async_context(Watched(latency=latency))
        for customer_id in range(1, customers + 1):
            fusebill.add_customer(id=customer_id, company_name="0", last_name="0")
        one, other = await clients(stack, fusebill.base_url)
        for number in range(1, rounds + 1):
            await asyncio.gather(
                *(one.customers.update(i, company_name=str(number)) for i in range(1, customers + 1)),
                *(other.customers.update(i, last_name=str(number)) for i in range(1, customers + 1)),
            )
        return f"{fusebill.lost:5d} of {2 * rounds * customers} updates lost"


async def one_client(stack: AsyncExitStack, url: str) -> tuple[FusebillClient, FusebillClient]:
    client = await stack.enter_async_context(FusebillClient(KEY, base_url=url))
    return client, client


async def separate_clients(stack: AsyncExitStack, url: str) -> tuple[FusebillClient, FusebillClient]:
    one, _ = await one_client(stack, url)
    other, _ = await one_client(stack, url)
    return one, other


async def sharing_a_store(stack: AsyncExitStack, url: str) -> tuple[FusebillClient, FusebillClient]:
    path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "store.sqlite"
    one = await stack.enter_async_context(FusebillClient(KEY, base_url=url, store=SQLiteStore(path)))
    other = await stack.enter_async_context(FusebillClient(KEY, base_url=url, store=SQLiteStore(path)))
    return one, other


async def main(races: int, latencies: list[float]) -> None:
    for latency in latencies:
        print(f"Answers take {latency * 1000:g} ms:")
        for check in ("fresh", "strict"):
            print(f"  window, check={check!r:<8}           {await measure_window(latency, 200, check, None)}")
        with tempfile.TemporaryDirectory() as folder:
            store = SQLiteStore(Path(folder) / "store.sqlite")
            print(f"  window, SQLite store             {await measure_window(latency, 200, 'fresh', store)}")
        for name, clients in (
            ("two writers, one client", one_client),
            ("two clients, one SQLite store", sharing_a_store),
            ("two clients, no store", separate_clients),
        ):
            print(f"  {name:<32} {await race(latency, races, clients)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measure the window of an update, and what is lost in it.")
    parser.add_argument("--races", type=int, default=1000)
    parser.add_argument("--latency", type=float, nargs="+", default=[0.0, 0.02], help="seconds that an answer takes")
    given = parser.parse_args()
    asyncio.run(main(given.races, given.latency))
