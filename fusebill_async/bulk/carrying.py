"""Carries out one item of a job: from the item to its outcome."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import attrs

from fusebill_async.bulk.items import Item, Kind
from fusebill_async.bulk.ledger import JournalLedger
from fusebill_async.bulk.tallies import Tally, tally_of
from fusebill_async.bulk.undoing import NotAsLeftError
from fusebill_async.errors import ConcurrentModificationError, FusebillError, ValidationError, WouldEraseError
from fusebill_async.operations import MAY_BE_SENT_AGAIN
from fusebill_async.outcome import Attribution, Outcome
from fusebill_async.resources.core import ClientCore
from fusebill_async.session.gate import HeldBackError
from fusebill_async.settling.keys import Ended

_GUARDS = (ConcurrentModificationError, ValidationError, WouldEraseError)
"""With these a write is refused before it is sent, and would be refused again."""


@attrs.frozen(kw_only=True)
class Carried:
    """How an item was carried out.

    Attributes:
        tally: where it is counted.
        outcome: of the call.
        error: that it ended with, None for none.
        attempts: requests that were sent for it, over all runs.
        attribution: for what was applied.
        status: of the answer that told it.
        reason: why it was set aside, in words.
    """

    tally: Tally
    outcome: Outcome
    error: FusebillError | None = None
    attempts: int = 0
    attribution: Attribution | None = None
    status: int | None = None
    reason: str = ""


def tally_with(ended: Ended, error: FusebillError | None) -> Tally:
    """Where an item is counted whose write ended so.

    Args:
        ended: how.
        error: that it ended with.
    """
    tally = tally_of(ended)
    if tally is Tally.UNPROCESSED and isinstance(error, _GUARDS):
        return Tally.SKIPPED if isinstance(error, NotAsLeftError) else Tally.REJECTED
    return tally


class CarryOut(Protocol):
    """Carries out an item, and sees to it that the journal has the outcome."""

    async def __call__(self, item: Item, on_settling: Callable[[], None]) -> Carried:
        """Carry out an item.

        Args:
            item: of the job.
            on_settling: called when it takes reads, and time, to learn what became of it.
        """
        ...


class LocalCarrier:
    """Carries items out in this process.

    Args:
        core: of the client, with writes that are recorded in the job's ledger.
        kind: what the job does.
        ledger: of the job.
        only_read: settle what is open, and send nothing.
    """

    def __init__(self, core: ClientCore, kind: Kind, ledger: JournalLedger, *, only_read: bool = False) -> None:
        self._core = core
        self._kind = kind
        self._ledger = ledger
        self._only_read = only_read

    async def __call__(self, item: Item, on_settling: Callable[[], None]) -> Carried:
        """Carry out an item, or settle what an earlier run has left open of it.

        Raises:
            StoreUnavailableError: the journal cannot be written to. Nothing was sent for the item.
        """
        self._ledger.begin(item)
        carried = self._set_aside(item, item.aside) if item.aside else None
        if carried is None and item.intent_id is not None:
            on_settling()
            carried = await self._settle(item, item.intent_id)
        if carried is None:
            carried = await self._send(item, on_settling)
        # What was dropped instead may be closed yet.
        self._ledger.done(item)
        return carried

    def _set_aside(self, item: Item, reason: str) -> Carried:
        at = self._core.session.effects.wall()
        ended = Ended(
            outcome=Outcome.NOT_SENT, customer_id=item.customer_id, attribution=None, status=None, at=at, message=reason
        )
        self._ledger.keep(item, ended, Tally.SKIPPED)
        return Carried(tally=Tally.SKIPPED, outcome=Outcome.NOT_SENT, attempts=item.attempts, reason=reason)

    async def _settle(self, item: Item, intent_id: str) -> Carried | None:
        """Settle an open write; None if it had no effect and is to be sent anew."""
        resolution = await self._core.writing.resolver.resolve(intent_id)
        again = not self._only_read and self._kind.operation.safety in MAY_BE_SENT_AGAIN
        if resolution.outcome is Outcome.NOT_APPLIED and again:
            return None
        return Carried(
            tally=Tally(resolution.outcome.value),
            outcome=resolution.outcome,
            attempts=item.attempts + 1,
            attribution=resolution.attribution,
        )

    async def _send(self, item: Item, on_settling: Callable[[], None]) -> Carried:
        core, kind = self._core, self._kind
        error: FusebillError | None = None
        try:
            objection = await kind.objection(core, item)
        except FusebillError as raised:
            return Carried(tally=Tally.UNPROCESSED, outcome=Outcome.NOT_SENT, error=raised, attempts=item.attempts)
        if objection:
            return self._set_aside(item, objection)
        write = kind.write(core, item)
        try:
            response = await core.writing.writer.write(write, on_settling)
            kind.check_answer(write, response)
        except HeldBackError as held:
            return Carried(tally=Tally.UNPROCESSED, outcome=Outcome.NOT_SENT, error=held, attempts=item.attempts)
        except FusebillError as raised:
            if self._ledger.failed is not None:
                raise self._ledger.failed from None
            error = raised
        ended = write.ended(core.session.effects.wall())
        tally = tally_with(ended, error)
        if not write.recorded:
            # Whatever was recorded has its outcome in the journal when its intent is closed.
            self._ledger.keep(item, ended, tally)
        return Carried(
            tally=tally,
            outcome=ended.outcome if error is None else error.outcome,
            error=error,
            attempts=item.attempts + ended.attempts,
            attribution=ended.attribution,
            status=ended.status,
        )
