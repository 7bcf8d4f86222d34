"""The table of API operations. One row tells everything that any part of the package needs to know of an endpoint.

The client, retrying, settling, bulk, the command line, the simulator and the guide's table all read it.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal, TypeAlias

import attrs

from fusebill_async.models.enums import CancellationOption, ServiceStartOption, Status

_PAGES = "https://developer.staxbill.com/reference/"


class Safety(StrEnum):
    """What may be done after an attempt whose effect is not known."""

    READ = "read"
    """It changes nothing: send it again."""
    REPEATABLE = "repeatable"
    """Settle it; if it was not applied it is sent again."""
    MONEY = "money"
    """Settle it; if it was not applied it is sent again only if the caller allowed it."""
    REPLACE = "replace"
    """A PUT of a whole resource. Settle it; if it was not applied, read, merge and send again."""
    CREATE = "create"
    """Settle it by searching for what it would have made."""


MAY_BE_SENT_AGAIN = frozenset({Safety.REPEATABLE, Safety.REPLACE})
"""What is sent again by default after it was settled as not applied."""


@attrs.frozen
class StatusIs:
    """The goal is met when the customer has one of these statuses."""

    statuses: frozenset[Status]


@attrs.frozen
class FieldsAreNull:
    """The goal is met when these keys are there and null. A key that is absent leaves it undecided."""

    keys: tuple[str, ...]


@attrs.frozen
class FieldsAre:
    """The goal is met when each key (on the left) holds the value that was sent under the key on the right.

    A key that the request left out is not looked at.
    """

    keys: tuple[tuple[str, str], ...]


@attrs.frozen
class FieldIs:
    """The goal is met when the key holds this value."""

    key: str
    value: str


@attrs.frozen
class FieldsAsNamed:
    """The goal is met when every field that the caller named reads as it was sent."""


@attrs.frozen
class FoundByReference:
    """The goal is met when a search finds what the request would have made."""


Goal: TypeAlias = StatusIs | FieldsAreNull | FieldsAre | FieldIs | FieldsAsNamed | FoundByReference


@attrs.frozen(kw_only=True)
class Parameter:
    """One parameter of an operation: `name` in Python, `key` on the wire.

    None leaves a parameter out. A `nullable` one is sent as null for None, and `UNSET` leaves it out.
    """

    name: str
    key: str
    place: Literal["path", "query", "body"]
    kind: Literal["id", "bool", "text", "fields", "ids", "object"]
    required: bool = False
    choices: tuple[str, ...] = ()
    nullable: bool = False
    about: str = ""


@attrs.frozen(kw_only=True)
class Operation:
    """One endpoint.

    Attributes:
        name: the coroutine's name.
        resource: the attribute of the client that holds it.
        method, path: of the request; `{id}` stands for the customer.
        safety: what may be done after an attempt whose effect is not known.
        parameters: what the caller gives.
        fixed: keys with a value that never changes, by place.
        allowed_from: the statuses from which it works; None is any.
        leads_to: the status that it leads to; None leaves it as it is.
        goal: what a read shows when it has happened; None for what changes nothing.
        answer: what the body of a good answer holds.
        page: the address of the API page.
        summary: one line for help texts.
    """

    name: str
    resource: str
    method: str
    path: str
    safety: Safety
    parameters: tuple[Parameter, ...] = ()
    fixed: tuple[tuple[Literal["query", "body"], str, Any], ...] = ()
    allowed_from: frozenset[Status] | None = None
    leads_to: Status | None = None
    goal: Goal | None = None
    answer: Literal["customer", "activation", "overview", "customers", "any", "bytes"] = "customer"
    page: str = ""
    summary: str = ""

    @property
    def writes(self) -> bool:
        """Whether it changes anything at the service."""
        return self.safety is not Safety.READ

    @property
    def moves_money(self) -> bool:
        """Whether it may invoice, charge or credit."""
        return self.safety is Safety.MONEY

    @cached_property
    def title(self) -> str:
        """The name as a user writes it, such as "hubspot.unlatch"."""
        return f"{self.resource}.{self.name}"


def _in_path(key: str = "customerId") -> Parameter:
    return Parameter(name="customer_id", key=key, place="path", kind="id", required=True, about="Fusebill id")


def _in_body(key: str = "customerId") -> Parameter:
    return Parameter(name="customer_id", key=key, place="body", kind="id", required=True, about="Fusebill id")


def _flag(name: str, key: str, about: str, *, place: Literal["query", "body"], required: bool = False) -> Parameter:
    return Parameter(name=name, key=key, place=place, kind="bool", required=required, about=about)


def _activation_flags(*, required: bool) -> tuple[Parameter, ...]:
    return (
        _flag(
            "activate_all_subscriptions", "activateAllSubscriptions", "activate draft subscriptions too",
            place="body", required=required,
        ),
        _flag(
            "activate_all_draft_purchases", "activateAllDraftPurchases", "activate draft purchases too",
            place="body", required=required,
        ),
        _flag(
            "temporarily_disable_auto_post", "temporarilyDisableAutoPost", "leave the invoice unposted",
            place="body", required=required,
        ),
    )  # fmt: skip


_ZERO_DOLLAR = ("show_zero_dollar_charges", "showZeroDollarCharges", "include zero dollar charges on invoices")
_SIDE_EFFECTS = Parameter(
    name="side_effects", key="view", place="query", kind="bool", about="include the invoice that was made"
)
_SERVICE_START = Parameter(
    name="service_start_option", key="serviceStartOption", place="body", kind="text", required=True,
    choices=tuple(ServiceStartOption), about="what is charged for the periods that were missed",
)  # fmt: skip
_DISABLE_AUTO_POST = _flag(
    "temporarily_disable_auto_post", "temporarilyDisableAutoPost", "leave the invoice unposted", place="body"
)

_NETSUITE_ID = Parameter(
    name="netsuite_id", key="netsuiteId", place="body", kind="text", required=True,
    about="the customer's internal id in NetSuite",
)  # fmt: skip

_CHANGES = (
    _in_body("id"),
    Parameter(name="changes", key="", place="body", kind="fields", about="the fields to change"),
)

_NOT_CANCELLED = frozenset({Status.DRAFT, Status.ACTIVE, Status.HOLD, Status.SUSPENDED})
_NEVER_DRAFT_AGAIN = StatusIs(frozenset({Status.ACTIVE, Status.SUSPENDED, Status.HOLD}))
_RUNNING = StatusIs(frozenset({Status.ACTIVE, Status.SUSPENDED}))

GET = Operation(
    name="get", resource="customers", method="GET", path="/customers/{id}", safety=Safety.READ,
    parameters=(_in_path(),), page=_PAGES + "customer-object", summary="Read a customer.",
)  # fmt: skip
OVERVIEW = Operation(
    name="overview", resource="customers", method="GET", path="/customers/{id}/Overview", safety=Safety.READ,
    parameters=(_in_path(),), answer="overview", page=_PAGES + "read-customer-overview-1",
    summary="Read a customer's short form.",
)  # fmt: skip
LIST = Operation(
    name="list", resource="customers", method="GET", path="/customers", safety=Safety.READ, answer="customers",
    page=_PAGES + "list-customers", summary="List customers.",
)  # fmt: skip
HOLD = Operation(
    name="hold", resource="customers", method="POST", path="/CustomerHold/{id}", safety=Safety.REPEATABLE,
    parameters=(_in_path(),), allowed_from=frozenset({Status.ACTIVE}), leads_to=Status.HOLD,
    goal=StatusIs(frozenset({Status.HOLD})), page=_PAGES + "hold-customer",
    summary="Put a customer on hold; its subscriptions are suspended.",
)  # fmt: skip
RELEASE_HOLD = Operation(
    name="release_hold", resource="customers", method="POST", path="/customers/unHold", safety=Safety.MONEY,
    parameters=(_in_body(), _SERVICE_START, _flag(*_ZERO_DOLLAR, place="body"), _DISABLE_AUTO_POST),
    allowed_from=frozenset({Status.HOLD}), leads_to=Status.ACTIVE, goal=_RUNNING,
    page=_PAGES + "un-hold-customer", summary="Take a customer off hold; missed periods may be charged.",
)  # fmt: skip
PREVIEW_RELEASE_HOLD = Operation(
    name="preview_release_hold", resource="customers", method="POST", path="/customers/unHold", safety=Safety.READ,
    parameters=(_in_body(), _SERVICE_START, _flag(*_ZERO_DOLLAR, place="body"), _DISABLE_AUTO_POST),
    fixed=(("body", "preview", True),), allowed_from=frozenset({Status.HOLD}), answer="activation",
    page=_PAGES + "un-hold-customer", summary="Show what taking a customer off hold would invoice.",
)  # fmt: skip
CANCEL = Operation(
    name="cancel", resource="customers", method="POST", path="/customerCancellation", safety=Safety.MONEY,
    parameters=(
        _in_body(),
        Parameter(
            name="cancellation_option", key="cancellationOption", place="body", kind="text", required=True,
            choices=tuple(CancellationOption), about="what is credited of charges not yet earned",
        ),
    ),
    allowed_from=_NOT_CANCELLED, leads_to=Status.CANCELLED, goal=StatusIs(frozenset({Status.CANCELLED})),
    page=_PAGES + "delete-customer", summary="Cancel a customer and its subscriptions.",
)  # fmt: skip
UNCANCEL = Operation(
    name="uncancel", resource="customers", method="POST", path="/customers/uncancel/{id}", safety=Safety.MONEY,
    parameters=(_in_path(),), allowed_from=frozenset({Status.CANCELLED}), leads_to=Status.ACTIVE,
    goal=_NEVER_DRAFT_AGAIN, page=_PAGES + "uncancel-customer", summary="Undo the cancellation of a customer.",
)  # fmt: skip
ACTIVATE = Operation(
    name="activate", resource="customers", method="POST", path="/customerActivation", safety=Safety.MONEY,
    parameters=(
        _in_body(), *_activation_flags(required=True), _flag(*_ZERO_DOLLAR, place="query"), _SIDE_EFFECTS,
    ),
    allowed_from=frozenset({Status.DRAFT}), leads_to=Status.ACTIVE, goal=_NEVER_DRAFT_AGAIN, answer="activation",
    page=_PAGES + "activate-customer", summary="Activate a draft customer; it may be invoiced and charged.",
)  # fmt: skip
PREVIEW_ACTIVATION = Operation(
    name="preview_activation", resource="customers", method="POST", path="/customerActivation", safety=Safety.READ,
    parameters=(
        _in_body(), *_activation_flags(required=False), _flag(*_ZERO_DOLLAR, place="query"), _SIDE_EFFECTS,
    ),
    fixed=(("query", "preview", True),), allowed_from=frozenset({Status.DRAFT}), answer="activation",
    page=_PAGES + "activate-customer", summary="Show what activating a customer would invoice; changes nothing.",
)  # fmt: skip
_ITEMS = (
    _in_path(),
    Parameter(
        name="subscription_ids", key="specificSubscriptionIds", place="body", kind="ids",
        about="the draft subscriptions to activate",
    ),
    Parameter(
        name="purchase_ids", key="specificPurchaseIds", place="body", kind="ids",
        about="the draft purchases to activate",
    ),
    Parameter(
        name="invoice_collect_options", key="invoiceCollectOptions", place="body", kind="object",
        about="how the invoice is collected, such as paymentMethod and paymentMethodId",
    ),
    _DISABLE_AUTO_POST,
)  # fmt: skip
ACTIVATE_ITEMS = Operation(
    name="activate_items", resource="customers", method="POST", path="/customers/purchase/{id}",
    safety=Safety.MONEY, parameters=_ITEMS, allowed_from=frozenset({Status.ACTIVE}),
    page=_PAGES + "activate-customers-specific-subscriptions-and-purchases",
    summary="Activate chosen subscriptions and purchases of an active customer.",
)  # fmt: skip
PREVIEW_ACTIVATE_ITEMS = Operation(
    name="preview_activate_items", resource="customers", method="POST", path="/customers/purchase/{id}",
    safety=Safety.READ, parameters=_ITEMS, fixed=(("body", "preview", True),),
    allowed_from=frozenset({Status.ACTIVE}), answer="activation",
    page=_PAGES + "activate-customers-specific-subscriptions-and-purchases",
    summary="Show what activating chosen subscriptions and purchases would invoice.",
)  # fmt: skip
CREATE = Operation(
    name="create", resource="customers", method="POST", path="/customers", safety=Safety.CREATE,
    parameters=(Parameter(name="fields", key="", place="body", kind="fields", about="the customer's fields"),),
    leads_to=Status.DRAFT, goal=FoundByReference(), page=_PAGES + "customers-1", summary="Create a draft customer.",
)  # fmt: skip
UPDATE = Operation(
    name="update", resource="customers", method="PUT", path="/customers", safety=Safety.REPLACE,
    parameters=_CHANGES, allowed_from=_NOT_CANCELLED, goal=FieldsAsNamed(), page=_PAGES + "customers-2",
    summary="Change fields of a customer; everything else goes back as it came.",
)  # fmt: skip
REPLACE = Operation(
    name="replace", resource="customers", method="PUT", path="/customers", safety=Safety.REPLACE,
    parameters=_CHANGES, allowed_from=_NOT_CANCELLED, goal=FieldsAsNamed(), page=_PAGES + "customers-2",
    summary="Send a whole customer, as the API has it.",
)  # fmt: skip

HUBSPOT_LATCH = Operation(
    name="latch", resource="hubspot", method="POST", path="/HubSpot/latchCustomer", safety=Safety.REPEATABLE,
    parameters=(
        _in_body("fusebillId"),
        Parameter(
            name="hubspot_id", key="hubSpotId", place="body", kind="id", nullable=True,
            about="contact id (vid); None clears the mapping",
        ),
        Parameter(
            name="hubspot_company_id", key="hubSpotCompanyId", place="body", kind="id", nullable=True,
            about="company id; None clears the mapping",
        ),
    ),
    goal=FieldsAre((("hubSpotId", "hubSpotId"), ("hubSpotCompanyId", "hubSpotCompanyId"))),
    page=_PAGES + "latch-customer-1", summary="Map a customer to its HubSpot ids.",
)  # fmt: skip
HUBSPOT_UNLATCH = Operation(
    name="unlatch", resource="hubspot", method="POST", path="/HubSpot/UnlatchCustomer/{id}",
    safety=Safety.REPEATABLE, parameters=(_in_path(),), goal=FieldsAreNull(("hubSpotId", "hubSpotCompanyId")),
    page=_PAGES + "unlatch-customer-1", summary="Remove a customer's mapping to its HubSpot ids.",
)  # fmt: skip
SALESFORCE_LATCH = Operation(
    name="latch", resource="salesforce", method="POST", path="/Salesforce/Latch", safety=Safety.REPEATABLE,
    parameters=(
        _in_body("fusebillId"),
        Parameter(
            name="salesforce_id", key="salesforceId", place="body", kind="text", required=True,
            about="the account's id in Salesforce",
        ),
        _flag("force_latch", "forceLatch", "replace a mapping that is there", place="body"),
    ),
    goal=FieldsAre((("salesforceId", "salesforceId"),)), page=_PAGES + "latch-customer",
    summary="Map a customer to a Salesforce account.",
)  # fmt: skip
NETSUITE_LATCH = Operation(
    name="latch", resource="netsuite", method="POST", path="/NetSuite/LatchCustomer", safety=Safety.REPEATABLE,
    parameters=(
        _in_body("fusebillId"),
        _NETSUITE_ID,
        Parameter(
            name="netsuite_sync_start_date", key="netsuiteSyncStartDate", place="body", kind="text",
            about="when synchronising begins, ISO 8601 in UTC",
        ),
    ),
    goal=FieldsAre((("netsuiteId", "netsuiteId"),)), page=_PAGES + "netsuite-latch-customer",
    summary="Map a customer to a NetSuite customer.",
)  # fmt: skip
NETSUITE_UNLATCH = Operation(
    name="unlatch", resource="netsuite", method="POST", path="/NetSuite/UnLatchCustomer", safety=Safety.REPEATABLE,
    parameters=(
        _in_body("fusebillId"),
        _NETSUITE_ID,
    ),
    goal=FieldsAreNull(("netsuiteId",)), page=_PAGES + "netsuite-unlatch-customer",
    summary="Remove a customer's mapping to its NetSuite customer.",
)  # fmt: skip
NETSUITE_ENABLE_SYNC = Operation(
    name="enable_sync", resource="netsuite", method="POST", path="/Netsuite/EnableSynch/{id}",
    safety=Safety.REPEATABLE, parameters=(_in_path(),), goal=FieldIs("netsuiteSynchStatus", "Enabled"),
    page=_PAGES + "netsuite-enable-synchronization", summary="Synchronise a customer with NetSuite.",
)  # fmt: skip
NETSUITE_DISABLE_SYNC = Operation(
    name="disable_sync", resource="netsuite", method="POST", path="/Netsuite/DisableSynch/{id}",
    safety=Safety.REPEATABLE, parameters=(_in_path(),), goal=FieldIs("netsuiteSynchStatus", "Disabled"),
    page=_PAGES + "netsuite-disable-sync", summary="Stop synchronising a customer with NetSuite.",
)  # fmt: skip
GEOTAB_LATCH = Operation(
    name="latch", resource="geotab", method="POST", path="/Geotab/LatchCustomer", safety=Safety.REPEATABLE,
    parameters=(
        _in_body("fusebillId"),
        Parameter(
            name="geotab_id", key="geotabId", place="body", kind="text", required=True,
            about="the account's id in Geotab, 255 characters",
        ),
    ),
    goal=FieldsAre((("geotabId", "geotabId"),)), page=_PAGES + "latch-customer-2",
    summary="Map a customer to a Geotab account.",
)  # fmt: skip
GEOTAB_UNLATCH = Operation(
    name="unlatch", resource="geotab", method="POST", path="/Geotab/UnlatchCustomer", safety=Safety.REPEATABLE,
    parameters=(_in_body("fusebillId"),), goal=FieldsAreNull(("geotabId",)), page=_PAGES + "unlatch-customer-2",
    summary="Remove a customer's mapping to its Geotab account.",
)  # fmt: skip

REQUEST = Operation(
    name="request", resource="client", method="POST", path="", safety=Safety.MONEY, answer="any",
    summary="Send a request to any endpoint; no read can tell what it did.",
)  # fmt: skip
"""What `client.request` does. It is in no table: method and path are the caller's."""

