"""A process that shares a store with the test that started it. It reads its orders as JSON from the command line."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Any

from fusebill_async import ConcurrentModificationError, FusebillClient, PoolSettings, QuotaPolicy, Timeouts
from fusebill_async.stores import RedisStore, SQLiteStore


def make_store(place: str, **options: Any) -> Any:
    return RedisStore(place, **options) if place.startswith("redis:") else SQLiteStore(place, **options)


def tell(text: str) -> None:
    """Written at once and whole, so that a kill loses nothing that was told."""
    os.write(1, f"{text}\n".encode())


async def hear() -> str:
    return await asyncio.to_thread(sys.stdin.readline)


def make_client(orders: dict[str, Any], **options: Any) -> FusebillClient:
    store = make_store(orders["store"], **orders.get("options", {}))
    return FusebillClient("key", base_url=orders["base_url"], store=store, **options)


async def hold(orders: dict[str, Any]) -> None:
    """Hold customers, some at a time, until killed."""
    # The service hangs for some; their answers are waited for until the end.
    client = make_client(orders, timeouts=Timeouts(read=60.0, total=60.0))
    ids = iter(orders["ids"])

    async def work() -> None:
        for customer_id in ids:
            await client.customers.hold(customer_id)
            tell(f"returned {customer_id}")

    tell("ready")
    await asyncio.gather(*(work() for _ in range(6)))


async def create(orders: dict[str, Any]) -> None:
    """Create customers, all at once, and be busy for a while after each answer."""
    async with make_client(orders, pool=PoolSettings(connections=orders["count"]), quota=QuotaPolicy.off()) as client:

        async def one(number: int) -> None:
            call = client.customers.create(company_name="Grok", reference=f"R-{number}")
            await (asyncio.wait_for(call, 60.0) if orders["wrapped"] else call)
            tell(f"told {number}")
            time.sleep(0.002)  # noqa: ASYNC251 (a caller that is slow with its own work)

        await asyncio.gather(*map(one, range(orders["count"])))


async def update(orders: dict[str, Any]) -> None:
    """Change one field again and again."""
    async with make_client(orders) as client:
        await client.customers.get(1)
        tell("ready")
        await hear()
        for number in range(orders["count"]):
            await client.customers.update(1, **{orders["field"]: f"{orders['field']} {number}"})
    tell("done")


async def conflict(orders: dict[str, Any]) -> None:
    """Change a field that another process changes from the same reading."""
    async with make_client(orders) as client:
        for customer_id in orders["ids"]:
            customer = await client.customers.get(customer_id)
            tell("read")
            await hear()
            try:
                await client.customers.update(customer, company_name=orders["value"], check=orders["check"])
            except ConcurrentModificationError:
                tell("conflict")
            else:
                tell("landed")


async def lock(orders: dict[str, Any]) -> None:
    """Hold a lock, and tell at each line whether it is still held."""
    store = make_store(orders["store"], **orders.get("options", {}))
    store.open("account")
    await store.locks.acquire(1, None)
    tell("held")
    while await hear():
        tell("yes" if store.locks.still_held(1) else "no")
    store.locks.release(1)
    await store.aclose()


if __name__ == "__main__":
    told = json.loads(sys.argv[1])
    asyncio.run(
        {"hold": hold, "create": create, "update": update, "conflict": conflict, "lock": lock}[told["do"]](told)
    )
