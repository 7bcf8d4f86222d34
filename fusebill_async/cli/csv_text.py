"""Rows of CSV, and cells that no spreadsheet takes for a formula."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence

_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?", re.ASCII)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""


def csv_row(cells: Sequence[str], end: str = "\n") -> str:
    """One row. The writer quotes the characters of its line end, and a lone carriage return has to be quoted too."""
    row = io.StringIO(newline="")
    csv.writer(row, lineterminator="\r\n").writerow(cells)
    return row.getvalue().removesuffix("\r\n") + end


def no_formula(text: str) -> str:
    """A cell that no spreadsheet takes for a formula. A number stays one, a negative one too."""
    return f"'{text}" if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text
