"""Updates that meet other writers: nothing that somebody wrote is lost in silence."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from fusebill_async import (
    BadRequestError,
    ClientStateError,
    ConcurrentModificationError,
    ConnectError,
    FieldsNotTakenError,
    FusebillClient,
    FusebillError,
    NotFoundError,
    Outcome,
    OutcomeUnknownError,
    PoolSettings,
    RequestTimeoutError,
    RetryPolicy,
    SettlingPolicy,
    Timeouts,
    UpdatePolicy,
)
from fusebill_async.converting import decode_json
from fusebill_async.stores import SQLiteStore
from fusebill_async.testing import Fault, FusebillSimulator, run_simulated

KEY = "MDpub3QtYS1yZWFsLWtleQ"
QUICK = SettlingPolicy(first_read=0.005, quiet_period=0.05, retry_delay=0.01, wait=5.0, close_wait=2.0)


def methods(fusebill: FusebillSimulator) -> list[str]:
    return [request.method for request in fusebill.requests]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 (what is waited for happens in the simulator)
            await asyncio.sleep(0.001)


class Watched(FusebillSimulator):
    """A simulator that lets somebody else act at an exact point: before or after the n-th request of an operation."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.acts: dict[tuple[str, str, int], Callable[[], None]] = {}
        self.seen: dict[str, int] = {}

    def act(self, when: str, operation: str, number: int, what: Callable[[], None]) -> None:
        self.acts[when, operation, number] = what

    def _answer(self, request: Any, fault: Any) -> Any:
        name = request.operation.rpartition(".")[2]
        number = self.seen[name] = self.seen.get(name, 0) + 1
        for when in ("before", "after"):
            if when == "after":
                answer = super()._answer(request, fault)
            act = self.acts.pop((when, name, number), None)
            if act is not None:
                act()
        return answer


@pytest.fixture
async def service() -> AsyncIterator[Watched]:
    async with Watched() as simulator:
        simulator.add_customer(id=1)
        yield simulator


@pytest.fixture
async def writer(service: Watched) -> AsyncIterator[FusebillClient]:
    async with FusebillClient(
        KEY, base_url=service.base_url, settling=QUICK, retry=RetryPolicy(backoff=0.001), timeouts=Timeouts(read=2.0)
    ) as opened:
        yield opened


# -- two writers of one client -----------------------------------------------------------------------------------


