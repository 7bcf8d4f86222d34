"""What a job would change and invoice, for people and for programs."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from fusebill_async.bulk import ItemForecast, ItemPreview, Verdict
from fusebill_async.bulk.failures import blanked
from fusebill_async.cli.showing import change_cells, difference_objects
from fusebill_async.cli.wire_text import printable

_SHOWN = 20
"""Items that are shown one by one, at most."""
_NAMED = 3
"""Customers that a reason names."""
_WORDS = {
    Verdict.CHANGED: "would change",
    Verdict.UNCHANGED: "so already",
    Verdict.REFUSED: "would be refused",
    Verdict.MISSING: "not there",
    Verdict.UNREADABLE: "unreadable",
}


def _of(seen: int, to_do: int) -> str:
    return f"Of {seen:,} items" if seen >= to_do else f"Of a sample of {seen:,} of {to_do:,} items"


@attrs.define
class Reasons:
    """Why items would come to nothing: each reason once, with how many and the first of them."""

    _counts: Counter[str] = attrs.field(factory=Counter[str], init=False)
    _ids: dict[str, list[int]] = attrs.field(factory=dict[str, list[int]], init=False)

    def note(self, reason: str, customer_id: int) -> None:
        """One more."""
        reason = blanked(reason)
        self._counts[reason] += 1
        ids = self._ids.setdefault(reason, [])
        if len(ids) < _NAMED:
            ids.append(customer_id)

    def as_objects(self) -> list[dict[str, Any]]:
        """For JSON, the most frequent first."""
        return [
            {"reason": reason, "count": count, "customer_ids": self._ids[reason]}
            for reason, count in self._counts.most_common()
        ]

    def print_on(self, console: Console) -> None:
        """A line each."""
        for reason, count in self._counts.most_common(_SHOWN):
            ids = ", ".join(map(str, self._ids[reason]))
            who = f"customer {ids}" if count == 1 else f"customers {ids}{', ...' if count > _NAMED else ''}"
            console.print(f"  {count:,} ({who}): {printable(reason)}", markup=False, soft_wrap=True)


@attrs.define(kw_only=True)
class Changes:
    """What a job would change.

    Attributes:
        to_do: items of the job that have no outcome.
        file: that has every one of them, None if there is none.
        verdicts: how many there are of each.
        fields: in how many customers each field would change.
        shown: the first ones that would change.
        reasons: of those that would be refused, or could not be read.
    """

    to_do: int
    file: Path | None
    verdicts: Counter[Verdict] = attrs.field(factory=Counter[Verdict], init=False)
    fields: Counter[str] = attrs.field(factory=Counter[str], init=False)
    shown: list[ItemForecast] = attrs.field(factory=list[ItemForecast], init=False)
    reasons: Reasons = attrs.field(factory=Reasons, init=False)

    def note(self, forecast: ItemForecast) -> None:
        """One more item was looked at."""
        self.verdicts[forecast.verdict] += 1
        self.fields.update(change.field for change in forecast.changes)
        if forecast.changes and len(self.shown) < _SHOWN:
            self.shown.append(forecast)
        if forecast.verdict not in {Verdict.CHANGED, Verdict.UNCHANGED}:
            self.reasons.note(forecast.reason, forecast.customer_id)

    def as_object(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "looked_at": self.verdicts.total(),
            **{verdict.value: self.verdicts[verdict] for verdict in Verdict},
            "fields": dict(self.fields),
            "reasons": self.reasons.as_objects(),
            "examples": [
                {"customer_id": each.customer_id, "changes": difference_objects(each.changes)} for each in self.shown
            ],
            "file": None if self.file is None else str(self.file),
        }

    def print_on(self, console: Console) -> None:
        """The counts, the fields, the reasons, and the first customers."""
        counts = ", ".join(f"{self.verdicts[each]:,} {_WORDS[each]}" for each in Verdict if self.verdicts[each])
        console.print()
        console.print(Text(f"{_of(self.verdicts.total(), self.to_do)}: {counts or 'none'}", style="bold"))
        for name, count in self.fields.most_common():
            console.print(f"  {printable(name)} changes in {count:,}", markup=False, soft_wrap=True)
        self.reasons.print_on(console)
        if self.shown:
            console.print(Padding(self._table(), (0, 0, 0, 2), expand=False))
        if self.verdicts[Verdict.CHANGED] > len(self.shown):
            console.print(f"  and {self.verdicts[Verdict.CHANGED] - len(self.shown):,} more")
        if self.file is not None:
            console.print(f"Every item stands in {self.file}.", markup=False, soft_wrap=True)

    def _table(self) -> Table:
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 0))
        table.add_column(no_wrap=True)
        for _ in range(4):
            table.add_column(overflow="fold")
        for each in self.shown:
            name = str(each.customer_id)
            for change in each.changes:
                table.add_row(name, *change_cells(change))
                name = ""
        return table


@attrs.define
class _Sum:
    """What would be invoiced in one currency.

    Attributes:
        customers, invoices: how many.
        total: of the invoices.
        untold: invoices of which the service tells no total.
    """

    customers: int = 0
    invoices: int = 0
    total: Decimal = Decimal(0)
    untold: int = 0


@attrs.define(kw_only=True)
class Invoiced:
    """What a job would invoice.

    Attributes:
        to_do: items of the job that have no outcome.
        asked: how many were previewed, refused ones included.
        sums: by currency.
        nothing: customers who would be invoiced nothing.
        reasons: of the previews that were refused or failed.
    """

    to_do: int
    asked: int = attrs.field(default=0, init=False)
    nothing: int = attrs.field(default=0, init=False)
    failed: int = attrs.field(default=0, init=False)
    sums: dict[str, _Sum] = attrs.field(factory=dict[str, _Sum], init=False)
    reasons: Reasons = attrs.field(factory=Reasons, init=False)

    def note(self, preview: ItemPreview) -> None:
        """One more item was previewed."""
        self.asked += 1
        if preview.activation is None:
            self.failed += 1
            self.reasons.note(preview.error.message if preview.error else "", preview.customer_id)
            return
        invoices = preview.invoices
        if not invoices:
            self.nothing += 1
            return
        totals = self.sums.setdefault(preview.activation.customer.currency or "no currency", _Sum())
        totals.customers += 1
        totals.invoices += len(invoices)
        totals.untold += sum(each.total is None for each in invoices)
        totals.total += sum((each.total for each in invoices if each.total is not None), Decimal(0))

    def as_object(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "looked_at": self.asked,
            "invoiced": [{"currency": name, **attrs.asdict(totals)} for name, totals in sorted(self.sums.items())],
            "nothing": self.nothing,
            "failed": self.failed,
            "reasons": self.reasons.as_objects(),
        }

    def print_on(self, console: Console) -> None:
        """The sums by currency, and the reasons."""
        invoiced = self.asked - self.nothing - self.failed
        counts = [(invoiced, "would be invoiced"), (self.nothing, "nothing to invoice"), (self.failed, "no preview")]
        told = ", ".join(f"{count:,} {words}" for count, words in counts if count)
        console.print()
        console.print(Text(f"{_of(self.asked, self.to_do)}: {told or 'none'}", style="bold"))
        for name, totals in sorted(self.sums.items()):
            untold = f", and {totals.untold:,} of which no total is told" if totals.untold else ""
            who = f"{totals.invoices:,} invoices to {totals.customers:,} customers"
            console.print(f"  {printable(name)} {totals.total:,}  in {who}{untold}", markup=False, soft_wrap=True)
        self.reasons.print_on(console)
