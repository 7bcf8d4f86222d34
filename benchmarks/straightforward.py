"""The SDK that a careful team would write in an afternoon: aiohttp, json, cattrs, an attrs class. No safety, no quota.

It is a contender of `benchmarks.overhead`, not an example: it loses what it does not know, and sends nothing again.
"""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import Any

import aiohttp
import attrs
import cattrs
from cattrs.gen import make_dict_structure_fn, override


@attrs.define(kw_only=True)
class Customer:
    """What a customer holds, every field but the id optional."""

    id: int
    first_name: str | None = None
    middle_name: str | None = None
    last_name: str | None = None
    company_name: str | None = None
    suffix: str | None = None
    title: str | None = None
    primary_email: str | None = None
    primary_phone: str | None = None
    secondary_email: str | None = None
    secondary_phone: str | None = None
    reference: str | None = None
    status: str | None = None
    customer_account_status: str | None = None
    currency: str | None = None
    customer_reference: dict[str, Any] | None = None
    customer_acquisition: dict[str, Any] | None = None
    monthly_recurring_revenue: Decimal | None = None
    net_monthly_recurring_revenue: Decimal | None = None
    salesforce_id: str | None = None
    salesforce_account_type: str | None = None
    salesforce_synch_status: str | None = None
    netsuite_id: str | None = None
    netsuite_synch_status: str | None = None
    netsuite_customer_type: str | None = None
    portal_user_name: str | None = None
    parent_id: int | None = None
    quick_books_latch_type: str | None = None
    quick_books_id: str | None = None
    hub_spot_id: int | None = None
    hub_spot_company_id: int | None = None
    geotab_id: str | None = None
    modified_timestamp: datetime | None = None
    created_timestamp: datetime | None = None
    uri: str | None = None


def camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def make_converter() -> cattrs.Converter:
    converter = cattrs.Converter()
    converter.register_structure_hook(Decimal, lambda value, _: Decimal(str(value)))
    # Seven digits of a second are more than datetime takes; it cuts them off itself since 3.11.
    converter.register_structure_hook(datetime, lambda value, _: datetime.fromisoformat(value))
    renames = {field.name: override(rename=camel(field.name)) for field in attrs.fields(Customer)}
    converter.register_structure_hook(Customer, make_dict_structure_fn(Customer, converter, **renames))
    return converter


class Client:
    """Holds customers, one HTTP call each."""

    def __init__(self, key: str, base_url: str, *, connections: int = 100) -> None:
        self._base_url = base_url
        self._converter = make_converter()
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Basic {key}", "Content-Type": "application/json"},
            connector=aiohttp.TCPConnector(limit=connections),
        )

    async def hold(self, customer_id: int) -> Customer:
        """Put a customer on hold."""
        async with self._session.post(f"{self._base_url}/CustomerHold/{customer_id}") as response:
            response.raise_for_status()
            found = json.loads(await response.read(), parse_float=Decimal)
        return self._converter.structure(found, Customer)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._session.close()
