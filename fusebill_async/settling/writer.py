"""Carries writes out in tasks of their own, so that each reaches a true outcome even if its caller is cancelled."""

from __future__ import annotations

import asyncio
import logging
import warnings
from collections.abc import Callable
from typing import Any

import attrs

from fusebill_async.errors import FusebillError, IdempotencyError, StoreUnavailableError, UnresolvedWritesWarning
from fusebill_async.outcome import Outcome
from fusebill_async.session.manager import SessionManager
from fusebill_async.settings import SettlingPolicy
from fusebill_async.settling import write_errors
from fusebill_async.settling.driver import WriteDriver
from fusebill_async.settling.keys import CallKey
from fusebill_async.settling.locking import WriteLocks
from fusebill_async.settling.open_writes import OpenWrites
from fusebill_async.settling.reader import SettlingReader
from fusebill_async.settling.recalling import Recaller
from fusebill_async.settling.response import Response
from fusebill_async.settling.seen import LastSeen
from fusebill_async.settling.write import Write, WriteState

logger = logging.getLogger("fusebill_async")


@attrs.frozen(eq=False, repr=False)
class Writer:
    """Locks the customer of a write, and has it driven to its end."""

    _session: SessionManager
    _driver: WriteDriver
    _reader: SettlingReader
    _recaller: Recaller
    _open_writes: OpenWrites
    _locks: WriteLocks
    _seen: LastSeen
    _policy: SettlingPolicy

    # --- a write, as its caller sees it

    async def write(self, write: Write, on_settling: Callable[[], None] | None = None) -> Response[Any]:
        """Carry out a write.

        A cancelled caller gets its `CancelledError` at once; a write that is under way goes on without it.

        Args:
            write: new.
            on_settling: called once, in the caller's task, when it begins to be settled, which may take a while.

        Raises:
            FusebillError: with the true outcome.
        """
        wakeup = write.caller_wakeup = asyncio.get_running_loop().create_future()
        self._open_writes.under_way[write] = None
        task = write.task = asyncio.create_task(self._carry_out(write), name="fusebill_async: a write")
        try:
            await wakeup
            if not task.done() and write.state is WriteState.SETTLING:
                if on_settling is not None:
                    on_settling()
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
        """Wait while it is settled, for `SettlingPolicy(wait=)` in all. Further attempts do not count towards that."""
        effects, left = self._session.effects, self._policy.wait
        while not task.done() and (write.state is not WriteState.SETTLING or left > 0):
            wakeup = write.caller_wakeup = asyncio.get_running_loop().create_future()
            if write.state is not WriteState.SETTLING:
                await wakeup
                continue
            began = effects.now()
            clock = asyncio.ensure_future(effects.sleep(left))
            try:
                await asyncio.wait([wakeup, clock], return_when=asyncio.FIRST_COMPLETED)
            finally:
                clock.cancel()
            left = 0.0 if clock.done() else left - (effects.now() - began)

    # --- a write, as it goes on

    async def _carry_out(self, write: Write) -> None:
        """Carry out a write and keep its response or error on it. Runs as a task of its own."""
        call = write.call
        self._session.teller.begin(call)
        try:
            await self._in_turn(write)
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

    async def _in_turn(self, write: Write) -> None:
        """Carry out a write as soon as no other one acts on its customer."""
        begun = self._session.effects.now()
        try:
            await self._locks.take(write)
        except StoreUnavailableError as error:
            raise error if write.key is None else write_errors.key_unread(write, error) from None
        try:
            if write.key is not None:
                write.response = await self._recalled(write, write.key)
            if write.response is None:
                write.response = await self._drive(write, begun)
        except FusebillError as error:
            write.fail(write_errors.of_the_write(write, error))
        finally:
            self._check_key(write)
            try:
                if write.recorded or write.state is not WriteState.ENDED:
                    await self._open_writes.close_or_keep(write, write.ended(self._session.effects.wall()))
            finally:
                if write.locked is not None:
                    self._locks.give_back(write.locked)

    async def _recalled(self, write: Write, key: CallKey) -> Response[Any] | None:
        """The response of an earlier call with the key, None if there was none that had an effect."""
        try:
            return await self._recaller.recall(write, key)
        except StoreUnavailableError as error:
            raise write_errors.key_unread(write, error) from None

    async def _drive(self, write: Write, begun: float) -> Response[Any]:
        customer_id = write.call.customer_id
        seen = None if customer_id is None else self._seen.of(customer_id)
        if seen is not None:
            # What was known when the call began does not grow old while it waits for the lock.
            write.has_seen(seen, begun)
        return await self._driver.drive(write)

    def _check_key(self, write: Write) -> None:
        """See that nobody is told that a call had no effect which somebody else may have made meanwhile."""
        failed = write.failed
        if write.key is None or failed is None or failed.error == IdempotencyError.__name__:
            return
        if not self._locks.still_hold(write.locked):
            write.fail(write_errors.key_lost(write, failed.reason))

    async def aclose(self) -> None:
        """Wait for what is under way, bounded by `SettlingPolicy(close_wait=)`; name what stays unresolved."""
        await self.end(self._policy.close_wait)
        left = self._open_writes.left_open()
        if left:
            names = ", ".join(map(str, left))
            warnings.warn(f"closed with unresolved writes: {names}", UnresolvedWritesWarning, stacklevel=3)
            logger.warning("closed with unresolved writes: %s", names)

    async def end(self, wait: float) -> None:
        """Wait for what is under way, up to so many seconds; what nothing was sent of yet is dropped at once."""
        under_way = list(self._open_writes.under_way)
        tasks = [write.task for write in under_way if write.task is not None]
        for write in under_way:
            if not write.state.may_have_acted and write.task is not None:
                write.task.cancel()
        if tasks:
            clock = asyncio.ensure_future(self._session.effects.sleep(wait))
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


def _end_of(write: Write) -> dict[str, Any]:
    """What the hooks are told of the end of a write."""
    if write.failed is not None:
        return {"outcome": write.failed.outcome, "error": write.failed.error}
    response = write.response
    if response is None:
        return {"outcome": write.outcome_so_far, "error": "CancelledError"}
    told_by, attribution = response.confirmed_by, response.attribution
    return {"outcome": Outcome.APPLIED, "confirmed_by": told_by, "attribution": attribution}
