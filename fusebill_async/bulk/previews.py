"""What a job would invoice, found out by the previews of the API. Nothing is written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import attrs

from fusebill_async.bulk.forecasts import ENDS_IT
from fusebill_async.bulk.items import Item, Kind, VerbJob
from fusebill_async.bulk.sampling import sampled
from fusebill_async.errors import ConfigurationError, FusebillError, PreviewChangedStateError
from fusebill_async.models import Activation, InvoicePreview
from fusebill_async.operations import Operation, preview_of
from fusebill_async.resources.core import ClientCore
from fusebill_async.stores.effects import StoreEffects


@attrs.frozen(kw_only=True)
class ItemPreview:
    """What an item would invoice.

    Attributes:
        number: its place in the input, from 1.
        customer_id: the customer.
        activation: the answer to the preview; None if there was none.
        error: why there was none, such as a refusal of the service.
    """

    number: int
    customer_id: int
    activation: Activation | None = attrs.field(default=None, repr=False)
    error: FusebillError | None = None

    @property
    def invoices(self) -> tuple[InvoicePreview, ...]:
        """The invoices that it would make; none where it would invoice nothing."""
        if self.activation is None:
            return ()
        first = self.activation.invoice_preview
        return (*(() if first is None else (first,)), *self.activation.additional_invoices_for_preview)


class Previewer:
    """Asks the service what the items of a job would invoice, a call for each.

    Args:
        core: of the client.
        kind: what the job does.
        path: of the journal.
        effects: threads.
        concurrency: calls at once.

    Raises:
        ConfigurationError: the API has no preview of the operation.
    """

    def __init__(self, core: ClientCore, kind: Kind, path: Path, effects: StoreEffects, concurrency: int) -> None:
        self._core = core
        self._kind = kind
        self._preview = _preview_of(kind)
        self._path = path
        self._effects = effects
        self._concurrency = concurrency

    async def previews(self, sample: int | None) -> AsyncGenerator[ItemPreview, None]:
        """Preview each item that has no outcome, or some that are spread over the job.

        Args:
            sample: how many; None is all.

        Raises:
            PreviewChangedStateError: after a preview a customer was in another state: the service may have acted.
            FusebillError: no further preview would succeed.
        """
        sets = sampled(
            self._path, self._effects, self._core.session.effects.random, sample=sample, at_once=self._concurrency
        )
        async with aclosing(sets):
            async for items in sets:
                for preview in await asyncio.gather(*map(self._ask, items)):
                    yield preview

    async def _ask(self, item: Item) -> ItemPreview:
        assert isinstance(self._kind, VerbJob)
        arguments = self._kind.arguments_of(item)
        try:
            answer = await self._core.read(self._preview, item.customer_id, **arguments)
        except (PreviewChangedStateError, *ENDS_IT):
            raise
        except FusebillError as error:
            return ItemPreview(number=item.number, customer_id=item.customer_id, error=error)
        return ItemPreview(number=item.number, customer_id=item.customer_id, activation=answer.value)


def _preview_of(kind: Kind) -> Operation:
    operation = kind.operation
    preview = preview_of(operation)
    if preview is not None and isinstance(kind, VerbJob):
        return preview
    if operation.moves_money:
        raise ConfigurationError(
            f"the API has no preview of {operation.title}: what it would invoice or credit cannot be told before"
        )
    raise ConfigurationError(f"{operation.title} invoices nothing, so there is nothing to preview")
