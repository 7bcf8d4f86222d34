"""What a hold costs beside bare aiohttp: CPU and wall time of a call, as ratios.

    python -m benchmarks.overhead                    # 50 at once, about two minutes
    python -m benchmarks.overhead --tls
    python -m benchmarks.overhead --only httpx --only requests

All contenders run in processes of their own and take turns within each round, so that what else the machine does
counts for all of them. A ratio is taken within a round; shown are the median over the rounds and the middle half.
Each is measured twice: with the allocator as it comes, and told to keep its memory. By itself glibc gives the room for
each read back to the kernel, which costs bare aiohttp more than it costs the client.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
from collections.abc import Sequence
from contextlib import ExitStack, closing

import aiohttp

from benchmarks.contenders import CONTENDERS, HOLD, JSON, KEEPS_ITS_MEMORY, REFERENCE, Contender
from benchmarks.server import running
from benchmarks.tables import table

USUAL = (REFERENCE, JSON, HOLD, "hold, 3 fields")
ALLOCATORS = {"as it comes": {}, "keeps its memory": KEEPS_ITS_MEMORY}


def compete(
    names: Sequence[str], *, concurrency: int, rounds: int, calls: int, tls: bool, uvloop: bool
) -> dict[tuple[str, str], list[dict[str, float]]]:
    """Let the contenders take turns; the figures of each round, by allocator and name."""
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    with ExitStack() as stack:
        url = stack.enter_context(running(tls=tls))
        contenders = {
            (allocator, name): stack.enter_context(
                closing(Contender(name, url, concurrency, uvloop=uvloop, environment=environment))
            )
            for allocator, environment in ALLOCATORS.items()
            for name in names
        }
        for number in range(rounds):
            # Back and forth, so that nobody always follows the same neighbour.
            for key in sorted(contenders, reverse=number % 2 == 1):
                found.setdefault(key, []).append(contenders[key].make(calls))
    return found


def ratio(ours: list[dict[str, float]], theirs: list[dict[str, float]], figure: str) -> str:
    """The median of the ratios within a round, and the middle half."""
    ratios = [one[figure] / other[figure] for one, other in zip(ours, theirs, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return f"{middle:.2f} ({low:.2f}-{high:.2f})"


def render(names: Sequence[str], found: dict[tuple[str, str], list[dict[str, float]]]) -> str:
    """One table for each allocator."""
    head = ["", "CPU us", "CPU / aiohttp", "CPU / resp.json()", "wall us", "wall / aiohttp", "wall / resp.json()"]
    parts = []
    for allocator in ALLOCATORS:
        rows = []
        for name in names:
            figures = found[allocator, name]
            row = [CONTENDERS[name][0]]
            for figure in ("cpu", "wall"):
                row.append(f"{statistics.median(one[figure] for one in figures):.0f}")
                row += [ratio(figures, found[allocator, other], figure) for other in (REFERENCE, JSON)]
            rows.append(row)
        parts.append(f"The allocator {allocator}\n{table(head, rows)}")
    return "\n\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--concurrency", type=int, default=50, help="calls at once")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--calls", type=int, default=1_500, help="calls of each contender in a round")
    parser.add_argument("--only", action="append", default=[], choices=list(CONTENDERS), help="beside the reference")
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--uvloop", action="store_true")
    given = parser.parse_args()
    names = list(dict.fromkeys([REFERENCE, JSON, *given.only])) if given.only else list(USUAL)
    loop = "uvloop" if given.uvloop else "asyncio"
    print(
        f"{given.concurrency} at once, {'TLS' if given.tls else 'plain'}, {given.rounds} rounds of {given.calls:,} "
        f"calls; Python {platform.python_version()}, aiohttp {aiohttp.__version__}, {loop}, {os.cpu_count()} cores\n",
        flush=True,
    )
    found = compete(
        names,
        concurrency=given.concurrency,
        rounds=given.rounds,
        calls=given.calls,
        tls=given.tls,
        uvloop=given.uvloop,
    )
    print(render(names, found))


if __name__ == "__main__":
    main()