@pytest.mark.campaign
def test_two_handles_on_different_fields_lose_nothing_in_two_thousand_races() -> None:
    races, customers = 2_000, 50

    async def run() -> int:
        lost = 0
        async with (
            FusebillSimulator(customers=customers, record_requests=False, log_size=0) as fusebill,
            FusebillClient(KEY, base_url=fusebill.base_url, pool=PoolSettings(connections=100)) as client,
        ):
            for number in range(1, customers + 1):
                # One that is cancelled cannot be modified.
                fusebill.change(number, status="Active")
            one, other = client.with_options(timeouts=Timeouts(read=20.0)), client.with_options(timeouts=Timeouts())

            async def race(customer_id: int, number: int) -> int:
                reference = {"reference1": f"two {number}"}
                await asyncio.gather(
                    one.customers.update(customer_id, company_name=f"one {number}"),
                    other.customers.update(customer_id, customer_reference=reference),
                )
                shown = fusebill.customer(customer_id)
                return (
                    shown["companyName"] != f"one {number}"
                    or shown["customerReference"]["reference1"] != f"two {number}"
                )

            for number in range(races // customers):
                lost += sum(await asyncio.gather(*(race(customer, number) for customer in range(1, customers + 1))))
            assert fusebill.effects("update") == 2 * races
            assert fusebill.received("get") == 2 * races
        return lost

    assert run_simulated(run, seed=1) == 0


@pytest.mark.campaign
def test_two_handles_on_the_same_field_follow_one_another_and_none_is_silent() -> None:
    """Each reads after the other's answer: the later one lands on the earlier one, and both happened."""
    races, customers = 1_000, 50

    async def run() -> None:
        async with (
            FusebillSimulator(customers=customers) as fusebill,
            FusebillClient(KEY, base_url=fusebill.base_url) as client,
        ):
            for number in range(1, customers + 1):
                # One that is cancelled cannot be modified.
                fusebill.change(number, status="Active")
            one, other = client.with_options(timeouts=Timeouts(read=20.0)), client.with_options(timeouts=Timeouts())

            async def race(customer_id: int, number: int) -> None:
                answers = await asyncio.gather(
                    one.customers.update(customer_id, company_name=f"one {number}"),
                    other.customers.update(customer_id, company_name=f"two {number}"),
                )
                assert [customer.company_name for customer in answers] == [f"one {number}", f"two {number}"]
                assert fusebill.customer(customer_id)["companyName"] in {f"one {number}", f"two {number}"}

            for number in range(races // customers):
                await asyncio.gather(*(race(customer, number) for customer in range(1, customers + 1)))
            assert fusebill.effects("update") == 2 * races

    run_simulated(run, seed=1)


async def test_on_the_same_field_a_writer_with_an_older_customer_gets_an_error(
    service: Watched, writer: FusebillClient
) -> None:
    """Both meant their change for the customer that they had read: one lands, the other is told."""
    landed = told = 0
    for number in range(200):
        one, other = await writer.customers.get(1), await writer.with_options().customers.get(1)
        one.company_name, other.company_name = f"one {number}", f"two {number}"
        results = await asyncio.gather(
            writer.customers.update(one), writer.with_options().customers.update(other), return_exceptions=True
        )
        errors = [result for result in results if isinstance(result, BaseException)]
        assert all(isinstance(error, ConcurrentModificationError) for error in errors), errors
        landed, told = landed + 2 - len(errors), told + len(errors)
        assert service.effects("update", 1) == landed
        [kept] = [f"{name} {number}" for name, r in zip(("one", "two"), results, strict=True) if r not in errors]
        assert service.customer(1)["companyName"] == kept
    assert (landed, told) == (200, 200)


async def test_a_block_that_was_overtaken_in_its_field_is_told_both_sides(
    service: Watched, writer: FusebillClient
) -> None:
    with pytest.raises(ConcurrentModificationError) as caught:  # noqa: PT012 (the end of the block raises)
        async with writer.customers.edit(1) as draft:
            draft.company_name = "mine"
            draft.first_name = "mine, too"
            service.change(1, company_name="theirs", last_name="theirs, too")

    assert caught.value.conflicts == {"company_name": ("Example Company 1", "theirs", "mine")}
    assert (caught.value.operation, caught.value.outcome) == ("customers.update", Outcome.NOT_SENT)
    assert "theirs" in str(caught.value)
    assert "mine" in str(caught.value)
    assert service.received("update") == 0
    with pytest.raises(ClientStateError, match="has not ended well"):
        _ = draft.result


async def test_other_fields_by_somebody_else_are_merged(service: Watched, writer: FusebillClient) -> None:
    async with writer.customers.edit(1) as draft:
        draft.company_name = "mine"
        service.change(1, last_name="theirs", customer_reference={"reference1": "theirs"})

    assert draft.result.company_name == "mine"
    shown = service.customer(1)
    assert (shown["companyName"], shown["lastName"]) == ("mine", "theirs")
    assert shown["customerReference"]["reference1"] == "theirs"


@pytest.mark.parametrize("theirs", ["mine", " mine "])
async def test_the_same_by_somebody_else_is_no_conflict(service: Watched, writer: FusebillClient, theirs: str) -> None:
    customer = await writer.customers.get(1)
    service.change(1, company_name=theirs)
    customer.company_name = "mine"

    updated = await writer.customers.update(customer, check="strict")

    assert updated.company_name == "mine"


_OTHER_PROCESS = """
import asyncio, sys
from fusebill_async import FusebillClient
from fusebill_async.stores import SQLiteStore

async def main(url, path, count):
    async with FusebillClient("MDpub3QtYS1yZWFsLWtleQ", base_url=url, store=SQLiteStore(path)) as client:
        async def count_up(customer_id):
            for number in range(1, count + 1):
                await client.customers.update(customer_id, customer_reference={"reference1": str(number)})
        await asyncio.gather(*map(count_up, (1, 2, 3)))

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


class Counting(FusebillSimulator):
    """Counts lost updates: a writer counts its own field up, so a PUT that takes it down has lost something."""

    lost = 0

    def _answer(self, request: Any, fault: Any) -> Any:
        before = self.counters(request.customer_id)
        answer = super()._answer(request, fault)
        after = self.counters(request.customer_id)
        self.lost += sum(new < old for old, new in zip(before, after, strict=True))
        return answer

    def counters(self, customer_id: int) -> tuple[int, int]:
        shown = self.customer(customer_id)
        return int(shown["companyName"]), int(shown["customerReference"]["reference1"])


@pytest.mark.campaign
def test_two_processes_that_share_a_sqlite_store_lose_nothing(tmp_path: Path) -> None:
    count = 100

    async def run() -> None:
        async with Counting() as fusebill:
            for customer_id in (1, 2, 3):
                fusebill.add_customer(id=customer_id, company_name="0", customer_reference={"reference1": "0"})
            path = str(tmp_path / "store.sqlite")
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-c", _OTHER_PROCESS, fusebill.base_url, path, str(count)
            )

            async def count_up(client: FusebillClient, customer_id: int) -> None:
                for number in range(1, count + 1):
                    await client.customers.update(customer_id, company_name=str(number))

            async with FusebillClient(KEY, base_url=fusebill.base_url, store=SQLiteStore(path)) as client:
                await asyncio.gather(*(count_up(client, customer_id) for customer_id in (1, 2, 3)))
                assert await child.wait() == 0
            assert [fusebill.counters(customer_id) for customer_id in (1, 2, 3)] == [(count, count)] * 3
            assert (fusebill.lost, fusebill.effects("update")) == (0, 6 * count)

    asyncio.run(run(), debug=False)


# -- a hold by somebody else ----------------------------------------------------------------------------------------

POINTS = {
    "before the read": ("before", "get", 1),
    "after the read, before the PUT": ("after", "get", 1),
    "after the PUT": ("after", "update", 1),
}


@pytest.mark.parametrize("check", ["fresh", "strict"])
@pytest.mark.parametrize("point", POINTS)
async def test_a_hold_by_somebody_else_is_undone_only_between_the_last_read_and_the_put(
    service: Watched, writer: FusebillClient, point: str, check: Any
) -> None:
    service.act(*POINTS[point], lambda: service.change(1, status="Hold"))

    await writer.customers.update(1, company_name="Grok Ltd", check=check)

    # In the window of one round trip the echo of Active goes over it: that is what strict mode halves no further.
    in_window = point == "after the read, before the PUT" and check == "fresh"
    assert service.customer(1)["status"] == ("Active" if in_window else "Hold")
    assert service.customer(1)["companyName"] == "Grok Ltd"


async def test_strict_reads_twice_and_its_window_begins_at_the_second_read(
    service: Watched, writer: FusebillClient
) -> None:
    service.act("after", "get", 2, lambda: service.change(1, status="Hold"))

    await writer.customers.update(1, company_name="Grok Ltd", check="strict")

    assert methods(service) == ["GET", "GET", "PUT"]
    assert service.customer(1)["status"] == "Active"


async def test_a_hold_while_the_update_waits_for_another_write_is_kept(
    service: Watched, writer: FusebillClient
) -> None:
    """The lock is waited for before the read."""
    with service.hold_open("unlatch"):
        unlatch = asyncio.create_task(writer.hubspot.unlatch(1))
        await until(lambda: service.held_open == 1)
        update = asyncio.create_task(writer.customers.update(1, company_name="Grok Ltd"))
        await asyncio.sleep(0.02)
        assert methods(service) == ["POST"]
        service.change(1, status="Hold")
    await asyncio.gather(unlatch, update)

    assert methods(service) == ["POST", "GET", "PUT"]
    shown = service.customer(1)
    assert (shown["status"], shown["hubSpotId"], shown["companyName"]) == ("Hold", None, "Grok Ltd")


async def test_a_hold_while_the_update_waits_for_the_pool_is_kept(service: Watched) -> None:
    """The place in the pool is waited for before the read, and the PUT goes out in the same place."""
    service.add_customer(id=2)
    async with FusebillClient(KEY, base_url=service.base_url, pool=PoolSettings(connections=1)) as client:
        with service.hold_open("overview"):
            other = asyncio.create_task(client.request("GET", "/customers/2/Overview"))
            await until(lambda: service.held_open == 1)
            update = asyncio.create_task(client.customers.update(1, company_name="Grok Ltd"))
            await asyncio.sleep(0.02)
            service.change(1, status="Hold")
        await asyncio.gather(other, update)

    assert methods(service) == ["GET", "GET", "PUT"]
    assert service.customer(1)["status"] == "Hold"


def slow_to_connect(service: Watched, seconds: float) -> None:
    """From now on a connect takes so long, and meanwhile somebody else puts the customer on hold."""
    loop = asyncio.get_running_loop()
    service.inject(Fault.stall_connect(seconds=seconds, backlog=True))
    loop.call_later(seconds / 2, lambda: service.change(1, status="Hold"))


async def test_an_update_makes_no_connection_between_its_read_and_its_put(
    service: Watched, writer: FusebillClient
) -> None:
    await writer.customers.get(1)
    service.act("after", "get", 2, lambda: slow_to_connect(service, 0.2))
    await writer.customers.update(1, company_name="Grok Ltd")
    assert methods(service) == ["GET", "GET", "PUT"]
    assert len({request.connection for request in service.requests}) == 1


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("fresh", [False, True], ids=["in hand", "a connection a write"])
async def test_what_was_read_before_a_slow_connect_is_read_again(
    service: Watched, fresh: bool, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fusebill_async.settling.preparing._OLDEST_READ", 0.1)
    # It is no attempt that failed, so there need be none left.
    pool = PoolSettings(fresh_connections="writes" if fresh else None)
    retry = RetryPolicy(max_attempts=1, budget_minimum=0)
    updates = UpdatePolicy(max_read_age=0.1)
    async with FusebillClient(KEY, base_url=service.base_url, pool=pool, retry=retry, updates=updates) as client:
        customer: Any = await client.customers.get(1)
        if fresh:
            customer = 1
            for number in range(2, 2 + times):
                service.act("after", "get", number, lambda: slow_to_connect(service, 0.3))
        else:
            service.close_idle_connections()
            slow_to_connect(service, 0.3)
        response = await client.with_response.customers.update(customer, company_name="Grok Ltd")

    read = [request.connection for request in service.requests if request.method == "GET"]
    assert len(read) == 2 + (times if fresh else 0)
    # With a connection for each write, this read need not have one.
    assert (read[1] == read[0]) is fresh
    assert [attempt.status for attempt in response.attempts] == [200]
    assert service.customer(1)["companyName"] == "Grok Ltd"
    assert service.customer(1)["status"] == "Hold"


@pytest.mark.parametrize("allowed", [0.1, 0.4], ids=["too slow", "slower reads allowed"])
async def test_a_read_that_takes_too_long_is_the_base_of_no_put(
    service: Watched, allowed: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its age counts from its sending: what others changed while its answer was under way would be undone."""
    monkeypatch.setattr("fusebill_async.settling.preparing._OLDEST_READ", 0.1)
    service.inject(Fault.delay(0.2, operation="get", times=None))
    updates, timeouts = UpdatePolicy(max_read_age=allowed), Timeouts(total=1.0)
    async with FusebillClient(KEY, base_url=service.base_url, updates=updates, timeouts=timeouts) as client:
        if allowed > 0.2:
            await client.customers.update(1, company_name="Grok Ltd")
            assert methods(service) == ["GET", "PUT"]
            return
        with pytest.raises(RequestTimeoutError) as raised:
            await client.customers.update(1, company_name="Grok Ltd")
    assert raised.value.outcome is Outcome.NOT_SENT
    assert service.received("update") == 0
    assert service.received("get") > 2


@pytest.mark.parametrize("times", [1, 2])
async def test_what_others_change_while_the_loop_is_blocked_is_kept(service: Watched, times: int) -> None:
    """The answer of the read waits in the kernel, while the program itself computes for more than a second."""

    def block() -> None:
        service.change(1, status="Hold")
        # In one turn of the loop: the answer is written, and seen by the client only after this.
        asyncio.get_running_loop().call_soon(time.sleep, 1.1)

    async with FusebillClient(KEY, base_url=service.base_url) as client:
        for number in range(1, times + 1):
            service.act("after", "get", number, block)
        await client.customers.update(1, company_name="Grok Ltd")
    assert methods(service) == ["GET"] * (1 + times) + ["PUT"]
    assert (service.customer(1)["status"], service.customer(1)["companyName"]) == ("Hold", "Grok Ltd")


async def test_a_customer_in_hand_is_read_again_if_it_had_to_wait(service: Watched) -> None:
    """Young when it was handed in, too old when its turn came."""
    pool, updates = PoolSettings(connections=1), UpdatePolicy(max_read_age=0.05)
    async with FusebillClient(KEY, base_url=service.base_url, pool=pool, updates=updates) as client:
        customer = await client.customers.get(1)
        with service.hold_open("overview"):
            other = asyncio.create_task(client.request("GET", "/customers/1/Overview"))
            await until(lambda: service.held_open == 1)
            update = asyncio.create_task(client.customers.update(customer, company_name="Grok Ltd"))
            await asyncio.sleep(0.06)
            service.change(1, status="Hold")
        await asyncio.gather(other, update)

    assert methods(service) == ["GET", "GET", "GET", "PUT"]
    assert service.customer(1)["status"] == "Hold"


async def test_a_hold_during_a_wait_for_the_quota_is_kept(service: Watched, writer: FusebillClient) -> None:
    """A PUT that was refused with 429 is made anew from a read that is younger than the wait."""
    service.inject(Fault.status(429, operation="update", times=1, retry_after=0.05))
    service.act("after", "update", 1, lambda: service.change(1, status="Hold", last_name="theirs"))

    await writer.customers.update(1, company_name="Grok Ltd")

    assert methods(service) == ["GET", "PUT", "GET", "PUT"]
    shown = service.customer(1)
    assert (shown["status"], shown["lastName"], shown["companyName"]) == ("Hold", "theirs", "Grok Ltd")


def test_many_waits_for_the_quota_are_no_conflict() -> None:
    """A 429 says nothing of other writers, however often it comes."""

    async def main() -> None:
        async with Watched() as service, FusebillClient(KEY, base_url=service.base_url) as client:
            service.add_customer(id=1)
            service.inject(Fault.status(429, operation="update", times=6, retry_after=0.01))
            await client.customers.update(1, company_name="Grok Ltd")
            assert methods(service) == ["GET", "PUT"] * 7

    run_simulated(main)


def test_an_update_that_is_overtaken_again_and_again_gives_up_and_shows_by_what() -> None:
    async def main() -> None:
        async with (
            Watched() as service,
            FusebillClient(KEY, base_url=service.base_url, updates=UpdatePolicy(rounds=3)) as client,
        ):
            service.add_customer(id=1)
            service.inject(Fault.status(429, operation="update", times=None, retry_after=0.01))
            for number in range(1, 20):
                change = {"last_name": f"theirs {number}"}
                service.act("after", "update", number, lambda change=change: service.change(1, **change))

            with pytest.raises(ConcurrentModificationError, match="3 times") as caught:
                await client.customers.update(1, company_name="Grok Ltd")

            assert caught.value.conflicts == {"last_name": ("theirs 2", "theirs 3", "theirs 3")}
            assert service.effects("update", 1) == 0

    run_simulated(main)


@pytest.mark.parametrize("fault", [Fault.reset_before_effect, Fault.close_before_effect])
async def test_a_lost_put_that_was_missed_is_made_anew_from_another_read(
    service: Watched, writer: FusebillClient, fault: Any
) -> None:
    service.inject(fault(operation="update"))

    response = await writer.with_response.customers.update(1, company_name="Grok Ltd")

    sent = methods(service)
    assert sent[:2] == ["GET", "PUT"]
    # Settling reads twice or more, and then the round reads for itself.
    assert sent[-2:] == ["GET", "PUT"]
    assert sent.count("GET") >= 4
    assert sent.count("PUT") == 2
    assert response.confirmed_by == "response"
    assert service.effects("update", 1) == 1


async def test_a_hold_after_a_lost_put_is_never_undone(service: Watched, writer: FusebillClient) -> None:
    """Another status than before: whether the PUT happened cannot be told, so it is not sent again."""
    service.inject(Fault.reset_before_effect(operation="update"))
    service.act("after", "update", 1, lambda: service.change(1, status="Hold"))

    with pytest.raises(OutcomeUnknownError):
        await writer.customers.update(1, company_name="Grok Ltd")

    assert (service.customer(1)["status"], methods(service).count("PUT")) == ("Hold", 1)
    [write] = writer.unresolved()
    assert (await writer.resolve(write)).outcome is Outcome.UNKNOWN
    service.change(1, company_name="Grok Ltd")
    assert (await writer.resolve(write)).outcome is Outcome.APPLIED


@pytest.mark.parametrize(
    ("before", "changes", "allowed"),
    [
        ({}, {"company_name": "Grok Ltd", "customer_reference": {"reference1": "A"}}, ()),
        ({"primary_phone": "6135550100"}, {"primary_phone": "6135550199"}, ()),
        ({}, {"customer_reference": None}, {"customer_reference"}),
        ({}, {"customer_reference": {"sales_tracking_codes": [{"type": "T", "code": "C"}]}}, ()),
        ({}, {"parent_id": 12, "title": "Mr", "middle_name": None}, ()),
    ],
    ids=["texts", "phone", "object erased", "codes", "others"],
)
async def test_a_put_whose_answer_was_lost_is_found_by_reading(
    service: Watched, writer: FusebillClient, before: Any, changes: Any, allowed: Any
) -> None:
    service.change(1, **before)
    service.inject(Fault.reset_after_effect(operation="update"))

    response = await writer.with_response.customers.update(1, **changes, allow_erase=allowed)

    assert (response.confirmed_by, response.attribution) == ("read", "ours")
    assert service.effects("update", 1) == service.received("update", 1) == 1
    assert not writer.unresolved()


async def test_a_customer_in_hand_is_not_trusted_while_a_hold_of_it_is_unknown(service: Watched) -> None:
    """The hold happened and its answer was lost: the customer in hand is young, and still not the last word."""
    async with FusebillClient(KEY, base_url=service.base_url, settling=SettlingPolicy(enabled=False)) as client:
        customer = await client.customers.get(1)
        service.inject(Fault.reset_after_effect(operation="hold"))
        with pytest.raises(OutcomeUnknownError):
            await client.customers.hold(1)

        await client.customers.update(customer, company_name="Grok Ltd")

        assert methods(service)[-2:] == ["GET", "PUT"]
        assert service.customer(1)["status"] == "Hold"
        await client.customers.get(1)
        with pytest.warns(match="unresolved"):
            await client.aclose()


async def test_a_customer_in_hand_is_read_again_after_a_write_of_the_same_client(
    service: Watched, writer: FusebillClient
) -> None:
    customer = await writer.customers.get(1)
    await writer.with_options().customers.hold(1)

    await writer.customers.update(customer, company_name="Grok Ltd")

    assert methods(service) == ["GET", "POST", "GET", "PUT"]
    assert service.customer(1)["status"] == "Hold"


@pytest.mark.parametrize("side_effects", [False, True])
async def test_the_customer_of_an_activation_is_no_base_of_a_put(
    service: Watched, writer: FusebillClient, side_effects: bool
) -> None:
    """Its answer may hold the invoice: that is not a field of the customer."""
    service.add_customer(id=2, status="Draft")
    activation = await writer.customers.activate(2, True, True, False, side_effects=side_effects)
    assert ("invoices" in activation.extra) is side_effects

    await writer.customers.replace(activation.customer)
    await writer.customers.update(activation.customer, company_name="Grok Ltd")

    bodies = [decode_json(request.body) for request in service.requests if request.method == "PUT"]
    assert [(body["status"], body["companyName"]) for body in bodies] == [
        ("Active", "Example Company 2"),
        ("Active", "Grok Ltd"),
    ]
    assert all("invoices" not in body for body in bodies)


# -- what it costs ---------------------------------------------------------------------------------------------------


async def test_two_requests_three_in_strict_mode_and_one_for_a_customer_that_was_just_read(
    service: Watched, writer: FusebillClient
) -> None:
    async def cost(update: Any) -> list[str]:
        service.requests.clear()
        await update
        return methods(service)

    customers = writer.customers
    assert await cost(customers.update(1, company_name="a")) == ["GET", "PUT"]
    assert await cost(customers.update(1, company_name="b", check="strict")) == ["GET", "GET", "PUT"]
    customer = await customers.get(1)
    assert await cost(customers.update(customer, company_name="c")) == ["PUT"]
    updated = await customers.update(1, company_name="d")
    assert await cost(customers.update(updated, company_name="e")) == ["PUT"]
    customer = await customers.get(1)
    assert await cost(customers.update(customer, company_name="f", check="strict")) == ["GET", "PUT"]

    async def block() -> None:
        async with customers.edit(1) as draft:
            draft.company_name = "g"

    assert await cost(block()) == ["GET", "GET", "PUT"]


async def test_nothing_to_do_sends_no_put_and_says_so(service: Watched, writer: FusebillClient) -> None:
    service.change(1, primary_phone=6135550101, title="", customer_reference={"reference1": "A"})
    verbs = writer.with_response.customers

    nothing = {"primary_phone": "6135550101", "title": None, "customer_reference": {"reference1": "A"}}
    for changes in ({}, {"company_name": "Example Company 1"}, nothing):
        service.requests.clear()
        response = await verbs.update(1, **changes)
        assert (response.attribution, response.confirmed_by) == ("already", "read")
        assert (response.attempts, response.value.company_name) == ((), "Example Company 1")
        assert methods(service) == ["GET"]

    service.requests.clear()
    response = await verbs.update(await writer.customers.get(1), company_name="Example Company 1")
    assert (response.attribution, response.attempts) == ("already", ())
    assert response.value.company_name == "Example Company 1"
    assert methods(service) == ["GET"]

    async with writer.customers.edit(1) as draft:
        draft.company_name = "Example Company 1"
    assert draft.result.company_name == "Example Company 1"
    assert service.effects("update", 1) == 0
    assert not writer.unresolved()


# -- what the service makes of it --------------------------------------------------------------------------------------


async def test_a_value_that_the_service_does_not_take_is_told(service: Watched, writer: FusebillClient) -> None:
    """Its own read-only key, and a text that it cuts."""
    with pytest.raises(FieldsNotTakenError) as caught:
        await writer.customers.update(1, quickbooks_sync_token=7, company_name="Grok Ltd")

    error = caught.value
    assert error.fields == {"quickbooks_sync_token": (7, None)}
    assert (error.outcome, error.operation, error.customer_id) == (Outcome.APPLIED, "customers.update", 1)
    assert error.customer.company_name == "Grok Ltd" == service.customer(1)["companyName"]


async def test_a_text_that_the_service_cuts_is_told_by_its_own_name(service: Watched, writer: FusebillClient) -> None:
    body = service.customer_bytes(1).replace(b'"reference1":null', b'"reference1":"xxxxx"')
    body = body.replace(b"2019-11-07", b"2030-11-07")
    service.inject(Fault.status(200, operation="update", effect="before", body=body))

    with pytest.raises(FieldsNotTakenError) as caught:
        await writer.customers.update(1, customer_reference={"reference1": "x" * 20})
    assert caught.value.fields == {"customer_reference.reference1": ("x" * 20, "xxxxx")}
    assert service.effects("update", 1) == 1


async def test_a_field_that_the_service_erases_unasked_is_told(service: Watched, writer: FusebillClient) -> None:
    body = service.customer_bytes(1).replace(b"Example Company 1", b"Grok Ltd").replace(b"2019-11-07", b"2030-11-07")
    body = body.replace(b'"middleName":"Lee"', b'"middleName":null')
    service.inject(Fault.status(200, operation="update", effect="before", body=body))

    with pytest.raises(FieldsNotTakenError) as caught:
        await writer.customers.update(1, company_name="Grok Ltd")
    assert caught.value.fields == {"middle_name": ("Lee", None)}


async def test_a_key_that_the_answer_leaves_out_is_no_alarm_but_a_line_in_the_log(
    service: Watched, writer: FusebillClient, caplog: pytest.LogCaptureFixture
) -> None:
    """The samples leave out keys here and there."""
    body = service.customer_bytes(1).replace(b"Example Company 1", b"Grok Ltd").replace(b"2019-11-07", b"2030-11-07")
    body = body.replace(b'"geotabId":"7001",', b"")
    service.inject(Fault.status(200, operation="update", effect="before", body=body))

    await writer.customers.update(1, company_name="Grok Ltd")
    assert "does not show geotab_id" in caplog.text


async def test_a_read_only_field_that_the_service_refuses_to_take_back_is_told_and_not_stripped(
    service: Watched, writer: FusebillClient
) -> None:
    refusal = b'{"ErrorId":7,"HttpStatusCode":400,"Errors":[{"Key":"isParent","Value":"isParent is read-only."}]}'
    service.change(1, raw={"isParent": b"true"})
    service.inject(Fault.status(400, operation="update", body=refusal, times=None))

    with pytest.raises(BadRequestError, match=r"isParent is read-only\.") as caught:
        await writer.customers.update(1, company_name="Grok Ltd")

    assert caught.value.errors == (("isParent", "isParent is read-only."),)
    assert (caught.value.outcome, caught.value.operation) == (Outcome.REJECTED, "customers.update")
    puts = [request.body for request in service.requests if request.method == "PUT"]
    assert len(puts) == 1
    assert b'"isParent":true' in puts[0]


async def test_a_read_that_fails_is_told_as_an_update_that_was_not_sent(
    service: Watched, writer: FusebillClient
) -> None:
    with pytest.raises(NotFoundError) as caught:
        await writer.customers.update(99, company_name="Grok Ltd")
    assert (caught.value.operation, caught.value.customer_id) == ("customers.update", 99)

    service.inject(Fault.reset_before_effect(operation="get", times=None))
    with pytest.raises(Exception, match="failed after 3 attempts") as lost:
        await writer.customers.update(1, company_name="Grok Ltd")
    assert (lost.value.outcome, lost.value.operation) == (Outcome.NOT_SENT, "customers.update")  # type: ignore[attr-defined]
    assert len(lost.value.attempts) == 3  # type: ignore[attr-defined]
    assert service.received("update") == 0


async def test_a_read_that_is_lost_begins_the_round_anew(service: Watched, writer: FusebillClient) -> None:
    service.inject(Fault.reset_before_effect(operation="get", times=2))

    response = await writer.with_response.customers.update(1, company_name="Grok Ltd")

    assert methods(service) == ["GET", "GET", "GET", "PUT"]
    assert len(response.attempts) == 3


async def test_a_put_that_was_refused_and_cannot_be_made_anew_was_not_unsent(service: FusebillSimulator) -> None:
    """The service saw it, and refused it for the quota; the read for the next one fails to the end."""
    service.add_customer(id=1, status="Active")
    service.inject(Fault.status(429, operation="update", times=1, retry_after=0.01))
    service.inject(Fault.status(503, operation="get", times=None, skip=1))
    async with FusebillClient("key", base_url=service.base_url, retry=RetryPolicy(backoff=0.001)) as client:
        with pytest.raises(FusebillError) as raised:
            await client.customers.update(1, company_name="Grok Ltd")
    assert raised.value.outcome is Outcome.REJECTED
    assert (service.received("update", 1), service.effects("update", 1)) == (1, 0)


async def test_an_update_whose_read_met_the_quota_and_that_was_never_sent_is_told_so(service: Watched) -> None:
    service.inject(Fault.status(429, operation="get", retry_after=0.05))
    async with FusebillClient(KEY, base_url=service.base_url, retry=RetryPolicy(max_attempts=1)) as client:
        update = asyncio.create_task(client.customers.update(1, company_name="Grok Ltd"))
        await until(lambda: service.received("get", 1) == 1)
        service.inject(Fault.refuse())
        service.close_idle_connections()
        with pytest.raises(ConnectError) as raised:
            await update
        service.clear_faults()
    assert [attempt.status for attempt in raised.value.attempts] == [429, None]
    assert raised.value.outcome is Outcome.NOT_SENT
