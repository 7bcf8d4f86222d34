"""`client.hubspot`."""

from __future__ import annotations

from fusebill_async.errors import ValidationError
from fusebill_async.models import UNSET, Customer
from fusebill_async.operations import HUBSPOT_LATCH, HUBSPOT_UNLATCH
from fusebill_async.resources.handle import Handle, value_of
from fusebill_async.settling.response import Response


class HubspotWithResponse:
    """The verbs of `client.hubspot`, each giving a `Response`."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    async def latch(
        self,
        customer_id: int | Customer,
        *,
        hubspot_id: int | None = UNSET,
        hubspot_company_id: int | None = UNSET,
    ) -> Response[Customer]:
        """Map a customer to its HubSpot contact and company. Only what is given is sent.

        Args:
            customer_id: an id (1 to 2**63 - 1), or a customer read before.
            hubspot_id: the contact's id (vid), 1 to 2**63 - 1; None clears that mapping.
            hubspot_company_id: the company's id, 1 to 2**63 - 1; None clears that mapping.

        The API page calls both ids "null by default": the service may clear the mapping that is left out, so give
        both to be sure of both.

        Raises:
            NotFoundError: there is no such customer.
            ValidationError: neither id is given, or one is not in its range.

        API page: https://developer.staxbill.com/reference/latch-customer-1
        """
        if hubspot_id is UNSET and hubspot_company_id is UNSET:
            raise ValidationError("give hubspot_id, hubspot_company_id or both", field="hubspot_id")
        return await self._handle.write(
            HUBSPOT_LATCH, customer_id, hubspot_id=hubspot_id, hubspot_company_id=hubspot_company_id
        )

    async def unlatch(self, customer_id: int | Customer) -> Response[Customer]:
        """Remove a customer's mapping to its HubSpot contact and company.

        Args:
            customer_id: an id (1 to 2**63 - 1), or a customer read before.

        Raises:
            NotFoundError: there is no such customer.

        API page: https://developer.staxbill.com/reference/unlatch-customer-1
        """
        return await self._handle.write(HUBSPOT_UNLATCH, customer_id)


class Hubspot:
    """The verbs of `client.hubspot`."""

    def __init__(self, with_response: HubspotWithResponse) -> None:
        self.with_response = with_response

    latch = value_of(HubspotWithResponse.latch)
    unlatch = value_of(HubspotWithResponse.unlatch)
