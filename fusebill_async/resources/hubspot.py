"""`client.hubspot`."""

from __future__ import annotations

from fusebill_async.models import Customer
from fusebill_async.operations import HUBSPOT_UNLATCH
from fusebill_async.resources.handle import Handle, value_of
from fusebill_async.settling.response import Response


class HubspotWithResponse:
    """The verbs of `client.hubspot`, each giving a `Response`."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    async def unlatch(self, customer: int | Customer) -> Response[Customer]:
        """Remove a customer's mapping to its HubSpot contact and company.

        Args:
            customer: an id (1 to 2**63 - 1), or a customer read before.

        Raises:
            NotFoundError: there is no such customer.

        API page: https://developer.staxbill.com/reference/unlatch-customer-1
        """
        return await self._handle.write(HUBSPOT_UNLATCH, customer)


class Hubspot:
    """The verbs of `client.hubspot`."""

    def __init__(self, with_response: HubspotWithResponse) -> None:
        self.with_response = with_response

    unlatch = value_of(HubspotWithResponse.unlatch)
