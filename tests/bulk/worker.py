"""A process that runs a job, or goes on with it, until it is done or the process is killed."""

from __future__ import annotations

import asyncio
import sys

from fusebill_async import FusebillClient, QuotaPolicy, RetryPolicy, SettlingPolicy


async def main(name: str, base_url: str, journal: str, items: str) -> None:
    async with FusebillClient(
        "MDpub3QtYS1yZWFsLWtleQ",
        base_url=base_url,
        quota=QuotaPolicy.off(),
        retry=RetryPolicy(backoff=0.01, max_attempts=10, budget_ratio=1.0),
        settling=SettlingPolicy(first_read=0.01, quiet_period=0.3, retry_delay=0.02),
    ) as client:
        start = getattr(client.bulk, name)
        await start(range(1, int(items) + 1), journal=journal).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
