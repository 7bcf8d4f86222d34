"""How a write is carried out: rehearsed, asked for, or done. The one place for `--dry-run` and `--yes`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from rich.table import Table
from rich.text import Text

from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.failures import NotDone
from fusebill_async.cli.input import ask, person
from fusebill_async.cli.options import Common, Money, Writing
from fusebill_async.cli.rehearsing import rehearse
from fusebill_async.cli.results import Result
from fusebill_async.cli.terminal import messages, status_text
from fusebill_async.cli.wire_text import cell, printable, wire_of
from fusebill_async.client import FusebillClient, Verbs
from fusebill_async.errors import FusebillError
from fusebill_async.operations import Operation, names_of
from fusebill_async.outcome import Outcome

_MOST_NAMED = 10
"""Customers that a question names. Each costs a read."""


async def act(client: FusebillClient, common: Common, send: Callable[[Verbs], Awaitable[Result]]) -> Result:
    """Do what a command is for, or show what it would do.

    Args:
        client: sends it.
        common: the options of the command.
        send: does it with the client that it is given.
    """
    if isinstance(common, Writing) and common.dry_run:
        return await rehearse(client, send)
    return await send(client)


async def declined(
    client: FusebillClient, operation: Operation, ids: Sequence[int], common: Common, *, stdin_is_taken: bool
) -> NotDone | None:
    """Ask whether to go on, where money moves and somebody sits at a terminal.

    A script is not asked: what it calls, it means. `--yes` answers before the question.

    Returns:
        What is told if the answer is not yes; None to go on.
    """
    if not isinstance(common, Money) or common.yes or common.dry_run:
        return None
    terminal = person(stdin_is_taken=stdin_is_taken)
    if terminal is None:
        return None
    console = messages()
    console.print(Text.assemble((operation.title, "bold"), f": {operation.summary}"))
    console.print(await _named(client, operation, ids[:_MOST_NAMED]), soft_wrap=False)
    if len(ids) > _MOST_NAMED:
        console.print(f"and {len(ids) - _MOST_NAMED} more")
    if ask("Go on? [y/N] ", terminal) in {"y", "yes"}:
        return None
    return NotDone(Outcome.NOT_SENT, "Declined", f"{operation.title}: you did not say yes", code=ExitCode.NOT_DONE)


async def _named(client: FusebillClient, operation: Operation, ids: Sequence[int]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for _ in range(3):
        table.add_column(overflow="fold")
    for customer_id in ids:
        try:
            customer = await client.customers.get(customer_id)
        except FusebillError as error:
            table.add_row(str(customer_id), "", Text(printable(error.message), style="bold red"))
            continue
        name = printable(cell(wire_of(customer), "companyName"))
        works = operation.allowed_from is None or customer.status in operation.allowed_from
        note = "" if works else f"  works from {names_of(operation.allowed_from or ())}"
        table.add_row(str(customer_id), status_text(str(customer.status)), Text.assemble(name, (note, "bold red")))
    return table
