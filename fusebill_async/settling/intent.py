"""The record of a write that is open: what was meant, and what was known before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from fusebill_async.settling.keys import CallKey
from fusebill_async.settling.seen import Before


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
        key: its idempotency key, None if it has none.
        replaces: the name of the intent whose key it takes over, since that ended without an effect. It is not kept.
    """

    id: str
    operation: str
    customer_id: int | None
    named: Mapping[str, Any] = attrs.field(repr=False)
    opened_at: float
    before: Before | None = None
    key: CallKey | None = None
    replaces: str | None = None


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
