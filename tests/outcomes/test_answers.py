"""The answer belongs to the question."""

import asyncio
import json
import logging
from contextlib import suppress

import pytest

from fusebill_async import (
    FusebillClient,
    InvalidResponseError,
    NotAppliedError,
    NotFoundError,
    PreviewChangedStateError,
    RetryPolicy,
    Timeouts,
)
from fusebill_async.testing import Fault, FusebillSimulator
from tests.outcomes.outcome_cases import VERBS, WRITES, make_client


@pytest.mark.parametrize("pause", [0, 0.05], ids=["at once", "after a while"])
@pytest.mark.parametrize("after", [0, 0.01], ids=["with the answer", "on the idle connection"])
@pytest.mark.parametrize("name", ["get", "geotab_unlatch"])
async def test_an_unsolicited_answer_is_given_to_nobody(fusebill, name, after, pause):
    verb = VERBS[name]
    for number in (1, 2, 3):
        fusebill.add_customer(id=number, company_name=f"Company {number}")
    fusebill.inject(Fault.unsolicited_answer(operation=verb.title, customer_id=1, after=after, other=2))
    async with make_client(fusebill) as client:
        await verb.call(client, 1)
        await asyncio.sleep(pause)
        assert (await verb.call(client, 3)).company_name == "Company 3"
        assert (await verb.call(client, 3)).id == 3


@pytest.mark.parametrize("verb", WRITES, ids=str)
async def test_an_answer_about_another_customer_confirms_nothing(fusebill, verb, caplog):
    fusebill.add_customer(id=1, status=verb.status)
    fusebill.inject(Fault.other_id(operation=verb.title, other=2))
    async with make_client(fusebill) as client:
        response = await verb.call(client.with_response, 1)
        told = [record for record in caplog.records if record.levelno == logging.ERROR]
    customer = getattr(response.value, "customer", response.value)
    assert customer.id == 1
    assert response.confirmed_by == "read"
    assert fusebill.effects(verb.title, 1) == 1
    assert any("about customer 2" in record.getMessage() for record in told)


NOT_FOUND = '{"ErrorId":0,"HttpStatusCode":404,"Errors":[{"Key":"Api Error","Value":"Customer with id %d not found."}]}'


@pytest.mark.parametrize("verb", WRITES, ids=str)
@pytest.mark.parametrize("effect", ["before", "none"])
async def test_a_refusal_about_another_customer_refuses_nothing(fusebill, verb, effect, caplog):
    fusebill.add_customer(id=1, status=verb.status)
    refusal = Fault.status(404, body=NOT_FOUND % 2, operation=verb.title, effect=effect)
    fusebill.inject(refusal)
    async with make_client(fusebill) as client:
        with suppress(NotAppliedError):
            response = await verb.call(client.with_response, 1)
            assert response.confirmed_by == ("read" if effect == "before" else "response")
    sent_again = effect == "none" and verb.kind != "money"
    assert fusebill.received(verb.title, 1) == 1 + sent_again
    assert fusebill.effects(verb.title, 1) == (1 if effect == "before" else sent_again)
    assert "the refusal is about customer 2" in caplog.text


async def test_a_refusal_about_another_customer_does_not_say_that_a_customer_is_gone(fusebill):
    """Neither to a caller, nor to a read that settles."""
    fusebill.add_customer(id=1, status="Active")
    crossed = Fault.status(404, body=NOT_FOUND % 2, operation="get")
    async with make_client(fusebill) as client:
        fusebill.inject(crossed)
        assert (await client.customers.get(1)).status == "Active"
        fusebill.inject(Fault.reset_after_effect(operation="hold"), crossed)
        assert (await client.with_response.customers.hold(1)).confirmed_by == "read"
        fusebill.inject(crossed.scoped(times=None))
        with pytest.raises(InvalidResponseError, match="404, the refusal is about customer 2"):
            await client.customers.get(1)


async def test_a_refusal_about_the_customer_is_one(fusebill):
    async with make_client(fusebill) as client:
        with pytest.raises(NotFoundError):
            await client.customers.hold(1)
    assert fusebill.received("hold", 1) == 1


async def asked(fusebill):
    """Wait until the service has a request that it holds open."""
    while not fusebill.held_open:  # noqa: ASYNC110 (what the service saw is looked at, not awaited)
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("verb", WRITES, ids=str)
async def test_a_stale_answer_about_the_same_customer_confirms_nothing(fusebill, verb):
    """A second answer to another write comes while this one is under way, and shows the customer as it was."""
    fusebill.add_customer(id=1, status=verb.status)
    fusebill.add_customer(id=2)
    fusebill.inject(Fault.unsolicited_answer(operation="geotab.unlatch", customer_id=2, after=0.02, other=1))
    async with make_client(fusebill) as client:
        await client.customers.get(1)
        await client.geotab.unlatch(2)
        response = await verb.call(client.with_response, 1)
    customer = getattr(response.value, "customer", response.value)
    assert fusebill.effects(verb.title, 1) == 1
    assert customer.status == fusebill.customer(1)["status"]
    assert customer.company_name == fusebill.customer(1)["companyName"]


@pytest.mark.parametrize("effect", ["before", "none"])
async def test_a_create_takes_no_other_customer_for_its_own(fusebill, effect):
    """The answer shows one who was there before, with the same name: only what was sent with the create tells."""
    other = fusebill.add_customer(reference="B-2", company_name="Grok Ltd")
    fusebill.inject(Fault.other_id(other=other, operation="create", effect=effect))
    async with make_client(fusebill) as client:
        if effect == "before":
            made = await client.customers.create(reference="A-1", company_name="Grok Ltd")
            assert (made.reference, made.id != other) == ("A-1", True)
        else:
            with pytest.raises(NotAppliedError):
                await client.customers.create(reference="A-1", company_name="Grok Ltd")
    assert fusebill.effects("create") == (effect == "before")


