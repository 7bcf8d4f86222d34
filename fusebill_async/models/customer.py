"""The customer and the objects inside it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import attrs

from fusebill_async.models.enums import (
    AccountStatus,
    QuickbooksLatchType,
    SalesforceAccountType,
    Status,
    SynchStatus,
    Title,
)
from fusebill_async.models.view import UNSET, WireView


@attrs.define(kw_only=True, eq=False, repr=False, getstate_setstate=False)
class SalesTrackingCode(WireView):
    """A sales tracking code of a customer.

    Attributes:
        type: the name of the code's type, "Sales Tracking Code 1" to "5" or as renamed; 255 characters.
        code: the value, which must exist under its type; 255 characters.
        name: the value's name.
        extra: keys that are not known here.
    """

    type: str | None = UNSET
    code: str | None = UNSET
    name: str | None = UNSET
    extra: Mapping[str, Any] = UNSET


@attrs.define(kw_only=True, eq=False, repr=False, getstate_setstate=False)
class CustomerReference(WireView):
    """Additional data of a customer.

    Attributes:
        reference1, reference2, reference3: open fields, 255 characters each.
        sales_tracking_codes: up to five codes; they are replaced as a whole, by assigning a tuple.
        classic_id: the customer's id in the classic system.
        id: usually, but not always, the customer's id.
        uri: where to read it, absolute or relative.
        extra: keys that are not known here.
    """

    reference1: str | None = UNSET
    reference2: str | None = UNSET
    reference3: str | None = UNSET
    sales_tracking_codes: tuple[SalesTrackingCode, ...] | None = UNSET
    classic_id: int | None = UNSET
    id: int | None = UNSET
    uri: str | None = UNSET
    extra: Mapping[str, Any] = UNSET


@attrs.define(kw_only=True, eq=False, repr=False, getstate_setstate=False)
class CustomerAcquisition(WireView):
    """How a customer was acquired; each text holds 255 characters.

    Attributes:
        ad_content: the content description of the campaign's ad.
        campaign: the campaign's name.
        keyword: the search words that led to the website.
        landing_page: the first page that the visitor saw.
        medium: the type of the campaign, such as "banner ad".
        source: where the campaign came from, such as a website.
        id: usually, but not always, the customer's id.
        uri: where to read it, absolute or relative.
        extra: keys that are not known here.
    """

    ad_content: str | None = UNSET
    campaign: str | None = UNSET
    keyword: str | None = UNSET
    landing_page: str | None = UNSET
    medium: str | None = UNSET
    source: str | None = UNSET
    id: int | None = UNSET
    uri: str | None = UNSET
    extra: Mapping[str, Any] = UNSET


@attrs.define(kw_only=True, eq=False, repr=False, getstate_setstate=False)
class Customer(WireView):
    """A customer, as https://developer.staxbill.com/reference/customer-object describes it.

    A customer that came from the service keeps its bytes (`wire`) and decodes a field when it is asked for; a
    key that did not come reads as None. Whoever sets a field, in the constructor or by assigning it, names
    it: an update sends what was named and is different, over everything that came. A field that was never set
    reads as None but is not named.

    Reading a field raises `InvalidResponseError` if the service sent something that cannot be that field.

    Attributes:
        first_name, middle_name, last_name, suffix: 50 characters each.
        company_name: 50 characters by the API pages, 255 by the vendor's import pages; the service decides.
        primary_email: where invoices go; several addresses are joined with "; " or ", "; 255 characters.
        primary_phone: 50 characters.
        secondary_email: no mail is sent to it; 255 characters.
        secondary_phone: 50 characters.
        title: of the person; "" where none was ever set.
        reference: a free field, often the id in another system; not unique; 255 characters.
        status: of the service; there is a verb for each change of it.
        customer_account_status: of the account.
        currency: ISO code of three letters, fixed at creation.
        can_change_currency: whether the currency can still be changed.
        customer_reference, customer_acquisition: see their classes.
        monthly_recurring_revenue, net_monthly_recurring_revenue: money, with the digits that came.
        salesforce_id, salesforce_account_type, salesforce_synch_status: the mapping to Salesforce.
        netsuite_id, netsuite_synch_status: the mapping to NetSuite.
        netsuite_customer_type: such as "Individual"; "" where none was ever set.
        portal_user_name: the login of the self-service portal, unique.
        parent_id: the parent's id, in an account with hierarchy.
        is_parent: whether other customers are below it.
        quickbooks_latch_type, quickbooks_id, quickbooks_sync_token: the mapping to QuickBooks Online.
        hubspot_id, hubspot_company_id: the mapping to a HubSpot contact and company.
        geotab_id: the mapping to Geotab, 255 characters.
        digital_river_id: the mapping to Digital River.
        modified_timestamp, created_timestamp: in UTC, cut to microseconds (the wire has seven digits).
        requires_projected_invoice_generation, requires_financial_calendar_generation: set by the service.
        id: the customer's id.
        uri: where to read it, absolute or relative.
        extra: keys that are not known here.
    """

    first_name: str | None = UNSET
    middle_name: str | None = UNSET
    last_name: str | None = UNSET
    company_name: str | None = UNSET
    suffix: str | None = UNSET
    primary_email: str | None = UNSET
    primary_phone: str | None = UNSET
    secondary_email: str | None = UNSET
    secondary_phone: str | None = UNSET
    title: Title | str | None = UNSET
    reference: str | None = UNSET
    status: Status | str | None = UNSET
    customer_account_status: AccountStatus | str | None = UNSET
    currency: str | None = UNSET
    can_change_currency: bool | None = UNSET
    customer_reference: CustomerReference | None = UNSET
    customer_acquisition: CustomerAcquisition | None = UNSET
    monthly_recurring_revenue: Decimal | None = UNSET
    net_monthly_recurring_revenue: Decimal | None = UNSET
    salesforce_id: str | None = UNSET
    salesforce_account_type: SalesforceAccountType | str | None = UNSET
    salesforce_synch_status: SynchStatus | str | None = UNSET
    netsuite_id: str | None = UNSET
    netsuite_synch_status: SynchStatus | str | None = UNSET
    netsuite_customer_type: str | None = UNSET
    portal_user_name: str | None = UNSET
    parent_id: int | None = UNSET
    is_parent: bool | None = UNSET
    quickbooks_latch_type: QuickbooksLatchType | str | None = UNSET
    quickbooks_id: int | None = UNSET
    quickbooks_sync_token: int | None = UNSET
    hubspot_id: int | None = UNSET
    hubspot_company_id: int | None = UNSET
    geotab_id: str | None = UNSET
    digital_river_id: str | None = UNSET
    modified_timestamp: datetime | None = UNSET
    created_timestamp: datetime | None = UNSET
    requires_projected_invoice_generation: bool | None = UNSET
    requires_financial_calendar_generation: bool | None = UNSET
    id: int = UNSET
    uri: str | None = UNSET
    extra: Mapping[str, Any] = UNSET
