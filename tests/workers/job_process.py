"""The process of a job on workers: `job_process.py REDIS SERVICE OPERATION ITEMS JOURNAL WAIT LOST`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
from collections.abc import AsyncGenerator
from typing import Any

from fusebill_async import FusebillClient, QuotaPolicy
from fusebill_async.distributed import Workers

OPTIONS: dict[str, dict[str, Any]] = {
    "hold": {},
    "activate": {
        "activate_all_subscriptions": True,
        "activate_all_draft_purchases": True,
        "temporarily_disable_auto_post": False,
    },
    "update": {"company_name": "Grok Ltd"},
}


class LosingQueue:
    """A queue that loses a part of what it was given, and does not say so."""

    def __init__(self, queue: Any, lost: float) -> None:
        self._queue, self._lost, self._chance = queue, lost, random.Random(1)
        self.mark, self.told = queue.mark, queue.told

    async def put(self, messages: dict[str, Any]) -> None:
        await self._queue.put({name: each for name, each in messages.items() if self._chance.random() >= self._lost})


class LosingWorkers(Workers):
    """Workers behind such a queue."""

    lost = 0.0

    @contextlib.asynccontextmanager
    async def reach(self) -> AsyncGenerator[Any]:
        async with super().reach() as queue:
            yield LosingQueue(queue, self.lost)


async def main(redis: str, service: str, operation: str, items: str, journal: str, wait: str, lost: str) -> None:
    async with FusebillClient(
        "MDpub3QtYS1yZWFsLWtleQ", base_url=service, account="farm", quota=QuotaPolicy.off()
    ) as client:
        start = getattr(client.bulk, operation)
        workers = LosingWorkers(redis, wait=float(wait))
        workers.lost = float(lost)
        job = start(range(1, int(items) + 1), journal=journal, workers=workers, concurrency=128, **OPTIONS[operation])
        report = await job.run()
        tallies = ("applied", "rejected", "not_applied", "unknown", "skipped", "unprocessed")
        print(json.dumps({name: getattr(report, name) for name in tallies}))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
