"""Make each change of the table, one at a time, and see that its test fails.

    python -m tests.mutations                   # all, in copies of the project beside each other
    python -m tests.mutations --severe
    python -m tests.mutations money-as-the-rest no-growth
    python -m tests.mutations --list

A change is made in a copy of the project in a temporary folder, never here. First the tests are run in a copy without a
change: a test that fails there proves nothing. The program ends with 1 if a change was not noticed, or cannot be made
any more.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue

from tests.mutations.table import GONE, MUTATIONS, SEVERE, Mutation

ROOT = Path(__file__).parents[2]
PATIENCE = 240
"""Seconds after which tests that hang count as failed."""


def copied(folder: Path) -> Path:
    """A copy of the project in which changes may be made."""
    for name in ("fusebill_async", "tests", "benchmarks"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def is_green(copy: Path, tests: Sequence[str], *, options: Sequence[str] = (), patience: float = PATIENCE) -> bool:
    """Whether tests pass in a copy, within so many seconds."""
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--timeout=60", *options, *tests]
    try:
        ran = subprocess.run(command, cwd=copy, env=environment, capture_output=True, timeout=patience, check=False)
    except subprocess.TimeoutExpired:
        return False
    if ran.returncode not in {0, 1, 2}:
        raise RuntimeError(f"pytest ended with {ran.returncode}: {ran.stdout.decode()[-2000:]}")
    return ran.returncode == 0


@contextmanager
def changed(copy: Path, mutation: Mutation) -> Iterator[None]:
    """The change, while the block lasts."""
    file = copy / "fusebill_async" / mutation.file
    right = file.read_text()
    file.write_text(right.replace(mutation.old, mutation.new, 1))
    try:
        yield
    finally:
        file.write_text(right)


def can_be_made(mutation: Mutation) -> bool:
    """Whether the text that is to be changed is there."""
    return mutation.old in (ROOT / "fusebill_async" / mutation.file).read_text()


def try_all(mutations: Sequence[Mutation], jobs: int) -> int:
    """Try each; the number of those that were not noticed."""
    missed = [mutation for mutation in mutations if not can_be_made(mutation)]
    for mutation in missed:
        print(f"CANNOT BE MADE   {mutation.name}: its text is not in {mutation.file}", flush=True)
    with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor(jobs) as threads:
        copies: SimpleQueue[Path] = SimpleQueue()
        for number in range(jobs):
            copies.put(copied(Path(place) / str(number)))

        def try_one(mutation: Mutation) -> tuple[Mutation, bool, float]:
            copy, started = copies.get(), time.monotonic()
            try:
                with changed(copy, mutation):
                    return mutation, is_green(copy, mutation.test.split()), time.monotonic() - started
            finally:
                copies.put(copy)

        copy = copies.get()
        wanted = sorted({test for mutation in mutations for test in mutation.test.split()})
        whole = is_green(copy, wanted, options=("-n", str(jobs)), patience=10 * PATIENCE)
        copies.put(copy)
        if not whole:
            print("Some of the tests fail without any change: they prove nothing.")
            return len(mutations)
        rest = [mutation for mutation in mutations if mutation not in missed]
        for mutation, green, seconds in threads.map(try_one, rest):
            verdict = "NOT NOTICED" if green else "red"
            print(
                f"{verdict:<16} {mutation.weight:<8} {mutation.name:<28} {seconds:5.1f} s  {mutation.promise}",
                flush=True,
            )
            missed += [mutation] * green
    return len(missed)


def main() -> None:
    """Read the command line, and try what it names."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutations", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", choices=[[], *(mutation.name for mutation in MUTATIONS)], metavar="NAME")
    parser.add_argument("--severe", action="store_true", help="only the severe ones")
    parser.add_argument("--list", action="store_true", help="name them, and change nothing")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time")
    given = parser.parse_args()
    chosen = SEVERE if given.severe else MUTATIONS
    if given.names:
        chosen = tuple(mutation for mutation in MUTATIONS if mutation.name in given.names)
    if given.list:
        for mutation in chosen:
            print(f"{mutation.weight:<8} {mutation.name:<28} {mutation.promise}")
        for name, reason in GONE.items():
            print(f"gone     {name}: {reason}")
        return
    missed = try_all(chosen, given.jobs)
    print(f"\n{len(chosen)} changes, {len(chosen) - missed} noticed, {missed} not")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
