"""What a call does whose idempotency key was used before: every row of the table, on every store."""

from __future__ import annotations

import asyncio

import pytest

from fusebill_async import (
    BadRequestError,
    ConfirmedBy,
    ConflictError,
    ConnectError,
    FusebillError,
    IdempotencyError,
    NotAppliedError,
    NotFoundError,
    Outcome,
    OutcomeUnknownError,
    SettlingPolicy,
    Timeouts,
)
from fusebill_async.testing import Fault

NEVER_SETTLES = SettlingPolicy(first_read=0.005, quiet_period=0.05, retry_delay=0.01, give_up=0.1, wait=0.3)

WRITES = {
    "hold": ("Active", lambda client, key: client.customers.hold(1, idempotency_key=key)),
    "release_hold": (
        "Hold",
        lambda client, key: client.customers.release_hold(1, "NoChargesForMissedPeriods", idempotency_key=key),
    ),
    "cancel": ("Active", lambda client, key: client.customers.cancel(1, "None", idempotency_key=key)),
    "uncancel": ("Cancelled", lambda client, key: client.customers.uncancel(1, idempotency_key=key)),
    "activate": ("Draft", lambda client, key: client.customers.activate(1, True, True, False, idempotency_key=key)),
    "activate_items": ("Active", lambda client, key: client.customers.activate_items(1, idempotency_key=key)),
    "update": ("Active", lambda client, key: client.customers.update(1, company_name="Grok", idempotency_key=key)),
    "latch": ("Active", lambda client, key: client.hubspot.latch(1, hubspot_id=7, idempotency_key=key)),
    "unlatch": ("Active", lambda client, key: client.hubspot.unlatch(1, idempotency_key=key)),
    "salesforce": (
        "Active",
        lambda client, key: client.salesforce.latch(1, "A1", force_latch=True, idempotency_key=key),
    ),
    "netsuite": ("Active", lambda client, key: client.netsuite.latch(1, "N1", idempotency_key=key)),
    "enable": ("Active", lambda client, key: client.netsuite.enable_sync(1, idempotency_key=key)),
    "disable": ("Active", lambda client, key: client.netsuite.disable_sync(1, idempotency_key=key)),
    "geotab": ("Active", lambda client, key: client.geotab.latch(1, "G1", idempotency_key=key)),
    "geotab unlatch": ("Active", lambda client, key: client.geotab.unlatch(1, idempotency_key=key)),
}


def writes(fusebill):
    return [request for request in fusebill.requests if request.method != "GET"]


@pytest.mark.parametrize("name", WRITES)
async def test_a_second_call_with_the_key_sends_no_write(fusebill, connect, name):
    status, call = WRITES[name]
    fusebill.add_customer(id=1, status=status)
    async with connect() as client:
        first = await call(client.with_response, "order-1")
        sent = len(writes(fusebill))
        again = await call(client.with_response, "order-1")
        async with connect() as other:
            elsewhere = await call(other.with_response, "order-1")
            recorded = await other.recorded("order-1")

    assert sent == len(writes(fusebill)) == 1
    assert not first.replayed
    for later in (again, elsewhere):
        assert later.replayed
        assert later.confirmed_by == ConfirmedBy.RECORD
        assert later.attribution == first.attribution
        shown = getattr(later.value, "customer", later.value)
        assert shown.id == 1
    assert (recorded.customer_id, recorded.outcome) == (1, Outcome.APPLIED)
    assert recorded.began_at <= recorded.ended_at


async def test_what_is_given_back_is_the_customer_as_it_is_now(fusebill, connect):
    fusebill.add_customer(id=1, status="Active")
    async with connect() as client:
        await client.customers.hold(1, idempotency_key="k")
        await client.customers.release_hold(1, "NoChargesForMissedPeriods")
        customer = await client.customers.hold(1, idempotency_key="k")
    assert customer.status == "Active"
    assert fusebill.effects("hold", 1) == 1


