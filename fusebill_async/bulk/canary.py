"""The canary of a job: a few items drawn at random that go first, and what they have changed."""

from __future__ import annotations

import zlib
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from fusebill_async.bulk.id_sets import IdSets
from fusebill_async.bulk.journal_file import open_to_read
from fusebill_async.bulk.report import BulkItem, item_from
from fusebill_async.converting import UnreadableAnswer, read_object
from fusebill_async.errors import FusebillError
from fusebill_async.stores.effects import StoreEffects
from fusebill_async.updating.merging import Change, differences

_CHANGES_ALWAYS = "modified_timestamp"
_ITEMS = (
    "SELECT number, customer_id, "
    "CASE WHEN intents.item IS NULL THEN coalesce(tally, 'unprocessed') ELSE 'unknown' END, "
    "outcome, attribution, status, coalesce(attempts, 0), ended, coalesce(message, reason, ''), outcomes.run, wire "
    "FROM canary JOIN items ON number = canary.item LEFT JOIN outcomes ON outcomes.item = number "
    "LEFT JOIN intents ON intents.item = number LEFT JOIN snapshots ON snapshots.item = number ORDER BY number"
)


@attrs.frozen(kw_only=True)
class CanaryItem:
    """One item that went first.

    Attributes:
        item: how it ended.
        changes: every field of the customer that is different from right before the item, the timestamp left out.
        unread: why that is not known, in words; "" if it is.
    """

    item: BulkItem
    changes: tuple[Change, ...] = attrs.field(default=(), repr=False)
    unread: str = ""


async def look_at_canary(sets: IdSets, path: Path, effects: StoreEffects) -> list[CanaryItem]:
    """Read the customers of a canary again, one by one, and compare each with what it was before.

    Args:
        sets: reads the customers.
        path: of the journal.
        effects: threads.

    Raises:
        ConfigurationError: there is no journal, or it cannot be read.
    """
    rows = await effects.off_loop(partial(_read, path))
    return [await _compared(sets, item, wire) for item, wire in rows]


async def _compared(sets: IdSets, item: BulkItem, before: bytes | None) -> CanaryItem:
    if item.customer_id is None or before is None:
        return CanaryItem(item=item, unread="it was not read before")
    try:
        reading = await sets.read_one(item.customer_id)
        if reading is None or reading.customer is None:
            return CanaryItem(item=item, unread="there is no such customer any more")
        changes = differences(read_object(before), read_object(reading.customer.wire or b"{}"))
    except (FusebillError, UnreadableAnswer) as error:
        return CanaryItem(item=item, unread=str(error))
    return CanaryItem(item=item, changes=tuple(each for each in changes if each.field != _CHANGES_ALWAYS))


def _read(path: Path) -> list[tuple[BulkItem, bytes | None]]:
    with closing(open_to_read(path)) as connection:
        return [(item_from(row[:-1]), _wire(row[-1])) for row in connection.execute(_ITEMS)]


def _wire(compressed: Any) -> bytes | None:
    return None if compressed is None else zlib.decompress(compressed)
