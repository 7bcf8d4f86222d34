"""The calls of a world: what is asked, of whom, and how the caller saw it end."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from fusebill_async import Attribution, ConfirmedBy, Customer, Outcome
from fusebill_async.models import Activation
from fusebill_async.operations import (
    ACTIVATE,
    ACTIVATE_ITEMS,
    CANCEL,
    CREATE,
    GEOTAB_LATCH,
    GEOTAB_UNLATCH,
    GET,
    HOLD,
    HUBSPOT_LATCH,
    HUBSPOT_UNLATCH,
    LIST,
    NETSUITE_DISABLE_SYNC,
    NETSUITE_ENABLE_SYNC,
    NETSUITE_LATCH,
    OVERVIEW,
    PREVIEW_ACTIVATION,
    PREVIEW_RELEASE_HOLD,
    RELEASE_HOLD,
    REPLACE,
    SALESFORCE_LATCH,
    UNCANCEL,
    UPDATE,
    Operation,
)

_WEIGHTS: tuple[tuple[Operation, float], ...] = (
    (UPDATE, 26), (HOLD, 10), (RELEASE_HOLD, 8), (ACTIVATE, 10), (CANCEL, 3), (UNCANCEL, 4), (CREATE, 4), (REPLACE, 4),
    (HUBSPOT_UNLATCH, 6), (HUBSPOT_LATCH, 3), (SALESFORCE_LATCH, 2), (NETSUITE_LATCH, 2), (NETSUITE_ENABLE_SYNC, 1),
    (NETSUITE_DISABLE_SYNC, 1), (GEOTAB_LATCH, 2), (GEOTAB_UNLATCH, 1), (ACTIVATE_ITEMS, 1), (GET, 7), (OVERVIEW, 1),
    (LIST, 1), (PREVIEW_ACTIVATION, 1), (PREVIEW_RELEASE_HOLD, 1),
)  # fmt: skip
_PATHS = {
    "companyName": ("company_name",),
    "firstName": ("first_name",),
    "lastName": ("last_name",),
    "primaryPhone": ("primary_phone",),
    "customerReference.reference1": ("customer_reference", "reference1"),
    "customerReference.reference2": ("customer_reference", "reference2"),
    "customerAcquisition.source": ("customer_acquisition", "source"),
}
"""Fields that updates name, by their dotted paths on the wire, and as the coroutines take them."""

_STAMP = re.compile(rb'"modifiedTimestamp":"([^"]*)"')


@attrs.frozen(kw_only=True)
class Planned:
    """A call, drawn when its turn comes.

    Attributes:
        client: the handle it is made with.
        named: what it names, by wire keys, of an update by dotted paths.
        way: how an update is written: "id", "customer" (one that was read before is handed in) or "edit".
        pause: seconds between such a read and the call.
        read_first: the caller reads the customer first.
        resend: what moves money may be sent again.
        cancelled_after, deadline: seconds, None if the caller is patient.
    """

    number: int
    client: str
    operation: Operation
    customer_id: int | None
    named: Mapping[str, Any]
    way: str
    pause: float
    read_first: bool
    resend: bool
    cancelled_after: float | None
    deadline: float | None

    def __str__(self) -> str:
        told = [f"{self.operation.title} of {self.customer_id}"]
        told += [f"naming {dict(self.named)}"] if self.named else []
        told += [self.way] if self.operation in {UPDATE, REPLACE} else []
        told += [name for name in ("read_first", "resend") if getattr(self, name)]
        told += [f"cancelled after {self.cancelled_after:.3f} s"] if self.cancelled_after is not None else []
        told += [f"deadline {self.deadline:.3f} s"] if self.deadline is not None else []
        return ", ".join(told)

    @property
    def paths(self) -> dict[str, Any]:
        """The arguments of an update."""
        changes: dict[str, Any] = {}
        for path, value in self.named.items():
            first, *rest = _PATHS[path]
            if rest:
                changes.setdefault(first, {})[rest[0]] = value
            else:
                changes[first] = value
        return changes

    def assign(self, customer: Any) -> None:
        """Lay the changes of an update over a customer or a draft."""
        for path, value in self.named.items():
            *objects, last = _PATHS[path]
            place = customer
            for name in objects:
                place = getattr(place, name)
            setattr(place, last, value)

    @property
    def arguments(self) -> dict[str, Any]:
        """What is given besides the customer, of everything but an update."""
        given = _ARGUMENTS[self.operation](self) if self.operation in _ARGUMENTS else {}
        if self.operation is CREATE or (self.operation.moves_money and self.operation.goal is not None):
            given["resend"] = self.resend
        return given


_ARGUMENTS: Mapping[Operation, Callable[[Planned], dict[str, Any]]] = {
    ACTIVATE: lambda _: {
        "activate_all_subscriptions": True,
        "activate_all_draft_purchases": True,
        "temporarily_disable_auto_post": False,
    },
    RELEASE_HOLD: lambda _: {"service_start_option": "NoChargesForMissedPeriods"},
    PREVIEW_RELEASE_HOLD: lambda _: {"service_start_option": "NoChargesForMissedPeriods"},
    CANCEL: lambda _: {"cancellation_option": "None"},
    HUBSPOT_LATCH: lambda planned: {
        "hubspot_id": planned.named["hubSpotId"],
        "hubspot_company_id": planned.named["hubSpotCompanyId"],
    },
    SALESFORCE_LATCH: lambda planned: {"salesforce_id": planned.named["salesforceId"], "force_latch": True},
    NETSUITE_LATCH: lambda planned: {"netsuite_id": planned.named["netsuiteId"]},
    GEOTAB_LATCH: lambda planned: {"geotab_id": planned.named["geotabId"]},
    ACTIVATE_ITEMS: lambda planned: {"subscription_ids": [planned.number + 1]},
    CREATE: lambda planned: {
        "reference": planned.named["reference"],
        "company_name": f"Company {planned.number}",
    },
}


def draw_operation(chance: random.Random, status: str) -> Operation:
    """Draw an operation, mostly one that the customer's status allows."""
    anyhow = chance.random() < 0.06
    fitting = [
        (operation, weight)
        for operation, weight in _WEIGHTS
        if anyhow or operation.allowed_from is None or status in operation.allowed_from
    ]
    return chance.choices([operation for operation, _ in fitting], [weight for _, weight in fitting])[0]


