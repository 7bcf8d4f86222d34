"""An invoice preview as lines, with the digits that came."""

from __future__ import annotations

from decimal import Decimal

from rich.table import Table

from fusebill_async.models import InvoicePreview


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
