"""What a worker makes of an item that a job hands to it: once, more than once, late, or never."""

from __future__ import annotations

import asyncio
import json

import attrs
import pytest

from fusebill_async import ConfigurationError, FusebillClient, QuotaPolicy, RetryPolicy, SettlingPolicy
from fusebill_async.bulk import read_items, read_report
from fusebill_async.bulk.orders import Answer, Order, OrderCarrier
from fusebill_async.stores import MemoryStore, RedisStore
from fusebill_async.testing import Fault, FusebillSimulator, run_simulated
from fusebill_async.testing.redis_twin import RedisTwin

ACTIVATION = {
    "activate_all_subscriptions": True,
    "activate_all_draft_purchases": True,
    "temporarily_disable_auto_post": False,
}
SETTLING = SettlingPolicy(first_read=0.1, quiet_period=1.0, wait=2.0)


class Here:
    """Workers in the same event loop, behind a queue that does to messages what a test says."""

    def __init__(self, client, deliveries=1, wait=600.0, lost=()):
        self.client, self.deliveries, self.wait, self.lost = client, deliveries, wait, lost
        self.orders = []

    async def start(self):
        pass

    async def aclose(self):
        pass

    async def deliver(self, order):
        text = json.dumps(attrs.asdict(order))
        answer = await OrderCarrier(self.client._core)(Order(**json.loads(text)))
        return Answer(**json.loads(json.dumps(attrs.asdict(answer))))

    async def carry_out(self, order):
        self.orders.append(order)
        if order.number in self.lost:
            await asyncio.sleep(self.wait)
            return None
        answers = [await self.deliver(order) for _ in range(self.deliveries)]
        return answers[-1]


def client_of(fusebill, store=None, **options):
    settings = {"quota": QuotaPolicy.off(), "settling": SETTLING, "retry": RetryPolicy(max_attempts=5), **options}
    return FusebillClient("key", base_url=fusebill.base_url, account="one", store=store, **settings)


class World:
    """A service with three customers, a worker and a client that runs jobs."""

    def __init__(self, fusebill, worker, client, journal):
        self.fusebill, self.worker, self.client, self.journal = fusebill, worker, client, journal

    def job(self, workers, *, operation="hold", ids=(1, 2, 3), journal=None, **options):
        start = getattr(self.client.bulk, operation)
        return start(list(ids), journal=journal or self.journal, workers=workers, **options)


def in_world(work, tmp_path, status="Active", seed=1, **options):
    async def main():
        async with FusebillSimulator() as fusebill:
            for each in (1, 2, 3):
                fusebill.add_customer(id=each, status=status, companyName=f"Company {each}")
            async with client_of(fusebill, MemoryStore(), **options) as worker, client_of(fusebill) as client:
                await work(World(fusebill, worker, client, tmp_path / "job.sqlite"))

    run_simulated(main, seed=seed)


@pytest.mark.parametrize("operation", ["hold", "activate", "update"])
def test_what_is_delivered_twice_has_one_effect_and_one_outcome(operation, tmp_path):
    options = {"activate": ACTIVATION, "update": {"company_name": "Grok Ltd"}}.get(operation, {})

    async def work(world):
        report = await world.job(Here(world.worker, deliveries=2), operation=operation, **options).run()
        assert report.applied == 3
        assert [world.fusebill.effects(operation, each) for each in (1, 2, 3)] == [1, 1, 1]

    in_world(work, tmp_path, status="Draft" if operation == "activate" else "Active")


def test_an_answer_that_is_lost_is_settled_by_the_worker(tmp_path):
    """Also where its client tells its caller sooner that it is unknown."""

    async def work(world):
        world.fusebill.inject(Fault.reset_after_effect(operation="activate", times=1))
        world.fusebill.inject(Fault.reset_before_effect(operation="activate", times=1))
        report = await world.job(Here(world.worker), operation="activate", **ACTIVATION).run()
        # What moves money is not sent again by itself.
        assert (report.applied, report.not_applied) == (2, 1)
        assert sum(world.fusebill.effects("activate", each) for each in (1, 2, 3)) == 2
        again = world.client.bulk.resume(world.journal, retry="not_applied", workers=Here(world.worker))
        assert (await again.run()).applied == 3
        assert [world.fusebill.effects("activate", each) for each in (1, 2, 3)] == [1, 1, 1]

    in_world(work, tmp_path, status="Draft", settling=attrs.evolve(SETTLING, quiet_period=5.0, wait=1.0))


def test_what_the_queue_lost_is_unknown_and_handed_out_again_by_the_next_run(tmp_path):
    async def work(world):
        report = await world.job(Here(world.worker, lost={2})).run()
        assert (report.applied, report.unknown) == (2, 1)
        workers = Here(world.worker)
        assert (await world.client.bulk.resume(world.journal, workers=workers).run()).applied == 3
        assert [order.number for order in workers.orders] == [2]
        assert [world.fusebill.effects("hold", each) for each in (1, 2, 3)] == [1, 1, 1]

    in_world(work, tmp_path)


