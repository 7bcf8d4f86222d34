"""A lost PUT is found by reading, and what read nearly so before is no proof that it happened."""

import pytest

from fusebill_async import Attribution, ConfirmedBy
from fusebill_async.testing import Fault
from tests.outcomes.outcome_cases import make_client

NEARLY = [
    ("primary_phone", 16135550101, "+16135550101"),
    ("reference", 42, "0042"),
    ("netsuite_id", 7, "7.0"),
    ("company_name", "Acme ", "Acme"),
    ("last_name", "Lee\u00a0", "Lee"),
]


@pytest.mark.parametrize(("field", "before", "after"), NEARLY)
async def test_a_put_that_was_lost_before_its_effect_is_sent_again(fusebill, field, before, after):
    fusebill.add_customer(id=1, **{field: before})
    fusebill.inject(Fault.reset_before_effect(operation="update"))
    async with make_client(fusebill) as client:
        response = await client.with_response.customers.update(1, **{field: after})
    assert (fusebill.received("update", 1), fusebill.effects("update", 1)) == (2, 1)
    assert response.confirmed_by is ConfirmedBy.RESPONSE
    assert getattr(response.value, field) == after


@pytest.mark.parametrize(("field", "before", "after"), NEARLY)
async def test_a_put_that_was_lost_after_its_effect_is_sent_once(fusebill, field, before, after):
    fusebill.add_customer(id=1, **{field: before})
    fusebill.inject(Fault.reset_after_effect(operation="update"))
    async with make_client(fusebill) as client:
        response = await client.with_response.customers.update(1, **{field: after})
    assert (fusebill.received("update", 1), fusebill.effects("update", 1)) == (1, 1)
    assert (response.confirmed_by, response.attribution) == (ConfirmedBy.READ, Attribution.OURS)


async def test_the_spelling_of_a_sales_tracking_code_is_changed_when_it_is_named(fusebill):
    codes = [{"type": "Sales Tracking Code 1", "code": "A ", "name": "Alpha"}]
    fusebill.add_customer(id=1, customer_reference={"sales_tracking_codes": codes})
    wanted = [{"type": "Sales Tracking Code 1", "code": "A"}]
    async with make_client(fusebill) as client:
        await client.customers.update(1, customer_reference={"sales_tracking_codes": wanted})
    assert fusebill.effects("update", 1) == 1
