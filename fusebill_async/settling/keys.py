"""Idempotency keys: what names a call, and what the ledger keeps of it."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import attrs

from fusebill_async.converting import canonical
from fusebill_async.errors import ValidationError
from fusebill_async.operations import Operation
from fusebill_async.outcome import Attribution, Outcome

LONGEST_KEY = 255
KEEP_OUTCOMES = 30 * 24 * 3600.0
"""Seconds for which the outcome of a key is kept, if nothing else is said."""

_VERSION = 1
"""Of the digest. What was kept under another one cannot be compared."""
_LOCKS_FROM = -(2**57)
"""Locks of keys are below this number, those of references above it, and those of customers above zero."""


class KeyTakenError(Exception):
    """A key belongs to an intent that the new one does not replace. It is caught where an intent is recorded."""


@attrs.frozen(kw_only=True)
class CallKey:
    """The idempotency key of one call. The key itself is kept nowhere: a user may have put anything into it.

    Attributes:
        id: a hash of the key.
        digest: a hash of what the call asks for, so that a key is not used for another call.
        began: when the call began, in epoch seconds by the local clock.
    """

    id: str
    digest: str
    began: float

    @property
    def lock(self) -> int:
        """The number of the lock for a call with this key that names neither a customer nor a reference."""
        return _LOCKS_FROM - int(self.id[:14], 16)


def call_key(key: Any, operation: Operation, customer_id: int | None, asked: Any, *, now: float) -> CallKey:
    """The key of a call.

    Args:
        key: as the caller gave it, 1 to 255 characters.
        operation: what is done.
        customer_id: whom it acts on.
        asked: what the caller named, as it goes over the wire.
        now: in epoch seconds by the local clock.

    Raises:
        ValidationError: it cannot be a key.
    """
    digest = _hash(canonical([_VERSION, operation.title, customer_id, asked]))
    return CallKey(id=key_id(key), digest=digest, began=now)


def key_id(key: Any) -> str:
    """The name under which a ledger keeps a key.

    Raises:
        ValidationError: it cannot be a key.
    """
    if not isinstance(key, str) or not 1 <= len(key) <= LONGEST_KEY:
        given = f"{len(key)} characters" if isinstance(key, str) else type(key).__name__
        raise ValidationError(
            f"idempotency_key must be a str of 1 to {LONGEST_KEY} characters, not {given}", field="idempotency_key"
        )
    return _hash(key.encode("utf-8", "surrogatepass"))


def _hash(text: bytes) -> str:
    return hashlib.blake2b(text, digest_size=16).hexdigest()


@attrs.frozen(kw_only=True)
class Ended:
    """How a write ended.

    Attributes:
        outcome: anything but unknown, where it is kept under a key.
        customer_id: whom it acted on; of a create, the customer that it made.
        attribution: for `APPLIED`.
        status: of the answer that told it; None if there was none.
        at: when, in epoch seconds by the local clock.
        attempts: how many requests were sent for it.
        message: of the error that it ended with, "" for none.
        modified: `modifiedTimestamp` of the customer as the write left it, as it came; None if that is not known.
        seconds: that its requests and the pauses between them took, without waiting in line for a slot.
    """

    outcome: Outcome
    customer_id: int | None
    attribution: Attribution | None
    status: int | None
    at: float
    attempts: int = 0
    message: str = ""
    modified: str | None = None
    seconds: float = 0.0


@attrs.frozen(kw_only=True)
class Recorded:
    """What is kept of a call with an idempotency key: no name, no address, nothing that was sent.

    Attributes:
        operation: its title, such as "customers.activate".
        customer_id: whom it acted on; of a create, the customer that it made.
        outcome: `UNKNOWN` as long as it is under way or not settled.
        attribution: for `APPLIED`, whether that call caused the effect.
        status: of the answer that told the outcome.
        began, ended: in epoch seconds by the local clock; `ended` is None as long as the outcome is unknown.
        intent_id: the name of the call in the ledger of open intents, for `client.resolve`.
        digest: a hash of what the call asked for.
    """

    operation: str
    customer_id: int | None
    outcome: Outcome
    attribution: Attribution | None = None
    status: int | None = None
    began: float
    ended: float | None = None
    intent_id: str = attrs.field(repr=False)
    digest: str = attrs.field(repr=False)

    @property
    def began_at(self) -> datetime:
        """When the call was recorded (aware, UTC)."""
        return datetime.fromtimestamp(self.began, UTC)

    @property
    def ended_at(self) -> datetime | None:
        """When its outcome was known (aware, UTC); None if it is not."""
        return None if self.ended is None else datetime.fromtimestamp(self.ended, UTC)

    def with_end(self, ended: Ended) -> Recorded:
        """The same call with its outcome."""
        return attrs.evolve(
            self,
            outcome=ended.outcome,
            customer_id=ended.customer_id,
            attribution=ended.attribution,
            status=ended.status,
            ended=ended.at,
        )
