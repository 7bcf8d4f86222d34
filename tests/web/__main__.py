"""SIGTERM in the middle of fifty writes, with the apps of the chapter: `python -m tests.web --rounds 20`.

With `--kill` SIGKILL follows before the app has ended.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from tests.web.apps import FRAMEWORKS
from tests.web.rounds import run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.web", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="with each framework")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--kill", action="store_true", help="SIGKILL follows SIGTERM")
    given = parser.parse_args()
    faults = 0
    for framework in FRAMEWORKS:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            tally = asyncio.run(run(framework, Path(folder), rounds=given.rounds, seed=given.seed, kill=given.kill))
        print(f"{framework}: {tally} ({time.monotonic() - began:.0f} s)", *tally.told, sep="\n  ", flush=True)
        faults += tally.faults
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
