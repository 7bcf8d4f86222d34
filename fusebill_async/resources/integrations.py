"""`client.hubspot`, `client.salesforce`, `client.netsuite` and `client.geotab`: a customer's ids in other systems."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from fusebill_async.converting.quirks import iso_in_utc
from fusebill_async.errors import ValidationError
from fusebill_async.models import UNSET, Customer
from fusebill_async.operations import (
    GEOTAB_LATCH,
    GEOTAB_UNLATCH,
    HUBSPOT_LATCH,
    HUBSPOT_UNLATCH,
    NETSUITE_DISABLE_SYNC,
    NETSUITE_ENABLE_SYNC,
    NETSUITE_LATCH,
    NETSUITE_UNLATCH,
    SALESFORCE_LATCH,
)
from fusebill_async.resources.core import ClientCore, value_of
from fusebill_async.settling.response import Response


class HubspotWithResponse:
    """The verbs of `client.hubspot`, each giving a `Response`."""

    def __init__(self, core: ClientCore) -> None:
        self._core = core

    async def latch(
        self,
        customer_id: int | Customer,
        *,
        hubspot_id: int | None = UNSET,
        hubspot_company_id: int | None = UNSET,
        idempotency_key: str | None = None,
    ) -> Response[Customer]:
        """Map a customer to its HubSpot contact and company. Only what is given is sent.

        Args:
            customer_id: an id (1 to 2**63 - 1), or a customer read before.
            hubspot_id: the contact's id (vid), 1 to 2**63 - 1; None clears that mapping.
            hubspot_company_id: the company's id, 1 to 2**63 - 1; None clears that mapping.
            idempotency_key: names the call: a second call with it has no second effect; 1 to 255 characters.

        The API page calls both ids "null by default": the service may clear the mapping that is left out, so give
        both to be sure of both.

        Raises:
            NotFoundError: there is no such customer.
            ValidationError: neither id is given, or one is not in its range.

        API page: https://developer.staxbill.com/reference/latch-customer-1
        """
        if hubspot_id is UNSET and hubspot_company_id is UNSET:
            raise ValidationError("give hubspot_id, hubspot_company_id or both", field="hubspot_id")
        return await self._core.write(
            HUBSPOT_LATCH,
            customer_id,
            hubspot_id=hubspot_id,
            hubspot_company_id=hubspot_company_id,
            idempotency_key=idempotency_key,
        )

    async def unlatch(self, customer_id: int | Customer, *, idempotency_key: str | None = None) -> Response[Customer]:
        """Remove a customer's mapping to its HubSpot contact and company.

        Args:
            customer_id: an id (1 to 2**63 - 1), or a customer read before.
            idempotency_key: names the call: a second call with it has no second effect; 1 to 255 characters.

        Raises:
            NotFoundError: there is no such customer.

        API page: https://developer.staxbill.com/reference/unlatch-customer-1
        """
        return await self._core.write(HUBSPOT_UNLATCH, customer_id, idempotency_key=idempotency_key)


class Hubspot:
    """The verbs of `client.hubspot`."""

    def __init__(self, with_response: HubspotWithResponse) -> None:
        self.with_response = with_response

    latch = value_of(HubspotWithResponse.latch)
    unlatch = value_of(HubspotWithResponse.unlatch)


class SalesforceWithResponse:
    """The verbs of `client.salesforce`, each giving a `Response`. No endpoint that unlatches is documented."""

    def __init__(self, core: ClientCore) -> None:
        self._core = core

    async def latch(
        self,
        customer_id: int | Customer,
        salesforce_id: str,
        *,
        force_latch: bool | None = None,
        idempotency_key: str | None = None,
    ) -> Response[Customer]:
        """Map a customer to a Salesforce account.

        Args:
            customer_id: an id (1 to 2**63 - 1), or a customer read before.
            salesforce_id: the account's id in Salesforce, a text that is not empty.
            force_latch: replace a mapping that is there; without it the service refuses that.
            idempotency_key: names the call: a second call with it has no second effect; 1 to 255 characters.

        Raises:
            BadRequestError: the account does not exist, or the customer is mapped already.
            NotFoundError: there is no such customer.
            ValidationError: an argument that cannot be sent.

        API page: https://developer.staxbill.com/reference/latch-customer
        """
        return await self._core.write(
            SALESFORCE_LATCH,
            customer_id,
            salesforce_id=salesforce_id,
            force_latch=force_latch,
            idempotency_key=idempotency_key,
        )


class Salesforce:
    """The verbs of `client.salesforce`."""

    def __init__(self, with_response: SalesforceWithResponse) -> None:
        self.with_response = with_response

    latch = value_of(SalesforceWithResponse.latch)


class NetsuiteWithResponse:
    """The verbs of `client.netsuite`, each giving a `Response`."""

    def __init__(self, core: ClientCore) -> None:
        self._core = core

    async def latch(
        self,
        customer_id: int | Customer,
        netsuite_id: str,
        netsuite_sync_start_date: datetime | date | str | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> Response[Customer]:
        """Map a customer to a NetSuite customer.

        Args:
            customer_id: an id (1 to 2**63 - 1), or a customer read before.
            netsuite_id: the internal id in NetSuite, a text that is not empty.
            netsuite_sync_start_date: when synchronising begins; a datetime goes in UTC, a text as it is.
            idempotency_key: names the call: a second call with it has no second effect; 1 to 255 characters.

        Raises:
            BadRequestError: the NetSuite customer does not exist.
            NotFoundError: there is no such customer.
            ValidationError: an argument that cannot be sent.

        API page: https://developer.staxbill.com/reference/netsuite-latch-customer
        """
        return await self._core.write(
            NETSUITE_LATCH,
            customer_id,
            netsuite_id=netsuite_id,
            netsuite_sync_start_date=_date_text(netsuite_sync_start_date),
            idempotency_key=idempotency_key,
        )

    async def unlatch(
        self, customer_id: int | Customer, netsuite_id: str, *, idempotency_key: str | None = None
    ) -> Response[Customer]:
        """Remove a customer's mapping to its NetSuite customer.

        Args:
            customer_id: an id (1 to 2**63 - 1), or a customer read before.
            netsuite_id: the internal id in NetSuite that it is mapped to.
            idempotency_key: names the call: a second call with it has no second effect; 1 to 255 characters.

        Raises:
            BadRequestError: the customer is not mapped to that one.
            NotFoundError: there is no such customer.
            ValidationError: an argument that cannot be sent.

        API page: https://developer.staxbill.com/reference/netsuite-unlatch-customer
        """
        return await self._core.write(
            NETSUITE_UNLATCH, customer_id, netsuite_id=netsuite_id, idempotency_key=idempotency_key
        )

    async def enable_sync(
        self, customer_id: int | Customer, *, idempotency_key: str | None = None
    ) -> Response[Customer]:
        """Synchronise a customer with NetSuite.

        Args:
            customer_id: an id (1 to 2**63 - 1), or a customer read before.
            idempotency_key: names the call: a second call with it has no second effect; 1 to 255 characters.

        Raises:
            NotFoundError: there is no such customer.

        API page: https://developer.staxbill.com/reference/netsuite-enable-synchronization
        """
        return await self._core.write(NETSUITE_ENABLE_SYNC, customer_id, idempotency_key=idempotency_key)

    async def disable_sync(
        self, customer_id: int | Customer, *, idempotency_key: str | None = None
    ) -> Response[Customer]:
        """Stop synchronising a customer with NetSuite.

        Args:
            customer_id: an id (1 to 2**63 - 1), or a customer read before.
            idempotency_key: names the call: a second call with it has no second effect; 1 to 255 characters.

        Raises:
            NotFoundError: there is no such customer.

        API page: https://developer.staxbill.com/reference/netsuite-disable-sync
        """
        return await self._core.write(NETSUITE_DISABLE_SYNC, customer_id, idempotency_key=idempotency_key)


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


_GEOTAB_ID_LENGTH = 255
"""Characters of a Geotab id, by the API page."""


class GeotabWithResponse:
    """The verbs of `client.geotab`, each giving a `Response`."""

    def __init__(self, core: ClientCore) -> None:
        self._core = core

    async def latch(
        self, customer_id: int | Customer, geotab_id: str, *, idempotency_key: str | None = None
    ) -> Response[Customer]:
        """Map a customer to a Geotab account.

        Args:
            customer_id: an id (1 to 2**63 - 1), or a customer read before.
            geotab_id: the account's id in Geotab, 1 to 255 characters.
            idempotency_key: names the call: a second call with it has no second effect; 1 to 255 characters.

        Raises:
            NotFoundError: there is no such customer.
            ValidationError: an argument that cannot be sent.

        API page: https://developer.staxbill.com/reference/latch-customer-2
        """
        return await self._core.write(
            GEOTAB_LATCH, customer_id, geotab_id=_checked_geotab_id(geotab_id), idempotency_key=idempotency_key
        )

    async def unlatch(self, customer_id: int | Customer, *, idempotency_key: str | None = None) -> Response[Customer]:
        """Remove a customer's mapping to its Geotab account.

        Args:
            customer_id: an id (1 to 2**63 - 1), or a customer read before.
            idempotency_key: names the call: a second call with it has no second effect; 1 to 255 characters.

        Raises:
            NotFoundError: there is no such customer.

        API page: https://developer.staxbill.com/reference/unlatch-customer-2
        """
        return await self._core.write(GEOTAB_UNLATCH, customer_id, idempotency_key=idempotency_key)


class Geotab:
    """The verbs of `client.geotab`."""

    def __init__(self, with_response: GeotabWithResponse) -> None:
        self.with_response = with_response

    latch = value_of(GeotabWithResponse.latch)
    unlatch = value_of(GeotabWithResponse.unlatch)


def _checked_geotab_id(geotab_id: Any) -> Any:
    """Check the length. `build_request` checks that it is a text, as for every parameter."""
    if isinstance(geotab_id, str) and len(geotab_id) > _GEOTAB_ID_LENGTH:
        raise ValidationError(
            f"geotab_id holds {_GEOTAB_ID_LENGTH} characters at most, and was given {len(geotab_id)}",
            field="geotab_id",
        )
    return geotab_id
