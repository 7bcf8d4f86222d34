"""The newest state seen of each customer. It is the state before a write, and shows which reads lag behind."""

from __future__ import annotations

from collections import OrderedDict

import attrs

from fusebill_async.converting import UnreadableAnswer, decode_json, wire_fields
from fusebill_async.models import Activation, Customer
from fusebill_async.wire.timestamps import is_older

RECENT = 60.0
"""Seconds for which a read that is older than what was seen is known to lag behind."""

_KEPT = 1024
"""Customers remembered. After one is forgotten an attribution may be "unproven"; outcomes stay right."""

_MADE_KEPT = 512
"""Customers remembered as made by creates that are settled."""


@attrs.frozen
class Seen:
    """The newest that was seen of one customer.

    Attributes:
        wire: the customer as it came.
        sent_at: when the request was sent that this came in answer to, by the client's clock in seconds.
        whole: it is a customer and nothing else, so that a PUT may rest on it.
    """

    wire: bytes
    sent_at: float
    whole: bool = True

    @property
    def modified(self) -> str | None:
        """`modifiedTimestamp` as it came."""
        return modified_text(self.wire)

    def is_recent(self, now: float) -> bool:
        """Whether it was seen so lately that an older read lags behind."""
        return now - self.sent_at <= RECENT


def modified_text(wire: bytes) -> str | None:
    """`modifiedTimestamp` of a customer as it came; None if there is none."""
    try:
        modified = decode_json(bytes(wire_fields(wire).get("modifiedTimestamp", b"null")))
    except UnreadableAnswer:
        return None
    return modified if isinstance(modified, str) else None


def lags_behind(wire: bytes, *seen: str | None) -> bool:
    """Whether a customer as it came is older than any of the `modifiedTimestamp`s that were seen of it."""
    modified = modified_text(wire)
    return any(is_older(modified, newest) for newest in seen)


class LastSeen:
    """Remembers what the service showed of the last customers. A read that lags behind does not displace it."""

    def __init__(self) -> None:
        self._seen: OrderedDict[int, Seen] = OrderedDict()
        self._heard: dict[int, str] = {}
        self._made: dict[int, None] = {}

    def remember(self, answered: Customer | Activation, sent_at: float, *, made: bool = False) -> None:
        """Remember a customer that an answer shows.

        Args:
            answered: the customer, or what shows it.
            sent_at: when the request was sent, by the client's clock in seconds.
            made: a create of this client made it, so no other create can claim it.
        """
        # An activation may hold keys of its own, such as the invoice: it is never the base of a PUT.
        whole = isinstance(answered, Customer)
        customer = answered if isinstance(answered, Customer) else answered.customer
        wire = customer.wire
        if wire is None:
            return
        if made:
            self._made[customer.id] = None
            if len(self._made) > _MADE_KEPT:
                del self._made[next(iter(self._made))]
        known, new = self._seen.get(customer.id), Seen(wire, sent_at, whole)
        if known is not None and _displaced(new, known):
            return
        self._seen[customer.id] = new
        self._seen.move_to_end(customer.id)
        if len(self._seen) > _KEPT:
            self._seen.popitem(last=False)

    def of(self, customer_id: int) -> Seen | None:
        """The newest that was seen of a customer, None if it has not been seen lately."""
        return self._seen.get(customer_id)

    def was_made(self, customer_id: int) -> bool:
        """Whether a settled create of this client made the customer."""
        return customer_id in self._made

    def newest(self, customer_id: int, now: float) -> str | None:
        """The newest `modifiedTimestamp` that was seen lately: an older read is not used for anything."""
        seen = self.of(customer_id)
        modified = seen.modified if seen is not None and seen.is_recent(now) else None
        heard = self._heard.get(customer_id)
        return heard if modified is None or is_older(modified, heard) else modified

    def hear(self, customer_id: int, newest: str | None) -> None:
        """Learn from a customer's lock what others on the store have seen of it.

        Args:
            customer_id: the customer.
            newest: the newest `modifiedTimestamp`; None forgets it, when the lock is given back.
        """
        if newest is None:
            self._heard.pop(customer_id, None)
        else:
            self._heard[customer_id] = newest


def _displaced(new: Seen, known: Seen) -> bool:
    """Whether a customer that just came is older than the one kept."""
    if new.wire == known.wire and new.whole == known.whole:
        return new.sent_at < known.sent_at
    if not known.is_recent(new.sent_at):
        return False
    return is_older(new.modified, known.modified) or (
        new.sent_at < known.sent_at and not is_older(known.modified, new.modified)
    )
