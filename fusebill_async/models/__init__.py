"""What the service sends and takes: views that keep the bytes that came beside the values that they show."""

from __future__ import annotations

from fusebill_async.models.answers import Activation, Overview
from fusebill_async.models.changes import named_changes, named_fields
from fusebill_async.models.customer import Customer, CustomerAcquisition, CustomerReference, SalesTrackingCode
from fusebill_async.models.enums import (
    AccountStatus,
    CancellationOption,
    QuickbooksLatchType,
    SalesforceAccountType,
    ServiceStartOption,
    Status,
    SynchStatus,
    Title,
)
from fusebill_async.models.fields import (
    CustomerAcquisitionFields,
    CustomerFields,
    CustomerReferenceFields,
    NewCustomerFields,
    SalesTrackingCodeFields,
    UpdateFields,
)
from fusebill_async.models.invoice import DraftCharge, DraftChargeGroup, DraftDiscount, DraftTax, InvoicePreview
from fusebill_async.models.naming import wire_key, wire_keys
from fusebill_async.models.view import UNSET, Extra, Reader, Unset, WireView

__all__ = [
    "UNSET",
    "AccountStatus",
    "Activation",
    "CancellationOption",
    "Customer",
    "CustomerAcquisition",
    "CustomerAcquisitionFields",
    "CustomerFields",
    "CustomerReference",
    "CustomerReferenceFields",
    "DraftCharge",
    "DraftChargeGroup",
    "DraftDiscount",
    "DraftTax",
    "Extra",
    "InvoicePreview",
    "NewCustomerFields",
    "Overview",
    "QuickbooksLatchType",
    "Reader",
    "SalesTrackingCode",
    "SalesTrackingCodeFields",
    "SalesforceAccountType",
    "ServiceStartOption",
    "Status",
    "SynchStatus",
    "Title",
    "Unset",
    "UpdateFields",
    "WireView",
    "named_changes",
    "named_fields",
    "wire_key",
    "wire_keys",
]
