"""The last answer about each customer, as the state from before a write."""

from __future__ import annotations

from fusebill_async.models import Activation, Customer

_KEPT = 512
"""Customers remembered, up to twice as many; what is forgotten costs certainty, never correctness."""


class LastSeen:
    """Remembers the bytes of the last customers that the service sent, and when they came."""

    def __init__(self) -> None:
        # Two generations: when the young one is full it becomes the old one, and the old one is forgotten.
        self._young: dict[int, tuple[bytes, float]] = {}
        self._old: dict[int, tuple[bytes, float]] = {}

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
        self._young[customer.id] = wire, now
        if len(self._young) >= _KEPT:
            self._old, self._young = self._young, {}

    def wire(self, customer_id: int) -> bytes | None:
        """The last that came of a customer, None if it has not been seen lately."""
        seen = self._seen(customer_id)
        return None if seen is None else seen[0]

    def age(self, customer_id: int, wire: bytes, now: float) -> float:
        """Seconds since these bytes came, if they are the last that came of that customer; else infinite."""
        seen = self._seen(customer_id)
        return now - seen[1] if seen is not None and seen[0] is wire else float("inf")

    def _seen(self, customer_id: int) -> tuple[bytes, float] | None:
        return self._young.get(customer_id) or self._old.get(customer_id)
