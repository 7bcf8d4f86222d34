"""What a user would write, for the type checkers: nothing here runs."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, assert_type

from fusebill_async import (
    Activation,
    Attribution,
    Customer,
    CustomerAcquisition,
    CustomerReference,
    FusebillClient,
    FusebillError,
    NotAppliedError,
    Response,
    SalesTrackingCode,
    SettlingPolicy,
    Status,
    Timeouts,
    Title,
    UnresolvedWrite,
    UpdateFields,
    UpdatePlan,
)
from fusebill_async.stores import RedisStore, SQLiteStore
from fusebill_async.testing import Fault, FusebillSimulator


async def read_and_write(client: FusebillClient) -> None:
    customer = await client.customers.get(12000750)
    assert_type(customer, Customer)
    assert_type(customer.company_name, str | None)
    assert_type(customer.status, Status | str | None)
    assert_type(customer.monthly_recurring_revenue, Decimal | None)
    assert_type(customer.modified_timestamp, datetime | None)
    assert_type(await client.customers.hold(customer_id=12000750), Customer)
    assert_type(await client.customers.hold(customer), Customer)
    activated = await client.customers.activate(
        8708457,
        activate_all_subscriptions=True,
        activate_all_draft_purchases=True,
        temporarily_disable_auto_post=False,
        resend=True,
    )
    assert_type(activated, Activation)
    assert_type(await client.customers.update(12000750, company_name="Grok Ltd"), Customer)
    assert_type(await client.customers.plan_update(12000750, company_name=None), UpdatePlan)
    planned = await client.customers.plan_update(12000750, company_name=None)
    assert_type(await client.customers.update(planned, check="strict", idempotency_key="order-1"), Customer)
    assert_type(await client.download("/invoices/5/pdf"), bytes)
    assert_type(await client.with_response.download("/invoices/5/pdf"), Response[bytes])
    assert_type(customer.to_dict(), dict[str, Any])
    assert_type(await client.customers.replace(customer), Customer)
    assert_type(await client.hubspot.unlatch(12000750), Customer)
    codes = [SalesTrackingCode(type="Sales Tracking Code 1", code="Web")]
    await client.customers.update(customer, customer_reference={"sales_tracking_codes": codes, "reference1": None})
    await client.customers.update(customer, customer_reference={"sales_tracking_codes": [{"code": "Web"}]})
    await client.customers.update(1, customer_acquisition=CustomerAcquisition(campaign="spring"), title=Title.DR)
    await client.customers.update(1, status="Cancelled", allow_status_change=True, idempotency_key="order-1")
    assert_type(await client.customers.create(reference="A-1", billing_setting={"autoPostEnabled": False}), Customer)
    changes: dict[str, Any] = {"company_name": "Grok Ltd"}
    assert_type(await client.customers.update(12000750, **changes), Customer)
    named: UpdateFields = {"company_name": "Grok Ltd", "parent_id": 7}
    assert_type(await client.with_response.customers.update(12000750, **named), Response[Customer])
    async with client.customers.edit(12000750, check="strict") as draft:
        draft.company_name = "Grok Ltd"
        assert_type(draft.customer_reference, CustomerReference | None)
    assert_type(draft.result, Customer)
    async for listed in client.customers.list(query={"status": "Active"}):
        assert_type(listed, Customer)
    anything: Any = await client.request("GET", "/customers/12000750/subscriptions")
    del anything


async def with_facts(client: FusebillClient) -> None:
    answer = await client.with_response.customers.hold(12000750)
    assert_type(answer, Response[Customer])
    assert_type(answer.value, Customer)
    assert_type(answer.attribution, Attribution)
    assert_type(client.unresolved(), list[UnresolvedWrite])
    patient = client.with_options(timeouts=Timeouts(read=120), priority="bulk", headers={"X-Batch": "night"})
    try:
        await patient.customers.release_hold(12000750, "NoChargesForMissedPeriods")
    except NotAppliedError as lost:
        assert_type(lost.quiet_period, float)
    except FusebillError as error:
        assert_type(error.customer_id, int | None)


async def settings_and_testing() -> None:
    async with FusebillSimulator() as fusebill:
        fusebill.inject(Fault.reset_after_effect(operation="activate", times=1))
        async with FusebillClient("key", base_url=fusebill.base_url, settling=SettlingPolicy(wait=1.0)) as client:
            assert_type(client, FusebillClient)
        FusebillClient("key", store=SQLiteStore("fusebill.sqlite"))
        FusebillClient("key", store=RedisStore("redis://127.0.0.1:6379/0"))
        assert_type(FusebillClient.from_env(), FusebillClient)
    FusebillClient.from_env(account="grok", timeouts=Timeouts(read=60), store=SQLiteStore("fusebill.sqlite"))
