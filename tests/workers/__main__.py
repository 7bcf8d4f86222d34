"""Jobs on workers, for as long as you like.

    python -m tests.workers killed --rounds 10
    python -m tests.workers stopped lossy restarted emptied
    python -m tests.workers metered --minutes 5

killed: 10,000 items, 4 workers, one killed every 2 s and started anew, the job's own process killed twice.
stopped: workers stand still for longer than their lease.
lossy: the engine loses 3 % of its messages.
restarted, emptied: Redis is killed, and comes back with its file or without.
metered: the quota of one account over four workers.

Ends with 1 if an item was missed, or had its effect twice.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from tests.workers import rounds


async def _one(name: str, folder: Path, seed: int, given: argparse.Namespace) -> bool:
    if name == "metered":
        used, refused = await rounds.metered(folder, minutes=given.minutes)
        print(f"metered: {used:.1%} used, {refused:.3%} refused")
        return used >= 0.85 and refused <= 0.001
    options = {} if given.items is None else {"items": given.items}
    if name == "killed":
        came = await rounds.killed(folder, seed=seed, operation=given.operation, **options)
    elif name == "stopped":
        came = await rounds.stopped(folder, seed=seed, operation=given.operation, **options)
    elif name == "lossy":
        _, came = await rounds.lossy(folder, operation=given.operation, **options)
    else:
        first, came = await rounds.restarted(folder, operation=given.operation, empty=name == "emptied", **options)
        print(f"{name}, before it was resumed: {first}")
    print(f"{name}, seed {seed}: {came}", flush=True)
    return came.is_right


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.workers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = ("killed", "stopped", "lossy", "restarted", "emptied", "metered")
    parser.add_argument("names", nargs="+", choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--rounds", type=int, default=1, help="of each")
    parser.add_argument("--seed", type=int, default=1, help="of the first round")
    parser.add_argument("--items", type=int, help="of a job")
    parser.add_argument("--operation", choices=("hold", "update"), default="hold")
    parser.add_argument("--minutes", type=int, default=4, help="of metered")
    given = parser.parse_args()
    right = True
    for name in given.names:
        for seed in range(given.seed, given.seed + given.rounds):
            began = time.monotonic()
            with tempfile.TemporaryDirectory() as folder:
                right &= asyncio.run(_one(name, Path(folder), seed, given))
            print(f"  {time.monotonic() - began:.0f} s", flush=True)
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