async def test_if_that_read_fails_the_error_tells_that_it_was_applied(fusebill, connect):
    fusebill.add_customer(id=1, status="Active")
    async with connect() as client:
        await client.customers.hold(1, idempotency_key="k")
        fusebill.inject(Fault.status(404, operation="get"))
        with pytest.raises(FusebillError) as caught:
            await client.customers.hold(1, idempotency_key="k")
    assert caught.value.outcome is Outcome.APPLIED
    assert caught.value.operation == "customers.hold"
    assert fusebill.effects("hold", 1) == 1


async def test_a_create_gives_the_customer_that_it_made(fusebill, connect):
    async with connect() as client:
        made = await client.customers.create(first_name="Ada", idempotency_key="k")
        again = await client.with_response.customers.create(first_name="Ada", idempotency_key="k")
        recorded = await client.recorded("k")
    assert again.value.id == made.id == recorded.customer_id
    assert fusebill.effects("create") == 1


async def test_a_request_gives_none(fusebill, connect):
    fusebill.add_customer(id=1, status="Active")
    async with connect() as client:
        first = await client.request("POST", "/CustomerHold/1", idempotency_key="k")
        again = await client.with_response.request("POST", "/CustomerHold/1", idempotency_key="k")
    assert first["status"] == "Hold"
    assert (again.value, again.replayed) == (None, True)
    assert fusebill.effects("hold", 1) == 1


async def test_a_rejected_call_is_made_anew(fusebill, connect):
    fusebill.add_customer(id=1, status="Draft")
    async with connect() as client:
        with pytest.raises(ConflictError):
            await client.customers.hold(1, idempotency_key="k")
        assert (await client.recorded("k")).outcome is Outcome.REJECTED
        await client.customers.activate(1, True, True, False)
        response = await client.with_response.customers.hold(1, idempotency_key="k")
        assert (await client.recorded("k")).outcome is Outcome.APPLIED
    assert not response.replayed
    assert fusebill.effects("hold", 1) == 1


async def test_a_call_that_was_not_sent_is_made_anew(fusebill, connect):
    fusebill.add_customer(id=1, status="Active")
    async with connect() as client:
        fusebill.inject(Fault.refuse())
        with pytest.raises(ConnectError):
            await client.customers.hold(1, idempotency_key="k")
        fusebill.clear_faults()
        response = await client.with_response.customers.hold(1, idempotency_key="k")
    assert not response.replayed
    assert fusebill.effects("hold", 1) == 1


async def test_what_moves_money_and_was_not_applied_is_not_sent_again_unless_told_so(fusebill, connect):
    fusebill.add_customer(id=1, status="Draft")
    async with connect() as client:
        fusebill.inject(Fault.reset_before_effect(operation="activate", times=1))
        for _ in range(3):
            with pytest.raises(NotAppliedError) as caught:
                await client.customers.activate(1, True, True, False, idempotency_key="k")
            assert caught.value.outcome is Outcome.NOT_APPLIED
        assert len(writes(fusebill)) == 1
        result = await client.with_response.customers.activate(1, True, True, False, resend=True, idempotency_key="k")
    assert not result.replayed
    assert fusebill.effects("activate", 1) == 1


async def test_a_hold_that_was_not_applied_is_made_anew(fusebill, connect):
    fusebill.add_customer(id=1, status="Active")
    async with connect() as client:
        fusebill.inject(Fault.reset_before_effect(operation="hold", times=3))
        with pytest.raises(NotAppliedError):
            await client.customers.hold(1, idempotency_key="k")
        assert (await client.recorded("k")).outcome is Outcome.NOT_APPLIED
        await client.customers.hold(1, idempotency_key="k")
    assert fusebill.effects("hold", 1) == 1


