"""What a safe hold costs over a bare one: every contender, in one run, against bare aiohttp.

    python -m benchmarks.overhead                    # the whole table, some minutes
    python -m benchmarks.overhead --quick            # half a minute
    python -m benchmarks.overhead --tls --only aiohttp --only hold
    python -m benchmarks.overhead --uvloop --svg overhead.svg --json overhead.json

The server is one process and every contender another. The rounds are short and alternate in random order, the
reference before and after every two of the others, so that what else happens on the machine falls on all alike. Every
ratio is that of neighbours in time; the table shows its median and the middle half. CPU is that of the client process.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import attrs

from benchmarks.certificate import trusted_certificate
from benchmarks.charts import Bar, bar_chart, table
from benchmarks.contenders import ABOUT, REFERENCE
from benchmarks.server import ROOT, running

CONCURRENCIES = (1, 50, 500)
ROUND = 0.5
"""Seconds of CPU that a round takes, roughly: long against the caches that the round before has left cold."""
MOST_CALLS = 6_000


class Worker:
    """The process of one contender."""

    def __init__(self, name: str, url: str, concurrency: int, *, uvloop: bool) -> None:
        self.name = name
        self._concurrency = concurrency
        flags = ["--uvloop"] if uvloop else []
        self._process = subprocess.Popen(  # noqa: S603 - our own program, by names of our own
            [sys.executable, "-m", "benchmarks.contenders", name, url, str(concurrency), *flags],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.calls = max(100, 2 * concurrency)

    def warm_up(self) -> None:
        """Open the connections, let CPython specialise, and find out how many calls make a round."""
        self.round()
        cost = self.round()["cpu"]
        wanted = int(ROUND * 1e6 / max(cost, 1.0))
        self.calls = max(2 * self._concurrency, 50, min(MOST_CALLS, wanted))
        self.round()

    def round(self) -> dict[str, float]:
        """Make one round."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{self.calls}\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} at concurrency {self._concurrency} ended")
        found: dict[str, float] = json.loads(line)
        return found

    def close(self) -> None:
        """End the process."""
        process = self._process
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        process.wait(30)


@attrs.define
class Measured:
    """What the rounds of one contender at one concurrency have shown. Ratios are to the reference beside them."""

    rounds: list[dict[str, float]] = attrs.field(factory=list)
    ratios: dict[str, list[float]] = attrs.field(factory=dict)

    def add(self, found: dict[str, float], beside: Iterable[dict[str, float]]) -> None:
        """Take in a round."""
        self.rounds.append(found)
        neighbours = list(beside)
        for key in ("cpu", "p99"):
            reference = statistics.fmean(one[key] for one in neighbours)
            self.ratios.setdefault(key, []).append(found[key] / reference)

    def median(self, key: str) -> float:
        """The median over the rounds."""
        return statistics.median(one[key] for one in self.rounds)

    def ratio(self, key: str) -> tuple[float, float, float]:
        """Lower quartile, median and upper quartile of the ratio."""
        low, middle, high = statistics.quantiles(self.ratios[key], n=4)
        return low, middle, high

    def as_data(self) -> dict[str, Any]:
        """For the JSON."""
        data: dict[str, Any] = {key: round(self.median(key), 2) for key in ("cpu", "wall", "p50", "p99")}
        data["memory"] = round(max(one["memory"] for one in self.rounds), 1)
        for key in self.ratios:
            data[f"{key}_ratio"] = [round(cut, 4) for cut in self.ratio(key)]
        data["rounds"] = len(self.rounds)
        return data


Results = Mapping[int, Mapping[str, Measured]]


def compete(
    names: Iterable[str], concurrency: int, *, rounds: int, restarts: int, uvloop: bool, tls: bool = False
) -> dict[str, Measured]:
    """Let contenders alternate at one concurrency, in so many rounds after each of so many fresh starts."""
    wanted = [name for name in ABOUT if name in set(names) | {REFERENCE}]
    results = {name: Measured() for name in wanted}
    for _ in range(restarts):
        with trusted_certificate() if tls else nullcontext() as certificate, running(certificate) as url:
            workers = {name: Worker(name, url, concurrency, uvloop=uvloop) for name in wanted}
            try:
                for worker in workers.values():
                    worker.warm_up()
                for _ in range(rounds):
                    _alternate(workers, results)
            finally:
                for worker in workers.values():
                    worker.close()
    return results


