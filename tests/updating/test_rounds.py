"""A PUT that is sent again rests on a read of its own, and a value is compared with its type."""

from __future__ import annotations

from typing import Any

import pytest

from fusebill_async import FusebillClient, ValidationError
from fusebill_async.converting import read_object
from fusebill_async.testing import Fault, FusebillSimulator
from fusebill_async.updating.merging import frozen, merge


async def test_a_put_that_was_refused_for_the_quota_is_made_anew_from_another_read(
    fusebill: FusebillSimulator, client: FusebillClient
) -> None:
    fusebill.add_customer(id=1, last_name="Before")
    customer = await client.customers.get(1)
    fusebill.inject(Fault.status(429, operation="update", retry_after=0.01))

    updated = await client.customers.update(customer, company_name="Grok Ltd")

    assert [request.method for request in fusebill.requests] == ["GET", "PUT", "GET", "PUT"]
    assert updated.company_name == "Grok Ltd"


@pytest.mark.parametrize(
    ("present", "given", "body"),
    [
        (b"true", 1, b"1"),
        (b"1", True, b"true"),
        (b"false", 0, b"0"),
        (b"null", False, b"false"),
        (b"1.0", 1, b"1.0"),
        (b"true", True, b"true"),
    ],
)
def test_true_is_no_number(present: bytes, given: Any, body: bytes) -> None:
    assert merge(read_object(b'{"flag":' + present + b"}"), frozen({"flag": given})) == b'{"flag":' + body + b"}"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", 2),
        ("uri", "/customers/2"),
        ("modified_timestamp", None),
        ("created_timestamp", None),
        ("monthly_recurring_revenue", 1),
        ("net_monthly_recurring_revenue", 1),
        ("customer_account_status", "Good"),
        ("can_change_currency", True),
        ("is_parent", True),
        ("requires_projected_invoice_generation", True),
        ("requires_financial_calendar_generation", True),
        ("customer_reference", {"id": 2}),
        ("customer_reference", {"uri": "/2"}),
        ("customer_acquisition", {"id": 2}),
        ("customer_acquisition", {"uri": "/2"}),
    ],
)
async def test_what_the_service_works_out_itself_is_not_written(
    fusebill: FusebillSimulator, client: FusebillClient, field: str, value: Any
) -> None:
    fusebill.add_customer(id=1)
    changes: dict[str, Any] = {field: value}
    with pytest.raises(ValidationError, match="set by the service") as caught:
        await client.customers.update(1, **changes)
    assert caught.value.field.startswith(field)
    with pytest.raises(ValidationError, match="set by the service"):
        await client.customers.create(**changes)
    assert not fusebill.requests
