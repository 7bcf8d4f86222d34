"""What a command gives back, as JSON and for people."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import attrs
import msgspec
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.showing import difference_objects, difference_table, invoice_table, print_customer
from fusebill_async.cli.terminal import status_text
from fusebill_async.cli.wire_text import cell, printable, raw, wire_of
from fusebill_async.converting import encode
from fusebill_async.models import Activation, Customer, Overview
from fusebill_async.operations import Operation
from fusebill_async.outcome import Attempt, Attribution, ConfirmedBy, Outcome
from fusebill_async.settling.response import Response
from fusebill_async.updating.merging import UpdatePlan


class Result(ABC):
    """What a command gives back when nothing was raised."""

    @property
    def exit_code(self) -> ExitCode:
        """How the command ends."""
        return ExitCode.DONE

    @property
    def happened(self) -> str:
        """What happened at the service, to be said on stderr where the result cannot be shown; "" for a read."""
        return ""

    @abstractmethod
    def as_json(self) -> bytes:
        """The result as JSON."""

    @abstractmethod
    def print_on(self, console: Console) -> None:
        """Show the result to a person."""


@attrs.frozen
class Read(Result):
    """A customer or its overview, that was read."""

    view: Customer | Overview

    def as_json(self) -> bytes:
        """The bytes that came."""
        return wire_of(self.view)

    def print_on(self, console: Console) -> None:
        """A card."""
        print_customer(wire_of(self.view), console)


@attrs.frozen
class Preview(Result):
    """What an operation would invoice."""

    operation: Operation
    preview: Activation

    def as_json(self) -> bytes:
        """The bytes that came."""
        return self.preview.wire or b"null"

    def print_on(self, console: Console) -> None:
        """The invoices."""
        customer = self.preview.customer
        console.print(
            Text.assemble((f"customer {customer.id}", "bold"), ": this would be invoiced. Nothing was changed.")
        )
        invoice = self.preview.invoice_preview
        if invoice is None:
            console.print("  no invoice")
        else:
            console.print(Padding(invoice_table(invoice, customer.currency), (0, 0, 0, 2), expand=False))
        for further in self.preview.additional_invoices_for_preview:
            console.print("and a further invoice:")
            console.print(Padding(invoice_table(further, customer.currency), (0, 0, 0, 2), expand=False))


@attrs.frozen
class Write(Result):
    """A write that was applied."""

    operation: Operation
    response: Response[Any]
    plan: UpdatePlan | None = None

    @property
    def happened(self) -> str:
        """The outcome, and of what."""
        return f"applied  {self.operation.title} of customer {_customer(self.response.value).id}"

    def as_json(self) -> bytes:
        """The outcome, what it rests on, and the customer as it came."""
        response = self.response
        value: Customer | Activation = response.value
        shown: dict[str, Any] = {
            "outcome": Outcome.APPLIED,
            "operation": self.operation.title,
            "customer_id": _customer(value).id,
            "status": response.status,
            "confirmed_by": response.confirmed_by,
            "replayed": response.replayed,
            "attribution": response.attribution,
            "customer": raw(_customer(value)),
            "attempts": attempt_objects(response.attempts),
        }
        if isinstance(value, Activation):
            shown["answer"] = None if value.wire is None else msgspec.Raw(value.wire)
        if self.plan is not None:
            shown["changes"] = difference_objects(self.plan.changes)
        return encode(shown)

    def print_on(self, console: Console) -> None:
        """What happened, and to whom."""
        customer = _customer(self.response.value)
        console.print(
            Text.assemble(
                ("applied", "bold green"),
                f"  {self.operation.title} of customer {customer.id}",
                f" ({printable(cell(wire_of(customer), 'companyName'))})",
                *(() if self.operation.leads_to is None else (": now ", status_text(str(customer.status)))),
            )
        )
        console.print(Text(_rests_on(self.response), style="dim"))
        if self.plan:
            console.print(Padding(difference_table(self.plan.changes), (0, 0, 0, 2), expand=False))
        elif self.plan is not None:
            console.print("  nothing to change: the customer is already so")


def attempt_objects(attempts: Iterable[Attempt]) -> list[dict[str, Any]]:
    """Attempts for JSON."""
    return [attrs.asdict(attempt) for attempt in attempts]


def _customer(value: Customer | Activation) -> Customer:
    return value.customer if isinstance(value, Activation) else value


def _rests_on(response: Response[Any]) -> str:
    sent = len({attempt.number for attempt in response.attempts})
    how = {
        ConfirmedBy.RESPONSE: "the service's answer",
        ConfirmedBy.READ: "reading the customer",
        ConfirmedBy.RECORD: "the record of an earlier call with this key, nothing was sent",
    }[response.confirmed_by]
    whose = {
        Attribution.OURS: "this call's work",
        Attribution.ALREADY: "it was so before",
        Attribution.UNPROVEN: "who caused it cannot be proven",
    }[response.attribution]
    return f"confirmed by {how}; {whose}; {sent} attempt{'s' if sent != 1 else ''}"