def _alternate(workers: Mapping[str, Worker], results: Mapping[str, Measured]) -> None:
    others = [name for name in workers if name != REFERENCE]
    random.shuffle(others)
    before = workers[REFERENCE].round()
    for place in range(0, len(others), 2):
        found = [(name, workers[name].round()) for name in others[place : place + 2]]
        after = workers[REFERENCE].round()
        for name, one in found:
            results[name].add(one, (before, after))
        # The references among themselves: the spread that the machine alone makes.
        results[REFERENCE].add(after, (before,))
        before = after


def render(concurrency: int, results: Mapping[str, Measured]) -> str:
    """The table of one concurrency."""
    rows = []
    for name, found in results.items():
        low, middle, high = found.ratio("cpu")
        _, added, _ = found.ratio("p99")
        rows.append(
            [
                ABOUT[name],
                f"{middle:.2f}",
                f"{low:.2f} - {high:.2f}",
                f"{found.median('cpu'):.0f}",
                f"{1e6 / found.median('wall'):,.0f}",
                f"{found.median('p50') / 1e3:.2f}",
                f"{found.median('p99') / 1e3:.2f}",
                f"{(added - 1) * 100:+.0f} %",
                f"{max(one['memory'] for one in found.rounds):.0f}",
            ]
        )
    head = ["", "CPU ratio", "middle half", "us a call", "calls/s", "p50 ms", "p99 ms", "p99 added", "peak MB"]
    return f"Concurrency {concurrency}\n" + table(head, rows)


def machine(*, uvloop: bool, tls: bool = False) -> str:
    """Where this was measured."""
    from importlib.metadata import version  # noqa: PLC0415 - for one line of text

    processor = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            processor = line.partition(":")[2].strip()
            break
    loop = f"uvloop {version('uvloop')}" if uvloop else "asyncio"
    return (
        f"{processor}, {os.cpu_count()} cores, {platform.system()}, "
        f"Python {platform.python_version()}, aiohttp {version('aiohttp')}, {loop}"
        f"{', over TLS' if tls else ''}"
    )


def chart(results: Mapping[str, Measured], concurrency: int, place: str) -> str:
    """The bar chart of one concurrency."""
    bars = []
    for name, found in results.items():
        low, middle, high = found.ratio("cpu")
        bars.append(Bar(ABOUT[name].replace("… ", "fusebill_async: … "), middle, low, high, name == "ours: hold()"))
    bars.sort(key=lambda bar: bar.value)
    title = f"CPU of the client per call, bare aiohttp = 1 (concurrency {concurrency})"
    return bar_chart(title, bars, foot=place)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="concurrency 50 and few rounds")
    parser.add_argument("--uvloop", action="store_true", help="the contenders run on uvloop; the server always does")
    parser.add_argument("--tls", action="store_true", help="over TLS, as in production")
    parser.add_argument("--concurrency", type=int, action="append", help="instead of 1, 50 and 500; may be repeated")
    parser.add_argument("--only", action="append", help="a part of a contender's name; may be repeated")
    parser.add_argument("--rounds", type=int, default=None, help="after each start")
    parser.add_argument("--restarts", type=int, default=None, help="how often every process is started anew")
    parser.add_argument("--svg", type=Path, help="write the chart here")
    parser.add_argument("--json", type=Path, help="write the figures here")
    given = parser.parse_args()
    rounds = given.rounds or (5 if given.quick else 8)
    restarts = given.restarts or (1 if given.quick else 3)
    if rounds * restarts < 2:
        parser.error("a spread needs two rounds at least: raise --rounds or --restarts")
    concurrencies = given.concurrency or ([50] if given.quick else CONCURRENCIES)
    names = [name for name in ABOUT if not given.only or any(part in name for part in given.only)]
    place = machine(uvloop=given.uvloop, tls=given.tls)
    print(place)
    results: dict[int, dict[str, Measured]] = {}
    for concurrency in concurrencies:
        results[concurrency] = compete(
            names, concurrency, rounds=rounds, restarts=restarts, uvloop=given.uvloop, tls=given.tls
        )
        print("\n" + render(concurrency, results[concurrency]), flush=True)
    charted = 50 if 50 in results else next(iter(results))
    if given.svg:
        given.svg.write_text(chart(results[charted], charted, place), encoding="utf-8")
    if given.json:
        data = {
            "machine": place,
            "results": {key: {name: one.as_data() for name, one in found.items()} for key, found in results.items()},
        }
        given.json.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
