"""A process that makes calls with idempotency keys until it is killed: it takes them as lines of JSON."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

from fusebill_async import FusebillClient, FusebillError, Outcome, QuotaPolicy, RetryPolicy, SettlingPolicy, Timeouts
from fusebill_async.stores import RedisStore, SQLiteStore


def tell(**facts: Any) -> None:
    """Written at once and whole, so that a kill loses nothing that was told."""
    os.write(1, (json.dumps(facts) + "\n").encode())


def make_client(base_url: str, place: str) -> FusebillClient:
    kind = RedisStore if place.startswith("redis:") else SQLiteStore
    return FusebillClient(
        "MDpub3QtYS1yZWFsLWtleQ",
        base_url=base_url,
        account="keys",
        store=kind(place, lease=1.0, renew=0.3),
        settling=SettlingPolicy(first_read=0.01, quiet_period=0.3, retry_delay=0.02, wait=20.0),
        retry=RetryPolicy(backoff=0.01),
        quota=QuotaPolicy.off(),
        timeouts=Timeouts(read=5.0, total=20.0, queue=20.0),
    )


async def deliver(client: FusebillClient, key: str, operation: str, customer_id: int) -> None:
    customers = client.with_response.customers
    try:
        if operation == "hold":
            response: Any = await customers.hold(customer_id, idempotency_key=key)
        else:
            response = await customers.activate(customer_id, True, True, False, idempotency_key=key)
    except FusebillError as error:
        tell(key=key, outcome=error.outcome, error=type(error).__name__, text=str(error))
    else:
        tell(key=key, outcome=Outcome.APPLIED, replayed=response.replayed)


async def main(base_url: str, place: str) -> None:
    async with make_client(base_url, place) as client, asyncio.TaskGroup() as group:
        tell(ready=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            group.create_task(deliver(client, **json.loads(line)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
