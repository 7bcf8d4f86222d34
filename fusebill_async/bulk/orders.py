"""An item that another process carries out: what it is told, and what it answers."""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import datetime
from typing import Any

import attrs

import fusebill_async.errors
from fusebill_async.bulk.batch import as_batch
from fusebill_async.bulk.carrying import Carried, tally_with
from fusebill_async.bulk.goals import differences, without_nulls
from fusebill_async.bulk.items import Item, Kind
from fusebill_async.bulk.kinds import kind_of
from fusebill_async.bulk.tallies import Tally, tally_of
from fusebill_async.converting import decode_json, read_object
from fusebill_async.errors import (
    ConfigurationError,
    FusebillError,
    NotFoundError,
    NotUnresolvedError,
    OutcomeUnknownError,
    StoreUnavailableError,
)
from fusebill_async.models import Customer
from fusebill_async.operations import GET, MAY_BE_SENT_AGAIN, Safety
from fusebill_async.outcome import Attribution, Outcome
from fusebill_async.resources.core import ClientCore
from fusebill_async.settling.keys import Ended, Recorded, call_key, key_id
from fusebill_async.settling.response import Response
from fusebill_async.settling.write import Write
from fusebill_async.stores.intent_json import encode_before

logger = logging.getLogger("fusebill_async.worker")

_PAUSE = 1.0
"""Seconds before a store that was away is asked again."""
_KNOWN_FOR = 300.0
"""Seconds for which what was read of a customer says something about its write."""
_TRIES = 3
"""How often an unknown outcome is looked at once more. Nobody here is in a hurry."""
_OLDEST = 86_400.0
"""Seconds after which an order is not begun any more: its job has long given it to somebody else."""


@attrs.frozen(kw_only=True)
class Order:
    """An item, as a job hands it to another process. It consists of what JSON has.

    Attributes:
        key: the idempotency key of its write.
        service: the base URL that the job is meant for.
        operation, options: what the job does, see `kind_of`.
        number, customer_id, asked, known: see `Item`.
        at: when it was handed out, in epoch seconds.
        again: it was handed out before, and nobody has told what became of it.
        anew: what was rejected or not applied under its key may be tried again.
        only_read: settle what is open, and send nothing.
    """

    key: str
    service: str
    operation: str
    options: str
    number: int
    customer_id: int
    asked: str | None
    known: str | None
    at: float = attrs.field(converter=float)
    again: bool = False
    anew: bool = False
    only_read: bool = False


@attrs.frozen(kw_only=True)
class Answer:
    """What became of an order. It consists of what JSON has.

    Attributes:
        tally, outcome, attribution, status, attempts: see `Carried`.
        at: when it ended, in epoch seconds.
        modified: see `Ended`.
        before: what was there before an update, see `encode_before`.
        error: the class of the error that it ended with, "" for none.
        message: why it was not applied, in words.
        opens_at: when the quota opens again, in ISO 8601.
    """

    tally: str
    outcome: str
    at: float = attrs.field(converter=float)
    attribution: str | None = None
    status: int | None = None
    attempts: int = 0
    modified: str | None = None
    before: str | None = None
    error: str = ""
    message: str = ""
    opens_at: str | None = None

    def ended(self, customer_id: int) -> Ended:
        """How it ended, as a ledger keeps it."""
        return Ended(
            outcome=Outcome(self.outcome),
            customer_id=customer_id,
            attribution=None if self.attribution is None else Attribution(self.attribution),
            status=self.status,
            at=self.at,
            attempts=self.attempts,
            message=self.message,
            modified=self.modified,
        )

    def carried(self, order: Order, attempts: int) -> Carried:
        """The same, as a job counts it.

        Args:
            order: what was asked for.
            attempts: requests that were sent for the item before.
        """
        error = self._error(order)
        ended = self.ended(order.customer_id)
        return Carried(
            tally=Tally(self.tally),
            outcome=ended.outcome,
            error=error,
            attempts=attempts + self.attempts,
            attribution=ended.attribution,
            status=self.status,
            reason="" if error is not None else self.message,
        )

    def _error(self, order: Order) -> FusebillError | None:
        """The error, with what a job looks at. Another version of this package may know others."""
        if not self.error:
            return None
        kind: Any = getattr(fusebill_async.errors, self.error, FusebillError)
        facts = {"operation": order.operation, "customer_id": order.customer_id}
        error: FusebillError = kind(self.message, outcome=Outcome(self.outcome), **facts)
        for name, value in (("status", self.status), ("opens_at", self.opens_at)):
            if value is not None and hasattr(error, name):
                setattr(error, name, datetime.fromisoformat(value) if isinstance(value, str) else value)
        return error


