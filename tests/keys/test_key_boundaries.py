"""A process that is killed, or stopped for longer than its lease, after each of its steps: every boundary of a store
and of a send is among them."""

from __future__ import annotations

import asyncio
import contextvars
import tempfile
from pathlib import Path

import pytest

from fusebill_async import FusebillClient, FusebillError, Outcome, QuotaPolicy, SettlingPolicy
from fusebill_async.stores import RedisStore, SQLiteStore
from fusebill_async.stores.effects import StoreEffects
from fusebill_async.testing import FusebillSimulator, run_simulated
from fusebill_async.testing.redis_twin import RedisTwin
from fusebill_async.testing.simulated_process import SimulatedProcess, is_gone

MEMORY = Path("/dev/shm")  # noqa: S108 (a disk in memory)
LONG_AGO = "2020-01-01T00:00:00.1234567Z"
"""So long that every clock agrees that it was before the call."""

CALLS = {
    "hold": ("Active", lambda client: client.customers.hold(1, idempotency_key="k")),
    "activate": ("Draft", lambda client: client.customers.activate(1, True, True, False, idempotency_key="k")),
    "update": ("Active", lambda client: client.customers.update(1, company_name="Grok", idempotency_key="k")),
    "create": (None, lambda client: client.customers.create(reference="R-1", first_name="Ada", idempotency_key="k")),
}


class Struck(SimulatedProcess):
    """Something befalls it after so many steps."""

    def __init__(self, pid, steps, befalls):
        super().__init__(pid)
        self.left = steps
        self._befalls = befalls

    def run(self, *due):
        self.left -= 1
        if self.left == 0:
            self._befalls(self)
        super().run(*due)


def world(name, kind, folder, steps, befalls, late):
    """One process makes the call and is struck; another makes it `late` seconds later; a last one much later.

    Returns:
        Whether the first one had come to its end before it was struck; the effects; what each was told, and the last.
    """
    status, call = CALLS[name]

    async def main():
        struck = Struck(1, steps, befalls)
        processes = [struck, SimulatedProcess(2), SimulatedProcess(3)]
        twin = RedisTwin()
        told = {}

        def store_of(process):
            effects = StoreEffects(threads=False, this_process=lambda: process.identity, is_gone=is_gone(processes))
            if kind == "sqlite":
                return SQLiteStore(folder / f"{steps}.sqlite", effects=effects)
            return RedisStore("redis://simulated/0", effects=effects, driver=twin.driver())

        async def deliver(process, fusebill):
            async with FusebillClient(
                "key",
                base_url=fusebill.base_url,
                account="one",
                store=store_of(process),
                quota=QuotaPolicy.off(),
                settling=SettlingPolicy(wait=300.0),
            ) as client:
                try:
                    await call(client)
                except FusebillError as error:
                    told[process] = error.outcome
                else:
                    told[process] = Outcome.APPLIED
                if process is processes[2]:
                    recorded = await client.recorded("k")
                    assert recorded.outcome is told[process], (recorded, told)

        async with FusebillSimulator(latency=0.05) as fusebill:
            if status is not None:
                fusebill.add_customer(id=1, status=status, modifiedTimestamp=LONG_AGO)
            loop = asyncio.get_running_loop()
            began, tasks = loop.time(), []
            for process, after in zip(processes, (0.0, late, 300.0), strict=True):
                await asyncio.sleep(began + after - loop.time())
                tasks.append(process.start(deliver(process, fusebill)))
            for process, task in zip(processes, tasks, strict=True):
                if await process.wait(task):
                    task.result()
            effects = fusebill.effects(name, None if status is None else 1)
            return struck.left > 0, effects, told, told[processes[2]]

    return run_simulated(main)


def kill(process):
    process.kill()


def stop(process):
    process.stop()
    # The system's timer, which runs in no process.
    asyncio.get_running_loop().call_later(40.0, process.go_on, context=contextvars.Context())


def is_once(name, effects, told, last):
    """One effect at most, told by the last one as it is, and denied by nobody; who cannot tell says so."""
    if effects > 1 or (effects == 0 and name in {"hold", "update"}):
        return False
    made = {Outcome.APPLIED} if effects else {Outcome.NOT_APPLIED}
    return last in made and set(told.values()) <= made | {Outcome.UNKNOWN}


@pytest.fixture
def folder(tmp_path):
    """In memory where there is such a disk: each step has a file of its own, and no sync is to take time."""
    if not MEMORY.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        yield Path(name)


@pytest.mark.parametrize("befalls", [kill, stop])
@pytest.mark.parametrize("kind", ["sqlite", "redis"])
@pytest.mark.parametrize("name", CALLS)
def test_after_each_step(name, kind, befalls, folder):
    steps, ended, wrong = 0, False, []
    while not ended:
        steps += 1
        ended, *facts = world(name, kind, folder, steps, befalls, late=0.01 if steps % 2 else 20.0)
        if not is_once(name, *facts):
            wrong.append((steps, facts))
    assert steps > 20
    # One step lies between the last look at the lease and the first byte. Who is stopped just there, for longer than
    # its lease, sends when it is continued.
    assert len(wrong) <= (befalls is stop), wrong
