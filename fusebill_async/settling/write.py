"""One write on its way: the call, what is known around it, and the task that carries it out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import attrs

from fusebill_async.errors import FusebillError
from fusebill_async.outcome import Outcome
from fusebill_async.session.admission import Permit
from fusebill_async.session.call import Call
from fusebill_async.settling.goals import keys_of
from fusebill_async.settling.intent import Before, Intent, Reading, UnresolvedWrite
from fusebill_async.settling.response import Response
from fusebill_async.settling.seen import Seen, lags_behind, modified_text
from fusebill_async.wire.timestamps import is_older

Preparation: TypeAlias = "Callable[[Write, Permit], Awaitable[None]]"
"""Makes the request of a write right before it is sent, and fills in `named` and `before`."""


@attrs.frozen
class Failed:
    """What is kept of the error that a write ended with.

    Attributes:
        outcome: that the error tells.
        reason: the error in words.
    """

    outcome: Outcome
    reason: str


class Write:
    """A write. `resend` says whether it may be sent again after it was settled as not applied."""

    # Defaults stand on the class, as for `Call`.
    prepare: Preparation | None = None
    intent: Intent | None = None
    recorded: bool = False
    """The intent stands in the ledger; listing a write that is under way names it without recording it."""
    doubtful: bool = False
    """An earlier attempt of this write was unknown."""
    lagging: int = 0
    """Reads in a row, made before it is sent again, that lagged behind."""
    created_after: float | None = None
    """The service's time (epoch seconds) before which a create was certainly not sent, in any attempt."""
    state: str = "in flight"
    last_reading: Reading | None = None
    read_failure: str = ""
    """Why the last read that failed did so."""
    response: Response[Any] | None = None
    failed: Failed | None = None
    _error: Exception | None = None
    task: asyncio.Task[None] | None = None
    noticed: asyncio.Future[None] | None = None
    """Resolved when the task has ended or has begun to settle: the caller waits for that."""
    told: bool = False
    """Its caller knows the outcome, or waits for it no more."""
    _before: Before | None = None
    _wire: bytes | None = None
    _recent: bool = False

    def __init__(self, call: Call, named: Mapping[str, Any], *, resend: bool, prepare: Any = None) -> None:
        self.call = call
        self.named = named
        self.resend = resend
        if prepare is not None:
            self.prepare = prepare

    @property
    def before(self) -> Before | None:
        """What was known of the customer before the send. The bytes are decoded when it is asked for."""
        if self._before is None and self._wire is not None:
            keys = keys_of(self.call.operation.goal, self.named)
            self._before = Before.of(self._wire, keys, recent=self._recent)
        return self._before

    @before.setter
    def before(self, before: Before | None) -> None:
        self._before = before

    def knows(self, wire: bytes, *, recent: bool) -> None:
        """Note what was known of the customer before the send: the bytes of it, and whether they are recent."""
        self._wire, self._recent, self._before = wire, recent, None

    def has_seen(self, seen: Seen, now: float) -> None:
        """Note what the client has seen last of the customer, unless the caller handed in something newer."""
        if self._wire is None or is_older(modified_text(self._wire), seen.modified):
            self.knows(seen.wire, recent=self._wire is not None or seen.is_recent(now))

    def knew_newer(self, wire: bytes) -> bool:
        """Whether a customer as it came is older than what was known before the send: it shows nothing of the write."""
        return self._wire is not None and lags_behind(wire, modified_text(self._wire))

    def fail(self, error: Exception) -> None:
        """It ended with this error."""
        self._error = error
        self.failed = Failed(error.outcome if isinstance(error, FusebillError) else Outcome.UNKNOWN, str(error))

    def take_error(self) -> Exception:
        """The error that it ended with, for the one who raises it.

        It is not kept here: the traceback that it gets has the write in its frames.
        """
        error, self._error = self._error, None
        assert error is not None
        return error

    def notice(self) -> None:
        """Wake the caller."""
        if self.noticed is not None and not self.noticed.done():
            self.noticed.set_result(None)

    @property
    def settling(self) -> bool:
        """Whether it was sent, and is being read for now."""
        return self.state == "settling"

    def unresolved(self) -> UnresolvedWrite:
        """As `client.unresolved()` shows it."""
        assert self.intent is not None
        return listed(self.intent, self.state)


def listed(intent: Intent, state: str) -> UnresolvedWrite:
    """An open intent as a user sees it."""
    return UnresolvedWrite(
        id=intent.id,
        operation=intent.operation,
        customer_id=intent.customer_id,
        state=state,
        opened_at=intent.opened_at,
        reference=intent.named.get("reference") if intent.customer_id is None else None,
    )
