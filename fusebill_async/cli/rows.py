"""Many customers on stdout, one after the other: as a table, as JSON, as lines of JSON, as CSV."""

from __future__ import annotations

import difflib
import sys
from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fusebill_async.cli.csv_text import csv_row, no_formula
from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.options import Reading
from fusebill_async.cli.terminal import messages, output, set_encoding, status_text, write_text
from fusebill_async.cli.wire_text import cell, one_line, printable, wire_of
from fusebill_async.errors import ValidationError
from fusebill_async.models import Customer, CustomerAcquisition, CustomerReference, wire_keys

_AT_ONCE = 500
"""Rows of a table on a terminal that are laid out together: a long list is seen as it comes."""


class Rows(ABC):
    """Prints customers while they come.

    Attributes:
        count: how many were printed.
        begun: stdout holds something.
    """

    def __init__(self) -> None:
        self.count = 0
        self.begun = False

    async def print_all(self, customers: AsyncIterable[Customer]) -> ExitCode:
        """Print each, and give the exit code: whether there is any. What ends with an error has its end, too."""
        complete = False
        try:
            async for customer in customers:
                self._begin()
                self.add(wire_of(customer))
                self.count += 1
            complete = True
        finally:
            if complete:
                self._begin()
            if self.begun:
                self.end()
                sys.stdout.flush()
        if not self.count:
            messages().print("No customer matches.", style="dim")
        return ExitCode.DONE if self.count else ExitCode.NOT_DONE

    def _begin(self) -> None:
        if not self.begun:
            self.begun = True
            self.begin()

    def begin(self) -> None:  # noqa: B027 (not every form has one)
        """What stands before the first."""

    @abstractmethod
    def add(self, wire: bytes) -> None:
        """One customer, as it came."""

    def end(self) -> None:  # noqa: B027 (not every form has one)
        """What stands after the last."""


class _Json(Rows):
    """An array with a line for each."""

    def begin(self) -> None:
        write_text("[", flush=False)

    def add(self, wire: bytes) -> None:
        write_text((",\n" if self.count else "") + one_line(wire).decode(), flush=False)

    def end(self) -> None:
        write_text("]\n")


class _Lines(Rows):
    """A line of JSON for each."""

    def add(self, wire: bytes) -> None:
        write_text(one_line(wire).decode() + "\n", flush=False)


class _Csv(Rows):
    """A file of customers is read by programs, which do not know the encoding of this terminal."""

    def __init__(self, names: Sequence[str], *, excel: bool) -> None:
        super().__init__()
        self._names = names
        self._excel = excel

    def begin(self) -> None:
        set_encoding(sys.stdout, encoding="utf-8", newline="")
        sys.stdout.write(("\ufeff" if self._excel else "") + csv_row(self._names))

    def add(self, wire: bytes) -> None:
        cells = [cell(wire, name) for name in self._names]
        sys.stdout.write(csv_row([no_formula(text) for text in cells] if self._excel else cells))


class _Tabs(Rows):
    """A table for a program: a line for each, with tabs between the cells, nothing wrapped and nothing cut."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self._names = names

    def begin(self) -> None:
        sys.stdout.write("\t".join(self._names) + "\n")

    def add(self, wire: bytes) -> None:
        sys.stdout.write("\t".join(printable(cell(wire, name)) for name in self._names) + "\n")


class _Table(Rows):
    """A table for a person."""

    def __init__(self, names: Sequence[str], console: Console) -> None:
        super().__init__()
        self._names = names
        self._console = console
        self._table = self._made()

    def add(self, wire: bytes) -> None:
        self._table.add_row(*(_table_cell(name, printable(cell(wire, name))) for name in self._names))
        if self._table.row_count == _AT_ONCE:
            self.end()
            self._table = self._made()

    def end(self) -> None:
        if self._table.row_count:
            self._console.print(self._table)

    def _made(self) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold underline")
        for name in self._names:
            table.add_column(name, overflow="fold", no_wrap=name in {"id", "status"})
        return table


def _table_cell(name: str, text: str) -> Text:
    return status_text(text) if name == "status" else Text(text)


def make_rows(reading: Reading) -> Rows:
    """What prints customers in the form that is asked for.

    Raises:
        ValidationError: there is no such column.
    """
    names = _checked_columns(reading.columns)
    match reading.form:
        case "json":
            return _Json()
        case "jsonl":
            return _Lines()
        case "csv":
            return _Csv(names, excel=reading.excel)
        case "table":
            console = output()
            return _Table(names, console) if console.is_terminal else _Tabs(names)


def _checked_columns(text: str) -> tuple[str, ...]:
    known = [*wire_keys(Customer)]
    for outer, model in (("customer_reference", CustomerReference), ("customer_acquisition", CustomerAcquisition)):
        known += [f"{outer}.{name}" for name in wire_keys(model)]
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f": did you mean {near[0]}?" if near else ""
            raise ValidationError(f"there is no column {name!r}{hint}", field="columns")
    return names
