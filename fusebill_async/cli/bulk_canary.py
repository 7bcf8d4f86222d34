"""A job whose canary goes first: what that has changed is shown, and then somebody says whether the others follow."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from fusebill_async.bulk import BulkJob, CanaryItem, Tally
from fusebill_async.bulk.next_steps import command
from fusebill_async.cli.bulk_options import Running
from fusebill_async.cli.bulk_performing import Context, CutShort
from fusebill_async.cli.bulk_report import Reported
from fusebill_async.cli.bulk_running import run_job
from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.input import ask, person
from fusebill_async.cli.options import Common
from fusebill_async.cli.results import Result
from fusebill_async.cli.showing import change_cells
from fusebill_async.cli.terminal import messages, say
from fusebill_async.cli.wire_text import printable

_SHOWN = 100
"""Items that are shown one by one, at most."""


async def run_agreed(
    context: Context,
    job: BulkJob,
    journal: Path,
    running: Running,
    common: Common,
    *,
    yes: bool = False,
    stdin_is_taken: bool = False,
) -> Result:
    """Run a job. If it has a canary, the others follow when somebody has seen that and said yes.

    Args:
        context: of the command.
        job: to be run.
        journal: of the job.
        running: how it is run.
        common: the options of the command.
        yes: the others may follow; nobody is asked.
        stdin_is_taken: standard input is the job's.
    """
    result = await run_job(context, job, journal, running.progress)
    report = await job.report()
    if not report.awaits_approval or (isinstance(result, CutShort) and context.signals.count):
        return result
    _print_canary(await job.canary(), messages())
    if not yes and not _agreed(report.unprocessed, common, stdin_is_taken=stdin_is_taken):
        told = command("resume", journal, "--yes")
        say(Text.assemble(("stopped", "bold yellow"), "  go on with all the others: ", told))
        context.ran = CutShort(Reported.of(journal, ran=True), ExitCode.STOPPED)
        return context.ran
    await job.approve_canary()
    return await run_job(context, job, journal, running.progress)


def _agreed(left: int, common: Common, *, stdin_is_taken: bool) -> bool:
    terminal = person(stdin_is_taken=stdin_is_taken)
    if terminal is None or common.json:
        return False
    return ask(f"Go on with the other {left:,} customers? [y/N] ", terminal) in {"y", "yes"}


def _print_canary(canary: list[CanaryItem], console: Console) -> None:
    applied = sum(each.item.tally is Tally.APPLIED for each in canary)
    console.print(Text(f"The canary: {applied:,} of {len(canary):,} applied. What is different now:", style="bold"))
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    for _ in range(4):
        table.add_column(overflow="fold")
    for each in canary[:_SHOWN]:
        item = each.item
        name, ended = str(item.customer_id), item.tally.value.replace("_", " ")
        for change in each.changes:
            table.add_row(name, ended, *change_cells(change))
            name = ended = ""
        told = printable(item.message or each.unread or ("" if each.changes else "nothing is different"))
        if told:
            table.add_row(name, ended, Text(told, style="dim"))
    console.print(Padding(table, (0, 0, 0, 2), expand=False), soft_wrap=False)
    if len(canary) > _SHOWN:
        console.print(f"  and {len(canary) - _SHOWN:,} more")
