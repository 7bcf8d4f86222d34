"""What was seen of a customer, and the newest of each: the state before a write, which shows what reads lag behind."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import attrs

from fusebill_async.converting import UnreadableAnswer, decode_json, wire_fields
from fusebill_async.models import Activation, Customer

RECENT = 60.0
"""Seconds for which a read that is older than what was seen is known to lag behind."""

_KEPT = 1024
"""Customers remembered. After one is forgotten an attribution may be "unproven"; outcomes stay right."""

_MADE_KEPT = 512
"""Customers remembered as made by creates that are settled."""

_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)?", re.ASCII)
_DIGITS = 7
"""Digits of a fraction as the service writes it; one with fewer is filled up."""


@attrs.frozen(kw_only=True, repr=False)
class Reading:
    """What the service showed of a customer. The bytes are decoded once, when something of them is asked for.

    Attributes:
        customer: the customer; None if the service said that there is no such customer.
        sent_at: when the request was sent that this came in answer to, by the client's clock in seconds.
        whole: it is a customer and nothing else, so that a PUT may rest on it.
    """

    customer: Customer | None
    sent_at: float = 0.0
    whole: bool = True

    @classmethod
    def of(cls, shown: Customer | Activation, sent_at: float = 0.0) -> Reading:
        """What an answer showed. An activation may hold keys of its own, so it is never the base of a PUT."""
        if isinstance(shown, Customer):
            return cls(customer=shown, sent_at=sent_at)
        return cls(customer=shown.customer, sent_at=sent_at, whole=False)

    @cached_property
    def fields(self) -> Mapping[str, Any]:
        """The customer's keys and values, as JSON has them."""
        wire = None if self.customer is None else self.customer.wire
        fields: Mapping[str, Any] = {} if wire is None else decode_json(wire)
        return fields

    @property
    def status(self) -> str | None:
        """The service status; None if there is no such customer."""
        return self.fields.get("status")

    @property
    def modified(self) -> str | None:
        """`modifiedTimestamp` as it came, all seven digits; None if there is none."""
        modified = self.fields.get("modifiedTimestamp")
        return modified if isinstance(modified, str) else None

    def is_recent(self, now: float) -> bool:
        """Whether it was seen so lately that an older read lags behind."""
        return now - self.sent_at <= RECENT

    def __repr__(self) -> str:
        return f"Reading(status={self.status!r}, modified={self.modified!r})"


@attrs.frozen(kw_only=True)
class Before:
    """What was known of a customer before a write was sent: enough to judge what a read shows afterwards.

    Attributes:
        status: the service status.
        modified: `modifiedTimestamp` as it came, all seven digits; None if there was none.
        fields: the values of the keys that the operation's goal looks at.
        recent: the caller handed it in, the call itself read it, or it was seen within a minute before the send.
        texts: the same values as they came, for who goes back to them; empty where nobody does.
    """

    status: str | None
    modified: str | None
    fields: Mapping[str, Any] = attrs.field(factory=dict[str, Any], repr=False)
    recent: bool = False
    texts: Mapping[str, Any] = attrs.field(factory=dict[str, Any], eq=False, repr=False)

    @classmethod
    def of(cls, reading: Reading, keys: Collection[str], *, recent: bool, literally: bool = False) -> Before:
        """What a reading tells of the keys that the operation's goal looks at."""
        wire = None if reading.customer is None or not literally else reading.customer.wire
        texts = {} if wire is None else wire_fields(wire)
        return cls(
            status=reading.status,
            modified=reading.modified,
            fields={key: reading.fields[key] for key in keys if key in reading.fields},
            recent=recent,
            texts={key: texts[key] for key in keys if key in texts},
        )


def modified_text(wire: bytes) -> str | None:
    """`modifiedTimestamp` of a customer as it came; None if there is none."""
    try:
        modified = decode_json(bytes(wire_fields(wire).get("modifiedTimestamp", b"null")))
    except UnreadableAnswer:
        return None
    return modified if isinstance(modified, str) else None


def lags_behind(modified: str | None, *seen: str | None) -> bool:
    """Whether a `modifiedTimestamp` is older than any of those that were seen of the customer."""
    return any(is_older(modified, newest) for newest in seen)


def is_older(timestamp: str | None, than: str | None) -> bool:
    """Whether a timestamp of the service is certainly older than another one.

    Equal texts are equal. Others are compared to the seventh digit, which a `datetime` would lose. Without a zone they
    are in UTC. What cannot be read is not older.
    """
    if timestamp is None or than is None or timestamp == than:
        return False
    one, other = _comparable(timestamp), _comparable(than)
    return one is not None and other is not None and one < other


def tick_of(timestamp: str) -> float | None:
    """The seconds within which two moments get this same text, by the digits that it has; None if it cannot be read."""
    found = _TIMESTAMP.fullmatch(timestamp)
    return None if found is None else 10.0 ** -len(found[2] or "")


def _comparable(timestamp: str) -> tuple[str, str] | None:
    """The time in UTC and the fraction of its second, each a text that sorts as it passes."""
    found = _TIMESTAMP.fullmatch(timestamp)
    if found is None:
        return None
    moment, fraction, zone = found.groups("")
    try:
        # Also without a zone: that there is such a moment.
        read = datetime.fromisoformat(moment + (zone or "Z"))
        moment = read.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    except (ValueError, OverflowError):
        return None
    return moment, fraction.ljust(_DIGITS, "0")


class LastSeen:
    """Remembers what the service showed of the last customers. A read that lags behind does not displace it."""

    def __init__(self) -> None:
        self._seen: OrderedDict[int, Reading] = OrderedDict()
        self._heard: dict[int, str] = {}
        self._made: dict[int, None] = {}

    def remember(self, reading: Reading, *, made: bool = False) -> None:
        """Remember what was seen of a customer.

        Args:
            reading: what an answer showed.
            made: a create of this client made it, so no other create can claim it.
        """
        customer = reading.customer
        if customer is None:
            return
        if made:
            self._made[customer.id] = None
            if len(self._made) > _MADE_KEPT:
                del self._made[next(iter(self._made))]
        known = self._seen.get(customer.id)
        if known is None or not _displaced(reading, known):
            self._seen[customer.id] = reading
            self._seen.move_to_end(customer.id)
            if len(self._seen) > _KEPT:
                self._seen.popitem(last=False)

    def of(self, customer_id: int) -> Reading | None:
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


def _displaced(new: Reading, known: Reading) -> bool:
    """Whether a customer that just came is older than the one kept."""
    if new.fields == known.fields and new.whole == known.whole:
        return new.sent_at < known.sent_at
    if not known.is_recent(new.sent_at):
        return False
    return is_older(new.modified, known.modified) or (
        new.sent_at < known.sent_at and not is_older(known.modified, new.modified)
    )
