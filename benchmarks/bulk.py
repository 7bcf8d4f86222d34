"""What a job costs: CPU of an item beside a plain call, and memory and journal of many items.

    python -m benchmarks.bulk
    python -m benchmarks.bulk --items 1000000          # memory and journal of so many, in a process of its own

The service of the benchmarks has no lists, so no customers are read ahead. Plain calls are made by 32 workers, as those
of the job are. Both take turns. CPU is that of the whole process, with the thread that writes the journal.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.contenders import FIRST_ID, KEY
from benchmarks.server import running
from fusebill_async import FusebillClient, PoolSettings, QuotaPolicy
from fusebill_async.stores.group_commit import GroupCommit

WORKERS = 32


def client_of(url: str) -> FusebillClient:
    pool = PoolSettings(connections=WORKERS)
    return FusebillClient(KEY, base_url=url, pool=pool, quota=QuotaPolicy.off(), hooks=[])


async def cost(url: str, folder: Path, rounds: int, items: int) -> None:
    """Print what the journal adds to a call."""
    commits: list[GroupCommit] = []
    made = GroupCommit.__init__

    def make(commit: GroupCommit, *parts: object, **options: object) -> None:
        made(commit, *parts, **options)  # type: ignore[arg-type]
        commits.append(commit)

    GroupCommit.__init__ = make  # type: ignore[method-assign]
    async with client_of(url) as client:

        async def plain(ids: range) -> None:
            numbers = iter(ids)

            async def work() -> None:
                for number in numbers:
                    await client.customers.hold(number)

            await asyncio.gather(*(work() for _ in range(WORKERS)))

        async def job(ids: range) -> None:
            path = folder / f"{ids.start}.sqlite"
            report = await client.bulk.hold(ids, journal=path, concurrency=WORKERS, snapshot=False).run()
            assert report.applied == len(ids)

        first, found = FIRST_ID, []
        for number in range(rounds + 1):
            took = {}
            for each in (plain, job) if number % 2 else (job, plain):
                ids = range(first, first + items)
                first += items
                started = time.process_time()
                await each(ids)
                took[each] = (time.process_time() - started) / items * 1e6
            if number:
                found.append((took[plain], took[job]))
    alone, with_journal = (statistics.median(column) for column in zip(*found, strict=True))
    added = statistics.median(row[1] - row[0] for row in found)
    syncs = statistics.median(commit.syncs / items for commit in commits)
    print(f"CPU of a hold: {alone:.0f} us plain, {with_journal:.0f} us as an item of a job: {added:.0f} us more")
    print(f"fsyncs an item: {syncs:.3f}")


async def run(url: str, journal: Path, items: int) -> None:
    """Run a job, and print its memory after a tenth and at its end."""
    early = 0.0
    async with client_of(url) as client:
        done = 0
        ids = range(FIRST_ID, FIRST_ID + items)
        async for _ in client.bulk.hold(ids, journal=journal, concurrency=WORKERS, snapshot=False):
            done += 1
            if done == items // 10:
                early = resident()
    assert done == items
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    size = os.path.getsize(journal) / 1e6  # noqa: ASYNC240, PTH202 (the job is over)
    print(
        f"{items:,} items: {resident():.1f} MB resident at the end, {early:.1f} MB after a tenth, "
        f"{most:.1f} MB at most; journal {size:.1f} MB"
    )


def resident() -> float:
    """MB of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--calls", type=int, default=3_200, help="of each contender in a round")
    parser.add_argument("--items", type=int, default=0, help="run one job of so many instead")
    parser.add_argument("--url", help="run it here, against this service")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if given.url:
            asyncio.run(run(given.url, Path(folder) / "job.sqlite", given.items))
            return
        with running(tls=False) as url:
            if not given.items:
                asyncio.run(cost(url, Path(folder), given.rounds, given.calls))
                return
            for items in (given.items // 10, given.items):
                command = [sys.executable, "-m", "benchmarks.bulk", "--items", str(items), "--url", url]
                subprocess.run(command, check=True)  # noqa: S603 (this program)


if __name__ == "__main__":
    main()
