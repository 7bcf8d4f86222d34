"""The lock that a write holds until its outcome is known."""

from __future__ import annotations

import attrs

from fusebill_async.operations import Safety
from fusebill_async.session.manager import SessionManager
from fusebill_async.settling import write_errors
from fusebill_async.settling.protocols import CustomerLocks
from fusebill_async.settling.searching import reference_lock
from fusebill_async.settling.seen import LastSeen
from fusebill_async.settling.write import Write


def lock_of(write: Write) -> int | None:
    """The number of the lock for a write. Who settles it for another process takes the same lock.

    Calls with one idempotency key name one customer, or create with one reference, so that they have one lock. The
    others have the lock of the key.
    """
    # Two creates with one reference at once could take each other's customer for their own.
    creates = write.call.operation.safety is Safety.CREATE
    number = reference_lock(write.named) if creates else write.call.customer_id
    return write.key.lock if number is None and write.key is not None else number


@attrs.frozen(eq=False, repr=False)
class WriteLocks:
    """Takes the locks of writes, and hands what was seen of a customer from one holder of its lock to the next."""

    _session: SessionManager
    _locks: CustomerLocks
    _seen: LastSeen

    async def take(self, write: Write) -> None:
        """Take the lock of a write, if it has one.

        Raises:
            RequestTimeoutError: it did not come free in time.
            OutcomeUnknownError: the same, for a write with a key: who holds the lock may be an earlier call with it.
        """
        locked = lock_of(write)
        if locked is None:
            return
        if not self._locks.acquire_now(locked):
            await self._wait_for(write, locked)
        write.locked = locked
        self.hear(write.call.customer_id)

    async def _wait_for(self, write: Write, locked: int) -> None:
        call, effects = write.call, self._session.effects
        started = effects.now()
        try:
            with self._session.teller.wait(call, "lock"):
                await self._locks.acquire(locked, call.options.timeouts.queue)
        except TimeoutError:
            raise write_errors.lock_timeout(write) from None
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

    def still_hold(self, locked: int | None) -> bool:
        """Whether a lock is certainly still ours, so that nobody else can have written meanwhile."""
        return locked is None or not self._locks.shared or self._locks.still_held(locked)

    async def take_to_resolve(self, locked: int) -> None:
        """Take a lock for as long as it takes to get it: whoever holds it is seeing its write to an end."""
        await self._locks.acquire(locked, None)
