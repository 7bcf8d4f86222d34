"""What an update changes, as lines."""

from __future__ import annotations

from typing import Any

from rich.table import Table
from rich.text import Text

from fusebill_async.cli.terminal import ARROW
from fusebill_async.converting import encode
from fusebill_async.updating.merging import UpdatePlan


def difference_table(plan: UpdatePlan) -> Table:
    """The fields that an update changes, with what they hold and what they will hold."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 0))
    for _ in range(4):
        table.add_column(overflow="fold")
    for change in plan.changes:
        table.add_row(Text(change.field), _value(change.before, "red"), ARROW, _value(change.after, "green"))
    return table


def difference_objects(plan: UpdatePlan) -> list[dict[str, Any]]:
    """The same as objects for JSON."""
    return [{"field": change.field, "before": change.before, "after": change.after} for change in plan.changes]


def _value(value: Any, style: str) -> Text:
    return Text("null", style="dim") if value is None else Text(encode(value).decode(), style=style)
