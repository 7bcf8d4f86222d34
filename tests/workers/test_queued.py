"""Orders over a queue that fails in every way, in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import logging

import attrs
import pytest

from fusebill_async import StoreUnavailableError
from fusebill_async.bulk.orders import Answer, Order
from fusebill_async.bulk.queued import QueuedWorkers
from fusebill_async.testing import run_simulated

APPLIED = attrs.asdict(Answer(tally="applied", outcome="applied", at=1.0))
GIVEN_UP = {"engine": "Task expired!"}


class Broken(QueuedWorkers):
    """Workers whose queue says what a test lets it say."""

    def __init__(self, *answers, wait=100.0):
        super().__init__(wait)
        self.answers, self.put_in, self.marks = list(answers), {}, set()
        self.is_up = True

    @contextlib.asynccontextmanager
    async def reach(self):
        self.check()
        yield self

    def check(self):
        if not self.is_up:
            raise ConnectionError("no way to the queue")

    async def mark(self, name):
        self.check()
        self.marks.add(name)

    async def put(self, messages):
        self.check()
        self.put_in.update(messages)

    async def told(self, mark, names):
        self.check()
        if mark not in self.marks:
            return None
        return [self.answers.pop(0) if self.answers else None for _ in names]


def order():
    return Order(
        key="bulk/x/1",
        service="s",
        operation="customers.hold",
        options="{}",
        number=1,
        customer_id=1,
        asked=None,
        known=None,
        at=0.0,
    )


def carried_out(workers, *, meanwhile=None):
    async def main():
        await workers.start()
        asked = asyncio.create_task(workers.carry_out(order()))
        if meanwhile is not None:
            await meanwhile()
        answer = await asked
        await workers.aclose()
        return answer

    return run_simulated(main, seed=1)


def test_what_the_engine_gave_up_is_handed_out_again_under_its_key():
    workers = Broken(GIVEN_UP, APPLIED)
    assert carried_out(workers).tally == "applied"
    first, again = workers.put_in.values()
    assert (first["key"], first["again"]) == ("bulk/x/1", False)
    assert (again["key"], again["again"]) == ("bulk/x/1", True)


def test_what_the_engine_gives_up_again_and_again_is_unknown():
    workers = Broken(*[GIVEN_UP] * 10)
    assert carried_out(workers) is None
    assert len(workers.put_in) == 4


def test_an_item_of_which_nobody_tells_is_unknown_in_the_end():
    workers = Broken(wait=30.0)
    assert carried_out(workers) is None
    assert len(workers.put_in) == 1


def test_a_queue_that_lost_everything_is_told_loudly_and_asked_for_nothing_twice(caplog):
    workers = Broken()

    async def empty():
        await asyncio.sleep(1.0)
        workers.marks.clear()

    with caplog.at_level(logging.ERROR, "fusebill_async.worker"):
        assert carried_out(workers, meanwhile=empty) is None
    assert "1 items that were handed out are unknown" in caplog.text
    assert len(workers.put_in) == 1
    assert workers.marks


def test_a_queue_that_is_away_is_waited_for():
    workers = Broken()

    async def away():
        await asyncio.sleep(1.0)
        workers.is_up = False
        await asyncio.sleep(20.0)
        workers.answers.append(APPLIED)
        workers.is_up = True

    assert carried_out(workers, meanwhile=away).tally == "applied"
    assert len(workers.put_in) == 1


def test_a_queue_that_is_away_at_the_start_is_told():
    workers = Broken()
    workers.is_up = False

    async def main():
        with pytest.raises(StoreUnavailableError, match="out of reach"):
            await workers.start()

    run_simulated(main, seed=2)
