"""The writes that are under way or unknown, and their records in the ledger."""

from __future__ import annotations

import asyncio
import itertools
import uuid

from fusebill_async.session.manager import SessionManager
from fusebill_async.settling import write_errors
from fusebill_async.settling.intent import Intent, UnresolvedWrite
from fusebill_async.settling.keys import Ended, KeyTakenError
from fusebill_async.settling.protocols import CustomerLocks, Ledger
from fusebill_async.settling.write import Write, WriteState, listed

_TURNS = 4
"""Turns of the event loop until an outcome has reached its caller: one for a plain await, and two more for each
`asyncio.wait_for` or `asyncio.gather` around it."""


class ClosedWhenTold:
    """Keeps an intent open in the ledger until the caller has the outcome.

    If the process is killed before the outcome has reached the caller, the next process finds the intent open, and
    settles it by reading.

    Args:
        ledger: where they are closed.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known: dict[str, tuple[Intent, Ended]] = {}

    def __contains__(self, intent_id: str) -> bool:
        return intent_id in self._known

    def keep(self, intent: Intent, ended: Ended) -> None:
        """The outcome is known, but the caller does not have it yet."""
        self._known[intent.id] = intent, ended

    def told(self, intent: Intent) -> None:
        """Close it soon. Call it in the caller's own task, right before the outcome is returned or raised."""
        if intent.id in self._known:
            asyncio.get_running_loop().call_soon(self._close_after, _TURNS - 1, intent)

    def close(self, intent: Intent) -> None:
        """Close it now, since no caller waits for the outcome."""
        known = self._known.pop(intent.id, None)
        if known is not None:
            self._ledger.close(*known)

    async def aclose(self) -> None:
        """Let callers have their turn of the event loop, then close what is left."""
        for _ in range(2 * _TURNS):
            if self._known:
                await asyncio.sleep(0)
        for intent, _ in list(self._known.values()):
            self.close(intent)

    def _close_after(self, turns: int, intent: Intent) -> None:
        if turns and intent.id in self._known:
            asyncio.get_running_loop().call_soon(self._close_after, turns - 1, intent)
        else:
            self.close(intent)


_CLOCK_MARGIN = 300.0
"""Seconds that the local clock may be off, as long as the service has not told its time."""


class OpenWrites:
    """Records a write before its first byte, and keeps the record until its outcome is known."""

    def __init__(self, session: SessionManager, ledger: Ledger, locks: CustomerLocks) -> None:
        self._session = session
        self._ledger = ledger
        self._closing = ClosedWhenTold(ledger)
        self.records_all = ledger.durable or locks.shared
        """Whether each write is recorded before its first byte, since the record would outlive this process."""
        self._name = uuid.uuid4().hex[:12]
        self._numbers = itertools.count(1)
        self.under_way: dict[Write, None] = {}
        self.unknown: dict[str, Write] = {}
        """Those of this client whose outcome no read could tell, by the ids of their intents."""

    async def record(self, write: Write) -> None:
        """See to it that the ledger holds the intent of a write as it is sent now."""
        intent = self.intent_of(write)
        if write.recorded and intent.named is write.named:
            return
        if write.recorded:
            # A later attempt of an update compares with what it sends, not with what an earlier one sent.
            intent.named, intent.before = write.named, write.before
        # From here on it may stand in the ledger, even if we are cancelled while it is written.
        write.recorded = True
        try:
            await self._ledger.open(intent)
        except KeyTakenError:
            # Our lease on the key ran out, and somebody else has made the call.
            write.recorded = False
            raise write_errors.key_lost(write) from None

    def intent_of(self, write: Write) -> Intent:
        """The intent of a write, made at the first call."""
        if write.intent is None:
            write.intent = Intent(
                id=f"{self._name}-{next(self._numbers)}",
                operation=write.call.operation.title,
                customer_id=write.call.customer_id,
                named=write.named,
                opened_at=self._service_time(write.first_sent_at),
                before=write.before,
                key=write.key,
                replaces=write.replaces,
            )
        return write.intent

    def _service_time(self, sent_at: float | None) -> float:
        """The service's time at which a write was sent at the earliest."""
        bounds = self._session.clock.service_time(self._session.effects.now() if sent_at is None else sent_at)
        return bounds[0] if bounds is not None else self._session.effects.wall() - _CLOCK_MARGIN

    async def close_or_keep(self, write: Write, ended: Ended) -> None:
        """Have the intent closed if the outcome is known; else it stays open, for `resolve` or for another process.

        Args:
            write: its state tells.
            ended: what the ledger keeps of it. That is written before the lock is given back, so that whoever comes
                next finds it.
        """
        if write.state.may_have_acted:
            await self.record(write)
            write.state = WriteState.UNKNOWN
            self.unknown[self.intent_of(write).id] = write
        elif write.recorded:
            self.unknown.pop(self.intent_of(write).id, None)
            if self.intent_of(write).key is not None or self._ledger.keeps_outcomes:
                self._ledger.close(self.intent_of(write), ended)
                return
            self._closing.keep(self.intent_of(write), ended)
            if write.told:
                self._closing.close(self.intent_of(write))

    def told(self, write: Write) -> None:
        """Its caller is about to go on. Call it in the caller's own task, right before the outcome is given."""
        if write.intent is not None:
            self._closing.told(write.intent)

    async def aclose(self) -> None:
        """Close the intents with a known outcome, after their callers had a turn of the event loop."""
        await self._closing.aclose()

    def _open_intents(self) -> list[Intent]:
        """Those in the ledger whose outcome is not known here."""
        return [intent for intent in self._ledger.unresolved() if intent.id not in self._closing]

    def find_under_way(self, intent_id: str) -> Write | None:
        """The write under way whose intent has this name."""
        return next((w for w in self.under_way if w.intent is not None and w.intent.id == intent_id), None)

    def recorded(self, intent_id: str) -> Intent | None:
        """The open intent with a name, None if there is none (any more)."""
        return next((intent for intent in self._open_intents() if intent.id == intent_id), None)

    def listed(self) -> list[UnresolvedWrite]:
        """Every write whose outcome is not known, oldest first."""
        recorded = {intent.id: listed(intent, "unknown") for intent in self._open_intents()}
        under_way = {self.intent_of(write).id: write for write in self.under_way if write.state.may_have_acted}
        return list((recorded | {name: write.unresolved() for name, write in under_way.items()}).values())

    def left_open(self) -> list[UnresolvedWrite]:
        """Those of this client alone: a shared store also shows what other processes have in flight."""
        under_way = (write for write in self.under_way if write.state.may_have_acted)
        return [listed(self.intent_of(write), write.state) for write in (*self.unknown.values(), *under_way)]
