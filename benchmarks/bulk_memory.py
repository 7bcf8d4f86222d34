"""Many holds by fixed workers: CPU against the same loop over bare aiohttp, and what the memory does meanwhile.

    python -m benchmarks.bulk_memory                  # 100,000 calls of each contender
    python -m benchmarks.bulk_memory --calls 20000

Both take turns in slices. Memory is the resident set after the first tenth, when every connection and cache is there,
against the end; a second, untimed pass under tracemalloc tells what Python objects stay.
"""

from __future__ import annotations

import argparse
import statistics
from contextlib import ExitStack, closing

from benchmarks.contenders import CONTENDERS, HOLD, REFERENCE, Contender
from benchmarks.overhead import ratio
from benchmarks.server import running
from benchmarks.tables import table

WORKERS = 50
SLICES = 40
NAMES = (REFERENCE, HOLD)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--uvloop", action="store_true")
    given = parser.parse_args()
    part = max(WORKERS, given.calls // SLICES)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in NAMES}
    with ExitStack() as stack:
        url = stack.enter_context(running())
        contenders = {
            name: stack.enter_context(closing(Contender(name, url, WORKERS, uvloop=given.uvloop))) for name in NAMES
        }
        for number in range(SLICES):
            for name in NAMES if number % 2 else reversed(NAMES):
                found[name].append(contenders[name].make(part))
        stays = {name: contenders[name].make(min(given.calls // 10, 5_000), trace=True)["stays"] for name in NAMES}
    rows = []
    for name, figures in found.items():
        early, late = figures[SLICES // 10]["resident"], figures[-1]["resident"]
        cpu = statistics.median(one["cpu"] for one in figures)
        rows.append(
            [
                CONTENDERS[name][0],
                f"{cpu:.0f}",
                f"{early:.1f}",
                f"{late:.1f}",
                f"{late - early:+.1f}",
                f"{stays[name]:.0f}",
            ]
        )
    head = ["", "CPU us a call", "MB after a tenth", "MB at the end", "growth MB", "bytes that stay a call"]
    print(f"{part * SLICES:,} holds by {WORKERS} workers\n{table(head, rows)}")
    print(f"CPU against bare aiohttp: {ratio(found[HOLD], found[REFERENCE], 'cpu')}")


if __name__ == "__main__":
    main()
