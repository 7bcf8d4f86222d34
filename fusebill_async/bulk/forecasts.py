"""What a job would change, found out by reading its customers. Nothing is written."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from enum import StrEnum
from pathlib import Path
from typing import Any

import attrs

from fusebill_async.bulk.goals import ABSENT, Difference, differences, shows_all, without_nulls
from fusebill_async.bulk.id_sets import MOST_IDS, FilterRefusedError, IdSets
from fusebill_async.bulk.items import Item, Kind
from fusebill_async.bulk.sampling import sampled
from fusebill_async.bulk.undoing import UndoJob
from fusebill_async.converting import UnreadableAnswer, read_object
from fusebill_async.errors import (
    AuthenticationError,
    ClientStateError,
    ConcurrentModificationError,
    ConfigurationError,
    ConnectError,
    FusebillError,
    QuotaExhaustedError,
    ValidationError,
    WouldEraseError,
)
from fusebill_async.models.enums import Status
from fusebill_async.operations import REPLACE, UPDATE, names_of
from fusebill_async.settling.seen import Reading
from fusebill_async.stores.effects import StoreEffects
from fusebill_async.updating.merging import Change
from fusebill_async.updating.merging import differences as changes_between

ENDS_IT = (AuthenticationError, ClientStateError, ConnectError, QuotaExhaustedError)
"""With these no further read would succeed."""
_GUARDS = (ConcurrentModificationError, ValidationError, WouldEraseError)


class Verdict(StrEnum):
    """What is to be expected of an item."""

    CHANGED = "changed"
    """It would change the customer."""
    UNCHANGED = "unchanged"
    """The customer is so already."""
    REFUSED = "refused"
    """The service would refuse it, or a guard of this client would before it is sent."""
    MISSING = "missing"
    """The service shows no such customer."""
    UNREADABLE = "unreadable"
    """No read has told."""


@attrs.frozen(kw_only=True)
class ItemForecast:
    """What an item would do.

    Attributes:
        number: its place in the input, from 1.
        customer_id: the customer.
        verdict: what is to be expected.
        changes: the fields that would change, with what they hold and what they would hold.
        reason: why it would not change anything, in words; "" if it would.
    """

    number: int
    customer_id: int
    verdict: Verdict
    changes: tuple[Change, ...] = attrs.field(default=(), repr=False)
    reason: str = ""


class Forecaster:
    """Compares the items of a job with the customers as they stand.

    Args:
        sets: reads the customers.
        kind: what the job does.
        path: of the journal.
        effects: threads.

    Raises:
        ConfigurationError: no read can tell what the operation would change.
    """

    def __init__(self, sets: IdSets, kind: Kind, path: Path, effects: StoreEffects) -> None:
        if kind.operation.goal is None or isinstance(kind, UndoJob):
            raise ConfigurationError(f"no read can tell what {kind.operation.title} would change")
        self._sets = sets
        self._kind = kind
        self._path = path
        self._effects = effects

    async def forecasts(self, sample: int | None) -> AsyncGenerator[ItemForecast, None]:
        """Look at each item that has no outcome, or at some that are spread over the job.

        Args:
            sample: how many; None is all.

        Raises:
            ConfigurationError: the service does not filter by ids, and single reads were not asked for.
            FusebillError: no further read would succeed.
        """
        chance = self._sets.core.session.effects.random
        sampling = sampled(self._path, self._effects, chance, sample=sample, at_once=MOST_IDS)
        async with aclosing(sampling) as sets:
            async for items in sets:
                for forecast in await self._look_at(items):
                    yield forecast

    async def _look_at(self, items: Sequence[Item]) -> list[ItemForecast]:
        try:
            found = await self._sets.read([item.customer_id for item in items])
        except FilterRefusedError as error:
            raise ConfigurationError(
                f"the service does not filter by ids ({error}): single_reads=True, or --single-reads, reads the "
                "customers one by one, a call for each"
            ) from None
        except ENDS_IT:
            raise
        except FusebillError as error:
            return [_forecast(item, Verdict.UNREADABLE, reason=error.message) for item in items]
        return [await self._judge(item, found.get(item.customer_id)) for item in items]

    async def _judge(self, item: Item, row: Reading | None) -> ItemForecast:
        try:
            if row is not None and self._is_enough(item, row):
                return self._compare(item, row)
            # The list may be late, or show less than a read of the customer.
            reading = await self._sets.read_one(item.customer_id)
            if reading is None:
                return _forecast(item, Verdict.MISSING, reason="there is no such customer")
            return self._compare(item, reading)
        except ENDS_IT:
            raise
        except _GUARDS as error:
            return _forecast(item, Verdict.REFUSED, reason=error.message)
        except (FusebillError, UnreadableAnswer) as error:
            return _forecast(item, Verdict.UNREADABLE, reason=str(error))

    def _is_enough(self, item: Item, row: Reading) -> bool:
        """Whether a row of a list shows every field that the item is about. A replacement is about all of them."""
        return self._kind.operation is not REPLACE and shows_all(self._differences(item, row))

    def _compare(self, item: Item, reading: Reading) -> ItemForecast:
        operation = self._kind.operation
        different = without_nulls(self._differences(item, reading))
        if not different and operation is not REPLACE:
            return _forecast(item, Verdict.UNCHANGED, reason="it is so already")
        status, works_from = reading.fields.get("status"), operation.allowed_from
        if works_from is not None and status not in works_from:
            return _forecast(
                item, Verdict.REFUSED, reason=f"it is {status}, and this works from {names_of(works_from)}"
            )
        if operation not in {UPDATE, REPLACE}:
            changes = tuple(_change(each, operation.leads_to) for each in different)
        else:
            changes = self._changes(item, reading)
        if not changes:
            return _forecast(item, Verdict.UNCHANGED, reason="it is so already")
        return _forecast(item, Verdict.CHANGED, changes)

    def _differences(self, item: Item, reading: Reading) -> list[Difference]:
        sent = self._kind.sent(item, read_object(_wire_of(reading)))
        return differences(self._kind.operation.goal, sent, reading.fields, exactly=True)

    def _changes(self, item: Item, reading: Reading) -> tuple[Change, ...]:
        """What is different between a customer and the PUT that would be laid over it."""
        present = _wire_of(reading)
        write = self._kind.write(self._sets.core, item)
        assert write.update is not None
        put = write.update.next_put(present, present, in_doubt=False, facts=write.call.facts)
        return () if put is None else changes_between(read_object(present), read_object(put.request.body or b"{}"))


def _wire_of(reading: Reading) -> bytes:
    wire = None if reading.customer is None else reading.customer.wire
    return wire or b"{}"


def _change(different: Difference, leads_to: Status | None) -> Change:
    before: Any = None if different.found is ABSENT else different.found
    is_status = different.field == "status" and leads_to is not None
    return Change(different.field, before, leads_to if is_status else different.expected)


def _forecast(item: Item, verdict: Verdict, changes: tuple[Change, ...] = (), reason: str = "") -> ItemForecast:
    return ItemForecast(
        number=item.number, customer_id=item.customer_id, verdict=verdict, changes=changes, reason=reason
    )