@pytest.mark.filterwarnings("ignore::fusebill_async.UnresolvedWritesWarning")
async def test_what_is_unknown_is_settled_by_reading_first(fusebill, connect):
    fusebill.add_customer(id=1, status="Draft")
    async with connect(settling=NEVER_SETTLES) as client:
        fusebill.inject(Fault.reset_after_effect(operation="activate", times=1))
        fusebill.inject(Fault.status(503, operation="get", times=500))
        with pytest.raises(OutcomeUnknownError):
            await client.customers.activate(1, True, True, False, idempotency_key="k")
        assert (await client.recorded("k")).outcome is Outcome.UNKNOWN
        with pytest.raises(OutcomeUnknownError) as caught:
            await client.customers.activate(1, True, True, False, idempotency_key="k")
        assert caught.value.intent_id == client.unresolved()[0].id
        fusebill.clear_faults()
        response = await client.with_response.customers.activate(1, True, True, False, idempotency_key="k")
        assert client.unresolved() == []
    assert response.replayed
    assert response.value.customer.status == "Active"
    assert fusebill.effects("activate", 1) == 1


@pytest.mark.filterwarnings("ignore::fusebill_async.UnresolvedWritesWarning")
async def test_an_unknown_request_stays_unknown(fusebill, connect):
    fusebill.add_customer(id=1, status="Active")
    async with connect() as client:
        fusebill.inject(Fault.reset_after_effect(operation="hold", times=1))
        for _ in range(2):
            with pytest.raises(OutcomeUnknownError):
                await client.request("POST", "/CustomerHold/1", idempotency_key="k")
        async with connect() as other:
            with pytest.raises(OutcomeUnknownError):
                await other.request("POST", "/CustomerHold/1", idempotency_key="k")
    assert fusebill.effects("hold", 1) == 1


async def test_a_call_waits_for_another_one_with_its_key(fusebill, connect):
    fusebill.add_customer(id=1, status="Active")
    async with connect() as one, connect() as other:
        fusebill.inject(Fault.delay(0.3, operation="hold", times=1))
        responses = await asyncio.gather(
            *(client.with_response.customers.hold(1, idempotency_key="k") for client in (one, other, one, other))
        )
    assert sorted(response.replayed for response in responses) == [False, True, True, True]
    assert fusebill.effects("hold", 1) == 1


@pytest.mark.parametrize("work", ["create", "request"])
async def test_calls_without_a_customer_wait_too(fusebill, connect, work):
    fusebill.add_customer(id=1, status="Active")
    calls = {
        "create": lambda client: client.with_response.customers.create(first_name="Ada", idempotency_key="k"),
        "request": lambda client: client.with_response.request("POST", "/CustomerHold/1", idempotency_key="k"),
    }
    async with connect() as one, connect() as other:
        responses = await asyncio.gather(*(calls[work](client) for client in (one, other, one, other)))
    assert sorted(response.replayed for response in responses) == [False, True, True, True]
    assert len(writes(fusebill)) == 1


async def test_one_that_waits_too_long_does_not_know(fusebill, connect):
    fusebill.add_customer(id=1, status="Active")
    async with connect() as client:
        fusebill.inject(Fault.delay(0.6, operation="hold", times=1))
        first = asyncio.create_task(client.customers.hold(1, idempotency_key="k"))
        await asyncio.sleep(0.1)
        hurried = client.with_options(timeouts=Timeouts(queue=0.2))
        with pytest.raises(OutcomeUnknownError) as caught:
            await hurried.customers.hold(1, idempotency_key="k")
        assert caught.value.outcome is Outcome.UNKNOWN
        await first
    assert fusebill.effects("hold", 1) == 1


OTHER_CALLS = {
    "operation": lambda client: client.hubspot.unlatch(1, idempotency_key="k"),
    "customer": lambda client: client.customers.hold(2, idempotency_key="k"),
    "arguments": lambda client: client.customers.cancel(1, "Full", idempotency_key="k"),
    "update": lambda client: client.customers.update(1, company_name="Grok", idempotency_key="k"),
    "request": lambda client: client.request("POST", "/CustomerHold/1", idempotency_key="k"),
    "create": lambda client: client.customers.create(first_name="Ada", idempotency_key="k"),
}


