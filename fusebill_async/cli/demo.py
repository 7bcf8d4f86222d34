"""`fusebill-async demo`: the client against a simulated Fusebill, in this process, with nothing to set up."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from fusebill_async.cli.demo_job import JobShown, demonstrate_job
from fusebill_async.cli.demonstration import Demonstration, Step, demonstrate
from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.options import Json, Verbose
from fusebill_async.cli.showing import difference_objects, difference_table, invoice_table
from fusebill_async.cli.terminal import ARROW, output, status_text, write_json
from fusebill_async.converting import encode
from fusebill_async.observability import log_to_stderr

_THE_CODE = """\
async with FusebillClient(key, base_url=base_url) as client:
    await client.customers.hold(1001)
    reference = {"reference1": "A-1"}
    new = {"company_name": "Grok Ltd", "customer_reference": reference}
    await client.customers.update(1002, **new)
    await client.customers.preview_activation(1003, True, True, False)
    await client.customers.activate(1003, True, True, False)
    await client.hubspot.unlatch(1004)
    await client.customers.activate(1005, True, True, False)
    await client.bulk.hold(range(10_001, 12_001), journal="job").run()"""
"""What the demo does. A test compares it with what is done."""


async def run_demo(*, json: Json = False, verbose: Verbose = False) -> ExitCode:
    """Show the client at work: no account, no network.

    A simulated Fusebill runs inside this process. The client holds, updates, previews, activates and unlatches
    customers there, and one connection is cut right after the service has acted. Then a job over 2,000 customers is
    killed in the middle, and resumed.
    """
    if verbose:
        log_to_stderr()
    console = output()
    shown = await demonstrate()
    if not json:
        _print(shown, console)
    job = await demonstrate_job()
    if json:
        write_json(encode(_as_object(shown) | {"job": _job_object(job)}))
    else:
        for line in _job_lines(job):
            console.print(line)
    return ExitCode.DONE if shown.as_promised and job.as_promised else ExitCode.NOT_DONE


def _print(shown: Demonstration, console: Console) -> None:
    console.print("[bold]fusebill-async[/] and a simulated Fusebill in this process: no account, no network.\n")
    console.print("This is what is done:\n")
    console.print(Padding(Text(_THE_CODE, style="cyan"), (0, 0, 1, 2), expand=False))
    console.print(f"The update of customer {shown.plan.customer_id}; all other fields go back as they came:")
    console.print(Padding(difference_table(shown.plan.changes), (0, 0, 1, 2), expand=False))
    console.print(f"What activating customer {_previewed(shown)} will invoice:")
    console.print(Padding(invoice_table(shown.invoice, "USD"), (0, 0, 1, 2), expand=False))
    console.print(_steps(shown))
    for line in _conclusion(shown):
        console.print()
        console.print(line)


def _previewed(shown: Demonstration) -> int:
    return next(step.customer_id for step in shown.steps if step.operation == "preview")


def _steps(shown: Demonstration) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold underline")
    table.add_column("Operation", no_wrap=True)
    table.add_column("Customer", justify="right")
    table.add_column(f"Before {ARROW} after", no_wrap=True)
    table.add_column("Outcome")
    table.add_column("Shown by")
    table.add_column("Attribution")
    table.add_column("Sent", justify="right")
    table.add_column("Effects", justify="right")
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


def _job_lines(job: JobShown) -> list[Text]:
    killed, resumed = job.killed, job.resumed
    return [
        Text(),
        Text(
            f"A job over {resumed.items:,} customers was killed with SIGKILL in the middle. Its journal says: "
            f"{killed.applied:,} applied, {killed.unknown} under way, {killed.unprocessed:,} not begun."
        ),
        Text(
            "Another process went on with the journal. It read the customers that were under way, and did the others: "
            f"{resumed.applied:,} applied, {resumed.unknown} unknown."
        ),
        Text(
            f"The service's own ledger has {job.effects:,} holds, and {job.twice} customers that were held twice. "
            f"({job.seconds:.1f} s)"
            if job.as_promised
            else f"This is not what the client promises: {job.effects:,} holds, {job.twice} twice. Please report it.",
            style="green" if job.as_promised else "bold red",
        ),
    ]


def _job_object(job: JobShown) -> dict[str, Any]:
    return {
        "as_promised": job.as_promised,
        "seconds": round(job.seconds, 3),
        "killed": job.killed.tallies,
        "resumed": job.resumed.tallies,
        "effects": job.effects,
        "twice": job.twice,
    }


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
