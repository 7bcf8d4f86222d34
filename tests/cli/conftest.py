from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any, NamedTuple

import pytest

from fusebill_async.cli import connection, main
from fusebill_async.settings import SettlingPolicy

KEY = "MDpub3QtYS1yZWFsLWtleQ"


class Ran(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def object(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def cli(fusebill, monkeypatch, capfd):
    """Run a command in this process, against the simulator of the test."""
    monkeypatch.setenv("FUSEBILL_API_KEY", KEY)
    monkeypatch.setenv("FUSEBILL_BASE_URL", fusebill.base_url)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(connection, "SETTLING", SettlingPolicy(first_read=0.01, quiet_period=0.1, wait=5.0))

    async def run(*arguments: str) -> Ran:
        code = await asyncio.to_thread(main, arguments)
        ran = Ran(int(code), *capfd.readouterr())
        assert KEY not in ran.out + ran.err
        assert "Traceback" not in ran.err
        return ran

    return run


@pytest.fixture
def start(fusebill):
    """Start a command as a process of its own, against the simulator of the test."""

    async def run(
        *arguments: str,
        program: tuple[str, ...] = ("-m", "fusebill_async"),
        stdin: Any = None,
        stdout: Any = asyncio.subprocess.PIPE,
        stderr: Any = asyncio.subprocess.PIPE,
        preexec_fn: Any = None,
        **environment: str | None,
    ) -> asyncio.subprocess.Process:
        given = {"FUSEBILL_API_KEY": KEY, "FUSEBILL_BASE_URL": fusebill.base_url, "COLUMNS": "80"} | environment
        variables = {**os.environ, **{name: value for name, value in given.items() if value is not None}}
        for name, value in given.items():
            if value is None:
                variables.pop(name, None)
        return await asyncio.create_subprocess_exec(
            sys.executable, *program, *arguments,
            env=variables, stdin=stdin, stdout=stdout, stderr=stderr, preexec_fn=preexec_fn,
        )  # fmt: skip

    return run


async def finish(process: asyncio.subprocess.Process, given: bytes | None = None) -> Ran:
    """Wait for the end of a process."""
    async with asyncio.timeout(30):
        out, err = await process.communicate(given)
    assert process.returncode is not None
    return Ran(process.returncode, (out or b"").decode(), err.decode())
