"""A job under the service's quota, in virtual time: how long it takes, and how many calls."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import attrs

from fusebill_async import FusebillClient
from fusebill_async.bulk import BulkReport
from fusebill_async.stores.effects import StoreEffects
from fusebill_async.testing import FusebillSimulator, SimulatorQuota, run_simulated


@attrs.frozen
class Paced:
    """What a job under a quota came to.

    Attributes:
        report: of the job.
        minutes: that it took.
        calls: that arrived at the service.
        refused: of them, for the quota.
    """

    report: BulkReport
    minutes: float
    calls: int
    refused: int


def hold_all(items: int, *, per_minute: int = 1000) -> Paced:
    """Hold so many customers.

    Args:
        items: of the job.
        per_minute: the quota.
    """

    async def main() -> Paced:
        quota = SimulatorQuota(per_minute=per_minute, per_day=10 * items + 10_000)
        async with FusebillSimulator(quota=quota, latency=0.1, record_requests=False) as fusebill:
            for each in range(1, items + 1):
                fusebill.add_customer(id=each, status="Active")
            async with FusebillClient("key", base_url=fusebill.base_url) as client:
                loop = asyncio.get_running_loop()
                started = loop.time()
                effects = StoreEffects(threads=False)
                report = await client.bulk.hold(range(1, items + 1), journal=journal, effects=effects).run()
                minutes = (loop.time() - started) / 60
            return Paced(report, minutes, fusebill.received("hold"), fusebill.quota.refusals)

    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "job.sqlite"
        return run_simulated(main, limit=10 * 86_400.0)
