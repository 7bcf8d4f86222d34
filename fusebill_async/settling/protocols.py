"""What a store must offer: the ledger of open intents and the lock per customer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from fusebill_async.policy.shared import SharedQuota
from fusebill_async.settings import QuotaPolicy
from fusebill_async.settling.intent import Intent
from fusebill_async.settling.keys import Ended, Recorded


class Ledger(Protocol):
    """The set of open intents. An intent is open from before its first byte until its outcome is known."""

    @property
    def durable(self) -> bool:
        """Whether what is recorded outlives the process, so that it is worth recording every write."""
        ...

    @property
    def keeps_outcomes(self) -> bool:
        """Whether the outcome of every write stays in the ledger, so that a write can be closed before it is told."""
        ...

    async def open(self, intent: Intent) -> None:
        """Record an intent, in place of an earlier record of it.

        When this returns, the record outlives what the store says that it outlives. The record of its key, if it has
        one, is written in the same transaction.

        Raises:
            KeyTakenError: its key belongs to an intent that it does not replace. It was not recorded.
        """
        ...

    def close(self, intent: Intent, ended: Ended | None = None) -> None:
        """Remove an intent whose outcome is known, and keep the outcome under its key, in one transaction.

        This does not wait; the store writes it when it can, and before anything that is asked of it later. If the
        process dies before, the next one finds the intent open and settles it once more, by reading.

        Args:
            intent: was opened.
            ended: how it ended, to be kept under its key; None for an intent without one.
        """
        ...

    async def find(self, key_id: str) -> Recorded | None:
        """What is kept of the call with a key; None if there was none, or if it was forgotten.

        Args:
            key_id: from `settling.keys.key_id`.
        """
        ...

    def unresolved(self) -> Iterable[Intent]:
        """Every open intent, oldest first, including those that other processes left."""
        ...


class CustomerLocks(Protocol):
    """A lock for each customer; every write holds the lock of its customer until its outcome is known.

    Attributes:
        shared: whether others than this process take them, so that a reading from before a lock was taken may be
            older than somebody else's write, however young it is.
    """

    @property
    def shared(self) -> bool:
        """See above."""
        ...

    def acquire_now(self, customer_id: int) -> bool:
        """Take the lock if that needs no waiting."""
        ...

    async def acquire(self, customer_id: int, timeout: float | None) -> None:
        """Take the lock, first come, first served.

        Args:
            customer_id: the customer.
            timeout: seconds to wait at most; None waits as long as it takes.

        Raises:
            TimeoutError: it did not come free in time.
        """
        ...

    def newest(self, customer_id: int) -> str | None:
        """The newest `modifiedTimestamp` of the customer that was seen by who held the lock in the last 60 s.

        Ask while the lock is held: whoever held it before, in this process or another, gave it back with it.
        """
        ...

    def release(self, customer_id: int, newest: str | None = None) -> None:
        """Give it back, without waiting for anything.

        Args:
            customer_id: the customer.
            newest: the newest `modifiedTimestamp` that is known of it, for `newest` of the next holder; None leaves
                what is there.
        """
        ...

    def still_held(self, customer_id: int) -> bool:
        """Whether a lock that was taken is certainly still ours: ask right before a write is sent.

        A lock between processes is a lease. It is lost when it could not be renewed in time, because the process
        was stopped or the store was away, and somebody else may be writing by now.
        """
        ...


class Store(Protocol):
    """A backend for the state that outlives a call."""

    @property
    def ledger(self) -> Ledger:
        """The open intents."""
        ...

    @property
    def locks(self) -> CustomerLocks:
        """The locks of the customers."""
        ...

    def open(self, account: str) -> None:
        """Begin to serve one account, named by a hash of its key and base URL. Called once a client, before use."""
        ...

    def quota(self, policy: QuotaPolicy) -> SharedQuota | None:
        """The budget that the processes of the account share; None keeps it inside this process."""
        ...

    async def aclose(self) -> None:
        """Called once by each client that closes."""
        ...
