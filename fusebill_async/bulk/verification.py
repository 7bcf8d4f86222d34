"""Proves a job: reads the customers again, and compares each with what its item was to bring about."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

import attrs

from fusebill_async.bulk.goals import Difference, differences, shows_all, without_nulls
from fusebill_async.bulk.id_sets import MOST_IDS, FilterRefusedError, IdSets
from fusebill_async.bulk.items import Item, Kind
from fusebill_async.bulk.journal import item_of
from fusebill_async.bulk.journal_file import open_to_read
from fusebill_async.converting import UnreadableAnswer, read_object
from fusebill_async.errors import (
    AuthenticationError,
    ClientStateError,
    ConfigurationError,
    FusebillError,
    QuotaExhaustedError,
    shown,
)
from fusebill_async.settling.seen import Reading, is_older
from fusebill_async.stores.effects import StoreEffects

_APPLIED = (
    "FROM outcomes JOIN items ON number = outcomes.item WHERE tally = 'applied' AND customer_id IS NOT NULL "
    "AND NOT EXISTS (SELECT 1 FROM intents WHERE intents.item = number)"
)
_ENDS_IT = (AuthenticationError, ClientStateError, QuotaExhaustedError)
"""With these no further read would succeed."""


@attrs.frozen(kw_only=True)
class Drift:
    """A customer that does not stand as its item left it, in one field.

    Attributes:
        customer_id: the customer.
        field: such as "status" or "customer_reference.reference1".
        expected, found: its values.
        modified: the customer's `modifiedTimestamp` as it came: when it was changed last.
    """

    customer_id: int
    field: str
    expected: Any = attrs.field(repr=False)
    found: Any = attrs.field(repr=False)
    modified: str | None


@attrs.frozen(kw_only=True)
class Unreadable:
    """A customer of which no read could tell.

    Attributes:
        customer_id: the customer.
        reason: why, in words.
    """

    customer_id: int
    reason: str


@attrs.define(kw_only=True)
class BulkCheck:
    """What reading the customers of a job again has shown.

    Attributes:
        operation: its title.
        applied: items of the job that were applied.
        held: customers that stand as their item left them.
        drifts: what is different, one for each field.
        unread: customers of which no read could tell.
        drifted, unreadable: how many customers.
    """

    operation: str
    applied: int
    held: int = 0
    drifted: int = 0
    drifts: list[Drift] = attrs.field(factory=list[Drift])
    unread: list[Unreadable] = attrs.field(factory=list[Unreadable])

    @property
    def unreadable(self) -> int:
        """See above."""
        return len(self.unread)

    @property
    def counts(self) -> dict[str, int]:
        """The three, by name. Together they are what was looked at."""
        return {"held": self.held, "drifted": self.drifted, "unreadable": self.unreadable}


class Verifier:
    """Compares the applied items of a job with the service.

    Args:
        sets: reads the customers.
        kind: what the job does.
        path: of the journal.
        effects: threads.
        sample: how much of the items is looked at, above 0 and at most 1; None is all.
    """

    def __init__(
        self, sets: IdSets, kind: Kind, path: Path, effects: StoreEffects, *, sample: float | None = None
    ) -> None:
        given: Any = sample
        if sample is not None and not (isinstance(given, (int, float)) and 0 < given <= 1):
            raise ConfigurationError(f"sample= must be a number above 0 and at most 1, or None, not {shown(sample)}")
        if kind.operation.goal is None:
            raise ConfigurationError(f"no read can tell whether {kind.operation.title} holds")
        self._sets = sets
        self._kind = kind
        self._path = path
        self._effects = effects
        self._sample = sample

    async def verify(self) -> BulkCheck:
        """Look at each item.

        Raises:
            ConfigurationError: the service does not filter by ids, and single reads were not asked for.
            FusebillError: the API key is refused, the client is closed, or the quota is used up.
        """
        applied: int = await self._effects.off_loop(partial(_count, self._path))
        check = BulkCheck(operation=self._kind.operation.title, applied=applied)
        async for items in self._chosen(applied):
            await self._look_at(items, check)
        return check

    async def _chosen(self, applied: int) -> AsyncIterator[list[_Applied]]:
        """The items to look at, in sets; a sample is spread evenly over the job, from a place by chance."""
        step = 1.0 if self._sample is None else applied / max(1, ceil(applied * self._sample))
        following = self._sets.core.session.effects.random() * step if step > 1 else 0.0
        last = place = 0
        chosen: list[_Applied] = []
        while some := await self._effects.off_loop(partial(_read, self._path, last)):
            last = some[-1].item.number
            for each in some:
                if place >= int(following):
                    chosen.append(each)
                    following += step
                place += 1
            while len(chosen) >= MOST_IDS:
                yield chosen[:MOST_IDS]
                del chosen[:MOST_IDS]
        if chosen:
            yield chosen

    async def _look_at(self, items: Sequence[_Applied], check: BulkCheck) -> None:
        try:
            found = await self._sets.read([each.item.customer_id for each in items])
        except FilterRefusedError as error:
            raise ConfigurationError(
                f"the service does not filter by ids ({error}): single_reads=True, or --single-reads, reads the "
                "customers one by one, a call for each"
            ) from None
        except _ENDS_IT:
            raise
        except FusebillError as error:
            check.unread += [Unreadable(customer_id=each.item.customer_id, reason=str(error)) for each in items]
            return
        for each in items:
            await self._judge(each, found.get(each.item.customer_id), check)

    async def _judge(self, applied: _Applied, row: Reading | None, check: BulkCheck) -> None:
        customer_id, reading = applied.item.customer_id, row
        try:
            different = None if row is None or applied.is_newer_than(row) else self._differences(applied.item, row)
            if different is None or not shows_all(different):
                # The list may be late, or show less than a read of the customer.
                reading = await self._sets.read_one(customer_id)
                if reading is None or applied.is_newer_than(reading):
                    reason = "there is no such customer" if reading is None else "the read shows an older state"
                    check.unread.append(Unreadable(customer_id=customer_id, reason=reason))
                    return
                different = without_nulls(self._differences(applied.item, reading))
        except _ENDS_IT:
            raise
        except (FusebillError, UnreadableAnswer) as error:
            check.unread.append(Unreadable(customer_id=customer_id, reason=str(error)))
            return
        assert reading is not None
        _note(check, customer_id, different, reading.modified)

    def _differences(self, item: Item, reading: Reading) -> list[Difference]:
        wire = None if reading.customer is None else reading.customer.wire
        sent = self._kind.sent(item, read_object(wire or b"{}"))
        return differences(self._kind.operation.goal, sent, reading.fields)


def _note(check: BulkCheck, customer_id: int, different: list[Difference], modified: str | None) -> None:
    if not different:
        check.held += 1
    elif not shows_all(different):
        names = ", ".join(each.field for each in different)
        check.unread.append(Unreadable(customer_id=customer_id, reason=f"a read does not show {names}"))
    else:
        check.drifted += 1
        check.drifts += [
            Drift(
                customer_id=customer_id,
                field=each.field,
                expected=each.expected,
                found=each.found,
                modified=modified,
            )
            for each in different
        ]


@attrs.frozen
class _Applied:
    """An item that was applied, and the timestamp of the customer as it left it."""

    item: Item
    modified: str | None

    def is_newer_than(self, reading: Reading) -> bool:
        """Whether a read shows a state from before."""
        return is_older(reading.modified, self.modified)


def _count(path: Path) -> int:
    with closing(open_to_read(path)) as connection:
        count: int = connection.execute(f"SELECT count(*) {_APPLIED}").fetchone()[0]
        return count


def _read(path: Path, after: int) -> list[_Applied]:
    with closing(open_to_read(path)) as connection:
        rows: list[sqlite3.Row] = connection.execute(
            f"SELECT number, customer_id, asked, known, attempts, modified {_APPLIED} AND number > ? "
            "ORDER BY number LIMIT ?",
            (after, 10 * MOST_IDS),
        ).fetchall()
        return [_Applied(item_of(row[:5]), row[5]) for row in rows]
