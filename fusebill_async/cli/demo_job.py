"""The job of the demo: a process that runs it is killed in the middle, and another one goes on.

As a program it is the process that is killed: `python -m fusebill_async.cli.demo_job BASE_URL JOURNAL`.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import attrs

from fusebill_async.bulk import BulkReport, read_report
from fusebill_async.client import FusebillClient
from fusebill_async.settings import QuotaPolicy, SettlingPolicy
from fusebill_async.testing import Fault, FusebillSimulator

CUSTOMERS = range(10_001, 12_001)
_HALF = len(CUSTOMERS) // 2
_KEY = "demo"
_SETTLING = SettlingPolicy(first_read=0.05, quiet_period=0.2)
"""The simulator acts at once, so an effect need not be waited for as long as at the service."""
_LONGEST = 30.0


@attrs.frozen(kw_only=True)
class JobShown:
    """What became of the job.

    Attributes:
        killed: how it stood when its process was killed.
        resumed: how it stood at its end.
        effects: holds in the service's own ledger.
        twice: customers that were held more than once.
        seconds: how long it took.
    """

    killed: BulkReport
    resumed: BulkReport
    effects: int
    twice: int
    seconds: float

    @property
    def as_promised(self) -> bool:
        """Whether each customer was held once."""
        return self.effects == self.resumed.applied == len(CUSTOMERS) and not self.twice


async def demonstrate_job() -> JobShown:
    """Hold 2,000 customers; kill the process that does it in the middle, and resume."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "hold.sqlite"
        async with FusebillSimulator(record_requests=False) as service:
            for customer_id in CUSTOMERS:
                service.add_customer(id=customer_id, status="Active")
            service.inject(Fault.reset_after_effect(operation="hold", times=20, skip=100))
            await _kill_in_the_middle(service, journal)
            killed = read_report(journal)
            async with _client(service.base_url) as client:
                resumed = await client.bulk.resume(journal).run()
            effects = [service.effects("hold", customer_id) for customer_id in CUSTOMERS]
    return JobShown(
        killed=killed,
        resumed=resumed,
        effects=sum(effects),
        twice=sum(count > 1 for count in effects),
        seconds=time.perf_counter() - started,
    )


async def _kill_in_the_middle(service: FusebillSimulator, journal: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "fusebill_async.cli.demo_job", service.base_url, str(journal)
    )
    async with asyncio.timeout(_LONGEST):
        while service.effects("hold") < _HALF and process.returncode is None:  # noqa: ASYNC110 (nobody tells of it)
            await asyncio.sleep(0.01)
    if process.returncode is None:
        process.kill()
    await process.wait()


def _client(base_url: str) -> FusebillClient:
    return FusebillClient(_KEY, base_url=base_url, settling=_SETTLING, quota=QuotaPolicy.off())


async def _run(base_url: str, journal: str) -> None:
    async with _client(base_url) as client:
        await client.bulk.hold(CUSTOMERS, journal=journal).run()


if __name__ == "__main__":
    asyncio.run(_run(*sys.argv[1:3]))
