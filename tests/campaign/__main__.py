"""A campaign against the promise: every call ends in a true outcome, nothing happens twice, and no change is lost.

    python -m tests.campaign --worlds 1000 --seed 7
    python -m tests.campaign --world 7000012 --trace
    python -m tests.campaign --sockets --calls 20000

A world is 100 calls of several writers on a few customers, in virtual time, under what its seed draws: faults, reads
that lag, clocks that are apart, a proxy that doubles requests or answers for the service, somebody else at work,
cancellations, deadlines, windows of the quota. In every other world the writers are processes on one SQLite file or
Redis; they are killed, stopped beyond their leases and cut off, and others go on in their place. Afterwards every
outcome is compared with the true history of the customers. The same seed is the same world, byte for byte: its hash
says so. Ends with 1 if there was a violation.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator

from tests.campaign import sockets
from tests.campaign.mutants import MUTANTS, broken
from tests.campaign.running import Summary, make_world, run_worlds, seeds_of


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.campaign", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--worlds", type=int, default=1000, help="how many")
    parser.add_argument("--seed", type=int, default=7, help="of the campaign; each world has its own")
    parser.add_argument("--seconds", type=float, help="stop after so many real seconds")
    parser.add_argument("--jobs", type=int, help="processes; as many as there are processors by default")
    parser.add_argument("--quiet", action="store_true", help="no line for each world that holds")
    parser.add_argument("--broken", choices=sorted(MUTANTS), default="", help="break one safeguard on purpose")
    parser.add_argument("--world", type=int, metavar="SEED", help="this world alone")
    parser.add_argument("--trace", action="store_true", help="with --world: print every event in order")
    parser.add_argument("--brief", action="store_true", help="with --trace: leave out the bytes on the wire")
    parser.add_argument("--sockets", action="store_true", help="the campaign over real sockets; see --sockets --help")
    return parser


def _run_one(seed: int, given: argparse.Namespace) -> int:
    with broken(given.broken):
        report = make_world(seed, keep=given.trace, mutant=given.broken).run()
    for line in report.trace:
        if not (given.brief and "connection " in line[:28]):
            print(line)
    for finding in report.findings:
        print(finding)
    print(f"world {seed}: {report.digest}, {len(report.violations)} violations")
    return 1 if report.violations else 0


def _run_all(given: argparse.Namespace) -> int:
    summary = Summary()
    until = None if given.seconds is None else time.monotonic() + given.seconds
    for report in run_worlds(_until(seeds_of(given.seed, given.worlds), until), mutant=given.broken, jobs=given.jobs):
        summary.add(report)
        if report.violations or not given.quiet:
            told = f"{len(report.violations)} VIOLATIONS" if report.violations else "holds"
            print(f"world {report.seed}  {report.digest}  {told}")
        for finding in report.violations[:5]:
            print(f"    {finding}")
    print(summary.table())
    return 1 if summary.failed else 0


def _until(seeds: range, until: float | None) -> Iterator[int]:
    for seed in seeds:
        if until is not None and time.monotonic() > until:
            return
        yield seed


def main() -> int:
    """Run a campaign from the command line."""
    if "--sockets" in sys.argv:
        sys.argv.remove("--sockets")
        return sockets.main()
    given = _parser().parse_args()
    if given.world is not None:
        return _run_one(given.world, given)
    return _run_all(given)


if __name__ == "__main__":
    sys.exit(main())
