"""Carries writes out in tasks of their own, so that each reaches a true outcome even if its caller is cancelled."""

from __future__ import annotations

import asyncio
import logging
import warnings
from typing import Any

import attrs

from fusebill_async.errors import FusebillError, NotUnresolvedError, UnresolvedWritesWarning, shown
from fusebill_async.models import Activation
from fusebill_async.operations import BY_TITLE, Operation, Safety
from fusebill_async.outcome import Outcome
from fusebill_async.session.call import Call
from fusebill_async.session.manager import SessionManager
from fusebill_async.settings import SettlingPolicy
from fusebill_async.settling import write_errors
from fusebill_async.settling.driver import WriteDriver
from fusebill_async.settling.intent import Intent, UnresolvedWrite
from fusebill_async.settling.open_writes import OpenWrites
from fusebill_async.settling.protocols import CustomerLocks
from fusebill_async.settling.reader import SettlingReader
from fusebill_async.settling.response import Resolution, Response
from fusebill_async.settling.searching import reference_lock
from fusebill_async.settling.seen import LastSeen
from fusebill_async.settling.write import Write, WriteState, listed

logger = logging.getLogger("fusebill_async")


@attrs.frozen(eq=False, repr=False)
class Writer:
    """Locks the customer of a write, has it driven to its end, and knows what is open."""

    _session: SessionManager
    _driver: WriteDriver
    _reader: SettlingReader
    _open_writes: OpenWrites
    _locks: CustomerLocks
    _seen: LastSeen
    _policy: SettlingPolicy

    # --- a write, as its caller sees it

    async def write(self, write: Write) -> Response[Any]:
        """Carry out a write.

        A cancelled caller gets its `CancelledError` at once; a write that is under way goes on without it.

        Raises:
            FusebillError: with the true outcome.
        """
        wakeup = write.caller_wakeup = asyncio.get_running_loop().create_future()
        self._open_writes.under_way[write] = None
        task = write.task = asyncio.create_task(self._carry_out(write), name="fusebill_async: a write")
        try:
            await wakeup
            if not task.done() and write.state is WriteState.SETTLING:
                await self._wait_for_settling(write, task)
        except asyncio.CancelledError:
            if not write.state.may_have_acted or write.call.options.on_cancel == "abort":
                task.cancel()
            raise
        finally:
            write.told = True
            if write.intent is not None:
                self._open_writes.told(write)
        if write.failed is not None:
            raise write.take_error()
        if write.response is not None:
            return write.response
        raise write_errors.without_end(write, self._policy)

    async def _wait_for_settling(self, write: Write, task: asyncio.Task[None]) -> None:
        """Wait for settling, up to `SettlingPolicy(wait=)`. A further attempt is waited for without that bound."""
        clock = asyncio.ensure_future(self._session.effects.sleep(self._policy.wait))
        try:
            await asyncio.wait([task, clock], return_when=asyncio.FIRST_COMPLETED)
        finally:
            clock.cancel()
        while not task.done() and write.state is not WriteState.SETTLING:
            write.caller_wakeup = asyncio.get_running_loop().create_future()
            await write.caller_wakeup

    # --- a write, as it goes on

    async def _carry_out(self, write: Write) -> None:
        """Carry out a write and keep its response or error on it. Runs as a task of its own."""
        call = write.call
        self._session.teller.begin(call)
        begun = self._session.effects.now()
        write.locked = _lock_of(write)
        try:
            if write.locked is not None:
                await self._lock(write, write.locked)
            try:
                write.response = await self._drive(write, begun)
            finally:
                try:
                    if write.recorded or write.state is not WriteState.ENDED:
                        await self._open_writes.close_or_keep(write)
                finally:
                    if write.locked is not None:
                        self._give_back(write.locked)
        except FusebillError as error:
            write.fail(write_errors.of_the_write(write, error))
        except Exception as error:  # noqa: BLE001 (raised by whoever waits for the write)
            write.fail(error)
        finally:
            self._open_writes.under_way.pop(write, None)
            self._session.teller.end(call, **_end_of(write))
            write.wake_caller()
            if write.failed is not None and write.caller_wakeup is not None and write.caller_wakeup.cancelled():
                ended, kind = write.failed.outcome, write.failed.error
                logger.warning("%s, whose caller was cancelled, ended as %s (%s)", call.about, ended, kind)

    async def _lock(self, write: Write, locked: int) -> None:
        if self._locks.acquire_now(locked):
            return
        call = write.call
        started = self._session.effects.now()
        try:
            with self._session.teller.wait(call, "lock"):
                await self._locks.acquire(locked, call.options.timeouts.queue)
        except TimeoutError:
            raise write_errors.lock_timeout(write) from None
        finally:
            call.time_queued += self._session.effects.now() - started

    def _give_back(self, locked: int) -> None:
        """Release a lock, and leave the newest `modifiedTimestamp` seen for the next holder."""
        newest = None
        if self._locks.shared:
            newest = self._seen.newest(locked, self._session.effects.now())
            self._seen.hear(locked, None)
        self._locks.release(locked, newest)

    async def _drive(self, write: Write, begun: float) -> Response[Any]:
        customer_id = write.call.customer_id
        if customer_id is not None:
            if self._locks.shared:
                self._seen.hear(customer_id, self._locks.newest(customer_id))
            seen = self._seen.of(customer_id)
            if seen is not None:
                # What was known when the call began does not grow old while it waits for the lock.
                write.has_seen(seen, begun)
        return await self._driver.drive(write)

    # --- what is open

    def unresolved(self) -> list[UnresolvedWrite]:
        """Every write whose outcome is not known, oldest first."""
        return self._open_writes.listed()

    async def resolve(self, intent_id: str) -> Resolution:
        """Settle one unresolved write by reading; never sends it again.

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
        return await self._resolve(self._open_writes.unknown.get(intent_id) or self._revived(intent), intent)

    def _revived(self, intent: Intent) -> Write:
        """The write that another process left open."""
        operation: Operation = BY_TITLE[intent.operation]
        write = Write(
            Call(operation, intent.customer_id, None, self._reader.read_options),
            intent.named,
            resend=False,
            state=WriteState.UNKNOWN,
        )
        write.before, write.intent, write.recorded = intent.before, intent, True
        return write

    async def _resolve(self, write: Write, intent: Intent) -> Resolution:
        customer_id, locked = intent.customer_id, _lock_of(write)
        if locked is not None:
            await self._locks.acquire(locked, None)
        if customer_id is not None:
            self._seen.hear(customer_id, self._locks.newest(customer_id))
        try:
            if self._open_writes.recorded(intent.id) is None:
                # Its owner, or somebody else who resolves it, has settled it while we waited for the lock.
                raise _not_unresolved(intent.id)
            # Who is to be told of the outcome now is whoever resolves it.
            write.state, write.told = WriteState.SETTLING, False
            settled = await self._reader.settle(write, "no usable answer came")
            write.state = WriteState.UNKNOWN if settled.outcome is Outcome.UNKNOWN else WriteState.ENDED
            await self._open_writes.close_or_keep(write)
        finally:
            if locked is not None:
                self._give_back(locked)
        self._open_writes.told(write)
        return Resolution(
            write=listed(intent, WriteState.UNKNOWN),
            outcome=settled.outcome,
            attribution=settled.attribution if settled.outcome is Outcome.APPLIED else None,
            customer=settled.reading.customer if settled.reading is not None else None,
            reason=settled.reason,
        )

    async def aclose(self) -> None:
        """Wait for what is under way, bounded by `SettlingPolicy(close_wait=)`; name what stays unresolved."""
        under_way = list(self._open_writes.under_way)
        tasks = [write.task for write in under_way if write.task is not None]
        for write in under_way:
            if not write.state.may_have_acted and write.task is not None:
                write.task.cancel()
        if tasks:
            clock = asyncio.ensure_future(self._session.effects.sleep(self._policy.close_wait))
            all_ended = asyncio.ensure_future(asyncio.wait(tasks))
            try:
                await asyncio.wait([all_ended, clock], return_when=asyncio.FIRST_COMPLETED)
            finally:
                clock.cancel()
                all_ended.cancel()
                self._reader.close()
                for task in tasks:
                    task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await self._open_writes.aclose()
        left = self._open_writes.left_open()
        if left:
            names = ", ".join(map(str, left))
            warnings.warn(f"closed with unresolved writes: {names}", UnresolvedWritesWarning, stacklevel=3)
            logger.warning("closed with unresolved writes: %s", names)


def _lock_of(write: Write) -> int | None:
    """The number of the lock for a write. Who settles it for another process takes the same lock."""
    if write.call.operation.safety is Safety.CREATE:
        # Two creates with one reference at once could take each other's customer for their own.
        return reference_lock(write.named)
    return write.call.customer_id


def _end_of(write: Write) -> dict[str, Any]:
    """What the hooks are told of the end of a write."""
    if write.failed is not None:
        return {"outcome": write.failed.outcome, "error": write.failed.error}
    response = write.response
    if response is None:
        return {"outcome": write_errors.outcome_so_far(write), "error": "CancelledError"}
    told_by, attribution = response.confirmed_by, response.attribution
    return {"outcome": Outcome.APPLIED, "confirmed_by": told_by, "attribution": attribution}


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
