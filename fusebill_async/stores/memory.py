"""The store in memory. Clients of one process share it by taking the same object."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from fusebill_async.errors import ConfigurationError
from fusebill_async.outcome import Outcome
from fusebill_async.policy.shared import SharedQuota
from fusebill_async.settings import QuotaPolicy
from fusebill_async.settling.intent import Intent
from fusebill_async.settling.keys import CallKey, Ended, KeyTakenError, Recorded

NEWEST_KEPT = 60.0
"""Seconds for which the newest `modifiedTimestamp` of a customer is kept with its lock."""


OUTCOMES_KEPT = 100_000
"""Keys whose outcome a `MemoryStore` keeps."""


def recorded(intent: Intent, key: CallKey) -> Recorded:
    """What is kept of a call with a key that begins."""
    return Recorded(
        operation=intent.operation,
        customer_id=intent.customer_id,
        outcome=Outcome.UNKNOWN,
        began=key.began,
        intent_id=intent.id,
        digest=key.digest,
    )


class MemoryLedger:
    """The open intents, as long as the process lives."""

    durable = False
    keeps_outcomes = False

    def __init__(self) -> None:
        self._open: dict[str, Intent] = {}
        self._keys: dict[str, Recorded] = {}
        self._ended: dict[str, None] = {}
        """The keys whose outcome is known, that of the longest ago first."""

    async def open(self, intent: Intent) -> None:
        """Record an intent, and its key."""
        if intent.key is not None:
            known = self._keys.get(intent.key.id)
            if known is not None and known.intent_id not in {intent.id, intent.replaces}:
                raise KeyTakenError
            self._ended.pop(intent.key.id, None)
            self._keys[intent.key.id] = recorded(intent, intent.key)
        self._open[intent.id] = intent

    def close(self, intent: Intent, ended: Ended | None = None) -> None:
        """Forget it, and keep its outcome under its key."""
        self._open.pop(intent.id, None)
        known = None if intent.key is None else self._keys.get(intent.key.id)
        if (
            intent.key is None
            or ended is None
            or known is None
            or known.intent_id != intent.id
            or known.ended is not None
        ):
            # Without a key, or somebody else has settled it, and perhaps made the call anew.
            return
        self._keys[intent.key.id] = known.with_end(ended)
        self._ended[intent.key.id] = None
        if len(self._ended) > OUTCOMES_KEPT:
            oldest = next(iter(self._ended))
            del self._ended[oldest], self._keys[oldest]

    async def find(self, key_id: str) -> Recorded | None:
        """What is kept under a key."""
        return self._keys.get(key_id)

    def unresolved(self) -> list[Intent]:
        """Every open intent, oldest first."""
        return list(self._open.values())


class OwnIntents:
    """The intents that this process opened in a store: they stay open even if the store forgets them."""

    def __init__(self) -> None:
        self._open: dict[str, Intent] = {}
        self._closing: set[str] = set()
        """Closed, and not yet written as such."""

    def opened(self, intent: Intent) -> None:
        """The store has it."""
        self._open[intent.id] = intent

    def closed(self, intent: Intent) -> None:
        """It is open no more, whatever the store says until that is written."""
        self._open.pop(intent.id, None)
        self._closing.add(intent.id)

    def written(self, intent_id: str) -> None:
        """The store knows that it is closed."""
        self._closing.discard(intent_id)

    def open_now(self) -> list[Intent]:
        """Those that are open, oldest first."""
        return list(self._open.values())

    def list_with(self, look: Callable[[], tuple[list[Intent], bool]]) -> list[Intent]:
        """Every open intent.

        Args:
            look: gives those in the store, and whether the store remembers all that this process wrote into it.
        """
        # Taken before the look: what is written meanwhile may be in what was seen, or not.
        before, closing = self.open_now(), set(self._closing)
        seen, remembers = look()
        found = {intent.id: intent for intent in seen if intent.id not in closing}
        for intent in before:
            if intent.id in found:
                continue
            if remembers:
                # Another process has settled it and closed it.
                self._open.pop(intent.id, None)
            else:
                found[intent.id] = intent
        return list(found.values())


class MemoryLocks:
    """A lock for each customer that is being written to; first come, first served.

    Args:
        now: a clock in seconds that never goes back.
    """

    def __init__(self, now: Callable[[], float] | None = None) -> None:
        # Looked up when a store is made, so that a simulation can hand in its own.
        self._now = now or time.monotonic
        self._newest: dict[int, tuple[float, str]] = {}
        """Until when, and what; what was noted last stands last."""
        self.shared = False
        """Others than this client take them too."""
        self._held: dict[int, deque[asyncio.Future[None]] | None] = {}

    def acquire_now(self, customer_id: int) -> bool:
        """Take the lock if it is free."""
        if customer_id in self._held:
            return False
        self._held[customer_id] = None
        return True

    async def acquire(self, customer_id: int, timeout: float | None) -> None:
        """Take the lock, waiting up to `timeout` seconds.

        Raises:
            TimeoutError: it did not come free in time.
        """
        if self.acquire_now(customer_id):
            return
        waiters = self._held[customer_id]
        if waiters is None:
            waiters = self._held[customer_id] = deque()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiters.append(turn)
        try:
            async with asyncio.timeout(timeout):
                await turn
        except BaseException:
            # The lock may have been handed over in the same turn of the loop in which the wait ended.
            if turn.done() and not turn.cancelled():
                self.release(customer_id)
            elif turn in waiters:
                waiters.remove(turn)
            raise

    def newest(self, customer_id: int) -> str | None:
        """The newest `modifiedTimestamp` that holders of the lock have seen."""
        until, newest = self._newest.get(customer_id, (0.0, None))
        return newest if self._now() < until else None

    def release(self, customer_id: int, newest: str | None = None) -> None:
        """Pass the lock to the longest waiter, with the newest `modifiedTimestamp` seen."""
        if newest is not None:
            self._note(customer_id, newest)
        waiters = self._held[customer_id]
        while waiters:
            turn = waiters.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        del self._held[customer_id]

    def _note(self, customer_id: int, newest: str) -> None:
        now = self._now()
        self._newest.pop(customer_id, None)
        self._newest[customer_id] = now + NEWEST_KEPT, newest
        while self._newest:
            oldest = next(iter(self._newest))
            if self._newest[oldest][0] > now:
                break
            del self._newest[oldest]

    def still_held(self, customer_id: int) -> bool:
        """A lock of this process is held until it is given back."""
        return customer_id in self._held

    def __len__(self) -> int:
        """How many customers are locked."""
        return len(self._held)


class MemoryStore:
    """The default store: nothing outlives the process.

    It keeps the outcomes of the last 100,000 idempotency keys as long as the object lives.
    """

    def __init__(self) -> None:
        self._ledger = MemoryLedger()
        self._locks = MemoryLocks()
        self._account = ""
        self._clients = 0

    @property
    def ledger(self) -> MemoryLedger:
        """The open intents."""
        return self._ledger

    @property
    def locks(self) -> MemoryLocks:
        """The locks of the customers."""
        return self._locks

    def open(self, account: str) -> None:
        """Begin to serve an account; a second client makes the locks shared ones.

        Raises:
            ConfigurationError: the store serves another account already.
        """
        if self._account not in {"", account}:
            raise ConfigurationError("a store object serves one account: make another MemoryStore")
        self._account = account
        self._clients += 1
        self._locks.shared = self._clients > 1

    def quota(self, policy: QuotaPolicy) -> SharedQuota | None:  # noqa: ARG002 (the protocol's)
        """Each client counts for itself."""
        return None

    async def aclose(self) -> None:
        """Nothing to close."""
        self._clients -= 1
        self._locks.shared = self._clients > 1
