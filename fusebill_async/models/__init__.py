"""What the service sends and takes: views that keep the bytes that came beside the values that they show."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fusebill_async.models.activation import Activation
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
from fusebill_async.models.error_body import ErrorBody
from fusebill_async.models.naming import wire_key, wire_keys
from fusebill_async.models.unset import UNSET, Unset
from fusebill_async.models.view import Extra, Reader, WireView

if TYPE_CHECKING:
    from fusebill_async.models.invoice import DraftCharge, DraftChargeGroup, DraftDiscount, DraftTax, InvoicePreview
    from fusebill_async.models.overview import Overview

__all__ = [
    "UNSET",
    "AccountStatus",
    "Activation",
    "CancellationOption",
    "Customer",
    "CustomerAcquisition",
    "CustomerReference",
    "DraftCharge",
    "DraftChargeGroup",
    "DraftDiscount",
    "DraftTax",
    "ErrorBody",
    "Extra",
    "InvoicePreview",
    "Overview",
    "QuickbooksLatchType",
    "Reader",
    "SalesTrackingCode",
    "SalesforceAccountType",
    "ServiceStartOption",
    "Status",
    "SynchStatus",
    "Title",
    "Unset",
    "WireView",
    "named_changes",
    "named_fields",
    "wire_key",
    "wire_keys",
]

_ON_DEMAND = {
    "DraftCharge": "fusebill_async.models.invoice",
    "DraftChargeGroup": "fusebill_async.models.invoice",
    "DraftDiscount": "fusebill_async.models.invoice",
    "DraftTax": "fusebill_async.models.invoice",
    "InvoicePreview": "fusebill_async.models.invoice",
    "Overview": "fusebill_async.models.overview",
}
"""What is seen by those alone who ask for a preview or an overview."""


def __getattr__(name: str) -> Any:
    if name not in _ON_DEMAND:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_ON_DEMAND[name]), name)
    return value
