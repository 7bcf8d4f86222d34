"""What `import fusebill_async` costs over the libraries that it stands on.

    python -m benchmarks.import_time

Fresh interpreters alternate: one imports aiohttp, attrs and cattrs, the next fusebill_async. What is imported beyond
them is listed, so that a module that crept in is seen.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import Counter

import attrs

from benchmarks.server import ROOT

BASE = "import aiohttp, attrs, cattrs"
OURS = "import fusebill_async"
_PROGRAM = """
import sys, time
begin, cpu = time.perf_counter(), time.process_time()
{}
wall, cpu = time.perf_counter() - begin, time.process_time() - cpu
import json
print(json.dumps([wall * 1e3, cpu * 1e3, sorted(sys.modules)]))
"""


@attrs.frozen
class ImportTime:
    """Milliseconds of CPU, and the modules that come on top."""

    base: float
    ours: float
    added: float
    spread: tuple[float, float]
    modules: tuple[str, ...]


def once(statement: str, environment: dict[str, str]) -> tuple[float, float, set[str]]:
    """Run a statement in a fresh interpreter: wall and CPU in milliseconds, and every module that was loaded."""
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", _PROGRAM.format(statement)],
        cwd=ROOT,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    wall, cpu, modules = json.loads(done.stdout)
    return wall, cpu, set(modules)


def measure(rounds: int) -> ImportTime:
    """Alternate, and take the median of the differences of neighbours."""
    base, ours = [], []
    modules: set[str] = set()
    with tempfile.TemporaryDirectory() as cache:
        # An installed package has its bytecode; a checkout may be told not to write any.
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": cache}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        once(OURS, environment)
        for _ in range(rounds):
            one, other = once(BASE, environment), once(OURS, environment)
            base.append(one[1])
            ours.append(other[1])
            modules = other[2] - one[2]
    added = [after - before for before, after in zip(base, ours, strict=True)]
    low, middle, high = statistics.quantiles(added, n=4)
    return ImportTime(statistics.median(base), statistics.median(ours), middle, (low, high), tuple(sorted(modules)))


def render(found: ImportTime) -> str:
    """The figures and the list."""
    low, high = found.spread
    lines = [
        f"aiohttp, attrs and cattrs {found.base:.0f} ms, fusebill_async {found.ours:.0f} ms of CPU",
        f"added {found.added:.1f} ms  [{low:.1f}, {high:.1f}] (median of the differences of neighbours)",
        "Imported beyond them:",
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
