"""The answer belongs to the question."""

import asyncio
import logging

import pytest

from fusebill_async import PoolSettings, PreviewChangedStateError
from fusebill_async.testing import Fault, FusebillSimulator
from tests.outcomes.outcome_cases import VERBS, WRITES, make_client


@pytest.mark.parametrize("pause", [0, 0.05], ids=["at once", "after a while"])
@pytest.mark.parametrize("after", [0, 0.01], ids=["with the answer", "on the idle connection"])
async def test_an_unsolicited_answer_is_given_to_nobody(fusebill, after, pause):
    for number in (1, 2, 3):
        fusebill.add_customer(id=number, company_name=f"Company {number}")
    fusebill.inject(Fault.unsolicited_answer(operation="get", customer_id=1, after=after, other=2))
    async with make_client(fusebill) as client:
        await client.customers.get(1)
        await asyncio.sleep(pause)
        assert (await client.customers.get(3)).company_name == "Company 3"
        assert (await client.customers.get(3)).id == 3


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


async def test_after_such_an_answer_no_kept_connection_is_used_any_more(fusebill):
    fusebill.add_customer(id=1)
    async with make_client(fusebill, pool=PoolSettings(connections=4)) as client:
        await asyncio.gather(*(client.customers.get(1) for _ in range(4)))
        opened = fusebill.connections
        fusebill.inject(Fault.other_id(operation="hold"))
        await client.customers.hold(1)
        await asyncio.gather(*(client.customers.get(1) for _ in range(4)))
    fresh = {request.connection for request in list(fusebill.requests)[-4:]}
    assert min(fresh) > opened


@pytest.mark.parametrize("verb", WRITES, ids=str)
async def test_a_stale_answer_about_the_same_customer_confirms_nothing(fusebill, verb):
    """The second answer to a read comes while the write is under way, and shows the customer as it was."""
    fusebill.add_customer(id=1, status=verb.status)
    fusebill.inject(Fault.unsolicited_answer(operation="get", customer_id=1, after=0.02, other=1))
    async with make_client(fusebill) as client:
        await client.customers.get(1)
        response = await verb.call(client.with_response, 1)
    customer = getattr(response.value, "customer", response.value)
    assert fusebill.effects(verb.title, 1) == 1
    assert customer.status == fusebill.customer(1)["status"]
    assert customer.company_name == fusebill.customer(1)["companyName"]


async def test_a_preview_that_shows_another_state_is_loud(caplog):
    async with FusebillSimulator(enforce_states=False) as fusebill:
        fusebill.add_customer(id=1, status="Active")
        async with make_client(fusebill) as client:
            with pytest.raises(PreviewChangedStateError, match="may have acted"):
                await VERBS["preview"].call(client.with_response, 1)
    assert any(record.levelno == logging.ERROR and "Active" in record.getMessage() for record in caplog.records)
