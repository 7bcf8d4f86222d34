"""`replace`: the PUT of a whole customer, as the API has it."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from fusebill_async import ConcurrentModificationError, FusebillClient, ValidationError, WouldEraseError
from fusebill_async.converting import decode_json
from fusebill_async.models import Customer, CustomerReference, SalesTrackingCode
from fusebill_async.testing import Fault, FusebillSimulator


def methods(fusebill: FusebillSimulator) -> list[str]:
    return [request.method for request in fusebill.requests]


async def test_a_customer_that_was_read_goes_back_as_it_came(
    fusebill: FusebillSimulator, client: FusebillClient
) -> None:
    fusebill.add_customer(id=1, raw={"odd": b"10.000000", "object": b'{"x":-0,"y":[1E+2]}'})
    before = fusebill.customer_bytes(1)

    customer = await client.customers.replace(await client.customers.get(1))

    assert methods(fusebill) == ["GET", "PUT"]
    assert fusebill.requests[-1].body == before
    assert customer.id == 1


async def test_what_was_set_on_it_goes_over_it(fusebill: FusebillSimulator, client: FusebillClient) -> None:
    fusebill.add_customer(id=1)
    customer = await client.customers.get(1)
    customer.company_name = "Grok Ltd"
    before = fusebill.customer_bytes(1)

    replaced = await client.customers.replace(attrs.evolve(customer, middle_name=None))

    body = before.replace(b'"Example Company 1"', b'"Grok Ltd"').replace(b'"middleName":"Lee"', b'"middleName":null')
    assert fusebill.requests[-1].body == body
    assert (replaced.company_name, replaced.middle_name) == ("Grok Ltd", None)


@pytest.mark.parametrize(
    "theirs", [{"status": "Hold"}, {"last_name": "theirs"}, {"customer_reference": {"reference3": "x"}}]
)
async def test_a_stale_copy_writes_over_nobody(
    fusebill: FusebillSimulator, client: FusebillClient, theirs: dict[str, Any]
) -> None:
    """A whole customer names every field, so every change by somebody else is a conflict."""
    fusebill.add_customer(id=1)
    stale = await client.customers.get(1)
    stale.company_name = "mine"
    fusebill.change(1, **theirs)
    await client.customers.get(1)

    with pytest.raises(ConcurrentModificationError) as caught:
        await client.customers.replace(stale)

    [(field, (was, now, wanted))] = caught.value.conflicts.items()
    assert field.partition(".")[0] in theirs
    assert was == wanted != now
    assert caught.value.operation == "customers.replace"
    assert fusebill.received("update") == 0


async def test_what_the_service_works_out_itself_is_no_conflict(
    fusebill: FusebillSimulator, client: FusebillClient
) -> None:
    fusebill.add_customer(id=1)
    stale = await client.customers.get(1)
    fusebill.change(1, monthly_recurring_revenue=7, customer_account_status="PoorStanding")
    await client.customers.get(1)

    await client.customers.replace(stale)

    body = decode_json(fusebill.requests[-1].body)
    assert (body["monthlyRecurringRevenue"], body["customerAccountStatus"]) == (7, "PoorStanding")


async def test_a_lost_put_that_came_late_is_no_conflict_with_itself(
    fusebill: FusebillSimulator, client: FusebillClient
) -> None:
    """Settled as missed, made anew, and the read before the second PUT shows what the first one did."""
    fusebill.add_customer(id=1)
    customer = await client.customers.get(1)
    customer.company_name = "Grok Ltd"
    fusebill.inject(Fault.late_effect(operation="update", delay=0.02))

    await client.customers.replace(customer)

    assert fusebill.customer(1)["companyName"] == "Grok Ltd"
    assert not client.unresolved()


async def test_a_customer_built_by_hand_with_every_field_needs_no_leave(
    fusebill: FusebillSimulator, client: FusebillClient
) -> None:
    fusebill.add_customer(id=1)
    came = await client.customers.get(1)
    fields = {name: getattr(came, name) for name in (field.name for field in attrs.fields(Customer)) if name != "extra"}
    reference = CustomerReference(reference2="new", sales_tracking_codes=(SalesTrackingCode(type="T", code="C"),))

    await client.customers.replace(Customer(**{**fields, "customer_reference": reference, "company_name": "Grok Ltd"}))

    shown = fusebill.customer(1)
    assert (shown["companyName"], shown["firstName"]) == ("Grok Ltd", came.first_name)
    assert shown["customerReference"]["reference2"] == "new"
    assert shown["customerReference"]["salesTrackingCodes"] == [{"type": "T", "code": "C"}]


async def test_a_customer_built_by_hand_erases_what_allow_erase_names(
    fusebill: FusebillSimulator, client: FusebillClient
) -> None:
    fusebill.add_customer(id=1)
    by_hand = Customer(id=1, company_name="Grok Ltd")
    with pytest.raises(WouldEraseError) as caught:
        await client.customers.replace(by_hand)

    await client.customers.replace(by_hand, allow_erase=caught.value.fields)

    assert decode_json(fusebill.requests[-1].body) == {"status": "Active", "companyName": "Grok Ltd", "id": 1}
    assert fusebill.customer(1)["firstName"] is None
    assert methods(fusebill) == ["GET", "GET", "PUT"]


@pytest.mark.parametrize("status", ["Active", "Suspended", "Hold"])
async def test_by_hand_the_status_may_be_left_out_or_be_the_present_one(
    fusebill: FusebillSimulator, client: FusebillClient, status: str
) -> None:
    fusebill.add_customer(id=1, status=status)
    allowed = {"customer_reference", "customer_acquisition", *(field.name for field in attrs.fields(Customer))}

    for by_hand in (Customer(id=1), Customer(id=1, status=status)):
        await client.customers.replace(by_hand, allow_erase=allowed)
        assert fusebill.customer(1)["status"] == status


async def test_by_hand_a_status_that_is_not_the_present_one_is_refused(
    fusebill: FusebillSimulator, client: FusebillClient
) -> None:
    """Built from last week's notes, it would release a hold."""
    fusebill.add_customer(id=1, status="Hold")

    with pytest.raises(ValidationError, match="from Hold to Active"):
        await client.customers.replace(Customer(id=1, status="Active"))
    assert fusebill.received("update") == 0


@pytest.mark.parametrize("given", [1, "1", None, {"id": 1}])
async def test_replace_takes_a_customer(fusebill: FusebillSimulator, client: FusebillClient, given: Any) -> None:
    with pytest.raises(ValidationError, match="replace takes a Customer"):
        await client.customers.replace(given)
    with pytest.raises(ValidationError, match=r"customer\.id"):
        await client.customers.replace(Customer(company_name="x"))
    assert not fusebill.requests
