"""How a customer, the changes of an update, and an invoice preview are shown on a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from fusebill_async.cli.terminal import ARROW, status_text
from fusebill_async.cli.wire_text import leaves, printable
from fusebill_async.converting import encode
from fusebill_async.models import InvoicePreview
from fusebill_async.updating.merging import Change
from fusebill_async.updating.rules import python_name

_SECTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("person", ("title", "first_name", "middle_name", "last_name", "suffix")),
    ("contact", ("primary_email", "primary_phone", "secondary_email", "secondary_phone")),
    ("account", ("reference", "customer_account_status", "currency", "monthly_recurring_revenue",
                 "net_monthly_recurring_revenue", "portal_user_name", "parent_id", "is_parent")),
    ("reference", ("customer_reference",)),
    ("acquisition", ("customer_acquisition",)),
    ("integrations", ("hubspot", "salesforce", "netsuite", "quickbooks", "geotab", "digital_river")),
    ("times", ("created_timestamp", "modified_timestamp")),
)  # fmt: skip
_IN_THE_TITLE = frozenset({"id", "status", "company_name", "uri"})


def print_customer(wire: bytes, console: Console) -> None:
    """Print everything that a customer holds; what is null or empty is left out."""
    fields = {".".join(map(python_name, key.split("."))): printable(text) for key, text in leaves(wire)}
    if not console.is_terminal:
        for name, text in fields.items():
            console.file.write(f"{name}\t{text}\n")
        return
    what = f"customer {fields['id']}" if "id" in fields else "overview"
    title = Text.assemble(
        (what, "bold"), "  ", status_text(fields.get("status", "")), "  ",
        fields.get("company_name", ""),
    )  # fmt: skip
    shown = {
        name: text for name, text in fields.items() if name not in _IN_THE_TITLE and not name.endswith((".id", ".uri"))
    }
    console.print(Panel(Group(*_sections(shown)), title=title, title_align="left", expand=False))


def _sections(fields: dict[str, str]) -> Iterable[RenderableType]:
    left = dict(fields)
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold cyan", no_wrap=True)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for heading, starts in _SECTIONS:
        _add(table, heading, {name: left.pop(name) for name in list(left) if _belongs(name, starts)})
    _add(table, "more", left)
    yield table


def _belongs(name: str, starts: tuple[str, ...]) -> bool:
    return any(name == start or name.startswith((f"{start}.", f"{start}_")) for start in starts)


def _add(table: Table, heading: str, fields: dict[str, str]) -> None:
    for name, text in fields.items():
        label = name.rpartition(".")[2]
        table.add_row(heading, label, Text(text))
        heading = ""


def difference_table(changes: Iterable[Change]) -> Table:
    """The fields that an update changes, with what they hold and what they will hold."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 0))
    for _ in range(4):
        table.add_column(overflow="fold")
    for change in changes:
        table.add_row(*change_cells(change))
    return table


def change_cells(change: Change) -> tuple[Text, Text, str, Text]:
    """A field of a difference, as cells of a table."""
    return Text(change.field), _value(change.before, "red"), ARROW, _value(change.after, "green")


def difference_objects(changes: Iterable[Change]) -> list[dict[str, Any]]:
    """The same as objects for JSON."""
    return [{"field": change.field, "before": change.before, "after": change.after} for change in changes]


def _value(value: Any, style: str) -> Text:
    return Text("null", style="dim") if value is None else Text(encode(value).decode(), style=style)


def invoice_table(invoice: InvoicePreview, currency: str | None) -> Table:
    """The charges, taxes and total of an invoice."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column(overflow="fold")
    table.add_column(justify="right", style="dim")
    table.add_column(justify="right")
    for charge in invoice.draft_charges or ():
        table.add_row(
            charge.name or "charge",
            f"{_digits(charge.quantity)} x {_digits(charge.unit_price)}",
            _digits(charge.amount),
        )
    for tax in invoice.draft_taxes or ():
        table.add_row(tax.name or "tax", f"{_digits(tax.percent)} %", _digits(tax.total))
    table.add_row("total", currency or "", _digits(invoice.total), style="bold")
    return table


def _digits(amount: Decimal | None) -> str:
    return "" if amount is None else str(amount)
