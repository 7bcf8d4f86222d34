"""Two backends for the same promises, and processes that share them."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import fusebill_async
from fusebill_async import SettlingPolicy

_CHILD = Path(__file__).with_name("child.py")


def load_child():
    spec = importlib.util.spec_from_file_location("stores_child", _CHILD)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_make_store = load_child().make_store


@pytest.fixture
def make_store():
    """Opens a store at a place; the test closes it."""
    return _make_store


@pytest.fixture
def quick():
    """Settling that takes no time to speak of."""
    return SettlingPolicy(first_read=0.005, quiet_period=0.05, retry_delay=0.01, wait=5.0, close_wait=2.0)


def missing(reason):
    """Skip, but never where the tests are to prove something."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory):
    program = shutil.which("redis-server")
    if program is None:
        missing("redis-server is not installed")
    if importlib.util.find_spec("redis") is None:
        missing("redis-py is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    place = tmp_path_factory.mktemp("redis")
    options = ["--port", str(port), "--bind", "127.0.0.1", "--appendonly", "yes", "--dir", str(place)]
    with subprocess.Popen([program, *options], stdout=subprocess.DEVNULL) as server:
        try:
            _wait_for(port)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.send_signal(signal.SIGCONT)
            server.terminate()


def _wait_for(port):
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.1):
            return
        time.sleep(0.05)
    pytest.fail("redis-server did not start")


@pytest.fixture(params=["sqlite", "redis"])
def place(request, tmp_path):
    """Where a store is: a path or a URL. Nothing is left in it by other tests."""
    if request.param == "sqlite":
        return str(tmp_path / "store.sqlite")
    url = request.getfixturevalue("redis_url")
    redis = pytest.importorskip("redis")
    with redis.Redis.from_url(url) as client:
        client.flushall()
    return url


class Child:
    """A child process, spoken to in lines."""

    def __init__(self, process):
        self.process = process

    async def hear(self):
        async with asyncio.timeout(120):
            line = await self.process.stdout.readline()
        assert line, f"the child ended with {await self.process.wait()}"
        return line.decode().rstrip()

    def tell(self):
        self.process.stdin.write(b"\n")

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)

    async def rest(self):
        """Everything that it still has to say, until its end."""
        async with asyncio.timeout(120):
            text = (await self.process.stdout.read()).decode()
            await self.process.wait()
        return text.splitlines()


@pytest.fixture
async def child():
    """Starts children, and ends those that are left."""
    started = []

    async def start(do, store, **orders):
        root = str(Path(fusebill_async.__file__).parents[1])
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(_CHILD),
            json.dumps({"do": do, "store": store, **orders}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": root},
        )
        started.append(process)
        return Child(process)

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.communicate()
        process._transport.close()
