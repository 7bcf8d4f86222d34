"""How a test calls each operation of the table: one place, so that a new row is tested by what it declares."""

from contextlib import asynccontextmanager

import pytest

from fusebill_async import FusebillClient, RetryPolicy, SettlingPolicy, UnresolvedWritesWarning
from fusebill_async import operations as table
from fusebill_async.models import Status

KEY = "MDp0ZXN0"

NETSUITE_ID = "1744204"


def quick(**settling):
    """Settle in hundredths of a second: the simulator is never late unless it is told to be."""
    return SettlingPolicy(**{"first_read": 0.0, "quiet_period": 0.03, "retry_delay": 0.01, "wait": 10.0} | settling)


@asynccontextmanager
async def client_of(fusebill, **options):
    options.setdefault("settling", quick())
    options.setdefault("retry", RetryPolicy(backoff=0.001, budget_minimum=100_000))
    async with FusebillClient(KEY, base_url=fusebill.base_url, **options) as client:
        yield client


@asynccontextmanager
async def client_left_unsettled(fusebill, **options):
    """A client that is closed with an unresolved write."""
    with pytest.warns(UnresolvedWritesWarning):
        async with client_of(fusebill, **options) as client:
            yield client


def verb_of(client, operation):
    return getattr(getattr(client, operation.resource), operation.name)


def value_for(parameter):
    if parameter.name == "netsuite_id":
        return NETSUITE_ID
    match parameter.kind:
        case "bool":
            return True
        case "id":
            return 77
        case "ids":
            return [5, 6]
        case "object":
            return {"paymentMethod": "UseExistingPaymentMethod", "paymentMethodId": 149447}
        case _ if parameter.choices:
            return parameter.choices[-1]
        case _:
            return "some text"


def arguments_of(operation):
    """A value for each parameter of a row, apart from the customer and from free fields."""
    return {
        parameter.name: value_for(parameter)
        for parameter in operation.parameters
        if parameter.name != "customer_id" and parameter.kind != "fields"
    }


async def perform(client, operation, customer_id):
    """Call a row's coroutine with a value for everything that it declares."""
    verb = verb_of(client, operation)
    if operation is table.LIST:
        return await anext(verb().pages())
    if operation is table.CREATE:
        return await verb(reference=f"made beside {customer_id}", company_name="Grok Ltd")
    if operation is table.UPDATE:
        return await verb(customer_id, company_name="Grok Ltd")
    if operation is table.REPLACE:
        customer = await client.customers.get(customer_id)
        customer = getattr(customer, "value", customer)
        customer.company_name = "Grok Ltd"
        return await verb(customer)
    return await verb(customer_id, **arguments_of(operation))


def add_customer_for(fusebill, operation, **fields):
    """A customer on which the operation works."""
    statuses = operation.allowed_from or {Status.ACTIVE}
    usual = {
        "status": next(status for status in Status if status in statuses),
        "company_name": "Before Ltd",
        "netsuite_id": NETSUITE_ID if operation is table.NETSUITE_UNLATCH else "1",
        "netsuite_synch_status": "Disabled" if operation is table.NETSUITE_ENABLE_SYNC else "Enabled",
    }
    return fusebill.add_customer(**usual | fields)
