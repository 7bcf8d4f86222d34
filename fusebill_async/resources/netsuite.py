"""`client.netsuite`."""

from __future__ import annotations

from datetime import date, datetime

from fusebill_async.converting.quirks import iso_in_utc
from fusebill_async.models import Customer
from fusebill_async.operations import (
    NETSUITE_DISABLE_SYNC,
    NETSUITE_ENABLE_SYNC,
    NETSUITE_LATCH,
    NETSUITE_UNLATCH,
)
from fusebill_async.resources.handle import Handle, value_of
from fusebill_async.settling.response import Response


class NetsuiteWithResponse:
    """The verbs of `client.netsuite`, each giving a `Response`."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    async def latch(
        self,
        customer_id: int | Customer,
        netsuite_id: str,
        netsuite_sync_start_date: datetime | date | str | None = None,
    ) -> Response[Customer]:
        """Map a customer to a NetSuite customer.

        Args:
            customer_id: an id (1 to 2**63 - 1), or a customer read before.
            netsuite_id: the internal id in NetSuite, a text that is not empty.
            netsuite_sync_start_date: when synchronising begins; a datetime goes in UTC, a text as it is.

        Raises:
            BadRequestError: the NetSuite customer does not exist.
            NotFoundError: there is no such customer.
            ValidationError: an argument that cannot be sent.

        API page: https://developer.staxbill.com/reference/netsuite-latch-customer
        """
        return await self._handle.write(
            NETSUITE_LATCH,
            customer_id,
            netsuite_id=netsuite_id,
            netsuite_sync_start_date=_date_text(netsuite_sync_start_date),
        )

    async def unlatch(self, customer_id: int | Customer, netsuite_id: str) -> Response[Customer]:
        """Remove a customer's mapping to its NetSuite customer.

        Args:
            customer_id: an id (1 to 2**63 - 1), or a customer read before.
            netsuite_id: the internal id in NetSuite that it is mapped to.

        Raises:
            BadRequestError: the customer is not mapped to that one.
            NotFoundError: there is no such customer.
            ValidationError: an argument that cannot be sent.

        API page: https://developer.staxbill.com/reference/netsuite-unlatch-customer
        """
        return await self._handle.write(NETSUITE_UNLATCH, customer_id, netsuite_id=netsuite_id)

    async def enable_sync(self, customer_id: int | Customer) -> Response[Customer]:
        """Synchronise a customer with NetSuite.

        Args:
            customer_id: an id (1 to 2**63 - 1), or a customer read before.

        Raises:
            NotFoundError: there is no such customer.

        API page: https://developer.staxbill.com/reference/netsuite-enable-synchronization
        """
        return await self._handle.write(NETSUITE_ENABLE_SYNC, customer_id)

    async def disable_sync(self, customer_id: int | Customer) -> Response[Customer]:
        """Stop synchronising a customer with NetSuite.

        Args:
            customer_id: an id (1 to 2**63 - 1), or a customer read before.

        Raises:
            NotFoundError: there is no such customer.

        API page: https://developer.staxbill.com/reference/netsuite-disable-sync
        """
        return await self._handle.write(NETSUITE_DISABLE_SYNC, customer_id)


class Netsuite:
    """The verbs of `client.netsuite`."""

    def __init__(self, with_response: NetsuiteWithResponse) -> None:
        self.with_response = with_response

    latch = value_of(NetsuiteWithResponse.latch)
    unlatch = value_of(NetsuiteWithResponse.unlatch)
    enable_sync = value_of(NetsuiteWithResponse.enable_sync)
    disable_sync = value_of(NetsuiteWithResponse.disable_sync)


def _date_text(given: datetime | date | str | None) -> str | None:
    if isinstance(given, datetime):
        return iso_in_utc(given, "netsuite_sync_start_date")
    return given.isoformat() if isinstance(given, date) else given
