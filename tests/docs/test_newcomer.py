"""A newcomer with the README and the guides: every command and program is copied from them, and run in their order."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from tests.docs.documents import GUIDES, README, blocks

IDS = range(2, 302)
_HELD = re.compile(r"customers\.hold of customer (\d+)  200")


@attrs.frozen
class Newcomer:
    """A person in a folder of their own, at a shell."""

    folder: Path
    variables: dict[str, str]

    def start(self, command: str, **streams: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(shlex.split(command), cwd=self.folder, env=self.variables, text=True, **streams)

    def run(self, command: str, *ends_with: int) -> str:
        """What a command prints. It ends with 0, or with one of the codes that are given."""
        process = self.start(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        with process:
            printed, _ = process.communicate(timeout=50)
        assert process.returncode in (ends_with or (0,)), f"{command}\n{printed}"
        return printed


def newcomer_in(folder: Path) -> Newcomer:
    """One who has installed the package. CI installs its wheel with the README's command; here it is the tree's."""
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name, words in (("python", ""), ("fusebill-async", "-m fusebill_async "), ("pytest", "-m pytest ")):
        (programs / name).write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {words}"$@"\n')
        (programs / name).chmod(0o755)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    variables = {name: value for name, value in os.environ.items() if not name.startswith("FUSEBILL_")}
    return Newcomer(folder, variables | {"PATH": path, "PYTHONPATH": str(README.parent)})


def commands(document: Path, beginning: str) -> list[str]:
    """The lines of the blocks of shell commands that begin so."""
    shown = re.findall(r"```sh\n(.*?)```", document.read_text(), re.DOTALL)
    return [line for block in shown for line in block.splitlines() if line.startswith(beginning)]


def program(document: str, has: str) -> str:
    """The block of Python in which a text stands."""
    [found] = [block.code for block in blocks() if block.document == document and has in block.code]
    return found


@contextmanager
def simulated(newcomer: Newcomer) -> Iterator[Path]:
    """The service of the README, with its variables set. Gives its log."""
    [command] = commands(README, "fusebill-async simulate")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        command = command.replace("8090", str(free.getsockname()[1]))
    log = newcomer.folder / "service.log"
    # A kill is to come in the middle of a job, so each answer takes a moment.
    with log.open("w") as out, newcomer.start(f"{command} --log --latency 0.1", stdout=out, stderr=out) as service:
        try:
            until(lambda: "Ctrl-C" in log.read_text(), service)
            newcomer.variables.update(re.findall(r"(FUSEBILL_\w+)=(\S+)", log.read_text()))
            yield log
        finally:
            service.kill()


def until(holds: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait until something holds, as long as a process lives."""
    ends = time.monotonic() + 30
    while not holds():
        assert process.poll() is None, "it ended before"
        assert time.monotonic() < ends, "it never came to pass"
        time.sleep(0.02)


def test_from_the_readme_to_a_job_that_was_killed(tmp_path: Path):
    newcomer = newcomer_in(tmp_path)
    [install] = [line for line in commands(README, "python3 -m venv") if "demo" in line]
    assert "2,000 holds, and 0 customers that were held twice" in newcomer.run(install.rpartition("&& ")[2])

    with simulated(newcomer) as log:
        (tmp_path / "first.py").write_text(program("README", "from_env()"))
        assert newcomer.run("python first.py").endswith(" Hold\n")

        (tmp_path / "test_route.py").write_text(program("testing", "def test_the_route"))
        assert "1 passed" in newcomer.run("pytest -q -p no:cacheprovider test_route.py")

        (tmp_path / "customers.csv").write_text("\n".join(["id", *map(str, IDS)]))
        guide = GUIDES / "bulk.md"
        plan, run, status, resume, report = (
            commands(guide, f"fusebill-async bulk {verb}")[0] for verb in ("plan", "run", "status", "resume", "report")
        )
        assert "300" in newcomer.run(plan)
        with newcomer.start(f"{run} --yes") as job:  # as the guide says of a script
            until(lambda: len(_HELD.findall(log.read_text())) > 60, job)
            job.kill()
        left = json.loads(newcomer.run(f"{status} --json", 3, 75))  # what was under way is unknown; there is more to do
        assert left["applied"] > 0
        assert left["unprocessed"] > 0
        assert "300 of 300 applied" in newcomer.run(resume)
        assert "300 of 300 applied" in newcomer.run(report)
        held = Counter(_HELD.findall(log.read_text()))
    assert held == Counter(map(str, (1, *IDS)))
