"""What an idempotency key costs: CPU of a hold with one beside a hold without, and the size of the store.

    python -m benchmarks.keys
    python -m benchmarks.keys --kept 1000000

Both contenders use a SQLite store, 32 calls at once, and take turns. CPU is that of the whole process, with the thread
of the store.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.contenders import FIRST_ID, KEY
from benchmarks.server import running
from fusebill_async import FusebillClient, PoolSettings, QuotaPolicy
from fusebill_async.outcome import Attribution, Outcome
from fusebill_async.settling.intent import Intent
from fusebill_async.settling.keys import CallKey, Ended, key_id
from fusebill_async.stores import SQLiteStore

CONCURRENCY = 32


async def cost(url: str, folder: Path, rounds: int, calls: int) -> None:
    """Print what a key adds to a call."""
    pool, numbers = PoolSettings(connections=CONCURRENCY), iter(range(10**9))
    store = SQLiteStore(folder / "cost.sqlite")
    async with FusebillClient(
        KEY, base_url=url, account="a", pool=pool, quota=QuotaPolicy.off(), store=store
    ) as client:

        async def make(count: int, *, keyed: bool) -> tuple[float, float]:
            async def work() -> None:
                for _ in range(count // CONCURRENCY):
                    number = next(numbers)
                    key = f"order-{number}" if keyed else None
                    await client.customers.hold(FIRST_ID + number % 100_000, idempotency_key=key)

            syncs, started = store._commits.syncs, time.process_time()
            await asyncio.gather(*(work() for _ in range(CONCURRENCY)))
            return (time.process_time() - started) / count * 1e6, (store._commits.syncs - syncs) / count

        await make(calls, keyed=True)
        found: list[tuple[float, float, float, float]] = []
        for number in range(rounds):
            order = (True, False) if number % 2 else (False, True)
            result = {keyed: await make(calls, keyed=keyed) for keyed in order}
            found.append((*result[False], *result[True]))
    plain, plain_syncs, keyed, keyed_syncs = (statistics.median(column) for column in zip(*found, strict=True))
    added = statistics.median(row[2] - row[0] for row in found)
    print(f"CPU of a hold: {plain:.0f} us without a key, {keyed:.0f} us with one: {added:.0f} us more")
    print(f"fsyncs a call: {plain_syncs:.2f} without, {keyed_syncs:.2f} with")


async def size(folder: Path, kept: int) -> None:
    """Print how large a file with so many kept outcomes is, and how long a look takes."""
    path = folder / "kept.sqlite"
    store = SQLiteStore(path)
    store.open("a" * 32)
    ledger: Any = store.ledger

    async def end(number: int) -> None:
        key = CallKey(id=key_id(f"order-{number}"), digest=key_id(f"digest-{number}"), began=1.8e9 + number)
        intent = Intent(
            id=f"0123456789ab-{number}", operation="customers.activate", customer_id=FIRST_ID + number, named={},
            opened_at=1.8e9, key=key,
        )  # fmt: skip
        ended = Ended(
            outcome=Outcome.APPLIED, customer_id=FIRST_ID + number, attribution=Attribution.OURS, status=200,
            at=time.time(),
        )  # fmt: skip
        await ledger.open(intent)
        ledger.close(intent, ended)

    for first in range(0, kept, 1000):
        await asyncio.gather(*map(end, range(first, first + 1000)))
    await store.aclose()
    with closing(sqlite3.connect(path)) as connection, connection:
        from fusebill_async.stores.sqlite import _find  # noqa: PLC0415 (the look itself, without the way to it)

        names = [ledger._key(key_id(f"order-{number}")) for number in range(0, kept, max(1, kept // 2000))]
        started = time.perf_counter()
        for name in names:
            assert _find(connection, key=name) is not None
        took = (time.perf_counter() - started) / len(names) * 1e6
    print(f"{kept:,} kept outcomes: {path.stat().st_size / 1e6:.0f} MB; a look takes {took:.0f} us")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--calls", type=int, default=1_600, help="of each contender in a round")
    parser.add_argument("--kept", type=int, default=100_000, help="outcomes in the store")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with running(tls=False) as url:
            asyncio.run(cost(url, folder, given.rounds, given.calls))
        asyncio.run(size(folder, given.kept))


if __name__ == "__main__":
    main()
