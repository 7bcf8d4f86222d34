"""`fusebill-async demo`: the client against a simulated Fusebill, in this process, with nothing to set up."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from fusebill_async.cli.demonstration import Demonstration, Step, demonstrate
from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.options import Json, Verbose
from fusebill_async.cli.showing import difference_objects, difference_table, invoice_table
from fusebill_async.cli.terminal import ARROW, output, status_text, write_json
from fusebill_async.converting import encode
from fusebill_async.observability import log_to_stderr

_WIDE = 96
"""Columns from which on the headings stand on one line."""


async def run_demo(*, json: Json = False, verbose: Verbose = False) -> ExitCode:
    """Show the client at work: no account, no network.

    A simulated Fusebill runs inside this process. The client holds, updates, previews, activates and unlatches
    customers there, and one connection is cut right after the service has acted.
    """
    if verbose:
        log_to_stderr()
    shown = await demonstrate()
    if json:
        write_json(encode(_as_object(shown)))
    else:
        _print(shown, output())
    return ExitCode.DONE if shown.as_promised else ExitCode.NOT_DONE


def _print(shown: Demonstration, console: Console) -> None:
    console.print("[bold]fusebill-async[/] and a simulated Fusebill in this process: no account, no network.\n")
    console.print(f"The update of customer {shown.plan.customer_id}; all other fields go back as they came:")
    console.print(Padding(difference_table(shown.plan.changes), (0, 0, 1, 2), expand=False))
    console.print(f"What activating customer {_previewed(shown)} will invoice:")
    console.print(Padding(invoice_table(shown.invoice, "USD"), (0, 0, 1, 2), expand=False))
    console.print(_steps(shown, wide=console.width >= _WIDE))
    for line in _conclusion(shown):
        console.print()
        console.print(line)


def _previewed(shown: Demonstration) -> int:
    return next(step.customer_id for step in shown.steps if step.operation == "preview")


def _steps(shown: Demonstration, *, wide: bool) -> Table:
    table = Table(
        box=None, pad_edge=False, padding=(0, 2, 0, 0) if wide else (0, 1, 0, 0), header_style="bold underline"
    )
    table.add_column("Operation", no_wrap=True)
    table.add_column("Customer", justify="right")
    table.add_column(f"Before {ARROW} after", no_wrap=True)
    table.add_column("Outcome")
    table.add_column("Confirmed by" if wide else "Confirmed")
    table.add_column("Attribution")
    table.add_column("Attempts" if wide else "Sent", justify="right")
    table.add_column("Effects at the service" if wide else "Effects", justify="right")
    for step in shown.steps:
        cut = "yellow" if step.connection_cut else ""
        table.add_row(
            Text.assemble(step.operation, (" *" if cut else "", "bold yellow")),
            str(step.customer_id),
            _statuses(step),
            Text("shown", style="cyan") if step.outcome is None else Text(step.outcome, style="bold green"),
            Text(step.confirmed_by, style=cut),
            Text("" if step.outcome is None else step.attribution, style=cut),
            str(step.attempts),
            Text(str(step.effects), style="bold green" if step.as_promised else "bold red"),
        )
    return table


def _statuses(step: Step) -> Text:
    before, after = status_text(step.before), status_text(step.after)
    return after if step.before == step.after else Text.assemble(before, f" {ARROW} ", after)


def _conclusion(shown: Demonstration) -> list[Text]:
    cut = next(step for step in shown.steps if step.connection_cut)
    writes = [step for step in shown.steps if step.outcome is not None]
    effects = sum(step.effects for step in writes)
    return [
        Text.assemble(
            ("* ", "bold yellow"),
            f"The connection was cut after the service had acted. The client did not send it again: it read customer "
            f"{cut.customer_id}, found it {cut.after}, and says so. Who put it there cannot be proven "
            f'("{cut.attribution}").',
        ),
        Text(
            f"{len(writes)} writes, {effects} effects in the service's own ledger, the preview none: every call ended "
            f"in an outcome that is true, and nothing happened twice. ({shown.seconds:.2f} s)"
            if shown.as_promised
            else "This is not what the client promises: the effects do not match the calls. Please report it.",
            style="green" if shown.as_promised else "bold red",
        ),
    ]


def _as_object(shown: Demonstration) -> dict[str, Any]:
    return {
        "as_promised": shown.as_promised,
        "seconds": round(shown.seconds, 3),
        "steps": [_step_object(step) for step in shown.steps],
        "update": difference_objects(shown.plan.changes),
        "invoice": {"subtotal": shown.invoice.subtotal, "tax": shown.invoice.total_taxes, "total": shown.invoice.total},
    }


def _step_object(step: Step) -> dict[str, Any]:
    return {
        "operation": step.operation,
        "customer_id": step.customer_id,
        "before": step.before,
        "after": step.after,
        "outcome": step.outcome,
        "confirmed_by": step.confirmed_by,
        "attribution": None if step.outcome is None else step.attribution,
        "attempts": step.attempts,
        "effects": step.effects,
        "connection_cut": step.connection_cut,
    }
