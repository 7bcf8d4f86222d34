"""The locks of a write: that of its customer, and that of its idempotency key. The key's is taken first."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from fusebill_async.errors import FusebillError
from fusebill_async.operations import Safety
from fusebill_async.session.manager import SessionManager
from fusebill_async.settling import write_errors
from fusebill_async.settling.keys import CallKey
from fusebill_async.settling.protocols import CustomerLocks
from fusebill_async.settling.searching import reference_lock
from fusebill_async.settling.seen import LastSeen
from fusebill_async.settling.write import Write


def lock_of(write: Write) -> int | None:
    """The number of the lock for a write. Who settles it for another process takes the same lock."""
    if write.call.operation.safety is Safety.CREATE:
        # Two creates with one reference at once could take each other's customer for their own.
        return reference_lock(write.named)
    return write.call.customer_id


@attrs.frozen(eq=False, repr=False)
class WriteLocks:
    """Takes the locks of writes, and hands what was seen of a customer from one holder of its lock to the next."""

    _session: SessionManager
    _locks: CustomerLocks
    _seen: LastSeen

    async def take(self, write: Write) -> None:
        """Take the lock of the customer that a write acts on.

        Raises:
            RequestTimeoutError: it did not come free in time.
        """
        locked = lock_of(write)
        if locked is not None:
            await self._take(write, locked, write_errors.lock_timeout)
            write.locked = locked
            self.hear(write.call.customer_id)

    async def take_key(self, write: Write, key: CallKey) -> None:
        """Take the lock of an idempotency key.

        Raises:
            OutcomeUnknownError: another call with the key holds it, and was not settled in time.
        """
        await self._take(write, key.lock, write_errors.key_in_use)

    async def _take(self, write: Write, locked: int, timed_out: Callable[[Write], FusebillError]) -> None:
        if self._locks.acquire_now(locked):
            return
        call, effects = write.call, self._session.effects
        started = effects.now()
        queue = call.options.timeouts.queue
        try:
            with self._session.teller.wait(call, "lock"):
                await self._locks.acquire(locked, None if queue is None else max(0.0, queue - call.time_queued))
        except TimeoutError:
            raise timed_out(write) from None
        finally:
            call.time_queued += effects.now() - started

    def hear(self, customer_id: int | None) -> None:
        """Learn what others on the store have seen of a customer whose lock is held."""
        if customer_id is not None and self._locks.shared:
            self._seen.hear(customer_id, self._locks.newest(customer_id))

    def give_back(self, locked: int) -> None:
        """Release a lock, and leave the newest `modifiedTimestamp` seen for the next holder."""
        newest = None
        if self._locks.shared:
            newest = self._seen.newest(locked, self._session.effects.now())
            self._seen.hear(locked, None)
        self._locks.release(locked, newest)

    def still_hold_key(self, key: CallKey) -> bool:
        """Whether the lock of a key is certainly still ours, so that nobody else can have made the call."""
        return not self._locks.shared or self._locks.still_held(key.lock)

    def give_back_key(self, key: CallKey) -> None:
        """Release the lock of a key."""
        self._locks.release(key.lock)

    async def take_to_resolve(self, locked: int) -> None:
        """Take a lock for as long as it takes to get it: whoever holds it is seeing its write to an end."""
        await self._locks.acquire(locked, None)
