"""What a type checker must not let pass: each line that ends with `# wrong` is an error, and no other line is one."""

from __future__ import annotations

from fusebill_async import FusebillClient, Timeouts, UpdatePlan


async def misspelt(client: FusebillClient) -> None:
    await client.customers.update(1, compny_name="Grok Ltd")  # wrong
    await client.customers.update(1, companyName="Grok Ltd")  # wrong
    await client.customers.update(1, customer_reference={"reference4": "x"})  # wrong
    await client.customers.update(1, customer_acquisition={"adContent": "x"})  # wrong
    await client.customers.plan_update(1, compny_name="Grok Ltd")  # wrong
    await client.customers.create(compny_name="Grok Ltd")  # wrong
    await client.with_response.customers.update(1, compny_name="Grok Ltd")  # wrong
    await client.with_response.customers.create(compny_name="Grok Ltd")  # wrong
    await client.with_options(priority="bulk").customers.update(1, compny_name="Grok Ltd")  # wrong
    async with client.customers.edit(1) as draft:
        draft.compny_name = "Grok Ltd"  # wrong


async def of_another_type(client: FusebillClient) -> None:
    await client.customers.update(1, company_name=7)  # wrong
    await client.customers.update(1, parent_id="7")  # wrong
    await client.customers.update(1, customer_reference="A-1")  # wrong
    await client.customers.update(1, customer_reference={"reference1": 1})  # wrong
    await client.customers.update(1, customer_reference={"sales_tracking_codes": [{"code": 1}]})  # wrong
    await client.customers.update("1", company_name="Grok Ltd")  # wrong
    await client.customers.update(1, company_name="Grok Ltd", check="lax")  # wrong
    await client.customers.create(primary_email=["a@example.org"])  # wrong
    async with client.customers.edit(1) as draft:
        draft.parent_id = "7"  # wrong


async def of_the_service_alone(client: FusebillClient) -> None:
    await client.customers.update(1, id=2)  # wrong
    await client.customers.update(1, monthly_recurring_revenue="1.00")  # wrong
    await client.customers.create(status="Active")  # wrong


def from_the_environment() -> None:
    FusebillClient.from_env(timeout=Timeouts(read=60))  # wrong
    FusebillClient.from_env(timeouts=60)  # wrong
    FusebillClient.from_env(key="key")  # wrong


async def not_a_plan(client: FusebillClient) -> None:
    plan: list[UpdatePlan] = [await client.customers.plan_update(1, company_name="Grok Ltd")]
    await client.customers.update(plan)  # wrong
