"""The last answer about each customer, as the state from before a write."""

from __future__ import annotations

from fusebill_async.converting import decode_json
from fusebill_async.models import Activation, Customer
from fusebill_async.settling.evidence import Before

_KEPT = 512
"""Customers remembered; a megabyte at most. What is forgotten costs certainty, never correctness."""


class LastSeen:
    """Remembers the bytes of the last customers that the service sent, and when they came."""

    def __init__(self) -> None:
        self._wires: dict[int, tuple[bytes, float]] = {}

    def remember(self, answered: Customer | Activation, now: float) -> None:
        """Remember a customer that has come from the service at the time `now` (seconds)."""
        if isinstance(answered, Activation):
            # It may hold keys that belong to the activation, such as the invoice: never the base of a PUT.
            customer, now = answered.customer, float("-inf")
        else:
            customer = answered
        wire = customer.wire
        if wire is None:
            return
        wires = self._wires
        wires.pop(customer.id, None)
        wires[customer.id] = wire, now
        if len(wires) > _KEPT:
            del wires[next(iter(wires))]

    def before(self, customer_id: int) -> Before | None:
        """What is known of a customer, None if it has not been seen lately."""
        seen = self._wires.get(customer_id)
        return None if seen is None else before_of_wire(seen[0], given=False)

    def age(self, customer_id: int, wire: bytes, now: float) -> float:
        """Seconds since these bytes came, if they are the last that came of that customer; else infinite."""
        seen = self._wires.get(customer_id)
        return now - seen[1] if seen is not None and seen[0] is wire else float("inf")

    def forget(self, customer_id: int) -> None:
        """What came last is known to be outdated."""
        self._wires.pop(customer_id, None)


def before_of_wire(wire: bytes, *, given: bool) -> Before:
    """The state from before that the bytes of a customer are."""
    fields = decode_json(wire)
    return Before(status=fields.get("status"), modified=fields.get("modifiedTimestamp"), fields=fields, given=given)
