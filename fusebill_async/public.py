"""Every name that users import from `fusebill_async`."""

from __future__ import annotations

from fusebill_async._version import __version__
from fusebill_async.bulk import BulkItem, BulkJob, BulkPlan, BulkReport
from fusebill_async.client import ConfiguredClient, FusebillClient
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
    IdempotencyError,
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
    CustomerAcquisitionFields,
    CustomerReference,
    CustomerReferenceFields,
    DraftCharge,
    InvoicePreview,
    NewCustomerFields,
    Overview,
    QuickbooksLatchType,
    SalesTrackingCode,
    SalesTrackingCodeFields,
    ServiceStartOption,
    Status,
    Title,
    UpdateFields,
)
from fusebill_async.outcome import Attempt, Attribution, ConfirmedBy, Outcome, Phase, QuotaSeen, Window
from fusebill_async.resources.listing import CustomerList, CustomerPage
from fusebill_async.session.events import (
    AttemptEvent,
    CallEvent,
    ItemEvent,
    JobEvent,
    QuotaEvent,
    SettlingEvent,
    WaitEvent,
)
from fusebill_async.session.hooks import Hooks
from fusebill_async.settings import (
    PoolSettings,
    QuotaPolicy,
    RetryPolicy,
    SettlingPolicy,
    Timeouts,
    UpdatePolicy,
)
from fusebill_async.settling.intent import UnresolvedWrite
from fusebill_async.settling.keys import Recorded
from fusebill_async.settling.response import Resolution, Response
from fusebill_async.settling.seen import Reading
from fusebill_async.updating.merging import Change, UpdatePlan

__all__ = [
    "APIError", "AccountStatus", "Activation", "Attempt", "AttemptEvent", "Attribution", "AuthenticationError",
    "BadRequestError", "BulkItem", "BulkJob", "BulkPlan", "BulkReport", "CallEvent", "CancellationOption", "Change",
    "ClientStateError", "ConcurrentModificationError", "ConfigurationError", "ConfiguredClient", "ConfirmedBy",
    "ConflictError", "ConnectError", "ConnectionLostError", "Customer", "CustomerAcquisition",
    "CustomerAcquisitionFields", "CustomerList", "CustomerPage", "CustomerReference", "CustomerReferenceFields",
    "DraftCharge", "FieldsNotTakenError", "FusebillClient", "FusebillError", "Hooks", "IdempotencyError",
    "InvalidResponseError", "InvoicePreview", "ItemEvent", "JobEvent", "NewCustomerFields", "NotAppliedError",
    "NotFoundError", "NotUnresolvedError", "Outcome", "OutcomeUnknownError", "Overview", "PermissionDeniedError",
    "Phase", "PoolSettings", "PreviewChangedStateError", "QuickbooksLatchType", "QuotaEvent", "QuotaExhaustedError",
    "QuotaPolicy", "QuotaSeen", "RateLimitError", "Reading", "Recorded", "RequestTimeoutError", "Resolution",
    "Response", "RetryPolicy", "SalesTrackingCode", "SalesTrackingCodeFields", "ServerError", "ServiceStartOption",
    "SettlingEvent", "SettlingPolicy", "Status", "StoreUnavailableError", "Timeouts", "Title", "UnresolvedWrite",
    "UnresolvedWritesWarning", "UpdateFields", "UpdatePlan", "UpdatePolicy", "ValidationError", "WaitEvent", "Window",
    "WouldEraseError", "__version__",
]  # fmt: skip
