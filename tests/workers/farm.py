"""A Redis, worker processes and a job's process, which can be killed, stopped and started anew."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import attrs

import fusebill_async
from fusebill_async.testing import FusebillSimulator

_HERE = Path(__file__).parent
_ROOT = Path(fusebill_async.__file__).parents[1]


def start_process(program: str, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
    """Start one of the programs of this folder."""
    return subprocess.Popen(
        [sys.executable, str(_HERE / program), *arguments],
        env={**os.environ, **environment, "PYTHONPATH": str(_ROOT)},
        stdout=subprocess.PIPE,
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class RedisServer:
    """A real one, on a free loopback port, with its file in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        program = shutil.which("redis-server")
        assert program is not None
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        self.process = subprocess.Popen([program, *options, "--appendonly", "yes"], stdout=subprocess.DEVNULL)
        for _ in range(500):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 0.1):
                return
            time.sleep(0.02)
        raise AssertionError("redis-server did not start")

    def kill(self, *, with_file: bool = False) -> None:
        """End it by `kill -9`, and with its file if that is to be lost, too."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        if with_file:
            shutil.rmtree(self.folder / "appendonlydir", ignore_errors=True)


@attrs.define
class Farm:
    """Worker processes on one Redis and one simulated service.

    Attributes:
        redis, fusebill: what they share.
        chance: who is struck.
        per_minute: the quota of the account, 0 for none.
        lease: seconds of a customer's lock.
        redeliver_after: seconds until a dead worker's message is given to another one.
    """

    redis: RedisServer
    fusebill: FusebillSimulator
    chance: random.Random
    per_minute: int = 0
    lease: float = 0.9
    redeliver_after: float = 1.5
    workers: list[subprocess.Popen[bytes]] = attrs.field(factory=list)
    kills: int = 0

    def start(self, count: int) -> None:
        """Start workers."""
        for _ in range(count):
            self.workers.append(self._started())

    def _started(self) -> subprocess.Popen[bytes]:
        facts = [self.redis.url, self.fusebill.base_url, str(self.per_minute), str(self.lease)]
        return start_process("worker_process.py", *facts, str(self.redeliver_after))

    def kill_one(self) -> None:
        """End one by `kill -9`, and start another in its place."""
        place = self.chance.randrange(len(self.workers))
        self.workers[place].kill()
        _reap(self.workers[place])
        self.workers[place] = self._started()
        self.kills += 1

    async def kill_on(self, every: float, progress: int) -> None:
        """Go on killing: after so many seconds, and so many more effects, as a new one takes time to start."""
        while True:
            before = len(self.fusebill.effects_log)
            await asyncio.sleep(every)
            while len(self.fusebill.effects_log) < before + progress:  # noqa: ASYNC110 (nobody tells of it)
                await asyncio.sleep(0.01)
            self.kill_one()

    async def stop_on(self, every: float, longer_than: float) -> None:
        """Once they are at work, stop one after the other for longer than its lease, and continue it."""
        while not self.fusebill.effects_log:  # noqa: ASYNC110 (nobody tells of it)
            await asyncio.sleep(0.01)
        while True:
            struck = self.chance.choice(self.workers)
            struck.send_signal(signal.SIGSTOP)
            self.kills += 1
            try:
                await asyncio.sleep(longer_than)
            finally:
                struck.send_signal(signal.SIGCONT)
            await asyncio.sleep(every * self.chance.random())

    def end(self) -> None:
        """End all."""
        for each in self.workers:
            each.send_signal(signal.SIGCONT)
            each.kill()
            _reap(each)


async def run_job(
    farm: Farm,
    operation: str,
    items: int,
    journal: Path,
    *,
    kill_after: tuple[float, ...] = (),
    wait: float = 60.0,
    lost: float = 0.0,
) -> dict[str, Any]:
    """Run a job on workers; its process is killed after so many seconds each time, and another one goes on.

    Returns:
        The report, as the last process tells it, and how often it was started.
    """
    facts = [farm.redis.url, farm.fusebill.base_url, operation, str(items), str(journal), str(wait), str(lost)]
    for runs, seconds in enumerate((*kill_after, None), 1):
        process = start_process("job_process.py", *facts)
        try:
            out = await asyncio.wait_for(asyncio.to_thread(process.communicate), seconds or 1200)
        except TimeoutError:
            process.kill()
            await asyncio.to_thread(process.wait)
            continue
        finally:
            if process.returncode is None:
                process.kill()
            _reap(process)
        told: dict[str, Any] = json.loads(out[0])
        return {**told, "runs": runs}
    raise AssertionError("the last process is never killed")


def _reap(process: subprocess.Popen[bytes]) -> None:
    process.wait()
    if process.stdout is not None and not process.stdout.closed:
        process.stdout.close()