def draw_named(chance: random.Random, operation: Operation, seed: int, number: int) -> dict[str, Any]:
    """Draw what a call names. Each value is named once in a world, so that it tells who wrote it."""
    if operation in {UPDATE, REPLACE}:
        return {path: f"{path[-9:]} of {number}" for path in chance.sample(list(_PATHS), chance.choice((1, 1, 2)))}
    if operation is CREATE:
        return {"reference": f"made-{seed}-{number}" if chance.random() < 0.9 else None}
    if operation is HUBSPOT_LATCH:
        return {"hubSpotId": 10_000 + number, "hubSpotCompanyId": 20_000 + number}
    if operation is SALESFORCE_LATCH:
        return {"salesforceId": f"0011U00000{number:05}"}
    if operation is NETSUITE_LATCH:
        return {"netsuiteId": f"{700_000 + number}"}
    if operation is GEOTAB_LATCH:
        return {"geotabId": f"G-{number}"}
    return {}


@attrs.frozen
class Told:
    """What a caller was told, and when. `outcome` is None if it was cancelled."""

    at: float
    outcome: Outcome | None
    confirmed_by: ConfirmedBy | None = None
    attribution: Attribution | None = None
    error: str = ""
    message: str = ""
    intent_id: str | None = None
    customer_id: int | None = None
    stamp: str | None = None
    """`modifiedTimestamp` of the customer that was given back."""

    def __str__(self) -> str:
        if self.outcome is None:
            return self.error or "caller cancelled"
        if self.outcome is Outcome.APPLIED and self.confirmed_by is not None:
            whose = f", {self.attribution}" if self.confirmed_by is not ConfirmedBy.RESPONSE else ""
            return f"applied ({self.confirmed_by}{whose})"
        return f"{self.outcome} ({self.error})" if self.error else str(self.outcome)


@attrs.define(eq=False)
class CallRecord:
    """A call from its beginning to its end."""

    planned: Planned
    begun: float
    told: Told | None = None
    doubted: list[float] = attrs.field(factory=list)
    """Each time that settling began: the client has sent it by then, and knows of no answer."""
    ended: Outcome | None = None
    """How its write ended, also after its caller had left; None if it has not."""
    settled: Told | None = None
    """What settling in the background came to, after the caller had left."""
    resolved: Told | None = None
    """What `client.resolve` came to, in the end."""


def shown_by(value: Any) -> tuple[int | None, str | None]:
    """The customer's id and `modifiedTimestamp` that a value from the client shows, as far as it does."""
    customer = value.customer if isinstance(value, Activation) else value
    if not isinstance(customer, Customer) or customer.wire is None:
        return None, None
    found = _STAMP.search(customer.wire)
    return customer.id, None if found is None else found[1].decode()
