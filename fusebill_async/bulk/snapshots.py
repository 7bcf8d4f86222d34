"""Reads customers ahead of their items: what was there is kept, and what is done already is set aside."""

from __future__ import annotations

import attrs

from fusebill_async.bulk.goals import differences
from fusebill_async.bulk.id_sets import MOST_IDS, FilterRefusedError, IdSets
from fusebill_async.bulk.items import Item, Kind
from fusebill_async.bulk.journal import Journal
from fusebill_async.converting import UnreadableAnswer, read_object
from fusebill_async.errors import ConfigurationError
from fusebill_async.settling.seen import Reading


@attrs.define(eq=False)
class Snapshots:
    """Gives the items of a job, each set after its customers were read.

    What is read tells later whose an effect was. A PUT never rests on it.
    """

    _journal: Journal
    _kind: Kind
    _sets: IdSets
    _skip_done: bool
    _of_canary: bool = attrs.field(default=False, alias="of_canary", kw_only=True)
    _is_left_out: bool = False

    async def items_to_do(self, after: int, limit: int) -> list[Item]:
        """The next items that have no outcome; see `Journal.items_to_do`.

        Raises:
            ConfigurationError: the service does not filter by ids, and what is done cannot be told without it.
            FusebillError: the customers could not be read.
        """
        items = await self._journal.items_to_do(after, min(limit, MOST_IDS), of_canary=self._of_canary)
        if self._is_left_out or not items:
            return items
        try:
            found = await self._sets.read([item.customer_id for item in items])
        except FilterRefusedError as error:
            self._leave_out(str(error))
            return items
        self._keep(items, found)
        return [self._looked_at(item, found.get(item.customer_id)) for item in items]

    def _keep(self, items: list[Item], found: dict[int, Reading]) -> None:
        seen, rows = self._sets.core.seen, list[tuple[int, bytes]]()
        for item in items:
            reading = found.get(item.customer_id)
            if reading is None or reading.customer is None or reading.customer.wire is None:
                continue
            # A list may show less than a read of the customer does, so no PUT may rest on it.
            seen.remember(attrs.evolve(reading, whole=False))
            rows.append((item.number, reading.customer.wire))
        self._journal.keep_snapshots(rows)

    def _leave_out(self, reason: str) -> None:
        if self._skip_done:
            raise ConfigurationError(
                f"what is done already cannot be told: the service does not filter by ids ({reason}). "
                "single_reads=True, or --single-reads, reads the customers one by one, a call for each"
            )
        self._is_left_out = True
        self._journal.note_run(f"no snapshot was kept: the service does not filter by ids ({reason})")

    def _looked_at(self, item: Item, reading: Reading | None) -> Item:
        """The item, set aside if it is done already."""
        goal = self._kind.operation.goal
        if not self._skip_done or reading is None or reading.customer is None or goal is None:
            return item
        try:
            sent = self._kind.sent(item, read_object(reading.customer.wire or b"{}"))
            is_done = not differences(goal, sent, reading.fields, exactly=True)
        except UnreadableAnswer:
            # The write finds out what is wrong with it.
            return item
        return attrs.evolve(item, aside="it was so already before this job") if is_done else item
