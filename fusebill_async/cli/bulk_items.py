"""Every item of a job, as CSV or JSON lines."""

from __future__ import annotations

import csv
import io
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

from fusebill_async.bulk import read_items
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
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""


def write_items(journal: Path, form: Form) -> None:
    """Write every item of a job to stdout, as CSV or JSON lines."""
    if form == "csv":
        write_bytes((",".join(_COLUMNS) + "\r\n").encode())
    for item in read_items(journal):
        facts = {name: getattr(item, name) for name in _COLUMNS}
        write_bytes(encode(facts) + b"\n" if form == "jsonl" else _csv_line(facts))


def _csv_line(facts: dict[str, Any]) -> bytes:
    line = io.StringIO()
    csv.writer(line).writerow([_cell(value) for value in facts.values()])
    return line.getvalue().encode()


def _cell(value: Any) -> str:
    """A text that no spreadsheet takes for a formula."""
    text = "" if value is None else value.isoformat() if isinstance(value, datetime) else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
