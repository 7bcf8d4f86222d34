"""What `import fusebill_async` costs over the libraries that it stands on, and what follows it until the first answer.

    python -m benchmarks.import_time

Fresh interpreters alternate: one imports aiohttp, attrs and cattrs and sends one POST with aiohttp alone, the next
imports fusebill_async, makes a client and awaits one hold. So a module that is imported later, when it is first
used, is counted where it is used. What the import brings beyond the libraries is listed, so that a module that crept
in is seen.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence

import attrs

from benchmarks.server import ROOT, running

_BASE = """
import aiohttp, attrs, cattrs
mark()
mark()
import asyncio, json
async def first():
    async with aiohttp.ClientSession() as session, session.post(URL + "/CustomerHold/1") as response:
        json.loads(await response.read())
asyncio.run(first())
mark()
"""
_OURS = """
import fusebill_async
fusebill_async.FusebillClient
mark()
client = fusebill_async.FusebillClient("key", base_url=URL)
mark()
import asyncio
async def first():
    async with client:
        await client.customers.hold(1)
asyncio.run(first())
mark()
"""
_CODEC = """
import aiohttp, attrs, cattrs
mark()
import msgspec, decimal
mark()
"""
_PROGRAM = """
import sys, time
URL, times, modules = {url!r}, [], []
def mark():
    times.append(time.process_time() * 1e3)
    modules.append(set(sys.modules))
mark()
{program}
import json
print(json.dumps([times, sorted(modules[1])]))
"""


@attrs.frozen
class Cost:
    """Milliseconds of CPU over the libraries: the median of the differences of neighbours, and the quartiles."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, differences: Sequence[float]) -> Cost:
        """Sum up the differences."""
        low, middle, high = statistics.quantiles(differences, n=4)
        return cls(middle, low, high)

    def __str__(self) -> str:
        return f"{self.middle:5.1f} ms  [{self.low:.1f}, {self.high:.1f}]"


@attrs.frozen
class ImportTime:
    """What is paid at each step, and the modules that the import brings along."""

    base: float
    imported: Cost
    codec: Cost
    client: Cost
    first: Cost
    total: Cost
    modules: tuple[str, ...]


def once(program: str, url: str, environment: dict[str, str]) -> tuple[list[float], set[str]]:
    """Run a program in a fresh interpreter: the CPU of each step in milliseconds, and the modules after the first."""
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", _PROGRAM.format(url=url, program=program)],
        cwd=ROOT,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    times, modules = json.loads(done.stdout)
    return [after - before for before, after in itertools.pairwise(times)], set(modules)


def measure(rounds: int) -> ImportTime:
    """Alternate, and compare neighbours."""
    base: list[list[float]] = []
    over: list[list[float]] = []
    codec: list[float] = []
    modules: set[str] = set()
    with tempfile.TemporaryDirectory() as cache, running() as url:
        # An installed package has its bytecode; a checkout may be told not to write any.
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": cache}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        once(_BASE, url, environment)
        once(_OURS, url, environment)
        for _ in range(rounds):
            before, theirs = once(_BASE, url, environment)
            after, ours = once(_OURS, url, environment)
            base.append(before)
            over.append([one - other for one, other in zip(after, before, strict=True)])
            codec.append(once(_CODEC, url, environment)[0][1])
            modules = ours - theirs
    imported, client, first = zip(*over, strict=True)
    return ImportTime(
        base=statistics.median(steps[0] for steps in base),
        imported=Cost.of(imported),
        codec=Cost.of(codec),
        client=Cost.of(client),
        first=Cost.of(first),
        total=Cost.of([sum(steps) for steps in over]),
        modules=tuple(sorted(modules)),
    )


def render(found: ImportTime) -> str:
    """The figures and the list."""
    lines = [
        f"aiohttp, attrs and cattrs {found.base:.0f} ms of CPU; over them (median of the differences of neighbours):",
        f"  import fusebill_async           {found.imported}",
        f"    of which msgspec and decimal  {found.codec}",
        f"  make a client                   {found.client}",
        f"  the first hold                  {found.first}  (over aiohttp's first POST)",
        f"  all three                       {found.total}",
        "The import brings, beyond them:",
    ]
    owners = Counter(name.partition(".")[0] for name in found.modules)
    for owner, number in owners.most_common():
        lines.append(f"  {owner}" + (f" ({number} modules)" if number > 1 else ""))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=21)
    print(render(measure(parser.parse_args().rounds)))


if __name__ == "__main__":
    main()
