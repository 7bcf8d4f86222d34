"""What moves money and was refused for the quota is read for, and sent again only if all stands as before."""

import pytest

from fusebill_async import Attribution, ConfirmedBy, Outcome, RateLimitError
from fusebill_async.testing import Fault
from tests.outcomes.outcome_cases import VERBS, make_client

pytestmark = pytest.mark.fusebill_simulated(seed=1)

THROTTLED = Fault.status(429, retry_after=0.01)
MONEY = ["activate", "release_hold"]


def operations(fusebill):
    return [request.operation.rpartition(".")[2] for request in fusebill.requests]


@pytest.mark.parametrize("known", [False, True], ids=["by id", "seen before"])
@pytest.mark.parametrize("name", MONEY)
async def test_it_is_sent_again_after_a_read(fusebill, name, known):
    verb = VERBS[name]
    fusebill.add_customer(id=1, status=verb.status)
    # Somebody renamed it a moment ago: what the operation is about stands as before.
    fusebill.change(1, company_name="New Ltd")
    fusebill.inject(THROTTLED.scoped(operation=verb.title))
    async with make_client(fusebill) as client:
        if known:
            await client.customers.get(1)
        response = await verb.call(client.with_response, 1)
    assert (response.confirmed_by, response.attribution) == (ConfirmedBy.RESPONSE, Attribution.OURS)
    assert operations(fusebill)[-3:] == [verb.title, "get", verb.title]
    assert fusebill.effects(verb.title, 1) == 1


@pytest.mark.parametrize("name", ["hold", "unlatch"])
async def test_what_can_be_repeated_is_sent_again_at_once(fusebill, name):
    verb = VERBS[name]
    fusebill.add_customer(id=1, status=verb.status)
    fusebill.inject(THROTTLED.scoped(operation=verb.title))
    async with make_client(fusebill) as client:
        await verb.call(client.with_response, 1)
    assert fusebill.received("get") == 0
    assert fusebill.received(verb.title, 1) == 2


@pytest.mark.parametrize("name", MONEY)
async def test_what_has_happened_meanwhile_is_not_done_again(fusebill, name):
    """A refusal for the quota that came after the effect, as from a proxy that had sent it twice."""
    verb = VERBS[name]
    fusebill.add_customer(id=1, status=verb.status)
    fusebill.inject(THROTTLED.scoped(operation=verb.title, effect="before"))
    async with make_client(fusebill) as client:
        response = await verb.call(client.with_response, 1)
        assert not client.unresolved()
    assert (response.confirmed_by, response.attribution) == (ConfirmedBy.READ, Attribution.UNPROVEN)
    assert fusebill.effects(verb.title, 1) == fusebill.received(verb.title, 1) == 1


async def test_a_customer_that_is_something_else_by_then_is_left_alone(fusebill):
    fusebill.add_customer(id=1, status="Hold")
    fusebill.inject(Fault.status(429, operation="release_hold", retry_after=0.3))
    async with make_client(fusebill) as client:
        customer = await client.customers.get(1)
        fusebill.change(1, status="Cancelled")
        with pytest.raises(RateLimitError, match="not sent again") as raised:
            await client.customers.release_hold(customer, "NoChargesForMissedPeriods")
        assert not client.unresolved()
    assert raised.value.outcome is Outcome.REJECTED
    assert (fusebill.effects("release_hold"), fusebill.received("release_hold")) == (0, 1)


async def test_a_read_that_lags_is_made_again_first(fusebill):
    fusebill.add_customer(id=1, status="Draft")
    fusebill.inject(Fault.lagging_read(2.5, skip=1, times=None))
    fusebill.change(1, first_name="Zoe")
    fusebill.inject(THROTTLED.scoped(operation="activate"))
    async with make_client(fusebill) as client:
        await client.customers.get(1)
        await client.customers.activate(1, True, True, False)
    assert fusebill.effects("activate", 1) == 1
    assert fusebill.received("get", 1) > 2


@pytest.mark.parametrize(("reference", "searches"), [("R-1", 1), (None, 0)])
async def test_a_create_is_searched_for_if_it_has_a_reference(fusebill, reference, searches):
    fusebill.inject(THROTTLED.scoped(operation="create"))
    async with make_client(fusebill) as client:
        response = await client.with_response.customers.create(company_name="X", reference=reference)
    assert response.confirmed_by is ConfirmedBy.RESPONSE
    assert (fusebill.effects("create"), fusebill.received("create")) == (1, 2)
    assert fusebill.received("customers.list") == searches


async def test_a_create_that_is_found_is_not_made_again(fusebill):
    fusebill.inject(THROTTLED.scoped(operation="create", effect="before"))
    async with make_client(fusebill) as client:
        response = await client.with_response.customers.create(company_name="X", reference="R-1")
    assert (response.confirmed_by, response.value.reference) == (ConfirmedBy.READ, "R-1")
    assert fusebill.effects("create") == fusebill.received("create") == 1


async def test_what_no_read_can_tell_is_sent_again_as_it_was_refused(fusebill):
    fusebill.add_customer(id=1, status="Active")
    fusebill.inject(THROTTLED.scoped(operation="activate_items"))
    async with make_client(fusebill) as client:
        await client.customers.activate_items(1, subscription_ids=[1])
    assert (fusebill.received("activate_items", 1), fusebill.received("get")) == (2, 0)
