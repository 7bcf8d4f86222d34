"""Jobs that are killed again and again.

python -m tests.bulk --kills 20000 --seed 1        # in simulated worlds
python -m tests.bulk --boundaries                  # a kill at every boundary of a job of 50 items
python -m tests.bulk --real 300                    # kill -9 of real processes
python -m tests.bulk --paced 100000                # under the quota, in virtual time
python -m tests.bulk --undo 20000                  # updates that are taken back, and an undo that is killed
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.bulk.boundaries import KINDS, boundaries
from tests.bulk.kills import kill_a_real_job
from tests.bulk.pace import hold_all
from tests.bulk.undone import undo_updates
from tests.bulk.worlds import DEEDS, Found, random_world

_AT_ONCE = 50


def _some_worlds(first: int) -> list[Found]:
    return [random_world(seed) for seed in range(first, first + _AT_ONCE)]


def worlds(kills: int, seed: int, jobs: int) -> int:
    """Worlds of chance, until so many processes were killed."""
    total, count, started = Found(), 0, time.monotonic()
    first = seed * 1_000_000
    with ProcessPoolExecutor(jobs) as pool:
        while total.kills < kills:
            for some in pool.map(_some_worlds, [first + number * _AT_ONCE for number in range(2 * jobs)]):
                for found in some:
                    count += 1
                    _add(total, found)
                    for wrong in found.wrong:
                        print(wrong)
            first += 2 * jobs * _AT_ONCE
    print(
        f"{count:,} worlds, {total.runs:,} runs, {total.kills:,} kills, {total.stops:,} stops, {total.writes:,} writes"
    )
    print(f"violations: {len(total.wrong)}; {time.monotonic() - started:.0f} s")
    return 1 if total.wrong else 0


def _add(total: Found, found: Found) -> None:
    total.wrong += found.wrong
    total.kills += found.kills
    total.stops += found.stops
    total.writes += found.writes
    total.runs += found.runs


def _boundaries_of(job: tuple[str, str]) -> tuple[str, str, int, int, list[str]]:
    name, what = job
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    for strike, found in boundaries(name, kinds=[what]):
        counts["runs"] += 1
        counts["kills"] += found.kills
        wrong += [f"{name}, {strike}: {each}" for each in found.wrong]
    return name, what, counts["runs"], counts["kills"], wrong


def all_boundaries(jobs: int) -> int:
    """Every boundary."""
    bad = 0
    with ProcessPoolExecutor(jobs) as pool:
        for name, what, runs, kills, wrong in pool.map(_boundaries_of, [(n, w) for n in DEEDS for w in KINDS]):
            print(
                f"{name:9} {what:7} {runs:6,} jobs of 50 items, {kills:6,} kills, {len(wrong)} violations", flush=True
            )
            for each in wrong[:5]:
                print(f"    {each}")
            bad += len(wrong)
    return 1 if bad else 0


def real(kills: int, seed: int) -> int:
    """Real processes."""
    with tempfile.TemporaryDirectory() as folder:
        report = asyncio.run(kill_a_real_job(Path(folder), kills=kills, seed=seed))
    print(report)
    return 1 if report.wrong else 0


def undone(items: int, seed: int) -> int:
    """Updates that are taken back: in peace, and with an undo that is killed 50 times."""
    wrong = 0
    for kills in (0, 50):
        started = time.monotonic()
        found = undo_updates(items, kills=kills, seed=seed)
        assert found.report is not None
        assert found.check is not None
        print(f"{items:,} updates, {found.edited:,} edited by others since; the undo was killed {found.kills} times")
        print(f"  verified before: {found.check.counts}")
        print(f"  the undo: {found.report.tallies}, {found.writes:,} effects")
        print(f"  violations: {len(found.wrong)}; {time.monotonic() - started:.0f} s", flush=True)
        for each in found.wrong[:10]:
            print(f"    {each}")
        wrong += len(found.wrong)
    return 1 if wrong else 0


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bulk", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=2000, help="of simulated processes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="processes at once")
    parser.add_argument("--boundaries", action="store_true")
    parser.add_argument("--real", type=int, default=0, help="kills of real processes")
    parser.add_argument("--paced", type=int, default=0, help="items of a job under the quota")
    parser.add_argument("--undo", type=int, default=0, help="updates that are taken back")
    given = parser.parse_args()
    if given.undo:
        return undone(given.undo, given.seed)
    if given.paced:
        print(hold_all(given.paced))
        return 0
    if given.real:
        return real(given.real, given.seed)
    return all_boundaries(given.jobs) if given.boundaries else worlds(given.kills, given.seed, given.jobs)


if __name__ == "__main__":
    sys.exit(main())
