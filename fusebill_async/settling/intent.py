"""The record of a write that is open: what was meant, and what was known before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from fusebill_async.converting import decode_json
from fusebill_async.models import Customer
from fusebill_async.record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Reading(Record):
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


class Before:
    """What was known of a customer before the send. The wire is decoded when somebody asks: most writes just work.

    Attributes:
        wire: the customer as it came; None if only the summary is known.
        given: the caller handed it in, or the call itself read it; otherwise it is the last answer about that
            customer that this client saw.
    """

    __slots__ = ("_fields", "_summary", "given", "wire")

    def __init__(
        self, *, wire: bytes | None = None, given: bool = False, summary: tuple[str | None, str | None] | None = None
    ) -> None:
        self.wire = wire
        self.given = given
        self._summary = summary
        self._fields: Mapping[str, Any] | None = None

    @property
    def fields(self) -> Mapping[str, Any]:
        """The customer's keys and values; empty if only the summary is known."""
        fields = self._fields
        if fields is None:
            fields = self._fields = {} if self.wire is None else decode_json(self.wire)
        return fields

    @property
    def summary(self) -> tuple[str | None, str | None]:
        """The status and the `modifiedTimestamp`, as they came."""
        if self._summary is None:
            self._summary = self.fields.get("status"), self.fields.get("modifiedTimestamp")
        return self._summary

    @property
    def status(self) -> str | None:
        """The service status."""
        return self.summary[0]

    @property
    def modified(self) -> str | None:
        """`modifiedTimestamp` as it came, all seven digits."""
        return self.summary[1]


@attrs.define(kw_only=True, eq=False, repr=False)
class Intent(Record):
    """A write that may have been sent and has no known outcome.

    Attributes:
        id: its name in the ledger.
        operation: the operation's title, such as "customers.hold".
        customer_id: the customer; None for a create.
        named: wire keys and values that the caller gave, for comparing a later read with them.
        opened_at: the service's time (epoch seconds) before which it was certainly not sent; by the local clock
            with a wide margin as long as the service has not told its time.
        known: what was known of the customer before, None if nothing was.
    """

    id: str
    operation: str
    customer_id: int | None
    named: Mapping[str, Any]
    opened_at: float
    _before: tuple[str | None, str | None] | None = attrs.field(default=None, alias="before")
    known: Before | None = attrs.field(default=None, eq=False, repr=False)

    @property
    def before(self) -> tuple[str | None, str | None] | None:
        """The status and the `modifiedTimestamp` from before: what a store keeps of it."""
        return self._before if self.known is None else self.known.summary


@attrs.frozen(kw_only=True, eq=False, repr=False)
class UnresolvedWrite(Record):
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
