"""`client.geotab`."""

from __future__ import annotations

from typing import Any

from fusebill_async.errors import ValidationError
from fusebill_async.models import Customer
from fusebill_async.operations import GEOTAB_LATCH, GEOTAB_UNLATCH
from fusebill_async.resources.handle import Handle, value_of
from fusebill_async.settling.response import Response

_LONGEST = 255
"""Characters of a Geotab id, by the API page."""


class GeotabWithResponse:
    """The verbs of `client.geotab`, each giving a `Response`."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    async def latch(self, customer_id: int | Customer, geotab_id: str) -> Response[Customer]:
        """Map a customer to a Geotab account.

        Args:
            customer_id: an id (1 to 2**63 - 1), or a customer read before.
            geotab_id: the account's id in Geotab, 1 to 255 characters.

        Raises:
            NotFoundError: there is no such customer.
            ValidationError: an argument that cannot be sent.

        API page: https://developer.staxbill.com/reference/latch-customer-2
        """
        return await self._handle.write(GEOTAB_LATCH, customer_id, geotab_id=_checked(geotab_id))

    async def unlatch(self, customer_id: int | Customer) -> Response[Customer]:
        """Remove a customer's mapping to its Geotab account.

        Args:
            customer_id: an id (1 to 2**63 - 1), or a customer read before.

        Raises:
            NotFoundError: there is no such customer.

        API page: https://developer.staxbill.com/reference/unlatch-customer-2
        """
        return await self._handle.write(GEOTAB_UNLATCH, customer_id)


class Geotab:
    """The verbs of `client.geotab`."""

    def __init__(self, with_response: GeotabWithResponse) -> None:
        self.with_response = with_response

    latch = value_of(GeotabWithResponse.latch)
    unlatch = value_of(GeotabWithResponse.unlatch)


def _checked(geotab_id: Any) -> Any:
    """An id that is not too long; whether it is a text at all is checked with every other one."""
    if isinstance(geotab_id, str) and len(geotab_id) > _LONGEST:
        raise ValidationError(
            f"geotab_id holds {_LONGEST} characters at most, and was given {len(geotab_id)}", field="geotab_id"
        )
    return geotab_id