def test_what_was_done_and_not_told_is_not_done_again(tmp_path):
    """The message was carried out, and its answer lost: the key tells."""

    async def work(world):
        class Deaf(Here):
            async def carry_out(self, order):
                await super().carry_out(order)

        assert (await world.job(Deaf(world.worker)).run()).unknown == 3
        received = world.fusebill.received("hold", 1)
        assert (await world.client.bulk.resume(world.journal, workers=Here(world.worker)).run()).applied == 3
        assert world.fusebill.received("hold", 1) == received
        assert [item.attribution for item in read_items(world.journal)] == ["ours"] * 3

    in_world(work, tmp_path)


def test_a_store_that_forgot_does_not_make_an_effect_a_refusal(tmp_path):
    async def work(world):
        class Deaf(Here):
            async def carry_out(self, order):
                await super().carry_out(order)

        assert (await world.job(Deaf(world.worker)).run()).unknown == 3
        received = world.fusebill.received("hold", 1)
        async with client_of(world.fusebill, MemoryStore()) as forgetful:
            report = await world.client.bulk.resume(world.journal, workers=Here(forgetful)).run()
        assert (report.applied, report.rejected) == (3, 0)
        assert world.fusebill.received("hold", 1) == received
        assert [item.attribution for item in read_items(world.journal)] == ["unproven"] * 3

    in_world(work, tmp_path)


def test_where_no_read_can_tell_a_store_that_forgot_leaves_it_unknown(tmp_path):
    async def work(world):
        options = {"operation": "activate_items", "subscription_ids": [7]}
        assert (await world.job(Here(world.worker, lost={1, 2, 3}), **options).run()).unknown == 3
        report = await world.client.bulk.resume(world.journal, workers=Here(world.worker)).run()
        assert report.unknown == 3
        assert world.fusebill.received("activate_items", 1) == 0

    in_world(work, tmp_path)


def test_a_refusal_stands_whatever_is_delivered_later(tmp_path):
    """Until somebody decides that it is to be tried again."""

    async def work(world):
        world.fusebill.change(1, status="Cancelled")
        workers = Here(world.worker)
        assert (await world.job(workers).run()).rejected == 1
        world.fusebill.change(1, status="Active")
        late = await workers.deliver(workers.orders[0])
        assert late.tally == "rejected"
        assert world.fusebill.effects("hold", 1) == 0
        again = world.client.bulk.resume(world.journal, retry="rejected", workers=workers)
        assert (await again.run()).applied == 3
        assert (await workers.deliver(workers.orders[0])).tally == "applied"
        assert world.fusebill.effects("hold", 1) == 1

    in_world(work, tmp_path)


def test_an_order_that_lay_in_the_queue_for_days_is_not_begun(tmp_path):
    async def work(world):
        workers = Here(world.worker)
        await world.job(Here(world.worker, lost={1, 2, 3}), ids=[1]).run()
        await world.client.bulk.resume(world.journal, workers=workers, retry="unknown").run()
        await asyncio.sleep(86_500)
        late = await workers.deliver(attrs.evolve(workers.orders[0], only_read=False, again=False))
        assert late.tally == "unknown"
        assert world.fusebill.received("hold", 1) == 0

    in_world(work, tmp_path)


def test_retry_unknown_sends_nothing(tmp_path):
    async def work(world):
        await world.job(Here(world.worker, lost={1, 2, 3})).run()
        report = await world.client.bulk.resume(world.journal, workers=Here(world.worker), retry="unknown").run()
        assert report.unknown == 3
        assert world.fusebill.received("hold", 1) == 0

    in_world(work, tmp_path)


def test_a_worker_of_another_service_refuses(tmp_path):
    async def work(world):
        async with FusebillSimulator() as other, client_of(other, MemoryStore()) as elsewhere:
            other.add_customer(id=1, status="Active")
            answer = await Here(elsewhere).deliver(await an_order(world))
            assert (answer.tally, answer.error) == ("unprocessed", "ConfigurationError")
            assert other.received("hold", 1) == 0

    in_world(work, tmp_path)


async def an_order(world):
    workers = Here(world.worker, lost={1}, wait=1.0)
    await world.job(workers, ids=[1]).run()
    return workers.orders[0]


def test_what_was_handed_out_is_not_carried_out_here(tmp_path):
    async def work(world):
        await world.job(Here(world.worker, lost={1, 2, 3})).run()
        with pytest.raises(ConfigurationError, match="--workers"):
            await world.client.bulk.resume(world.journal).run()
        assert read_report(world.journal).handed_out == 3
        assert world.fusebill.received("hold", 1) == 0

    in_world(work, tmp_path)


