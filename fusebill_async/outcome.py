"""Outcomes and attributions of a call, and the facts about each attempt that a policy reads."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import attrs


class Outcome(StrEnum):
    """What is known of a call's effect at the service."""

    APPLIED = "applied"
    """It happened: the service said so, or a read afterwards shows it."""
    REJECTED = "rejected"
    """The service refused it; nothing changed."""
    NOT_SENT = "not_sent"
    """Not one byte of it left this process."""
    UNKNOWN = "unknown"
    """It was sent, no usable answer came, and no read has settled it."""
    NOT_APPLIED = "not_applied"
    """It was sent, no usable answer came, and reads have shown that it did not happen."""


class Attribution(StrEnum):
    """Whether this call caused the effect."""

    OURS = "ours"
    """This call did it: nothing else can have done it since the state before was seen."""
    ALREADY = "already"
    """The effect was there before the call, and the call changed nothing."""
    UNPROVEN = "unproven"
    """The effect is there. This call or somebody else caused it, and no read can tell which."""


class ConfirmedBy(StrEnum):
    """What showed that the effect is there."""

    RESPONSE = "response"
    """The answer to the call."""
    READ = "read"
    """A read after it."""
    RECORD = "record"
    """The store: an earlier call with the same idempotency key did it."""


class Phase(StrEnum):
    """How far an attempt came. Before `SENT`, no byte of the request has left the process."""

    QUEUED = "queued"
    """It waited for the customer's lock, for quota or for a place in the pool."""
    CONNECTING = "connecting"
    """A connection was being made."""
    SENT = "sent"
    """A connection was handed out: from here on the service may have acted."""
    HEADERS = "headers"
    """The status line and the headers of the answer came."""
    ANSWERED = "answered"
    """The whole answer came."""

    @property
    def nothing_sent(self) -> bool:
        """Whether it is proven that not one byte of the request left."""
        return self in BEFORE_SENDING


BEFORE_SENDING = frozenset({Phase.QUEUED, Phase.CONNECTING})


@attrs.frozen(kw_only=True)
class Attempt:
    """The record of one attempt.

    `duration` is in seconds, from the hand-out of a connection (or the start of connecting) to the end.
    `reason` says in words what went wrong, "" if nothing did; `followed` says what was done about it.
    """

    number: int
    phase: Phase
    status: int | None
    duration: float
    reason: str = ""
    followed: str = ""


@attrs.frozen(kw_only=True)
class Window:
    """One quota window as the service last described it. `resets_at` is the service's time (aware, UTC)."""

    limit: int
    remaining: int
    resets_at: datetime | None = None


@attrs.frozen(kw_only=True)
class QuotaSeen:
    """The `X-Rate-Limit-*` headers of one answer. A window is None where its headers are missing or unreadable.

    `date` is the answer's `Date` (aware, UTC): the windows are relative to it, never to the local clock.
    """

    minute: Window | None = None
    day: Window | None = None
    date: datetime | None = None
