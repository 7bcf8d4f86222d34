"""The asyncio client for Fusebill (Stax Bill): every call ends in a true outcome, and nothing happens twice."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fusebill_async._version import __version__
from fusebill_async.client import ClientHandle, FusebillClient
from fusebill_async.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    ClientStateError,
    ConcurrentModificationError,
    ConfigurationError,
    ConflictError,
    ConnectError,
    ConnectionLostError,
    FieldsNotTakenError,
    FusebillError,
    InvalidResponseError,
    NotAppliedError,
    NotFoundError,
    NotUnresolvedError,
    OutcomeUnknownError,
    PermissionDeniedError,
    PreviewChangedStateError,
    QuotaExhaustedError,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
    StoreUnavailableError,
    UnresolvedWritesWarning,
    ValidationError,
    WouldEraseError,
)
from fusebill_async.models import (
    AccountStatus,
    Activation,
    CancellationOption,
    Customer,
    CustomerAcquisition,
    CustomerReference,
    DraftCharge,
    InvoicePreview,
    Overview,
    QuickbooksLatchType,
    SalesTrackingCode,
    ServiceStartOption,
    Status,
    Title,
)
from fusebill_async.outcome import Attempt, Attribution, ConfirmedBy, Outcome, Phase, QuotaSeen, Window
from fusebill_async.session.hooks import Hooks
from fusebill_async.settings import (
    PoolSettings,
    QuotaPolicy,
    RetryPolicy,
    SettlingPolicy,
    Timeouts,
    UpdatePolicy,
)
from fusebill_async.settling.intent import Reading, UnresolvedWrite
from fusebill_async.settling.resolution import Resolution
from fusebill_async.settling.response import Response

if TYPE_CHECKING:
    from fusebill_async.models import DraftCharge, InvoicePreview, Overview
    from fusebill_async.resources.listing import CustomerList, CustomerPage
    from fusebill_async.updating.merging import Change, UpdatePlan

__all__ = [
    "APIError",
    "AccountStatus",
    "Activation",
    "Attempt",
    "Attribution",
    "AuthenticationError",
    "BadRequestError",
    "CancellationOption",
    "Change",
    "ClientHandle",
    "ClientStateError",
    "ConcurrentModificationError",
    "ConfigurationError",
    "ConfirmedBy",
    "ConflictError",
    "ConnectError",
    "ConnectionLostError",
    "Customer",
    "CustomerAcquisition",
    "CustomerList",
    "CustomerPage",
    "CustomerReference",
    "DraftCharge",
    "FieldsNotTakenError",
    "FusebillClient",
    "FusebillError",
    "Hooks",
    "InvalidResponseError",
    "InvoicePreview",
    "NotAppliedError",
    "NotFoundError",
    "NotUnresolvedError",
    "Outcome",
    "OutcomeUnknownError",
    "Overview",
    "PermissionDeniedError",
    "Phase",
    "PoolSettings",
    "PreviewChangedStateError",
    "QuickbooksLatchType",
    "QuotaExhaustedError",
    "QuotaPolicy",
    "QuotaSeen",
    "RateLimitError",
    "Reading",
    "RequestTimeoutError",
    "Resolution",
    "Response",
    "RetryPolicy",
    "SalesTrackingCode",
    "ServerError",
    "ServiceStartOption",
    "SettlingPolicy",
    "Status",
    "StoreUnavailableError",
    "Timeouts",
    "Title",
    "UnresolvedWrite",
    "UnresolvedWritesWarning",
    "UpdatePlan",
    "UpdatePolicy",
    "ValidationError",
    "Window",
    "WouldEraseError",
    "__version__",
]

_ON_DEMAND = {
    "Change": "fusebill_async.updating.merging",
    "CustomerList": "fusebill_async.resources.listing",
    "CustomerPage": "fusebill_async.resources.listing",
    "UpdatePlan": "fusebill_async.updating.merging",
}
"""What most programs never name; whoever uses it has its module imported by then."""


def __getattr__(name: str) -> Any:
    if name not in _ON_DEMAND:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_ON_DEMAND[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
