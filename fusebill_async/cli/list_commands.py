"""`list` and `find`: many customers, in one of several forms."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from typing import Annotated, Any

import attrs
from cyclopts import Parameter as Option
from cyclopts import validators

from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.options import READING, Reading
from fusebill_async.cli.performing import perform
from fusebill_async.cli.rows import Rows, make_rows
from fusebill_async.client import FusebillClient
from fusebill_async.errors import ValidationError
from fusebill_async.models import Customer
from fusebill_async.operations import LIST
from fusebill_async.wire.query import find_filter


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
    limit: Annotated[
        int | None, Option(validator=validators.Number(gte=1), help="How many customers at most; all by default.")
    ] = None,
    common: Reading = READING,
) -> ExitCode:
    """List customers: every one, or those that match. It ends with 1 if there is none."""

    def find_them(client: FusebillClient) -> AsyncGenerator[Customer]:
        if query is not None and where:
            raise ValidationError("give --query or --where, not both", field="query")
        wanted = query if query is not None else read_conditions(where)
        return aiter(client.customers.list(query=wanted, sort=sort, limit=limit))

    return await _print_customers(find_them, common)


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


async def find(
    *, reference: Annotated[str, Option(help="Your own code; it need not be unique.")], common: Reading = READING
) -> ExitCode:
    """Find the customers with a reference. It ends with 1 if there is none."""

    async def find_them(client: FusebillClient) -> AsyncGenerator[Customer]:
        for customer in await client.customers.find(reference=reference):
            yield customer

    return await _print_customers(find_them, common)


async def _print_customers(
    find_them: Callable[[FusebillClient], AsyncGenerator[Customer]], reading: Reading
) -> ExitCode:
    rows: Rows | None = None

    async def work(client: FusebillClient) -> ExitCode:
        nonlocal rows
        rows = make_rows(reading)
        # Whoever stops reading ends the iteration, and with it the request of the next page.
        async with aclosing(find_them(client)) as each:
            return await rows.print_all(each)

    # Whatever ends a list that has begun is told on stderr: stdout holds a document of its own.
    common = attrs.evolve(reading, json=reading.form in {"json", "jsonl"})
    return await perform(LIST, work, common, stdout_is_taken=lambda: rows is not None and rows.begun)
