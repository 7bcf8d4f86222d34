"""`client.salesforce`."""

from __future__ import annotations

from fusebill_async.models import Customer
from fusebill_async.operations import SALESFORCE_LATCH
from fusebill_async.resources.handle import Handle, value_of
from fusebill_async.settling.response import Response


class SalesforceWithResponse:
    """The verbs of `client.salesforce`, each giving a `Response`. No endpoint that unlatches is documented."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    async def latch(
        self, customer_id: int | Customer, salesforce_id: str, *, force_latch: bool | None = None
    ) -> Response[Customer]:
        """Map a customer to a Salesforce account.

        Args:
            customer_id: an id (1 to 2**63 - 1), or a customer read before.
            salesforce_id: the account's id in Salesforce, a text that is not empty.
            force_latch: replace a mapping that is there; without it the service refuses that.

        Raises:
            BadRequestError: the account does not exist, or the customer is mapped already.
            NotFoundError: there is no such customer.
            ValidationError: an argument that cannot be sent.

        API page: https://developer.staxbill.com/reference/latch-customer
        """
        return await self._handle.write(
            SALESFORCE_LATCH, customer_id, salesforce_id=salesforce_id, force_latch=force_latch
        )


class Salesforce:
    """The verbs of `client.salesforce`."""

    def __init__(self, with_response: SalesforceWithResponse) -> None:
        self.with_response = with_response

    latch = value_of(SalesforceWithResponse.latch)
