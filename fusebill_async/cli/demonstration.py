"""What `demo` does: the operations, through the real client, at a simulator in this process."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from typing import Any

import attrs

from fusebill_async.client import FusebillClient
from fusebill_async.models import InvoicePreview
from fusebill_async.outcome import Outcome
from fusebill_async.settings import SettlingPolicy
from fusebill_async.settling.response import Response
from fusebill_async.testing import Fault, FusebillSimulator
from fusebill_async.updating.merging import UpdatePlan

_TO_HOLD, _TO_UPDATE, _TO_ACTIVATE, _TO_UNLATCH, _TO_LOSE = 1001, 1002, 1003, 1004, 1005
_STATUSES = {
    _TO_HOLD: "Active",
    _TO_UPDATE: "Active",
    _TO_ACTIVATE: "Draft",
    _TO_UNLATCH: "Active",
    _TO_LOSE: "Draft",
}
_CHANGES: dict[str, Any] = {"company_name": "Grok Ltd", "customer_reference": {"reference1": "A-1"}}
_FLAGS: dict[str, Any] = {
    "activate_all_subscriptions": True,
    "activate_all_draft_purchases": True,
    "temporarily_disable_auto_post": False,
}


@attrs.frozen(kw_only=True)
class Step:
    """One call of the demonstration.

    Attributes:
        operation: the command that does the same.
        customer_id: the customer.
        before, after: its status at the service.
        outcome: what the client said of a write; None for a preview, which changes nothing.
        confirmed_by, attribution: what showed the effect, and whether this call caused it.
        attempts: how often the client sent it.
        effects: how often something changed at this customer, by the service's own ledger.
        connection_cut: the connection was cut after the service had acted.
    """

    operation: str
    customer_id: int
    before: str
    after: str
    outcome: Outcome | None
    confirmed_by: str
    attribution: str
    attempts: int
    effects: int
    connection_cut: bool = False

    @property
    def as_promised(self) -> bool:
        """Whether a write had its effect exactly once, and a preview had none."""
        return self.effects == (0 if self.outcome is None else 1)


@attrs.frozen(kw_only=True)
class Demonstration:
    """What happened: the calls, what the update changed, what the activation was going to invoice."""

    steps: tuple[Step, ...]
    plan: UpdatePlan
    invoice: InvoicePreview
    seconds: float

    @property
    def as_promised(self) -> bool:
        """Whether every step was."""
        return all(step.as_promised for step in self.steps)


@attrs.frozen
class _Observer:
    """Sees a call from both sides: what the client says, and what the service did."""

    service: FusebillSimulator
    steps: list[Step]

    async def see(
        self,
        operation: str,
        customer_id: int,
        call: Awaitable[Response[Any]],
        *,
        writes: bool = True,
        connection_cut: bool = False,
    ) -> Any:
        before, effects_before = self._status(customer_id), self._effects(customer_id)
        response = await call
        self.steps.append(
            Step(
                operation=operation,
                customer_id=customer_id,
                before=before,
                after=self._status(customer_id),
                outcome=Outcome.APPLIED if writes else None,
                confirmed_by=response.confirmed_by,
                attribution=response.attribution,
                # The read that settled a write is recorded with the number of the attempt that it settled.
                attempts=len({attempt.number for attempt in response.attempts}),
                effects=self._effects(customer_id) - effects_before,
                connection_cut=connection_cut,
            )
        )
        return response.value

    def _status(self, customer_id: int) -> str:
        return str(self.service.customer(customer_id)["status"])

    def _effects(self, customer_id: int) -> int:
        return sum(effect.customer_id == customer_id for effect in self.service.effects_log)


async def demonstrate() -> Demonstration:
    """Hold, update, preview, activate, unlatch, and activate once more over a connection that is cut."""
    # The simulator acts at once, so an effect need not be waited for as long as at the service.
    settling = SettlingPolicy(first_read=0.05, quiet_period=0.2, wait=2.0)
    started = time.perf_counter()
    async with FusebillSimulator() as service:
        for customer_id, status in _STATUSES.items():
            service.add_customer(id=customer_id, status=status)
        async with FusebillClient("demo", base_url=service.base_url, settling=settling) as client:
            observer = _Observer(service, [])
            plan, invoice = await _act(client, observer)
    return Demonstration(steps=tuple(observer.steps), plan=plan, invoice=invoice, seconds=time.perf_counter() - started)


async def _act(client: FusebillClient, observer: _Observer) -> tuple[UpdatePlan, InvoicePreview]:
    see, customers = observer.see, client.with_response.customers
    await see("hold", _TO_HOLD, customers.hold(_TO_HOLD))
    plan = await client.customers.plan_update(_TO_UPDATE, **_CHANGES)
    await see("update", _TO_UPDATE, customers.update(_TO_UPDATE, **_CHANGES))
    preview = await see("preview", _TO_ACTIVATE, customers.preview_activation(_TO_ACTIVATE, **_FLAGS), writes=False)
    await see("activate", _TO_ACTIVATE, customers.activate(_TO_ACTIVATE, **_FLAGS))
    await see("unlatch", _TO_UNLATCH, client.with_response.hubspot.unlatch(_TO_UNLATCH))
    observer.service.inject(Fault.reset_after_effect(operation="activate", times=1))
    await see("activate", _TO_LOSE, customers.activate(_TO_LOSE, **_FLAGS), connection_cut=True)
    return plan, preview.invoice_preview
