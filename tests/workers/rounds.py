"""What befalls a job on workers, and what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import attrs

from fusebill_async.testing import Fault, FusebillSimulator, SimulatorQuota
from tests.workers.farm import Farm, RedisServer, run_job

_STATUS = {"hold": "Active", "activate": "Draft", "update": "Active"}


@attrs.define
class Round:
    """What came of a job.

    Attributes:
        told: the report's tallies.
        missed, twice: customers without an effect, and with more than one.
        strikes: how often a worker was struck.
    """

    told: dict[str, Any]
    missed: int
    twice: int
    strikes: int

    @property
    def is_right(self) -> bool:
        """Whether each item has one effect, and the report says so."""
        return not self.missed and not self.twice

    def __str__(self) -> str:
        return f"{self.missed} missed, {self.twice} effects twice, {self.strikes} strikes, {self.told}"


@contextlib.asynccontextmanager
async def farm(
    folder: Path, operation: str, items: int, *, seed: int = 1, quota: SimulatorQuota | None = None, **options: Any
) -> AsyncIterator[Farm]:
    """A service with customers, a Redis, and no worker yet."""
    redis = RedisServer(folder)
    redis.start()
    try:
        async with FusebillSimulator(quota=quota) as fusebill:
            for each in range(1, items + 1):
                fusebill.add_customer(id=each, status=_STATUS[operation])
            made = Farm(redis, fusebill, random.Random(seed), **options)
            try:
                yield made
            finally:
                made.end()
    finally:
        redis.kill()


async def beside(work: Coroutine[Any, Any, dict[str, Any]], *strikes: Coroutine[Any, Any, None]) -> dict[str, Any]:
    """Do the work while strikes go on."""
    tasks = [asyncio.create_task(each) for each in strikes]
    try:
        return await work
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def judged(made: Farm, operation: str, items: int, told: dict[str, Any]) -> Round:
    """Count the effects at the service."""
    effects = [made.fusebill.effects(operation, each) for each in range(1, items + 1)]
    return Round(told, sum(not each for each in effects), sum(each > 1 for each in effects), made.kills)


async def killed(
    folder: Path,
    *,
    operation: str = "hold",
    items: int = 10_000,
    workers: int = 4,
    every: float = 2.0,
    progress: int = 1,
    job_killed: tuple[float, ...] = (4.0, 6.0),
    seed: int = 1,
) -> Round:
    """Workers are killed and started anew, the job's own process is killed twice, and answers are lost."""
    async with farm(folder, operation, items, seed=seed) as made:
        made.fusebill.inject(Fault.reset_after_effect(operation=operation, probability=0.01, times=None))
        made.start(workers)
        work = run_job(made, operation, items, folder / "job.sqlite", kill_after=job_killed)
        return judged(made, operation, items, await beside(work, made.kill_on(every, progress)))


async def stopped(
    folder: Path, *, operation: str = "hold", items: int = 2000, workers: int = 4, seed: int = 1
) -> Round:
    """Workers are stopped for longer than their lease and than the engine's, at random steps, and continued."""
    async with farm(folder, operation, items, seed=seed) as made:
        made.start(workers)
        work = run_job(made, operation, items, folder / "job.sqlite")
        told = await beside(work, made.stop_on(0.5, 2.0))
        # One that was continued last may yet do what it had begun.
        await asyncio.sleep(1.0)
        return judged(made, operation, items, told)


async def lossy(
    folder: Path, *, operation: str = "hold", items: int = 2000, workers: int = 4, wait: float = 6.0
) -> tuple[Round, Round]:
    """The engine loses 3 % of its messages; then the job is resumed once."""
    async with farm(folder, operation, items) as made:
        made.start(workers)
        journal = folder / "job.sqlite"
        first = await run_job(made, operation, items, journal, wait=wait, lost=0.03)
        before = judged(made, operation, items, first)
        return before, judged(made, operation, items, await run_job(made, operation, items, journal))


async def restarted(
    folder: Path, *, operation: str = "hold", items: int = 2000, workers: int = 4, empty: bool = False
) -> tuple[Round, Round]:
    """Redis is killed in the middle and started again, with its file or without; then the job is resumed once."""
    async with farm(folder, operation, items) as made:
        made.start(workers)
        journal = folder / "job.sqlite"

        async def restart() -> None:
            while len(made.fusebill.effects_log) < items // 3:  # noqa: ASYNC110 (nobody tells of it)
                await asyncio.sleep(0.01)
            await asyncio.to_thread(made.redis.kill, with_file=empty)
            await asyncio.sleep(0.5)
            await asyncio.to_thread(made.redis.start)

        first = await beside(run_job(made, operation, items, journal), restart())
        before = judged(made, operation, items, first)
        return before, judged(made, operation, items, await run_job(made, operation, items, journal))


async def metered(folder: Path, *, per_minute: int = 1000, minutes: int = 4) -> tuple[float, float]:
    """Four workers share the account's quota for so many whole minutes.

    Returns:
        The part of whole windows that was used, and the part of all requests that was refused.
    """
    quota, items = SimulatorQuota(per_minute=per_minute, per_day=1_000_000), per_minute * (minutes + 2)
    async with farm(folder, "hold", items, per_minute=per_minute, quota=quota) as made:
        made.start(4)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(
                run_job(made, "hold", items, folder / "job.sqlite", wait=600.0), (minutes + 1) * 60 - time.time() % 60
            )
        windows = [each for each in quota.windows if each.name == "minute"]
        whole = windows[1:-1][:minutes]
        used, refused = sum(each.used for each in whole), sum(each.refused for each in windows)
        return used / (per_minute * len(whole)), refused / sum(each.used + each.refused for each in windows)
