"""The fields that a caller may name in `create` and `update`, for type checkers.

They are the writable fields of the models; `tests/typing/test_fields.py` compares the two. A field that is not given
stays as it is, and None erases it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from fusebill_async.models.customer import CustomerAcquisition, CustomerReference, SalesTrackingCode
from fusebill_async.models.enums import QuickbooksLatchType, SalesforceAccountType, Status, SynchStatus, Title


class SalesTrackingCodeFields(TypedDict, total=False):
    """A sales tracking code; see `SalesTrackingCode`."""

    type: str | None
    code: str | None
    name: str | None


class CustomerReferenceFields(TypedDict, total=False):
    """Additional data of a customer; see `CustomerReference`. What is left out stays as it is."""

    reference1: str | None
    reference2: str | None
    reference3: str | None
    sales_tracking_codes: Sequence[SalesTrackingCode | SalesTrackingCodeFields] | None
    classic_id: int | None


class CustomerAcquisitionFields(TypedDict, total=False):
    """How a customer was acquired; see `CustomerAcquisition`. What is left out stays as it is."""

    ad_content: str | None
    campaign: str | None
    keyword: str | None
    landing_page: str | None
    medium: str | None
    source: str | None


class CustomerFields(TypedDict, total=False):
    """What can be written of a customer, but for its status; see `Customer` for what each field is."""

    first_name: str | None
    middle_name: str | None
    last_name: str | None
    company_name: str | None
    suffix: str | None
    primary_email: str | None
    primary_phone: str | None
    secondary_email: str | None
    secondary_phone: str | None
    title: Title | str | None
    reference: str | None
    currency: str | None
    customer_reference: CustomerReference | CustomerReferenceFields | None
    customer_acquisition: CustomerAcquisition | CustomerAcquisitionFields | None
    salesforce_id: str | None
    salesforce_account_type: SalesforceAccountType | str | None
    salesforce_synch_status: SynchStatus | str | None
    netsuite_id: str | None
    netsuite_synch_status: SynchStatus | str | None
    netsuite_customer_type: str | None
    portal_user_name: str | None
    parent_id: int | None
    quickbooks_latch_type: QuickbooksLatchType | str | None
    quickbooks_id: int | None
    quickbooks_sync_token: int | None
    hubspot_id: int | None
    hubspot_company_id: int | None
    geotab_id: str | None
    digital_river_id: str | None


class UpdateFields(CustomerFields, total=False):
    """What `update` takes. `status` needs `allow_status_change=True`: there are verbs for its changes."""

    status: Status | str | None


class NewCustomerFields(CustomerFields, total=False):
    """What `create` takes: also what is set up with a customer and is no field of it, by the API's names."""

    billing_setting: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None
    tracked_item_display: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None
