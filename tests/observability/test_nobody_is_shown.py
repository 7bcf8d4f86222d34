"""The `repr` of whatever a call gives or raises shows no person and no key: it ends up in logs and in tracebacks."""

import asyncio

import pytest

from fusebill_async import (
    ConcurrentModificationError,
    FieldsNotTakenError,
    IdempotencyError,
    OutcomeUnknownError,
    SettlingPolicy,
    WouldEraseError,
)
from fusebill_async.testing import Fault
from tests.observability.test_logs import PERSON
from tests.outcomes.outcome_cases import KEY, make_client

pytestmark = [
    pytest.mark.fusebill_simulated(seed=3),
    pytest.mark.filterwarnings("ignore::fusebill_async.UnresolvedWritesWarning"),
]

CHANGED = "Plugh and Sons"
SECRETS = (*PERSON.values(), CHANGED, KEY)


@pytest.fixture
async def fusebill(fusebill_simulator):
    fusebill_simulator.add_customer(id=1, status="Active", **PERSON)
    fusebill_simulator.add_customer(id=2, status="Draft", **PERSON)
    return fusebill_simulator


def check(*shown):
    for each in shown:
        text = repr(each)
        for secret in SECRETS:
            assert secret not in text, text


async def test_customers_and_what_is_read(fusebill):
    async with make_client(fusebill) as client:
        check(client, client.with_options(headers={"X-Name": PERSON["last_name"]}))
        check(await client.customers.get(1), await client.with_response.customers.get(1))
        check(await client.customers.overview(1), await client.customers.preview_activation(2))
        found = client.customers.list({"lastName": PERSON["last_name"]})
        check(found, *[customer async for customer in found], *[page async for page in found.pages()])


async def test_writes_plans_and_drafts(fusebill):
    async with make_client(fusebill) as client:
        plan = await client.customers.plan_update(1, company_name=CHANGED)
        check(plan, *plan.changes, await client.with_response.customers.update(1, company_name=CHANGED))
        async with client.customers.edit(1) as draft:
            draft.last_name = CHANGED
            check(draft, draft.customer_reference)
        check(draft.result, await client.with_response.customers.activate(2, True, True, False))
        check(await client.customers.create(company_name=CHANGED, idempotency_key="key-1"))
        check(await client.recorded("key-1"))


@pytest.mark.parametrize("path", ["/customers/1", "/customers"])
async def test_answers_of_any_endpoint(fusebill, path):
    async with make_client(fusebill) as client:
        response = await client.with_response.request("GET", path)
    assert PERSON["last_name"] in str(response.value)
    check(response)


async def test_errors_and_what_is_open(fusebill):
    async with make_client(fusebill, settling=SettlingPolicy(enabled=False)) as client:
        customer = await client.customers.get(1)
        # What was read a second ago is no longer the base of a PUT.
        await asyncio.sleep(2)
        fusebill.change(1, companyName="Frobozz")
        with pytest.raises(ConcurrentModificationError) as stale:
            await client.customers.update(customer, company_name=CHANGED)
        await client.customers.update(1, company_name=CHANGED, idempotency_key="key-1")
        with pytest.raises(IdempotencyError) as reused:
            await client.customers.update(1, company_name=PERSON["company_name"], idempotency_key="key-1")
        fusebill.inject(Fault.reset_after_effect(operation="update"))
        with pytest.raises(OutcomeUnknownError) as lost:
            await client.customers.update(1, last_name=CHANGED)
        [write] = client.unresolved()
        check(stale.value, reused.value, lost.value, write, await client.resolve(write))


async def test_what_a_replacement_would_erase(fusebill):
    async with make_client(fusebill) as client:
        with pytest.raises(WouldEraseError) as erasing:
            await client.customers.replace(type(await client.customers.get(1))(id=1, last_name=CHANGED))
    check(erasing.value)


def test_a_field_that_was_not_taken():
    message = f"last_name: sent {CHANGED!r}, shown {PERSON['last_name']!r}"
    error = FieldsNotTakenError(message, fields={"last_name": (CHANGED, PERSON["last_name"])})
    check(error)
    assert repr(error) == "FieldsNotTakenError(fields=['last_name'])"