def test_what_an_earlier_run_left_open_here_is_settled_here(tmp_path):
    async def work(world):
        world.fusebill.inject(Fault.hang_after_effect(operation="hold", times=1))
        run = asyncio.create_task(world.job(None, ids=[1]).run())
        await until(lambda: world.fusebill.effects("hold", 1))
        for _ in range(2):
            run.cancel()
            await asyncio.sleep(0)
        await asyncio.gather(run, return_exceptions=True)
        world.fusebill.clear_faults()
        workers = Here(world.worker)
        assert (await world.client.bulk.resume(world.journal, workers=workers).run()).applied == 1
        assert workers.orders == []
        assert world.fusebill.effects("hold", 1) == 1

    in_world(work, tmp_path)


async def until(condition):
    while not condition():  # noqa: ASYNC110 (nobody tells of it)
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("deliveries", [1, 2])
@pytest.mark.parametrize("operation", ["update", "hubspot_unlatch"])
def test_a_job_on_workers_is_undone_on_workers(operation, deliveries, tmp_path):
    """A delivery that comes later does not take its own effect for somebody else's change."""

    async def work(world):
        options = {"company_name": "Grok Ltd"} if operation == "update" else {}
        for each in (1, 2, 3):
            world.fusebill.change(each, hubspot_id=40 + each)
        job = world.job(Here(world.worker), operation=operation, **options)
        assert (await job.run()).applied == 3
        undone = world.client.bulk.undo(
            world.journal, journal=tmp_path / "undo.sqlite", workers=Here(world.worker, deliveries=deliveries)
        )
        report = await undone.run()
        assert (report.applied, report.skipped) == (3, 0), list(read_items(tmp_path / "undo.sqlite"))
        customer = await world.client.customers.get(2)
        assert (customer.company_name, customer.hubspot_id) == ("Company 2", 42)

    in_world(work, tmp_path)


@pytest.mark.parametrize(("operation", "options"), [("update", {"company_name": "Grok Ltd"}), ("hubspot_unlatch", {})])
def test_what_was_told_late_is_not_undone_over_a_change_of_others(operation, options, tmp_path):
    """The record of a key does not say how the customer was left."""

    async def work(world):
        class Deaf(Here):
            async def carry_out(self, order):
                await super().carry_out(order)

        for each in (1, 2, 3):
            world.fusebill.change(each, hubspot_id=40 + each)
        await world.job(Deaf(world.worker), operation=operation, **options).run()
        world.fusebill.change(2, company_name="Somebody else's")
        assert (await world.client.bulk.resume(world.journal, workers=Here(world.worker)).run()).applied == 3
        undone = world.client.bulk.undo(world.journal, journal=tmp_path / "undo.sqlite", workers=Here(world.worker))
        assert (await undone.run()).skipped == 3

    in_world(work, tmp_path)


def test_an_item_waits_for_a_store_that_is_away(tmp_path):
    """Without its key nothing true can be told: not even that nothing was sent for it."""

    async def work(world):
        twin = RedisTwin()
        store = RedisStore("redis://simulated/0", driver=twin.driver(), wait=0)
        async with client_of(world.fusebill, store) as worker:
            order = await an_order(world)
            twin.stop()
            delivery = asyncio.create_task(Here(worker).deliver(order))
            await asyncio.sleep(60.0)
            assert not delivery.done()
            twin.start()
            assert (await delivery).tally == "applied"
            assert world.fusebill.effects("hold", 1) == 1

    in_world(work, tmp_path)


def test_a_key_that_the_service_refuses_stops_the_job(tmp_path):
    async def work(world):
        world.fusebill.inject(Fault.status(401, times=None))
        report = await world.job(Here(world.worker), snapshot=False).run()
        assert report.unprocessed == 3
        assert "API key" in report.stopped
        world.fusebill.clear_faults()
        assert (await world.client.bulk.resume(world.journal, workers=Here(world.worker)).run()).applied == 3

    in_world(work, tmp_path)


def test_a_job_that_nobody_may_carry_out_is_refused(tmp_path):
    async def work(world):
        with pytest.raises(ConfigurationError, match=r"fusebill_async\.distributed"):
            world.job("redis://host/0")

    in_world(work, tmp_path)


def test_the_six_tallies_are_those_of_a_job_without_workers(tmp_path):
    async def work(world):
        world.fusebill.change(2, status="Cancelled")
        ids = [1, 2, (3, {}), 99]
        on_workers = await world.job(Here(world.worker), ids=ids).run()
        for each in (1, 3):
            world.fusebill.change(each, status="Active")
        here = await world.job(None, ids=ids, journal=tmp_path / "here.sqlite").run()
        assert on_workers == here

    in_world(work, tmp_path)
