"""What holds between processes that share a store. The oracle is what the service did."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import time

import pytest

from fusebill_async import FusebillClient, Outcome
from fusebill_async.testing import Fault, FusebillSimulator

KILLS = {"sqlite": 24, "redis": 6}


async def progress(fusebill, requests):
    """Wait until so many writes were read by the service, or until all of them hang."""
    seen, seen_at = -1, time.monotonic()
    while seen < requests and time.monotonic() < seen_at + 1.0:
        await asyncio.sleep(0.001)
        if fusebill.received("hold") != seen:
            seen, seen_at = fusebill.received("hold"), time.monotonic()


async def test_no_intent_is_lost_when_the_process_is_killed(place, child, make_store, quick):
    chance = random.Random(20240601)
    kills = KILLS[place.partition(":")[0] if ":" in place else "sqlite"]
    # On Redis nothing but its end tells that the lease of a dead process is free.
    options = {"lease": 0.6, "renew": 0.15}
    hung = settled = 0
    for _ in range(kills):
        async with FusebillSimulator(latency=0.002) as fusebill:
            ids = range(1, 401)
            for customer_id in ids:
                fusebill.add_customer(id=customer_id, status="Active")
            fusebill.inject(Fault.hang_after_effect(operation="hold", times=None, probability=0.03))
            fusebill.inject(Fault.hang_before_effect(operation="hold", times=None, probability=0.03))
            process = await child("hold", place, base_url=fusebill.base_url, ids=list(ids), options=options)
            assert await process.hear() == "ready"
            await progress(fusebill, chance.randrange(60))
            await asyncio.sleep(chance.uniform(0.0, 0.01))
            process.kill()
            returned = {int(line.split()[1]) for line in await process.rest()}
            # What the kernel still holds of the dead process's requests is read by the service now.
            await asyncio.sleep(0.05)
            fusebill.clear_faults()
            effects = {i for i in ids if fusebill.effects("hold", i)}
            received = {i for i in ids if fusebill.received("hold", i)}
            async with FusebillClient(
                "key", base_url=fusebill.base_url, store=make_store(place, **options), settling=quick
            ) as client:
                opened = {write.customer_id: write for write in client.unresolved()}
                assert received <= returned | set(opened), "sent, and neither answered nor recorded"
                told = await asyncio.gather(*(client.resolve(write) for write in opened.values()))
                assert client.unresolved() == []
            for resolution in told:
                happened = resolution.write.customer_id in effects
                assert resolution.outcome is (Outcome.APPLIED if happened else Outcome.NOT_APPLIED)
            assert effects == {i for i in ids if fusebill.effects("hold", i) == 1}
            hung += len(received - returned)
            settled += len(told)
    assert hung >= kills / 2, "the kills hit nothing"
    assert settled >= hung


async def test_changes_of_different_fields_by_two_processes_all_land(place, child):
    count = 200
    async with FusebillSimulator(latency=0.001) as fusebill:
        fusebill.add_customer(id=1, status="Active")
        fields = {"first_name": "firstName", "last_name": "lastName"}
        both = [await child("update", place, base_url=fusebill.base_url, field=field, count=count) for field in fields]
        for process in both:
            assert await process.hear() == "ready"
        for process in both:
            process.tell()
        for process in both:
            assert await process.hear() == "done"
        assert fusebill.effects("update", 1) == 2 * count
        bodies = [json.loads(request.body) for request in fusebill.requests if request.method == "PUT"]
        for name, key in fields.items():
            values = [body[key] for body in bodies]
            numbers = [int(value.rsplit(" ", 1)[1]) for value in values if value and value.startswith(f"{name} ")]
            assert numbers == sorted(numbers), "a change was undone by the other process's PUT"
            assert set(numbers) == set(range(count))
            assert fusebill.customer(1)[key] == f"{name} {count - 1}"
        # Neither process had to wait for the other to be done with everything.
        turns = [body["firstName"] for body in bodies]
        assert turns[: count // 2] != [f"first_name {number}" for number in range(count // 2)]


@pytest.mark.parametrize("check", ["fresh", "strict"])
async def test_of_two_changes_of_one_field_one_lands_and_the_other_is_told(place, child, check):
    ids = list(range(1, 21))
    async with FusebillSimulator(latency=0.001) as fusebill:
        for customer_id in ids:
            fusebill.add_customer(id=customer_id, status="Active")
        orders = {"base_url": fusebill.base_url, "ids": ids, "check": check}
        both = [await child("conflict", place, value=value, **orders) for value in ("A", "B")]
        for customer_id in ids:
            assert [await process.hear() for process in both] == ["read", "read"]
            for process in both:
                process.tell()
            ends = [await process.hear() for process in both]
            assert sorted(ends) == ["conflict", "landed"]
            assert fusebill.customer(customer_id)["companyName"] == "AB"[ends.index("landed")]
            assert fusebill.effects("update", customer_id) == 1


async def test_the_lease_of_a_killed_process_is_taken_over(place, child, make_store):
    # The kernel tells SQLite's users at once that a process is dead; on Redis its lease must run out.
    lease = 1.0 if place.startswith("redis:") else 60.0
    holder = await child("lock", place, options={"lease": lease, "renew": lease / 4})
    assert await holder.hear() == "held"
    store = make_store(place)
    store.open("account")
    with pytest.raises(TimeoutError):
        await store.locks.acquire(1, 1.5 if lease < 2 else 0.3)
    holder.kill()
    await store.locks.acquire(1, 3.0)
    assert store.locks.still_held(1)
    store.locks.release(1)
    await store.aclose()


async def test_a_process_that_was_stopped_too_long_knows_that_its_lease_is_gone(place, child, make_store):
    holder = await child("lock", place, options={"lease": 0.6, "renew": 0.1})
    assert await holder.hear() == "held"
    await asyncio.sleep(1.0)
    holder.tell()
    assert await holder.hear() == "yes"
    store = make_store(place)
    store.open("account")
    holder.kill(signal.SIGSTOP)
    started = time.monotonic()
    await store.locks.acquire(1, 5.0)
    assert 0.3 < time.monotonic() - started < 2.0
    holder.tell()
    holder.kill(signal.SIGCONT)
    assert await holder.hear() == "no"
    await asyncio.sleep(0.3)
    holder.tell()
    assert await holder.hear() == "no"
    assert store.locks.still_held(1)
    store.locks.release(1)
    await store.aclose()
