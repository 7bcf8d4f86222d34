"""A job that is run at a terminal or by a script: its progress, its signals, and how it ended."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

from rich.text import Text

from fusebill_async.bulk import BulkJob
from fusebill_async.cli.bulk_progress import JobProgress
from fusebill_async.cli.bulk_progress import Kind as ProgressKind
from fusebill_async.cli.bulk_report import Reported
from fusebill_async.cli.bulk_signals import stoppable
from fusebill_async.cli.connection import open_client
from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.failures import Failed, NotDone, report_lost_output
from fusebill_async.cli.input import InterruptedInput
from fusebill_async.cli.options import Common
from fusebill_async.cli.performing import show
from fusebill_async.cli.results import Result
from fusebill_async.cli.terminal import messages
from fusebill_async.client import FusebillClient
from fusebill_async.errors import FusebillError
from fusebill_async.operations import Operation
from fusebill_async.outcome import Outcome


async def run_job(client: FusebillClient, job: BulkJob, total: int, journal: Path, kind: ProgressKind) -> Result:
    """Run a job, show how it goes on, and report."""
    name = journal.stem
    code: ExitCode | None = None
    with stoppable() as signals:
        try:
            with JobProgress(client, name, total, kind) as progress:
                async with aclosing(aiter(job)) as items:
                    async for item in items:
                        progress.note(item)
        except asyncio.CancelledError:
            if not signals.pressed:
                raise
            code = ExitCode.STOPPED if signals.pressed == 1 else signals.exit_code
    reported = Reported.of(journal)
    if code is not None or reported.report.unprocessed:
        _tell_how_to_go_on(journal)
        return _Stopped(reported, code or ExitCode.STOPPED)
    return reported


def _tell_how_to_go_on(journal: Path) -> None:
    command = f"fusebill-async bulk resume --journal {shlex.quote(str(journal))}"
    messages().print(Text.assemble(("stopped", "bold yellow"), "  go on with: ", command))


class _Stopped(Result):
    """A job that ended before all was done.

    Args:
        reported: how it stands.
        code: the exit code.
    """

    def __init__(self, reported: Reported, code: ExitCode) -> None:
        self._reported = reported
        self._code = code

    @property
    def exit_code(self) -> ExitCode:
        """That it can be resumed, or the signal."""
        return self._code

    @property
    def happened(self) -> str:
        """The sentence."""
        return self._reported.sentence

    def as_json(self) -> bytes:
        """The six tallies."""
        return self._reported.as_json()

    def print_on(self, console: Any) -> None:
        """The same as the report."""
        self._reported.print_on(console)


async def perform(
    operation: Operation | None, work: Callable[[FusebillClient], Awaitable[Result]], common: Common
) -> ExitCode:
    """Do what a command does with a client, and show what came of it."""
    result: Result
    try:
        async with open_client(common) as client:
            result = await work(client)
    except FusebillError as error:
        result = Failed(error, operation, None)
    except InterruptedInput as interrupted:
        result = NotDone(Outcome.NOT_SENT, "Interrupted", "Nothing was sent.", code=interrupted.exit_code)
    except asyncio.CancelledError:
        # Before the job has begun, Ctrl-C ends the command as Python has it.
        result = NotDone(Outcome.NOT_SENT, "Interrupted", "Nothing was sent.", code=ExitCode.INTERRUPTED)
    try:
        return show(result, json=common.json)
    except OSError as error:
        return report_lost_output(error)
