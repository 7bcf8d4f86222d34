"""Real processes that run jobs, killed by `kill -9` at random instants and started anew until the jobs are done."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs

from fusebill_async import Outcome
from fusebill_async.bulk import read_items, read_report
from fusebill_async.testing import Fault, FusebillSimulator
from fusebill_async.testing.routing import identify

ITEMS = 400
_DEEDS = {"hold": "customers.hold", "unlatch": "hubspot.unlatch"}


@attrs.define
class Report:
    """What came of it."""

    jobs: int = 0
    kills: int = 0
    stops: int = 0
    writes: int = 0
    wrong: list[str] = attrs.field(factory=list)

    def __str__(self) -> str:
        did = f"{self.jobs} jobs of {ITEMS} items, {self.kills} processes killed, {self.stops} stopped"
        found = f"{self.writes:,} writes at the service; violations: {len(self.wrong)}"
        return "\n".join([did, found, *self.wrong[:20]])


class _Watchful(FusebillSimulator):
    """A service that looks into the journal at every write."""

    journal: Path
    report: Report

    def respond(self, request: Any, connection: Any) -> Any:
        identify(request)
        if request.operation in _DEEDS.values():
            self.report.writes += 1
            with closing(sqlite3.connect(f"{self.journal.as_uri()}?mode=ro", uri=True)) as connection_:
                asked = "SELECT 1 FROM intents JOIN items ON number = item WHERE customer_id = ?"
                if connection_.execute(asked, (request.customer_id,)).fetchone() is None:
                    self.report.wrong.append(f"{request.operation} of {request.customer_id} without a durable intent")
        return super().respond(request, connection)


async def kill_a_real_job(folder: Path, *, kills: int, seed: int = 7, stops: bool = False) -> Report:
    """Run jobs one after the other until so many of their processes were killed.

    Args:
        folder: for the journals.
        kills: how many.
        seed: of chance.
        stops: also stop processes, and continue them.
    """
    chance, report = random.Random(seed), Report()
    while report.kills < kills:
        name = chance.choice(list(_DEEDS))
        await _one_job(name, folder / f"{report.jobs}.sqlite", kills, chance, report, stops=stops)
        report.jobs += 1
    return report


async def _one_job(name: str, journal: Path, kills: int, chance: random.Random, report: Report, *, stops: bool) -> None:
    title = _DEEDS[name]
    async with _Watchful() as fusebill:
        fusebill.journal, fusebill.report = journal, report
        for each in range(1, ITEMS + 1):
            fusebill.add_customer(id=each, status="Active", hubSpotId=7, hubSpotCompanyId=8)
        for fault in (Fault.reset_before_effect, Fault.reset_after_effect):
            fusebill.inject(fault(operation=title, times=None, probability=0.03))
        fusebill.inject(Fault.delay(0.1, operation=title, times=None, probability=0.3))
        for _ in range(200):
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.bulk.worker", name, fusebill.base_url, str(journal), str(ITEMS)
            )
            if report.kills >= kills:
                await process.wait()
            else:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), chance.uniform(0.2, 1.6))
                if process.returncode is None and stops:
                    await _stop(process, chance, report)
                if process.returncode is None:
                    process.kill()
                    await process.wait()
                    report.kills += 1
                    continue
            if process.returncode != 0:
                report.wrong.append(f"a process ended with {process.returncode}")
            break
        _judge(title, fusebill, journal, report)


async def _stop(process: asyncio.subprocess.Process, chance: random.Random, report: Report) -> None:
    process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(chance.uniform(0.1, 1.0))
    process.send_signal(signal.SIGCONT)
    report.stops += 1
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), 0.2)


def _judge(title: str, fusebill: FusebillSimulator, journal: Path, report: Report) -> None:
    told = read_report(journal)
    if told.items != ITEMS or not told.is_done:
        report.wrong.append(f"not done: {told}")
    for item in read_items(journal):
        assert item.customer_id is not None
        effects = fusebill.effects(title, item.customer_id)
        if effects > 1 or (item.outcome is Outcome.APPLIED) is not (effects == 1):
            report.wrong.append(f"customer {item.customer_id}: {effects} effects, told as {item.outcome}")
        if item.outcome not in {Outcome.APPLIED, Outcome.NOT_APPLIED}:
            report.wrong.append(f"customer {item.customer_id}: {item}")