OPERATIONS: tuple[Operation, ...] = (
    GET, LIST, OVERVIEW, CREATE, UPDATE, REPLACE,
    ACTIVATE, PREVIEW_ACTIVATION, ACTIVATE_ITEMS, PREVIEW_ACTIVATE_ITEMS,
    HOLD, RELEASE_HOLD, PREVIEW_RELEASE_HOLD, CANCEL, UNCANCEL,
    HUBSPOT_LATCH, HUBSPOT_UNLATCH, SALESFORCE_LATCH,
    NETSUITE_LATCH, NETSUITE_UNLATCH, NETSUITE_ENABLE_SYNC, NETSUITE_DISABLE_SYNC, GEOTAB_LATCH, GEOTAB_UNLATCH,
)  # fmt: skip

BY_TITLE: dict[str, Operation] = {operation.title: operation for operation in OPERATIONS}


def preview_of(operation: Operation) -> Operation | None:
    """The operation that shows what another one would invoice; None if the API has none."""
    if not operation.moves_money:
        return None
    same = (operation.method, operation.path)
    return next((each for each in OPERATIONS if not each.writes and (each.method, each.path) == same), None)


def names_of(statuses: Collection[Status]) -> str:
    """Statuses in words, in the order of a customer's life: "Draft, Active or Hold"."""
    names = [str(status) for status in Status if status in statuses]
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
