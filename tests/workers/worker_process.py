"""A worker's process: `worker_process.py REDIS SERVICE PER_MINUTE LEASE REDELIVER_AFTER`."""

from __future__ import annotations

import asyncio
import sys

from fusebill_async import FusebillClient, QuotaPolicy, RetryPolicy, SettlingPolicy
from fusebill_async.distributed import run_worker, worker
from fusebill_async.stores import RedisStore

SETTLING = SettlingPolicy(first_read=0.01, quiet_period=0.3, retry_delay=0.02)


def main(redis: str, service: str, per_minute: str, lease: str, redeliver_after: str) -> None:
    quota = QuotaPolicy(per_minute=int(per_minute), workers=4) if int(per_minute) else QuotaPolicy.off()

    def client() -> FusebillClient:
        return FusebillClient(
            "MDpub3QtYS1yZWFsLWtleQ",
            base_url=service,
            account="farm",
            quota=quota,
            settling=SETTLING,
            retry=RetryPolicy(backoff=0.01, max_attempts=10, budget_ratio=1.0),
            store=RedisStore(redis, lease=float(lease), renew=float(lease) / 3, wait=30.0),
        )

    def made() -> object:
        return worker(redis, client=client, concurrency=16, redeliver_after=float(redeliver_after), grace=5)

    asyncio.run(run_worker(made))


if __name__ == "__main__":
    main(*sys.argv[1:])
