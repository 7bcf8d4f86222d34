"""The ledger of a job: its open intents, and with each that is closed the outcome of its item."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial

from fusebill_async.bulk.items import Item
from fusebill_async.bulk.tallies import Tally, tally_of
from fusebill_async.errors import StoreUnavailableError
from fusebill_async.operations import BY_TITLE, MAY_BE_SENT_AGAIN, Safety
from fusebill_async.outcome import Outcome
from fusebill_async.settling.intent import Intent
from fusebill_async.settling.keys import Ended, Recorded
from fusebill_async.stores.group_commit import GroupCommit
from fusebill_async.stores.intent_json import encode_before, encode_intent

_RIDES_WITHIN = 0.05
"""Seconds for which an outcome waits for the commit of an intent to ride on. Until then its intent is open."""


class JournalLedger:
    """The open intents of a job. It is the ledger that the writes of the job's items are recorded in.

    A job has one item for a customer, so the customer names the item: that is its idempotency key in this ledger.

    Args:
        commits: writes to the journal.
        wall: the system's clock, in epoch seconds.
    """

    durable = True
    keeps_outcomes = True

    def __init__(self, commits: GroupCommit, wall: Callable[[], float]) -> None:
        self.run = 0
        """The number of the present run."""
        self.failed: StoreUnavailableError | None = None
        """Why an intent could not be recorded: the job cannot go on without its journal."""
        self._commits = commits
        self._wall = wall
        self._open: dict[str, Intent] = {}
        self._items: dict[int, Item] = {}
        """The items that are being carried out, by customer."""
        self._inherited: set[str] = set()
        """The intents that an earlier run left open."""

    def inherit(self, intents: dict[str, Intent]) -> None:
        """Know the intents that an earlier run left open."""
        self._open = intents
        self._inherited = set(intents)

    def begin(self, item: Item) -> None:
        """An item is carried out from now on."""
        self._items[item.customer_id] = item

    def done(self, item: Item) -> None:
        """An item has ended."""
        self._items.pop(item.customer_id, None)

    def keep(self, item: Item, ended: Ended, tally: Tally) -> None:
        """Keep how an item ended that needed no intent, since no write was sent."""
        self._write(self._kept(item, ended, tally), delete=None)

    # --- as a ledger

    async def open(self, intent: Intent) -> None:
        """Record an intent. When this returns, a loss of power would leave it.

        Raises:
            StoreUnavailableError: it could not be written.
        """
        assert intent.customer_id is not None
        item = self._items[intent.customer_id]
        try:
            await self._commits.submit(
                partial(_insert, item=item.number, run=self.run, intent=intent, record=encode_intent(intent).decode()),
                durable=True,
            )
        except StoreUnavailableError as error:
            error.operation, error.customer_id = intent.operation, intent.customer_id
            self.failed = error
            raise
        self._open[intent.id] = intent

    def close(self, intent: Intent, ended: Ended | None = None) -> None:
        """Forget an intent, and keep the outcome of its item, in one transaction. Nothing is waited for."""
        self._open.pop(intent.id, None)
        assert intent.customer_id is not None
        item = self._items[intent.customer_id]
        tried_anew = ended is None or self._is_tried_anew(intent, ended)
        kept = None if tried_anew or ended is None else self._kept(item, ended, tally_of(ended), intent)
        self._write(kept, delete=(item.number, intent.id))

    def told(self, intent: Intent, ended: Ended, tally: Tally, before: str | None) -> None:
        """Keep what a worker has told of an item that was handed out. Nothing is waited for.

        Args:
            intent: that it was handed out with.
            ended: how its write ended.
            tally: where it is counted.
            before: what was there before an update, see `encode_before`.
        """
        self._open.pop(intent.id, None)
        assert intent.customer_id is not None
        item = self._items[intent.customer_id]
        self._write(self._kept(item, ended, tally, before=before), delete=(item.number, intent.id))

    async def find(self, key_id: str) -> Recorded | None:  # noqa: ARG002 (the protocol's)
        """Nothing: a write of a job carries no key of a user."""
        return None

    def unresolved(self) -> list[Intent]:
        """Every open intent, oldest first."""
        return list(self._open.values())

    # --- what is written

    def _is_tried_anew(self, intent: Intent, ended: Ended) -> bool:
        """Whether a write that a dead run left open has not happened, and is simply made again."""
        again = BY_TITLE[intent.operation].safety in MAY_BE_SENT_AGAIN
        return intent.id in self._inherited and again and ended.outcome is Outcome.NOT_APPLIED

    def _kept(
        self, item: Item, ended: Ended, tally: Tally, intent: Intent | None = None, *, before: str | None = None
    ) -> tuple[object, ...]:
        """The row of an outcome."""
        if intent is not None and BY_TITLE[intent.operation].safety is Safety.REPLACE:
            # An undo goes back to it.
            before = encode_before(intent.before)
        # What a dead run left open was sent at least once.
        attempts = item.attempts + (ended.attempts or int(intent is not None))
        return (
            item.number, tally, ended.outcome, ended.attribution, ended.status, attempts, ended.at,
            round(ended.seconds, 4), self.run, ended.message or None, before, ended.modified,
        )  # fmt: skip

    def _write(self, kept: tuple[object, ...] | None, *, delete: tuple[int, str] | None) -> None:
        self._commits.post(partial(_end, kept=kept, delete=delete), within=_RIDES_WITHIN)


def _insert(connection: sqlite3.Connection, *, item: int, run: int, intent: Intent, record: str) -> None:
    connection.execute("INSERT OR REPLACE INTO intents VALUES (?, ?, ?, ?, NULL)", (item, intent.id, run, record))


def _end(connection: sqlite3.Connection, *, kept: tuple[object, ...] | None, delete: tuple[int, str] | None) -> None:
    if delete is not None:
        # By its name, too: the item may have another intent by now.
        connection.execute("DELETE FROM intents WHERE item = ? AND id = ?", delete)
    if kept is not None:
        connection.execute("INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", kept)
