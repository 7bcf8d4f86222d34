"""`list` and `find`: many customers, as a table, CSV or JSON lines."""

from __future__ import annotations

import csv
import difflib
import io
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from typing import Annotated, Any, Literal, TypeAlias

import attrs
from cyclopts import Parameter as Option
from cyclopts import validators
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.options import COMMON, Common
from fusebill_async.cli.performing import perform
from fusebill_async.cli.results import Result
from fusebill_async.cli.showing import print_customer
from fusebill_async.cli.terminal import messages, output, set_encoding, status_text, write_json
from fusebill_async.cli.wire_text import cell, one_line, printable, raw, wire_of
from fusebill_async.client import FusebillClient
from fusebill_async.converting import encode
from fusebill_async.errors import ValidationError
from fusebill_async.models import Customer, CustomerAcquisition, CustomerReference, wire_keys
from fusebill_async.operations import LIST
from fusebill_async.wire.query import find_filter

Form: TypeAlias = Literal["table", "csv", "jsonl"]

_COLUMNS = ("id", "status", "company_name", "primary_email", "reference")
_ROWS = 100
"""Rows of a table for which no limit was asked."""


async def list_customers(
    *,
    where: Annotated[
        tuple[str, ...],
        Option(
            negative="",
            show_default=False,
            help="NAME=VALUE, such as status=Active,Hold or created_timestamp='2024-01-01|' or company_name='Gro*'; "
            "nothing after = finds what is empty. Repeat it for more.",
        ),
    ] = (),
    query: Annotated[str | None, Option(help="The API's own filter text, such as status:Active;firstName:A*.")] = None,
    sort: Annotated[
        str, Option(allow_leading_hyphen=True, help="A name to sort by; -NAME turns the order round.")
    ] = "id",
    limit: Annotated[int | None, Option(validator=validators.Number(gte=1), help="How many customers at most.")] = None,
    columns: Annotated[
        str, Option(help="Fields for table and csv, such as id,status,customer_reference.reference1.")
    ] = ",".join(_COLUMNS),
    format: Annotated[Form, Option(name=("--format", "-o"), help="How they are printed.")] = "table",  # noqa: A002 (the option's name)
    common: Common = COMMON,
) -> ExitCode:
    """List customers."""

    async def work(client: FusebillClient) -> Result | None:
        names = _checked_columns(columns)
        form: Form = "jsonl" if common.json else format
        most = _ROWS + 1 if limit is None and form == "table" else limit
        if query is not None and where:
            raise ValidationError("give --query or --where, not both", field="query")
        wanted = query if query is not None else read_conditions(where)
        customers = client.customers.list(query=wanted, sort=sort, limit=most)
        # Whoever stops reading ends the iteration, and with it the request of the next page.
        async with aclosing(aiter(customers)) as each:
            if form == "jsonl":
                await _print_lines(each)
            elif form == "csv":
                await _print_csv(each, names)
            else:
                await _print_table(each, names, cut=limit is None)
        return None

    return await perform(LIST, work, common)


def read_conditions(conditions: Iterable[str]) -> dict[str, Any]:
    """Conditions such as "status=Active,Hold" as the values that a query takes.

    Raises:
        ValidationError: no sign, or an unknown name.
    """
    query: dict[str, Any] = {}
    for condition in conditions:
        name, sign, text = condition.partition("=")
        if not sign:
            raise ValidationError(f"{condition!r} is no name=value", field="where")
        if name in query:
            raise ValidationError(f"{name} is there twice", field="where")
        find_filter(name, "where")
        # A query takes the API's own forms: "Active,Hold", "2004-01-01|2007-01-01", "1,2".
        query[name] = text or None
    return query


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


async def _print_lines(customers: AsyncIterator[Customer]) -> None:
    async for customer in customers:
        write_json(one_line(wire_of(customer)))


async def _print_csv(customers: AsyncIterator[Customer], names: Sequence[str]) -> None:
    # A file of customers is read by programs, which do not know the encoding of this terminal.
    set_encoding(sys.stdout, encoding="utf-8", newline="")
    sys.stdout.write(_csv_row(names))
    async for customer in customers:
        wire = wire_of(customer)
        sys.stdout.write(_csv_row([cell(wire, name) for name in names]))
    sys.stdout.flush()


def _csv_row(cells: Sequence[str]) -> str:
    """One row. The writer quotes the characters of its line end, and a lone carriage return has to be quoted too."""
    row = io.StringIO(newline="")
    csv.writer(row, lineterminator="\r\n").writerow(cells)
    return row.getvalue().removesuffix("\r\n") + "\n"


async def _print_table(customers: AsyncIterator[Customer], names: Sequence[str], *, cut: bool) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold underline")
    for name in names:
        table.add_column(name, overflow="fold", no_wrap=name in {"id", "status"})
    more = False
    try:
        async for customer in customers:
            more = cut and table.row_count == _ROWS
            if more:
                break
            wire = wire_of(customer)
            table.add_row(*(_table_cell(name, printable(cell(wire, name))) for name in names))
    finally:
        # A list that ends with an error has given some before.
        if table.row_count:
            output().print(table)
    if not table.row_count:
        messages().print("No customer matches.", style="dim")
    if more:
        messages().print(f"There are more than these {_ROWS}: --limit, or --format csv or jsonl.", style="dim")


def _table_cell(name: str, text: str) -> Text:
    return status_text(text) if name == "status" else Text(text)


@attrs.frozen
class Found(Result):
    """The customers with a reference; there may be several."""

    customers: tuple[Customer, ...]

    @property
    def exit_code(self) -> ExitCode:
        """Whether there is any."""
        return ExitCode.DONE if self.customers else ExitCode.NOT_DONE

    def as_json(self) -> bytes:
        """The customers as they came, in an array."""
        return encode([raw(customer) for customer in self.customers])

    def print_on(self, console: Console) -> None:
        """A card each."""
        for customer in self.customers:
            print_customer(wire_of(customer), console)
        if not self.customers:
            messages().print("No customer has this reference.", style="dim")


async def find(
    *, reference: Annotated[str, Option(help="Your own code; it need not be unique.")], common: Common = COMMON
) -> ExitCode:
    """Find the customers with a reference."""

    async def work(client: FusebillClient) -> Result:
        return Found(tuple(await client.customers.find(reference=reference)))

    return await perform(LIST, work, common)
