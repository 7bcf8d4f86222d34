"""Hands the items of a job to other processes, and keeps in the journal what became of them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import Protocol

import attrs

from fusebill_async.bulk.carrying import Carried, LocalCarrier
from fusebill_async.bulk.items import Item, Kind
from fusebill_async.bulk.journal import JobFacts
from fusebill_async.bulk.ledger import JournalLedger
from fusebill_async.bulk.orders import Answer, Order
from fusebill_async.bulk.tallies import Tally
from fusebill_async.converting import encode
from fusebill_async.errors import OutcomeUnknownError
from fusebill_async.outcome import Outcome
from fusebill_async.session.effects import Effects
from fusebill_async.settling.intent import Intent
from fusebill_async.settling.keys import CallKey, key_id

_SOON = 5.0
"""Seconds after which an item that has no outcome yet lets others go ahead."""


class Workers(Protocol):
    """Other processes that carry out orders, and the way to them. See `fusebill_async.distributed.Workers`."""

    async def start(self) -> None:
        """Reach the queue.

        Raises:
            StoreUnavailableError: it is away.
        """
        ...

    async def carry_out(self, order: Order) -> Answer | None:
        """Have an order carried out, and wait for what becomes of it; None if nobody has told in time.

        It may be delivered twice, or not at all.
        """
        ...

    async def aclose(self) -> None:
        """Let go of the queue. What was handed out and not told yet stays there."""
        ...


def job_name(facts: JobFacts) -> str:
    """The name of a job, the same in each of its runs. The idempotency keys of its items begin with it."""
    told = [facts.service, facts.operation, facts.options, repr(facts.began), facts.fingerprint]
    return hashlib.blake2b(encode(told), digest_size=12).hexdigest()


class HandingOut:
    """Carries items out by handing each to a worker, under an idempotency key that is the item's for ever.

    The journal says that an item was handed out before it is. What has no outcome then stays open there, and the next
    run hands it out again: its key makes it once.

    Args:
        local: carries out what needs no worker, and settles what an earlier run without workers left open.
        workers: who carry them out.
        ledger: of the job.
        kind: what the job does.
        order: what all orders have in common.
        effects: the clocks.
    """

    def __init__(
        self, local: LocalCarrier, workers: Workers, ledger: JournalLedger, kind: Kind, order: Order, effects: Effects
    ) -> None:
        self._local = local
        self._workers = workers
        self._ledger = ledger
        self._kind = kind
        self._order = order
        self._effects = effects

    async def __call__(self, item: Item, on_settling: Callable[[], None]) -> Carried:
        """Have an item carried out.

        Raises:
            StoreUnavailableError: the journal cannot be written to. The item was not handed out.
        """
        if item.aside or (item.intent_id is not None and not item.handed_out):
            return await self._local(item, on_settling)
        order = self._order_of(item)
        intent = Intent(
            id=order.key,
            operation=order.operation,
            customer_id=item.customer_id,
            named={},
            opened_at=order.at,
            key=CallKey(id=key_id(order.key), digest="", began=order.at),
        )
        self._ledger.begin(item)
        try:
            await self._ledger.open(intent)
            answer = await self._outcome_of(order, on_settling)
            if answer is None:
                return _nobody_told(order, item)
            carried = answer.carried(order, item.attempts)
            if carried.tally is not Tally.UNKNOWN:
                self._ledger.told(intent, answer.ended(item.customer_id), carried.tally, answer.before)
            return carried
        finally:
            self._ledger.done(item)

    def _order_of(self, item: Item) -> Order:
        return attrs.evolve(
            self._order,
            key=f"{self._order.key}/{item.number}",
            number=item.number,
            customer_id=item.customer_id,
            asked=None if item.asked is None else item.asked.decode(),
            known=None if item.known is None else item.known.decode(),
            at=self._effects.wall(),
            again=item.handed_out,
        )

    async def _outcome_of(self, order: Order, on_settling: Callable[[], None]) -> Answer | None:
        """The answer; others go ahead when it does not come soon."""
        asked = asyncio.ensure_future(self._workers.carry_out(order))
        clock = asyncio.ensure_future(self._effects.sleep(_SOON))
        try:
            await asyncio.wait([asked, clock], return_when=asyncio.FIRST_COMPLETED)
            if not asked.done():
                on_settling()
            return await asked
        finally:
            clock.cancel()
            asked.cancel()


def order_for(facts: JobFacts, kind: Kind, *, anew: bool, only_read: bool) -> Order:
    """What all orders of a job have in common."""
    return Order(
        key=f"bulk/{job_name(facts)}",
        service=facts.service,
        operation=kind.operation.title,
        options=encode(kind.options()).decode(),
        number=0,
        customer_id=0,
        asked=None,
        known=None,
        at=0.0,
        anew=anew,
        only_read=only_read,
    )


def _nobody_told(order: Order, item: Item) -> Carried:
    error = OutcomeUnknownError(
        "no worker has told what became of it: resume the job, and it is handed out again under its key",
        operation=order.operation,
        customer_id=item.customer_id,
    )
    return Carried(tally=Tally.UNKNOWN, outcome=Outcome.UNKNOWN, error=error, attempts=item.attempts)
