"""A job under the service's quota, in virtual time: how long it takes, and how many calls."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import attrs

from fusebill_async import FusebillClient
from fusebill_async.bulk import BulkCheck, BulkReport
from fusebill_async.stores.effects import StoreEffects
from fusebill_async.testing import FusebillSimulator, SimulatorQuota, run_simulated


@attrs.frozen
class Paced:
    """What a job under a quota came to.

    Attributes:
        report: of the job.
        minutes: that it took.
        calls: that arrived at the service before the verification.
        checked: what the verification has shown.
        all_calls: with those of the verification.
        refused: of them, for the quota.
    """

    report: BulkReport
    minutes: float
    calls: int
    checked: BulkCheck
    all_calls: int
    refused: int


def _received(fusebill: FusebillSimulator) -> int:
    return sum(map(fusebill.received, ("hold", "list", "get")))


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
                job = client.bulk.hold(range(1, items + 1), journal=journal, effects=effects)
                report = await job.run()
                minutes, calls = (loop.time() - started) / 60, _received(fusebill)
                checked = await job.verify()
            return Paced(report, minutes, calls, checked, _received(fusebill), fusebill.quota.refusals)

    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "job.sqlite"
        return run_simulated(main, limit=10 * 86_400.0)
