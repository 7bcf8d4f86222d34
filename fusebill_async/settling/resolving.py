"""Settles writes that were left open, by this client or by another process."""

from __future__ import annotations

import asyncio

import attrs

from fusebill_async.errors import NotUnresolvedError, shown
from fusebill_async.models import Activation
from fusebill_async.operations import BY_TITLE, REQUEST, Operation
from fusebill_async.outcome import Outcome
from fusebill_async.session.call import Call
from fusebill_async.session.manager import SessionManager
from fusebill_async.settling.intent import Intent, UnresolvedWrite
from fusebill_async.settling.keys import Ended
from fusebill_async.settling.locking import WriteLocks, lock_of
from fusebill_async.settling.open_writes import OpenWrites
from fusebill_async.settling.reader import Settled, SettlingReader
from fusebill_async.settling.response import Resolution
from fusebill_async.settling.write import Write, WriteState, listed


@attrs.frozen(eq=False, repr=False)
class Resolver:
    """Settles open intents by reading. It never sends a write."""

    _session: SessionManager
    _reader: SettlingReader
    _open_writes: OpenWrites
    _locks: WriteLocks

    def unresolved(self) -> list[UnresolvedWrite]:
        """Every write whose outcome is not known, oldest first."""
        return self._open_writes.listed()

    async def resolve(self, intent_id: str) -> Resolution:
        """Settle one unresolved write.

        Args:
            intent_id: its name.

        Raises:
            NotUnresolvedError: there is no such unresolved write.
        """
        under_way = self._open_writes.find_under_way(intent_id)
        if under_way is not None:
            assert under_way.task is not None
            await asyncio.wait([under_way.task])
        intent = self._open_writes.recorded(intent_id)
        if intent is None:
            if under_way is not None and under_way.intent is not None:
                return _resolution_of(under_way)
            raise _not_unresolved(intent_id)
        write = self._write_of(intent)
        locked = lock_of(write)
        if locked is not None:
            await self._locks.take_to_resolve(locked)
            self._locks.hear(intent.customer_id)
        try:
            return await self._settle(write, intent)
        finally:
            if locked is not None:
                self._locks.give_back(locked)

    async def settle_held(self, intent: Intent) -> None:
        """Settle an open intent whose lock is held.

        Raises:
            NotUnresolvedError: it is open no more.
        """
        await self._settle(self._write_of(intent), intent)

    async def _settle(self, write: Write, intent: Intent) -> Resolution:
        if self._open_writes.recorded(intent.id) is None:
            # Its owner, or somebody else who resolves it, has settled it while we waited for the lock.
            raise _not_unresolved(intent.id)
        # Who is to be told of the outcome now is whoever resolves it.
        write.state, write.told = WriteState.SETTLING, False
        settled = await self._reader.settle(write, "no usable answer came")
        write.state = WriteState.UNKNOWN if settled.outcome is Outcome.UNKNOWN else WriteState.ENDED
        await self._open_writes.close_or_keep(write, self._ended(write, settled))
        self._open_writes.told(write)
        return Resolution(
            write=listed(intent, WriteState.UNKNOWN),
            outcome=settled.outcome,
            attribution=settled.attribution if settled.outcome is Outcome.APPLIED else None,
            customer=settled.reading.customer if settled.reading is not None else None,
            reason=settled.reason,
        )

    def _write_of(self, intent: Intent) -> Write:
        return self._open_writes.unknown.get(intent.id) or self._revived(intent)

    def _revived(self, intent: Intent) -> Write:
        """The write that another process left open."""
        # What `client.request` sends is in no table, and has no goal that a read could show.
        operation: Operation = BY_TITLE.get(intent.operation, REQUEST)
        write = Write(
            Call(operation, intent.customer_id, None, self._reader.read_options),
            intent.named,
            resend=False,
            state=WriteState.UNKNOWN,
            key=intent.key,
        )
        write.before, write.intent, write.recorded = intent.before, intent, True
        return write

    def _ended(self, write: Write, settled: Settled) -> Ended:
        applied = settled.outcome is Outcome.APPLIED
        customer_id = write.call.customer_id
        if customer_id is None and settled.answer is not None:
            customer_id = settled.answer.value.id
        return Ended(
            outcome=settled.outcome,
            customer_id=customer_id,
            attribution=settled.attribution if applied else None,
            status=None,
            at=self._session.effects.wall(),
            message="" if applied else settled.reason,
            modified=settled.reading.modified if applied and settled.reading is not None else None,
        )


def _not_unresolved(intent_id: object) -> NotUnresolvedError:
    return NotUnresolvedError(f"no unresolved write has the id {shown(intent_id)}: client.unresolved() lists them")


def _resolution_of(write: Write) -> Resolution:
    """The resolution of a write that ended while `resolve` waited for it."""
    assert write.intent is not None
    shown = listed(write.intent, "settled")
    if write.failed is not None:
        outcome, reason = write.failed.outcome, write.failed.reason
        return Resolution(write=shown, outcome=outcome, attribution=None, customer=None, reason=reason)
    if write.response is None:
        reason = "it was dropped before it was sent"
        return Resolution(write=shown, outcome=Outcome.NOT_SENT, attribution=None, customer=None, reason=reason)
    value = write.response.value
    return Resolution(
        write=shown,
        outcome=Outcome.APPLIED,
        attribution=write.response.attribution,
        customer=value.customer if isinstance(value, Activation) else value,
        reason="",
    )
