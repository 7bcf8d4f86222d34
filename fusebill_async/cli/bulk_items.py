"""Every item of a job, as CSV or JSON lines."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

from fusebill_async.bulk import read_items
from fusebill_async.cli.csv_text import csv_row, no_formula
from fusebill_async.cli.terminal import write_bytes
from fusebill_async.converting import encode

Form: TypeAlias = Literal["text", "csv", "jsonl"]

_COLUMNS = (
    "number",
    "customer_id",
    "tally",
    "outcome",
    "attribution",
    "status",
    "attempts",
    "run",
    "ended_at",
    "message",
)


def write_items(journal: Path, form: Form) -> None:
    """Write every item of a job to stdout, as CSV or JSON lines.

    Raises:
        ConfigurationError: there is no such journal, or it cannot be read.
        OSError: stdout cannot be written.
    """
    begun = False
    for item in read_items(journal):
        if not begun:
            _begin(form)
        begun = True
        facts = {name: getattr(item, name) for name in _COLUMNS}
        if form == "jsonl":
            write_bytes(encode(facts) + b"\n", flush=False)
        else:
            write_bytes(csv_row([_cell(value) for value in facts.values()], "\r\n").encode(), flush=False)
    if not begun:
        _begin(form)


def _begin(form: Form) -> None:
    if form == "csv":
        write_bytes(csv_row(_COLUMNS, "\r\n").encode())


def _cell(value: Any) -> str:
    return no_formula("" if value is None else value.isoformat() if isinstance(value, datetime) else str(value))
