"""`bulk resume`, `status`, `report` and `wipe`: what works from the journal of a job."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from cyclopts import App
from cyclopts import Parameter as Option

from fusebill_async.bulk import write_page
from fusebill_async.bulk.options import Retry
from fusebill_async.cli.bulk_asking import not_again, not_erased
from fusebill_async.cli.bulk_canary import run_agreed
from fusebill_async.cli.bulk_check import proven
from fusebill_async.cli.bulk_items import Form, write_items
from fusebill_async.cli.bulk_options import JOB, RUNNING, JournalFile, Running, Yes
from fusebill_async.cli.bulk_performing import Context, perform
from fusebill_async.cli.bulk_report import Reported, Watched, Wiped
from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.failures import Failed
from fusebill_async.cli.options import COMMON, Common, Json, Verbose
from fusebill_async.cli.performing import show
from fusebill_async.cli.results import Result
from fusebill_async.errors import FusebillError, ValidationError


def add_journal_commands(app: App) -> None:
    """Put the commands among those of `bulk`."""
    for command, name in ((resume, "resume"), (status, "status"), (report, "report"), (wipe, "wipe")):
        app.command(command, name=name)


async def resume(
    *,
    journal: JournalFile,
    retry: Annotated[
        Retry | None,
        Option(
            group=JOB,
            show_default=False,
            help="Try again what was rejected or not_applied; unknown reads again, and sends nothing.",
        ),
    ] = None,
    message: Annotated[str | None, Option(group=JOB, show_default=False, help="Of those only what says this.")] = None,
    yes: Yes = False,
    running: Running = RUNNING,
    common: Common = COMMON,
) -> ExitCode:
    """Go on with a job. It takes no input, and asks nothing: the job was agreed to.

    It asks before it sends again what moves money and was not applied, and after a canary. --yes answers both.
    """

    async def work(context: Context) -> Result:
        job = context.client.bulk.resume(journal, retry=retry, message=message, **running.settings())
        if retry == "not_applied" and not yes:
            before = await job.report()
            no = not_again(before.operation, before.not_applied, common)
            if no is not None:
                return no
        result = await run_agreed(context, job, journal, running, common, yes=yes)
        return await proven(result, job) if running.verify else result

    return await perform(None, work, common)


def status(*, journal: JournalFile, json: Json = False, verbose: Verbose = False) -> ExitCode:  # noqa: ARG001
    """Show how a job stands, and which process runs it."""
    return _tell(lambda: Watched.of(journal, failures=False), json=json)


def report(
    *,
    journal: JournalFile,
    form: Annotated[
        Form, Option(name=("--format", "-o"), help="A summary, or every item as CSV or JSON lines.")
    ] = "text",
    html: Annotated[
        Path | None,
        Option(
            show_default=False,
            help="Write a page for people into this file: what became of the job, what to do now, and a timeline.",
        ),
    ] = None,
    json: Json = False,
    verbose: Verbose = False,  # noqa: ARG001 (every command takes it)
) -> ExitCode:
    """Show what became of a job: a summary, what to do now, and the failures by what the service said.

    --json prints the six tallies, whose sum is the input.
    """
    if html is not None:
        return _tell(lambda: _paged(journal, html), json=json)
    if form == "text" or json:
        return _tell(lambda: Reported.of(journal, failures=not json), json=json)
    try:
        write_items(journal, form)
    except FusebillError as error:
        return show(Failed(error, None, None), json=False)
    return ExitCode.DONE


async def wipe(*, journal: JournalFile, yes: Yes = False, common: Common = COMMON) -> ExitCode:
    """Erase what a journal holds of persons; ids, outcomes and times stay. The job cannot be undone any more."""

    async def work(context: Context) -> Result:
        no = None if yes else not_erased(journal, common)
        if no is not None:
            return no
        await context.client.bulk.resume(journal).wipe()
        return Wiped(Reported.of(journal, failures=False))

    return await perform(None, work, common)


def _paged(journal: Path, file: Path) -> Result:
    """Write the page of a job, and tell how it stands."""
    try:
        write_page(journal, file)
    except OSError as error:
        raise ValidationError(f"{file} cannot be written: {error.strerror}", field="html") from None
    return Reported.of(journal, failures=False)


def _tell(read: Callable[[], Result], *, json: bool) -> ExitCode:
    try:
        result = read()
    except FusebillError as error:
        result = Failed(error, None, None)
    return show(result, json=json)
