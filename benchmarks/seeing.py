"""What it costs to be seen: CPU of a hold without hooks, with the extra `otel` but no provider, and recording.

    python -m benchmarks.seeing

The contenders take turns in one process. Spans are kept in memory by the SDK, which is a part of what is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from contextlib import AsyncExitStack
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider

from benchmarks.contenders import FIRST_ID, KEY
from benchmarks.server import running
from fusebill_async import FusebillClient, PoolSettings, QuotaPolicy
from fusebill_async.observability import OpenTelemetry

CONCURRENCY = 50


async def measure(url: str, rounds: int, calls: int) -> None:
    recording = OpenTelemetry(TracerProvider(), MeterProvider([InMemoryMetricReader()]))
    kinds: dict[str, Any] = {"no hooks": [], "no provider": None, "recording": [recording]}
    found: dict[str, list[float]] = {name: [] for name in kinds}
    async with AsyncExitStack() as stack:
        clients = {
            name: await stack.enter_async_context(
                FusebillClient(
                    KEY, base_url=url, pool=PoolSettings(connections=CONCURRENCY), quota=QuotaPolicy.off(), hooks=hooks
                )
            )
            for name, hooks in kinds.items()
        }

        async def make(client: FusebillClient) -> float:
            async def work(first: int) -> None:
                for number in range(calls // CONCURRENCY):
                    await client.customers.hold(FIRST_ID + first + number)

            started = time.process_time()
            await asyncio.gather(*(work(100 * place) for place in range(CONCURRENCY)))
            return (time.process_time() - started) / calls * 1e6

        for number in range(rounds + 1):
            for name in sorted(clients, reverse=number % 2 == 1):
                taken = await make(clients[name])
                if number:
                    found[name].append(taken)
    for name, times in found.items():
        added = statistics.median(one - other for one, other in zip(times, found["no hooks"], strict=True))
        print(f"{name:<12} {statistics.median(times):5.0f} us of CPU a hold, {added:+5.1f} us")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--calls", type=int, default=1_500, help="of each contender in a round")
    given = parser.parse_args()
    with running(tls=False) as url:
        asyncio.run(measure(url, given.rounds, given.calls))


if __name__ == "__main__":
    main()
