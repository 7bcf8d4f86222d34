"""Delivers calls with one key again and again, to processes that are killed and stopped at random.

The service's own count of effects tells whether one key was one effect.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import signal
import sys
import uuid
from collections import Counter, defaultdict
from typing import Any

import attrs

from fusebill_async.testing import Fault, FusebillSimulator

WORKERS = 4
DELIVERIES = 5
FIRST_ID = 1000


@attrs.define(eq=False)
class Report:
    """What came of it."""

    rounds: int = 0
    kills: int = 0
    stops: int = 0
    told: Counter[str] = attrs.field(factory=Counter)
    effects: int = 0
    faults: list[str] = attrs.field(factory=list)

    def __str__(self) -> str:
        told = ", ".join(f"{count:,} {name}" for name, count in sorted(self.told.items()))
        processes = f"{self.kills:,} processes killed, {self.stops:,} stopped for longer than their lease"
        lines = [
            f"{self.rounds:,} keys, each delivered {DELIVERIES + 1} times; {processes}",
            f"told: {told}",
            f"effects: {self.effects:,}",
            f"violations: {len(self.faults)}",
        ]
        return "\n".join([*lines, *self.faults[:20]])


class Worker:
    """One process; another one takes its place when it is killed."""

    def __init__(self, arguments: tuple[str, str], heard: Any) -> None:
        self._arguments = arguments
        self._heard = heard
        self.process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.keys.worker", *self._arguments,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        assert self.process.stdout is not None
        await self.process.stdout.readline()
        self._reading = asyncio.create_task(self._read(self.process.stdout))

    async def _read(self, lines: asyncio.StreamReader) -> None:
        while line := await lines.readline():
            self._heard(json.loads(line))

    def deliver(self, **call: Any) -> None:
        assert self.process is not None
        assert self.process.stdin is not None
        with contextlib.suppress(ConnectionError):
            self.process.stdin.write((json.dumps(call) + "\n").encode())

    async def end(self) -> None:
        """Let it finish what it has."""
        assert self.process is not None
        assert self.process.stdin is not None
        with contextlib.suppress(ConnectionError):
            self.process.stdin.close()
        await self.process.wait()
        await self._joined()

    async def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        await self.process.wait()
        await self._joined()

    async def _joined(self) -> None:
        assert self._reading is not None
        await self._reading


async def deliver_to_killed_processes(place: str, *, rounds: int, seed: int = 7, stops: bool = False) -> Report:
    """Deliver so many keys.

    Args:
        place: of the store, a path or a URL of Redis.
        rounds: keys.
        seed: of chance.
        stops: also stop processes for longer than their lease, and continue them.
    """
    chance, run = random.Random(seed), uuid.uuid4().hex
    report = Report(rounds=rounds)
    told: dict[str, list[dict[str, Any]]] = defaultdict(list)
    async with FusebillSimulator() as fusebill:
        for number in range(rounds):
            fusebill.add_customer(id=FIRST_ID + number, status="Active" if number % 2 else "Draft")
        # An answer takes a while, so that a kill finds many calls between their effect and its record.
        for operation in ("hold", "activate"):
            fusebill.inject(Fault.delay(0.15, operation=operation, times=None, probability=0.7))
            fusebill.inject(Fault.reset_after_effect(operation=operation, times=None, probability=0.1))
            fusebill.inject(Fault.reset_before_effect(operation=operation, times=None, probability=0.1))

        def hear(line: dict[str, Any]) -> None:
            told[line["key"]].append(line)

        workers = [Worker((fusebill.base_url, place), hear) for _ in range(WORKERS)]
        await asyncio.gather(*(worker.start() for worker in workers))
        working = asyncio.create_task(_deliver_all(workers, run, rounds, chance))
        await asyncio.gather(*(_trouble(worker, working, report, chance, stops=stops) for worker in workers), working)
        await asyncio.gather(*(worker.end() for worker in workers))
        # One more, after everything: whatever the others were told, this one knows.
        last = Worker((fusebill.base_url, place), hear)
        await last.start()
        for number in range(rounds):
            last.deliver(**_call(run, number))
        await last.end()
        _judge(fusebill, run, told, report)
    return report


def _call(run: str, number: int) -> dict[str, Any]:
    """A key of this run alone: a Redis may hold those of another one."""
    operation = "hold" if number % 2 else "activate"
    return {"key": f"{run}-{number}", "operation": operation, "customer_id": FIRST_ID + number}


async def _deliver_all(workers: list[Worker], run: str, rounds: int, chance: random.Random) -> None:
    async def one(number: int) -> None:
        for _ in range(DELIVERIES):
            chance.choice(workers).deliver(**_call(run, number))
            await asyncio.sleep(chance.choice((0.0, 0.01, 0.1, 0.5)))

    for first in range(0, rounds, 10):
        await asyncio.gather(*map(one, range(first, min(rounds, first + 10))))


async def _trouble(
    worker: Worker, working: asyncio.Task[None], report: Report, chance: random.Random, *, stops: bool
) -> None:
    while not working.done():
        await asyncio.sleep(chance.uniform(0.05, 0.8))
        assert worker.process is not None
        if stops and chance.random() < 0.5:
            worker.process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(1.5)
            with contextlib.suppress(ProcessLookupError):
                worker.process.send_signal(signal.SIGCONT)
            report.stops += 1
        else:
            await worker.kill()
            report.kills += 1
            await worker.start()


def _judge(fusebill: FusebillSimulator, run: str, told: dict[str, list[dict[str, Any]]], report: Report) -> None:
    for number in range(report.rounds):
        call = _call(run, number)
        effects = fusebill.effects(call["operation"], call["customer_id"])
        heard = told[call["key"]]
        report.effects += effects
        report.told.update(line["outcome"] for line in heard)
        if effects > 1:
            report.faults.append(f"{call}: {effects} effects")
        if not heard:
            report.faults.append(f"{call}: nobody was told anything")
            continue
        # What is told after the effect may not deny it; the last delivery comes after everything.
        last = heard[-1]
        if last["outcome"] != ("applied" if effects else "not_applied"):
            report.faults.append(f"{call}: {effects} effects, and the last delivery was told {last}")
        first_applied = next((place for place, line in enumerate(heard) if line["outcome"] == "applied"), len(heard))
        denied = [line for line in heard[first_applied:] if line["outcome"] not in {"applied", "unknown"}]
        if denied:
            report.faults.append(f"{call}: denied after it was told as applied: {denied}")
