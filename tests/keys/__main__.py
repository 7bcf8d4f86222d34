"""Many keys, each delivered to several processes that are killed at random.

python -m tests.keys --rounds 300                          # SQLite
python -m tests.keys --rounds 300 --store redis://localhost:6379/0
python -m tests.keys --rounds 100 --stops
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.keys.kills import deliver_to_killed_processes


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.keys", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=300, help="keys")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--store", help="a URL of Redis; without, a SQLite file")
    parser.add_argument("--stops", action="store_true", help="also stop processes for longer than their lease")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = given.store or str(Path(folder) / "store.sqlite")
        report = asyncio.run(
            deliver_to_killed_processes(place, rounds=given.rounds, seed=given.seed, stops=given.stops)
        )
    print(report)
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
