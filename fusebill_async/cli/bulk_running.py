"""A job that is run at a terminal or by a script: its progress, how it stops, and how it ended."""

from __future__ import annotations

import asyncio
import shlex
from contextlib import aclosing
from pathlib import Path

from rich.text import Text

from fusebill_async.bulk import BulkJob, Tally
from fusebill_async.cli.bulk_performing import Context, CutShort
from fusebill_async.cli.bulk_progress import JobProgress
from fusebill_async.cli.bulk_progress import Kind as ProgressKind
from fusebill_async.cli.bulk_report import Reported
from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.results import Result
from fusebill_async.cli.terminal import say

_STYLES: dict[str, str] = {
    Tally.APPLIED: "green",
    Tally.REJECTED: "red",
    Tally.NOT_APPLIED: "yellow",
    Tally.UNKNOWN: "bold yellow",
    Tally.SKIPPED: "dim",
}
"""The tallies that a job shows while it runs. The others are what is left to do."""


async def run_job(context: Context, job: BulkJob, journal: Path, kind: ProgressKind) -> Result:
    """Run a job, show how it goes on, and report.

    Args:
        context: of the command.
        job: to be run.
        journal: of the job.
        kind: how it is shown.
    """
    signals = context.signals
    code: ExitCode | None = None

    def waits_for() -> str:
        return "what is under way is seen to its end" if signals.count else job.waits_for

    try:
        progress = JobProgress(context, journal.stem, lambda: job.total, kind, styles=_STYLES, waits_for=waits_for)
        signals.tell = progress.say
        async with progress, aclosing(aiter(job)) as items:
            async for item in items:
                progress.note(item.tally)
    except asyncio.CancelledError:
        if not signals.count:
            raise
        code = ExitCode.STOPPED if signals.count == 1 else signals.exit_code
    finally:
        signals.tell = None
    reported = Reported.of(journal, ran=True)
    if reported.report.unprocessed and code is None:
        code = ExitCode.STOPPED
    if reported.report.is_done:
        # The signal came when nothing was left to be begun.
        code = None
    if code is not None and not reported.report.awaits_approval:
        _tell_how_to_go_on(journal)
    context.ran = reported if code is None else CutShort(reported, code)
    return context.ran


def _tell_how_to_go_on(journal: Path) -> None:
    command = f"fusebill-async bulk resume --journal {shlex.quote(str(journal))}"
    say(Text.assemble(("stopped", "bold yellow"), "  go on with: ", command))
