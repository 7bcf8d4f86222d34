"""The apps of the chapter on web apps, as processes of their own."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp

from tests.docs.documents import Block, blocks

ROOT = Path(__file__).parents[2]
KEY = "MDpub3QtYS1yZWFsLWtleQ"

GRACE = 1
"""Seconds that a server gives to requests under way before it cancels them."""


def chapter() -> dict[str, str]:
    """The code of the chapter by the name of its framework."""
    found = [block for block in blocks(runner="tests/web") if block.document == "web"]
    return {_framework(block): block.code for block in found}


def _framework(block: Block) -> str:
    return "aiohttp" if "from aiohttp import web" in block.code else "fastapi"


FRAMEWORKS = ("fastapi", "aiohttp")


class App:
    """One start of an app. It ends with its block, by SIGKILL if it has to.

    Args:
        framework: "fastapi" or "aiohttp".
        folder: where its code and its store lie.
        service: the base URL of the simulator.
    """

    def __init__(self, framework: str, folder: Path, service: str) -> None:
        self.framework = framework
        self.folder = folder
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._service = service

    async def __aenter__(self) -> Self:
        code = chapter()[self.framework].replace("shutdown_timeout=10", f"shutdown_timeout={GRACE}")
        (self.folder / "app.py").write_text(code)
        program = ["app"]
        if self.framework == "fastapi":
            program = ["uvicorn", "app:app", f"--port={self.port}", f"--timeout-graceful-shutdown={GRACE}"]
        given = {"FUSEBILL_API_KEY": KEY, "FUSEBILL_BASE_URL": self._service, "PORT": str(self.port)}
        with (self.folder / "app.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "tests.web.quickly", *program),
                cwd=self.folder,
                env={**os.environ, **given, "PYTHONPATH": str(ROOT)},
                stdout=log,
                stderr=log,
            )
        await self._wait_until_it_listens()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.end(signal.SIGKILL)

    async def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal, and wait for the end."""
        if self.process.returncode is None:
            self.process.send_signal(number)
            await self.process.wait()

    async def _wait_until_it_listens(self) -> None:
        for _ in range(600):
            assert self.process.returncode is None, self.log
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return
        raise AssertionError(f"it does not listen\n{self.log}")

    @property
    def log(self) -> str:
        """What it and earlier starts have printed."""
        return (self.folder / "app.log").read_text()

    async def post(self, session: aiohttp.ClientSession, path: str, key: str | None) -> tuple[int | None, str | None]:
        """Ask for a write. Gives status and outcome as the app tells them; None where no answer came."""
        headers = {} if key is None else {"Idempotency-Key": key}
        try:
            async with session.post(self.url + path, headers=headers) as answer:
                told = await answer.json() if answer.content_type == "application/json" else {}
                return answer.status, told.get("outcome")
        except aiohttp.ClientError:
            return None, None

    async def outcome(self, session: aiohttp.ClientSession, key: str) -> str | None:
        """The outcome that the app knows for a key; None if it knows none."""
        async with session.get(f"{self.url}/outcomes/{key}") as answer:
            told: str | None = (await answer.json())["outcome"]
            return told


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