class OrderCarrier:
    """Carries out what jobs hand to this process, each under its idempotency key.

    Args:
        core: of a client on a store that all workers share.
    """

    def __init__(self, core: ClientCore) -> None:
        self._core = as_batch(core)

    async def __call__(self, order: Order) -> Answer:
        """Carry an order out. One that was carried out before sends nothing, and gives the outcome that was recorded.

        No `FusebillError` is raised: how it ended stands in the answer.
        """
        while True:
            try:
                return await self._carry_out(order)
            except StoreUnavailableError as error:
                # Without its key nothing true can be told of it.
                logger.warning("an item of a job waits for the store: %s", error)
                await self._core.session.effects.sleep(_PAUSE)
            except FusebillError as error:
                # Nothing was sent by this delivery, and none before it had an effect.
                return self._told(Tally.UNPROCESSED, Outcome.NOT_SENT, error)

    async def _carry_out(self, order: Order) -> Answer:
        core = self._core
        if order.service != core.base_url:
            raise ConfigurationError(f"the job is meant for {order.service}, and this worker acts on {core.base_url}")
        found = await self._settled(order.key)
        tally = Tally.UNPROCESSED if found is None else _tally_of(found)
        kind = kind_of(order.operation, decode_json(order.options.encode()))
        if found is not None and not order.anew and _is_final(tally, kind):
            return self._told(tally, found.outcome, message=f"an earlier delivery was {tally}", status=found.status)
        is_recorded = tally in {Tally.APPLIED, Tally.UNKNOWN}
        age = core.session.effects.wall() - order.at
        if not is_recorded and (order.only_read or age > _OLDEST):
            why = "it may be under way at a worker" if order.only_read else f"it was handed out {age:.0f} s ago"
            return self._told(Tally.UNKNOWN, Outcome.UNKNOWN, message=why)
        item = _item(order, known=age < _KNOWN_FOR)
        if order.again and found is None and (answer := await self._looked_for(kind, item)):
            return answer
        if not is_recorded and (objection := await kind.objection(core, item)):
            return self._told(Tally.SKIPPED, Outcome.NOT_SENT, message=objection)
        return await self._write(order, kind, item)

    async def _settled(self, key: str) -> Recorded | None:
        """What is recorded of an earlier delivery. What it left open is settled first, by reading."""
        writing = self._core.writing
        found = await writing.recaller.find(key_id(key))
        if found is not None and found.outcome is Outcome.UNKNOWN:
            with suppress(NotUnresolvedError):
                await writing.resolver.resolve(found.intent_id)
            found = await writing.recaller.find(key_id(key))
        return found

    async def _looked_for(self, kind: Kind, item: Item) -> Answer | None:
        """The answer to an order that was handed out before, and of which the store knows nothing; None to send it.

        Either no worker has begun it, or the store has lost what it knew. A customer who stands as it asks for is left
        alone: a refusal would say that it had no effect.
        """
        if kind.operation.goal is None:
            why = "the store knows nothing of an earlier delivery, and no read can tell"
            return self._told(Tally.UNKNOWN, Outcome.UNKNOWN, message=why)
        try:
            customer: Customer = (await self._core.read(GET, item.customer_id)).value
        except NotFoundError:
            return None
        except FusebillError as error:
            return self._told(Tally.UNKNOWN, Outcome.UNKNOWN, error)
        present = read_object(customer.wire or b"{}")
        different = differences(kind.operation.goal, kind.sent(item, present), present.values, exactly=True)
        if without_nulls(different):
            return None
        told = self._told(Tally.APPLIED, Outcome.APPLIED)
        return attrs.evolve(told, attribution=Attribution.UNPROVEN, attempts=1)

    async def _write(self, order: Order, kind: Kind, item: Item) -> Answer:
        write, response, error = await self._written(order, kind, item)
        for _ in range(_TRIES):
            if not isinstance(error, OutcomeUnknownError):
                break
            # Its caller was told before settling came to its end, or it lost its lock to another delivery.
            await self._settled(order.key)
            write, response, error = await self._written(order, kind, item)
        ended = write.ended(self._core.session.effects.wall())
        is_replayed = response is not None and response.replayed
        is_update = kind.operation.safety is Safety.REPLACE
        told = self._told(tally_with(ended, error), ended.outcome if error is None else error.outcome, error)
        return attrs.evolve(
            told,
            attribution=ended.attribution,
            status=ended.status,
            attempts=1 if is_replayed else ended.attempts,
            # Of a customer as it is now nobody knows who left it so.
            modified=None if is_replayed else ended.modified,
            before=encode_before(write.before) if is_update and not is_replayed else None,
        )

    async def _written(
        self, order: Order, kind: Kind, item: Item
    ) -> tuple[Write, Response[Any] | None, FusebillError | None]:
        write = kind.write(self._core, item)
        write.resend = write.resend or order.anew
        now = self._core.session.effects.wall()
        write.key = call_key(order.key, kind.operation, item.customer_id, [order.options, order.asked], now=now)
        try:
            response = await self._core.writing.writer.write(write)
            kind.check_answer(write, response)
        except FusebillError as error:
            return write, None, error
        return write, response, None

    def _told(
        self,
        tally: Tally,
        outcome: Outcome,
        error: FusebillError | None = None,
        *,
        message: str = "",
        status: int | None = None,
    ) -> Answer:
        opens_at: datetime | None = getattr(error, "opens_at", None)
        return Answer(
            tally=tally,
            outcome=outcome,
            at=self._core.session.effects.wall(),
            status=status,
            error="" if error is None else type(error).__name__,
            message=message if error is None else str(error),
            opens_at=None if opens_at is None else opens_at.isoformat(),
        )


def _is_final(tally: Tally, kind: Kind) -> bool:
    """Whether a delivery that comes later changes nothing about an item that had no effect."""
    may_be_sent_again = kind.operation.safety in MAY_BE_SENT_AGAIN
    return tally is Tally.REJECTED or (tally is Tally.NOT_APPLIED and not may_be_sent_again)


def _tally_of(found: Recorded) -> Tally:
    ended = Ended(
        outcome=found.outcome,
        customer_id=found.customer_id,
        attribution=found.attribution,
        status=found.status,
        at=found.began,
    )
    return tally_of(ended)


def _item(order: Order, *, known: bool) -> Item:
    return Item(
        number=order.number,
        customer_id=order.customer_id,
        asked=None if order.asked is None else order.asked.encode(),
        known=order.known.encode() if known and order.known is not None else None,
    )
