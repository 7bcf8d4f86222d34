"""Many holds by fixed workers: CPU against the same loop over bare aiohttp, and what the memory does meanwhile.

    python -m benchmarks.bulk_memory                  # 100,000 calls of each contender
    python -m benchmarks.bulk_memory --calls 20000

Both run in processes of their own and take turns in slices, so that the machine treats them alike. Memory is the
resident set after the first tenth, when every connection and cache is there, against the end; a second, untimed pass
under tracemalloc tells what Python objects stay.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import resource
import statistics
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import attrs

from benchmarks.charts import table
from benchmarks.contenders import ABOUT, LOOPS, Ids, LoopRunner
from benchmarks.server import ROOT, running

WORKERS = 50
SLICES = 40
NAMES = ("aiohttp read", "ours: hold()")
_PAGE = resource.getpagesize()


def resident() -> float:
    """The memory of this process in megabytes: what is resident now, or the peak where that cannot be told."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE / 1e6
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


class Bulk(LoopRunner):
    """The workers, without a record of each call."""

    def make(self, calls: int, ids: Ids) -> float:
        """Make so many calls; the CPU seconds that they took."""
        begin = time.process_time()
        self._loop.run_until_complete(self._work(ids, calls))
        return time.process_time() - begin

    async def _work(self, ids: Ids, calls: int) -> None:
        call, rest = self._call, ids.take(calls)

        async def work() -> None:
            for customer_id in rest:
                await call(customer_id)

        await asyncio.gather(*(work() for _ in range(WORKERS)))


def child(name: str, url: str, *, uvloop: bool) -> None:
    """Read numbers of calls, make them, tell CPU and memory."""
    bulk = Bulk(LOOPS[name], url, WORKERS, uvloop=uvloop)
    ids = Ids()
    bulk.make(1, ids)
    for line in sys.stdin:
        word = line.strip()
        if word.startswith("trace"):
            found = traced(bulk, ids, int(word.split()[1]))
        else:
            found = {"cpu": bulk.make(int(word), ids), "resident": resident()}
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()
    bulk.close()


def traced(bulk: Bulk, ids: Ids, calls: int) -> dict[str, float]:
    """Give what stays of so many calls, in bytes: a leak of one object a call shows as bytes a call."""
    tracemalloc.start()
    bulk.make(1_000, ids)  # fills what is kept on purpose, such as the last customers seen
    gc.collect()
    before, _ = tracemalloc.get_traced_memory()
    bulk.make(calls, ids)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return {"stays": (after - before) / calls}


@attrs.define
class Seen:
    """What one contender showed."""

    cpu: list[float] = attrs.field(factory=list)
    resident: list[float] = attrs.field(factory=list)
    stays: float = 0.0

    @property
    def growth(self) -> float:
        """Megabytes that came on top after the first tenth."""
        return self.resident[-1] - self.resident[len(self.resident) // 10]


@attrs.frozen
class Outcome:
    """The whole comparison."""

    calls: int
    seen: dict[str, Seen]
    ratio: tuple[float, float, float]


def measure(calls: int, *, uvloop: bool = False) -> Outcome:
    """Let both make so many calls, in alternating slices."""
    part = max(WORKERS, calls // SLICES)
    seen = {name: Seen() for name in NAMES}
    with running() as url:
        children = {name: _start(name, url, uvloop=uvloop) for name in NAMES}
        try:
            for number in range(SLICES):
                for name in NAMES if number % 2 else reversed(NAMES):
                    found = _ask(children[name], str(part))
                    seen[name].cpu.append(found["cpu"] / part * 1e6)
                    seen[name].resident.append(found["resident"])
            for name in NAMES:
                seen[name].stays = _ask(children[name], f"trace {min(calls // 10, 5_000)}")["stays"]
        finally:
            for process in children.values():
                _stop(process)
    bare, ours = (seen[name].cpu for name in NAMES)
    low, middle, high = statistics.quantiles([one / other for one, other in zip(ours, bare, strict=True)], n=4)
    return Outcome(part * SLICES, seen, (low, middle, high))


def _start(name: str, url: str, *, uvloop: bool) -> subprocess.Popen[str]:
    flags = ["--uvloop"] if uvloop else []
    return subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "benchmarks.bulk_memory", "--child", name, url, *flags],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _ask(process: subprocess.Popen[str], line: str) -> dict[str, float]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    if not answer:
        raise RuntimeError("a contender ended")
    found: dict[str, float] = json.loads(answer)
    return found


def _stop(process: subprocess.Popen[str]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    process.wait(30)


def render(outcome: Outcome) -> str:
    """The table."""
    rows = [
        [
            ABOUT[name],
            f"{statistics.median(seen.cpu):.0f}",
            f"{seen.resident[len(seen.resident) // 10]:.1f}",
            f"{seen.resident[-1]:.1f}",
            f"{seen.growth:+.1f}",
            f"{seen.stays:.0f}",
        ]
        for name, seen in outcome.seen.items()
    ]
    low, middle, high = outcome.ratio
    head = ["", "CPU us a call", "MB after a tenth", "MB at the end", "growth MB", "bytes that stay a call"]
    return (
        f"{outcome.calls:,} holds by {WORKERS} workers\n{table(head, rows)}\n"
        f"CPU against bare aiohttp: {middle:.2f}  [{low:.2f}, {high:.2f}]"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--uvloop", action="store_true")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(*given.child, uvloop=given.uvloop)
    else:
        print(render(measure(given.calls, uvloop=given.uvloop)))


if __name__ == "__main__":
    main()
