"""The record of a write that is open: what was meant, and what was known before it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import attrs

from fusebill_async.converting import decode_json
from fusebill_async.models import Customer


@attrs.frozen(kw_only=True)
class Reading:
    """What a read of a customer showed.

    Attributes:
        status: the service status; None if the service said that there is no such customer.
        modified: `modifiedTimestamp` as it came, all seven digits; None if there was none.
        customer: the whole customer; None with `status`.
    """

    status: str | None
    modified: str | None
    customer: Customer | None = attrs.field(default=None, repr=False)

    @classmethod
    def of(cls, customer: Customer) -> Reading:
        """The reading that a customer from the service is."""
        return cls.of_wire(customer.wire or b"{}", customer)

    @classmethod
    def of_wire(cls, wire: bytes, customer: Customer | None = None) -> Reading:
        """The reading that the bytes of a customer are."""
        fields = decode_json(wire)
        modified = fields.get("modifiedTimestamp")
        return cls(
            status=fields.get("status"),
            modified=modified if isinstance(modified, str) else None,
            customer=customer,
        )

    @property
    def fields(self) -> Mapping[str, Any]:
        """The customer's keys and values, as JSON has them."""
        if self.customer is None or self.customer.wire is None:
            return {}
        fields: Mapping[str, Any] = decode_json(self.customer.wire)
        return fields


@attrs.frozen(kw_only=True)
class Before:
    """What was known of a customer before a write was sent: enough to judge what a read shows afterwards.

    Attributes:
        status: the service status.
        modified: `modifiedTimestamp` as it came, all seven digits; None if there was none.
        fields: the values of the keys that the operation's goal looks at.
        recent: the caller handed it in, the call itself read it, or it was seen within a minute before the send.
    """

    status: str | None
    modified: str | None
    fields: Mapping[str, Any] = attrs.field(factory=dict[str, Any], repr=False)
    recent: bool = False

    @classmethod
    def of(cls, wire: bytes, keys: Collection[str], *, recent: bool) -> Before:
        """What the bytes of a customer tell.

        Args:
            wire: the customer as it came.
            keys: those that the operation's goal looks at.
            recent: see above.
        """
        fields = decode_json(wire)
        modified = fields.get("modifiedTimestamp")
        return cls(
            status=fields.get("status"),
            modified=modified if isinstance(modified, str) else None,
            fields={key: fields[key] for key in keys if key in fields},
            recent=recent,
        )


@attrs.define(kw_only=True)
class Intent:
    """A write that may have been sent and has no known outcome.

    Attributes:
        id: its name in the ledger.
        operation: the operation's title, such as "customers.hold".
        customer_id: the customer; None for a create.
        named: wire keys and values that the caller gave, for comparing a later read with them.
        opened_at: the service's time (epoch seconds) before which it was certainly not sent; by the local clock
            with a wide margin as long as the service has not told its time.
        before: what was known of the customer before, None if nothing was.
    """

    id: str
    operation: str
    customer_id: int | None
    named: Mapping[str, Any] = attrs.field(repr=False)
    opened_at: float
    before: Before | None = None


@attrs.frozen(kw_only=True)
class UnresolvedWrite:
    """A write whose outcome is not known yet, as `client.unresolved()` lists it.

    Attributes:
        id: its name in the ledger, for `client.resolve(...)`.
        operation: such as "customers.activate".
        customer_id: the customer acted on; None for a create.
        state: "in flight", "settling" or "unknown".
        opened_at: when it was sent at the earliest, in epoch seconds.
        reference: of the customer that a create was to make, None if it was given none.
    """

    id: str
    operation: str
    customer_id: int | None
    state: str
    opened_at: float
    reference: str | None = None

    def __str__(self) -> str:
        who = "" if self.customer_id is None else f" of customer {self.customer_id}"
        if self.reference is not None:
            who = f" with reference {self.reference!r}"
        return f"{self.operation}{who} ({self.state})"
