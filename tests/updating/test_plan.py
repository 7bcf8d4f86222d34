"""`plan_update`: what an update would send, as data and as text, and no PUT."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

import pytest

from fusebill_async import ConcurrentModificationError, FusebillClient, UpdatePlan, ValidationError, WouldEraseError
from fusebill_async.converting import decode_json, read_object
from fusebill_async.models import SalesTrackingCode
from fusebill_async.testing import FusebillSimulator
from fusebill_async.updating.merging import Change, frozen, plan


async def test_the_example_of_the_readme(fusebill: FusebillSimulator, client: FusebillClient) -> None:
    fusebill.add_customer(id=12000750, company_name="Grok")

    diff = await client.customers.plan_update(
        12000750, company_name="Grok Ltd", customer_reference={"reference1": "A-1"}
    )

    assert str(diff) == (
        "customer 12000750: 2 to change\n"
        '  company_name                   "Grok" -> "Grok Ltd"\n'
        '  customer_reference.reference1  null -> "A-1"'
    )
    assert diff.changes == (
        Change("company_name", "Grok", "Grok Ltd"),
        Change("customer_reference.reference1", None, "A-1"),
    )
    assert diff
    assert diff.customer_id == 12000750
    assert [request.method for request in fusebill.requests] == ["GET"]


async def test_what_is_planned_is_what_is_sent(fusebill: FusebillSimulator, client: FusebillClient) -> None:
    fusebill.add_customer(id=1, raw={"odd": b"1E+2"})
    changes: Any = {"company_name": "Grok Ltd", "customer_acquisition": {"campaign": None}}

    diff = await client.customers.plan_update(1, **changes)
    await client.customers.update(1, **changes)

    assert fusebill.requests[-1].body == diff.body
    assert b'"odd":1E+2' in diff.body


async def test_an_empty_plan_is_false_and_says_so(fusebill: FusebillSimulator, client: FusebillClient) -> None:
    fusebill.add_customer(id=1)

    diff = await client.customers.plan_update(1, company_name="Example Company 1", parent_id=None)

    assert not diff
    assert diff.changes == ()
    assert str(diff) == "customer 1: nothing to change"


async def test_a_customer_with_what_was_set_on_it_can_be_planned(
    fusebill: FusebillSimulator, client: FusebillClient
) -> None:
    fusebill.add_customer(id=1)
    customer = await client.customers.get(1)
    customer.last_name = "Floyd"
    assert customer.customer_reference is not None
    customer.customer_reference.sales_tracking_codes = (SalesTrackingCode(type="T", code="C"),)

    diff = await client.customers.plan_update(customer, middle_name=None)

    assert str(diff).splitlines()[1:] == [
        '  middle_name                              "Lee" -> null',
        '  last_name                                "Birchfield" -> "Floyd"',
        '  customer_reference.sales_tracking_codes  [] -> [{"type":"T","code":"C"}]',
    ]


def test_a_plan_shows_each_value_as_json_on_one_line() -> None:
    wire = '{"companyName":"Ünï","reference":1844,"parentId":null,"odd":10.000000}'.encode()
    changes = {
        "companyName": 'two\nlines "quoted" \x1b[31m',
        "reference": "18441",
        "parentId": 7,
        "odd": Decimal("1E+2"),
    }

    assert str(plan(1, read_object(wire), frozen(changes))) == (
        "customer 1: 4 to change\n"
        '  company_name  "Ünï" -> "two\\nlines \\"quoted\\" \\u001b[31m"\n'
        '  reference     1844 -> "18441"\n'
        "  parent_id     null -> 7\n"
        "  odd           10.000000 -> 1E+2"
    )


async def test_a_plan_refuses_what_the_update_refuses(fusebill: FusebillSimulator, client: FusebillClient) -> None:
    fusebill.add_customer(id=1)
    customer = await client.customers.get(1)
    customer.last_name = "mine"
    fusebill.change(1, last_name="theirs")

    with pytest.raises(ConcurrentModificationError) as conflict:
        await client.customers.plan_update(customer)
    assert conflict.value.conflicts == {"last_name": ("Birchfield", "theirs", "mine")}
    assert (conflict.value.operation, conflict.value.customer_id) == ("customers.update", 1)
    with pytest.raises(WouldEraseError) as erased:
        await client.customers.plan_update(1, customer_reference=None)
    assert erased.value.customer_id == 1
    with pytest.raises(ValidationError, match="allow_status_change"):
        await client.customers.plan_update(1, status="Hold")
    with pytest.raises(ValidationError, match="50 characters"):
        await client.customers.plan_update(1, last_name="x" * 51)
    assert fusebill.received("update") == 0


async def test_an_object_that_is_erased_is_shown_field_by_field(
    fusebill: FusebillSimulator, client: FusebillClient
) -> None:
    """Half a page of JSON on one line is no answer to "what would be lost?"."""
    fusebill.add_customer(id=1, customer_acquisition={"campaign": None})

    diff = await client.customers.plan_update(1, customer_acquisition=None)

    assert {change.field.partition(".")[0] for change in diff.changes} == {"customer_acquisition"}
    assert all(change.after is None for change in diff.changes)
    assert decode_json(diff.body)["customerAcquisition"] is None


PLANNED: Any = {"company_name": "Grok Ltd", "customer_reference": {"reference1": "A-1"}}


@pytest.fixture
async def planned(fusebill: FusebillSimulator, client: FusebillClient) -> UpdatePlan:
    fusebill.add_customer(id=1, company_name="Grok", raw={"odd": b"1E+2"})
    return await client.customers.plan_update(1, **PLANNED)


def puts(fusebill: FusebillSimulator) -> int:
    return fusebill.received("update")


async def test_a_plan_is_carried_out_as_it_was_shown(
    fusebill: FusebillSimulator, client: FusebillClient, planned: UpdatePlan
) -> None:
    customer = await client.customers.update(planned)

    assert (customer.company_name, fusebill.customer(1)["customerReference"]["reference1"]) == ("Grok Ltd", "A-1")
    assert fusebill.requests[-1].body == planned.body
    # The read of the plan is younger than a second.
    assert [request.method for request in fusebill.requests] == ["GET", "PUT"]


@pytest.mark.parametrize("check", ["fresh", "strict"])
async def test_what_others_changed_elsewhere_since_the_plan_is_kept(
    fusebill: FusebillSimulator, planned: UpdatePlan, check: Any
) -> None:
    fusebill.change(1, last_name="Somebody")

    async with FusebillClient("key", base_url=fusebill.base_url) as another:
        await another.customers.update(copy.deepcopy(planned), check=check)

    assert (fusebill.customer(1)["lastName"], fusebill.customer(1)["companyName"]) == ("Somebody", "Grok Ltd")
    reads = 2 if check == "strict" else 1
    assert [request.method for request in fusebill.requests] == ["GET", *["GET"] * reads, "PUT"]


@pytest.mark.parametrize("others", [{"company_name": "Theirs"}, {"customer_reference": {"reference1": "B-2"}}])
async def test_a_plan_that_no_longer_holds_is_refused(
    fusebill: FusebillSimulator, planned: UpdatePlan, others: dict[str, Any]
) -> None:
    fusebill.change(1, **others)

    async with FusebillClient("key", base_url=fusebill.base_url) as another:
        with pytest.raises(ConcurrentModificationError) as raised:
            await another.customers.update(planned)

    (field, (was, now, wanted)) = next(iter(raised.value.conflicts.items()))
    assert field in {"company_name", "customer_reference.reference1"}
    assert was != now != wanted
    assert puts(fusebill) == 0


async def test_a_plan_that_somebody_else_has_carried_out_sends_nothing(
    fusebill: FusebillSimulator, planned: UpdatePlan
) -> None:
    fusebill.change(1, **PLANNED)

    async with FusebillClient("key", base_url=fusebill.base_url) as another:
        answer = await another.with_response.customers.update(planned)

    assert (answer.attribution, puts(fusebill)) == ("already", 0)


async def test_a_plan_brings_its_options_and_takes_no_others(
    fusebill: FusebillSimulator, client: FusebillClient
) -> None:
    fusebill.add_customer(id=1, status="Draft")
    planned = await client.customers.plan_update(1, status="Cancelled", allow_status_change=True)
    for more in ({"company_name": "Else"}, {"allow_erase": ["title"]}, {"allow_status_change": True}):
        with pytest.raises(ValidationError, match="plan anew"):
            await client.customers.update(planned, **more)  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="must be"):
        await client.customers.update(planned, check="lax")  # type: ignore[arg-type]
    assert puts(fusebill) == 0
    assert (await client.customers.update(planned)).status == "Cancelled"


async def test_a_plan_with_a_key_is_the_update_with_that_key(
    fusebill: FusebillSimulator, client: FusebillClient, planned: UpdatePlan
) -> None:
    await client.customers.update(planned, idempotency_key="order-1")
    assert (await client.with_response.customers.update(1, idempotency_key="order-1", **PLANNED)).replayed
    assert puts(fusebill) == 1


async def test_an_empty_plan_sends_nothing(fusebill: FusebillSimulator, client: FusebillClient) -> None:
    fusebill.add_customer(id=1, company_name="Grok")
    customer = await client.customers.update(await client.customers.plan_update(1, company_name="Grok"))
    assert (customer.company_name, puts(fusebill)) == ("Grok", 0)
