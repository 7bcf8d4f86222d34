"""mypy and basedpyright take what a user would write, and find each mistake that they are there to find."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PROGRAMS = sorted([*HERE.glob("wrong/*.py"), *(path for path in HERE.glob("*.py") if not path.match("test_*"))])


def marked() -> set[tuple[str, int]]:
    """The lines that are said to be wrong."""
    return {
        (path.name, number)
        for path in PROGRAMS
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if line.endswith("# wrong")
    }


def found_by_mypy() -> set[tuple[str, int]]:
    output = _run(sys.executable, "-m", "mypy", "--no-error-summary", "--hide-error-context", *map(str, PROGRAMS))
    errors = re.findall(r"^(.+?):(\d+): error:", output, re.MULTILINE)
    return {(Path(name).name, int(line)) for name, line in errors}


def found_by_pyright() -> set[tuple[str, int]]:
    # The settings of the whole package leave out what must not pass.
    checker = str(Path(sys.executable).with_name("basedpyright"))
    told = json.loads(
        _run(checker, "--pythonpath", sys.executable, "--project", str(HERE / "pyrightconfig.json"), "--outputjson")
    )["generalDiagnostics"]
    return {
        (Path(one["file"]).name, one["range"]["start"]["line"] + 1) for one in told if one["severity"] != "information"
    }


def _run(*command: str) -> str:
    given = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=given, check=False).stdout


@pytest.mark.parametrize("found", [found_by_mypy, found_by_pyright], ids=["mypy", "basedpyright"])
def test_each_mistake_is_found_and_nothing_else(found: Callable[[], set[tuple[str, int]]]) -> None:
    assert len(marked()) > 20
    assert found() == marked()