# What the service refuses to bring about where it stands already, with the status in which it does.
ALREADY_SO = [
    pytest.param("hold", "Hold", id="hold"),
    pytest.param("activate", "Active", id="activate"),
    pytest.param("release_hold", "Active", id="release_hold"),
    pytest.param("cancel", "Cancelled", id="cancel"),
]


@pytest.mark.parametrize(("name", "goal"), ALREADY_SO)
async def test_an_answer_from_before_what_is_known_of_the_customer_confirms_nothing(fusebill, name, goal):
    """It had the status long ago, lost it, which this client has seen, and the write changes nothing."""
    verb = VERBS[name]
    fusebill.add_customer(id=1, status=goal)
    long_ago = fusebill.customer_bytes(1)
    fusebill.add_customer(id=1, status=verb.status)
    fusebill.change(1, company_name="Second Ltd")
    async with make_client(fusebill) as client:
        await client.customers.get(1)
        fusebill.inject(Fault.status(200, body=long_ago, operation=name, customer_id=1, effect="none"))
        applied = 0
        with suppress(NotAppliedError):
            await verb.call(client.with_response, 1)
            applied = 1
    assert fusebill.effects(name, 1) == fusebill.received(name, 1) - 1 == applied


@pytest.mark.parametrize("repeats", [2, 30])
async def test_a_stand_in_that_always_says_the_same_is_believed(mocked, repeats):
    """As in a program's own tests, where there is often nothing to read."""
    body = json.dumps({"id": 1, "status": "Hold", "modifiedTimestamp": "2019-11-07T15:51:11.1915461Z"})
    mocked.post("https://secure.fusebill.com/v1/CustomerHold/1", body=body, repeat=True)
    async with FusebillClient("key") as client:
        for _ in range(repeats):
            assert (await client.with_response.customers.hold(1)).confirmed_by == "response"


@pytest.mark.parametrize("modified", [5, "soon", {}], ids=repr)
@pytest.mark.parametrize("lost", [False, True], ids=["answered", "lost"])
@pytest.mark.parametrize("name", ["hold", "activate"])
async def test_a_timestamp_that_cannot_be_read_is_not_the_outcome(name, lost, modified):
    verb = VERBS[name]
    async with FusebillSimulator(bump_modified_on_status=False) as fusebill, make_client(fusebill) as client:
        fusebill.add_customer(id=1, status=verb.status, modified_timestamp=modified)
        if lost:
            fusebill.inject(Fault.reset_after_effect(operation=name))
        response = await verb.call(client.with_response, 1)
        assert fusebill.effects(name, 1) == 1
    assert response.confirmed_by == ("read" if lost else "response")


@pytest.mark.parametrize(("name", "status"), ALREADY_SO)
async def test_a_service_that_leaves_the_timestamp_alone_is_believed(name, status):
    verb = VERBS[name]
    async with FusebillSimulator(bump_modified_on_status=False) as fusebill:
        async with make_client(fusebill) as client:
            for number in (1, 2):
                fusebill.add_customer(id=number, status=verb.status)
                response = await verb.call(client.with_response, number)
                assert response.confirmed_by == "response"
        assert fusebill.received("get") == 0


async def test_a_preview_that_shows_another_state_is_loud(caplog):
    async with FusebillSimulator(enforce_states=False) as fusebill:
        fusebill.add_customer(id=1, status="Active")
        async with make_client(fusebill) as client:
            with pytest.raises(PreviewChangedStateError, match="may have acted"):
                await VERBS["preview"].call(client.with_response, 1)
    assert any(record.levelno == logging.ERROR and "Active" in record.getMessage() for record in caplog.records)


async def test_an_answer_without_an_end_is_not_read_to_its_end():
    async def pour(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        with suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
                await writer.drain()

    server = await asyncio.start_server(pour, "127.0.0.1", 0)
    async with server:
        base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        once, patient = RetryPolicy(max_attempts=1), Timeouts(read=5.0, total=5.0)
        async with FusebillClient("key", base_url=base_url, retry=once, timeouts=patient) as client:
            with pytest.raises(InvalidResponseError, match="larger than"):
                await client.customers.get(1)


@pytest.mark.parametrize("status", [300, 302, 304, 307, 399])
async def test_what_comes_with_a_redirect_is_no_answer(fusebill, status):
    fusebill.add_customer(id=1, status="Hold")
    held = fusebill.customer_bytes(1)
    fusebill.add_customer(id=1, status="Active")
    fusebill.inject(Fault.status(status, body=held, operation="hold", headers={"Location": "/v1/customers/1"}))
    async with make_client(fusebill) as client:
        response = await client.with_response.customers.hold(1)
    assert (response.confirmed_by, len(response.attempts)) == ("response", 2)
    assert (fusebill.effects("hold", 1), fusebill.received("hold", 1)) == (1, 2)


async def test_a_good_answer_that_leaves_out_what_was_changed_is_believed(fusebill):
    fusebill.add_customer(id=1)
    shown = {key: value for key, value in fusebill.customer(1).items() if not key.startswith("hubSpot")}
    body = json.dumps(shown, default=str)
    fusebill.inject(Fault.status(200, body=body, operation="hubspot.unlatch", effect="before"))
    async with make_client(fusebill) as client:
        response = await client.with_response.hubspot.unlatch(1)
    assert response.confirmed_by == "response"
    assert fusebill.effects("hubspot.unlatch", 1) == fusebill.received("hubspot.unlatch", 1) == 1
    assert fusebill.received("get", 1) == 0