@pytest.mark.parametrize("name", OTHER_CALLS)
async def test_a_key_of_another_call_is_refused_and_nothing_is_sent(fusebill, connect, name):
    for number in (1, 2):
        fusebill.add_customer(id=number, status="Active")
    async with connect() as client:
        if name == "arguments":
            await client.customers.cancel(1, "None", idempotency_key="k")
        else:
            await client.customers.hold(1, idempotency_key="k")
        sent = len(fusebill.requests)
        with pytest.raises(IdempotencyError) as caught:
            await OTHER_CALLS[name](client)
    assert isinstance(caught.value, ValueError)
    assert caught.value.outcome is Outcome.NOT_SENT
    assert len(fusebill.requests) == sent


async def test_options_do_not_make_another_call(fusebill, connect):
    fusebill.add_customer(id=1, status="Active")
    async with connect() as client:
        customer = await client.customers.get(1)
        await client.customers.cancel(customer, "None", idempotency_key="k")
        other = client.with_options(timeouts=Timeouts(read=3.0), priority="bulk", headers={"X-Job": "7"})
        response = await other.with_response.customers.cancel(1, "None", resend=True, idempotency_key="k")
    assert response.replayed


async def test_keys_are_of_an_account(fusebill, connect):
    fusebill.add_customer(id=1, status="Active")
    async with connect(account="one") as one, connect(account="one", key="ANOTHER") as same:
        await one.customers.hold(1, idempotency_key="k")
        assert (await same.with_response.customers.hold(1, idempotency_key="k")).replayed
    assert fusebill.effects("hold", 1) == 1


@pytest.mark.parametrize("key", ["", "x" * 256, 7, b"k", True])
async def test_what_cannot_be_a_key_is_refused_before_anything_is_sent(fusebill, client, key):
    with pytest.raises(ValueError, match="idempotency_key"):
        await client.customers.hold(1, idempotency_key=key)
    with pytest.raises(ValueError, match="idempotency_key"):
        await client.customers.update(1, company_name="Grok", idempotency_key=key)
    with pytest.raises(ValueError, match="idempotency_key"):
        await client.recorded(key)
    with pytest.raises(ValueError, match="idempotency_key"):
        await client.request("GET", "/customers/1", idempotency_key="k")
    assert not fusebill.requests


async def test_a_key_that_was_never_used_has_no_record(client):
    assert await client.recorded("never") is None


async def test_what_is_not_there_is_told_by_the_service_and_made_anew(fusebill, connect):
    async with connect() as client:
        with pytest.raises(NotFoundError):
            await client.customers.hold(9, idempotency_key="k")
        fusebill.add_customer(id=9, status="Active")
        await client.customers.hold(9, idempotency_key="k")
    assert fusebill.effects("hold", 9) == 1


async def test_a_replace_with_the_key_is_the_same_body(fusebill, connect):
    fusebill.add_customer(id=1, status="Active")
    async with connect() as client:
        customer = await client.customers.get(1)
        customer.company_name = "Grok"
        await client.customers.replace(customer, idempotency_key="k")
        again = await client.with_response.customers.replace(customer, idempotency_key="k")
        customer.company_name = "Other"
        with pytest.raises(IdempotencyError):
            await client.customers.replace(customer, idempotency_key="k")
    assert again.replayed
    assert fusebill.effects("update", 1) == 1


async def test_a_refused_body_is_made_anew(fusebill, connect):
    fusebill.add_customer(id=1, status="Active")
    async with connect() as client:
        fusebill.inject(Fault.status(400, operation="update", times=1))
        with pytest.raises((BadRequestError, FusebillError)):
            await client.customers.update(1, company_name="Grok", idempotency_key="k")
        response = await client.with_response.customers.update(1, company_name="Grok", idempotency_key="k")
    assert not response.replayed
