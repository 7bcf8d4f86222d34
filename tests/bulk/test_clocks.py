"""The clock of the machine is set in the middle of a job, or the machine sleeps: nothing is missed or done twice."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path

import pytest

from fusebill_async import FusebillClient, Outcome
from fusebill_async.bulk import read_items
from fusebill_async.session.effects import Effects
from fusebill_async.stores.effects import StoreEffects
from fusebill_async.testing import Fault, FusebillSimulator, run_simulated
from tests.bulk.worlds import LONG_AGO

ITEMS = 120
DEEDS = {"hold": "customers.hold", "unlatch": "hubspot.unlatch"}
HOURS = (5, -10, 24, -19)
"""By which the clock is set, one after the other."""


class Clock:
    """The system's clock, which somebody sets."""

    def __init__(self) -> None:
        self.off = 0.0

    def wall(self) -> float:
        return time.time() + self.off


async def with_lost_answers(fusebill: FusebillSimulator, title: str) -> None:
    for each in range(1, ITEMS + 1):
        fusebill.add_customer(
            id=each, status="Active", hubSpotId=each, hubSpotCompanyId=each, modifiedTimestamp=LONG_AGO
        )
    for fault in (Fault.reset_before_effect, Fault.reset_after_effect):
        fusebill.inject(fault(operation=title, probability=0.1, times=None))


def judge(fusebill: FusebillSimulator, journal: Path, title: str) -> None:
    """What is told is true, and nothing happened twice."""
    told = {item.customer_id: item.outcome for item in read_items(journal)}
    assert len(told) == ITEMS
    for customer_id, outcome in told.items():
        assert customer_id is not None
        effects = fusebill.effects(title, customer_id)
        assert effects <= 1
        assert outcome is not Outcome.APPLIED or effects == 1
        assert outcome is not Outcome.NOT_APPLIED or effects == 0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", DEEDS)
def test_a_clock_that_jumps_by_hours(journal: Path, name: str, seed: int) -> None:
    async def main() -> None:
        clock, title, chance = Clock(), DEEDS[name], random.Random(seed)
        async with FusebillSimulator(latency=0.05) as fusebill:
            await with_lost_answers(fusebill, title)
            effects = Effects(wall=clock.wall)
            async with FusebillClient("key", base_url=fusebill.base_url, effects=effects) as client:
                start = getattr(client.bulk, name)
                job = start(range(1, ITEMS + 1), journal=journal, effects=StoreEffects(wall=clock.wall))
                running = asyncio.create_task(job.run())
                for hours in HOURS:
                    await asyncio.sleep(chance.uniform(0.5, 8.0))
                    clock.off += hours * 3600
                report = await running
                judge(fusebill, journal, title)
                if report.unknown:
                    report = await client.bulk.resume(journal, retry="unknown").run()
            judge(fusebill, journal, title)
            assert report.applied + report.not_applied == ITEMS
            assert report.applied > 0.9 * ITEMS

    run_simulated(main, seed=seed)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", DEEDS)
def test_a_machine_that_sleeps(journal: Path, name: str, seed: int) -> None:
    """Its monotonic clock stands still meanwhile, and its clock on the wall goes on."""

    async def main() -> None:
        title, chance = DEEDS[name], random.Random(seed)
        async with FusebillSimulator(latency=0.05) as fusebill:
            await with_lost_answers(fusebill, title)
            async with FusebillClient("key", base_url=fusebill.base_url) as client:
                running = asyncio.create_task(getattr(client.bulk, name)(range(1, ITEMS + 1), journal=journal).run())
                for seconds in (2.0, 40.0, 7200.0):
                    await asyncio.sleep(chance.uniform(0.5, 3.0))
                    asyncio.get_running_loop().clock.suspend(seconds)  # type: ignore[attr-defined]
                report = await running
                judge(fusebill, journal, title)
                if report.unknown:
                    report = await client.bulk.resume(journal, retry="unknown").run()
            judge(fusebill, journal, title)
            assert report.applied + report.not_applied == ITEMS
            assert report.applied > 0.9 * ITEMS

    run_simulated(main, seed=seed)
