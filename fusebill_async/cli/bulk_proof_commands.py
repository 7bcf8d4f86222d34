"""`bulk verify` and `bulk undo`: prove a job, and take it back."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from cyclopts import App
from cyclopts import Parameter as Option

from fusebill_async.cli.bulk_asking import declined
from fusebill_async.cli.bulk_canary import run_agreed
from fusebill_async.cli.bulk_check import Checked, UndoPlanned, proven
from fusebill_async.cli.bulk_options import RUNNING, JournalFile, Running, SingleReads, Yes
from fusebill_async.cli.bulk_performing import Context, perform
from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.options import COMMON, Common
from fusebill_async.cli.results import Result
from fusebill_async.cli.usage import UsageError
from fusebill_async.models.enums import ServiceStartOption

_SAMPLE = re.compile(r"(\d+(?:\.\d+)?)(%?)", re.ASCII)


def add_proof_commands(app: App) -> None:
    """Put the commands among those of `bulk`."""
    app.command(verify, name="verify")
    app.command(undo, name="undo")


async def verify(
    *,
    journal: JournalFile,
    sample: Annotated[str | None, Option(show_default=False, help="Look at a part, such as 1% or 0.01.")] = None,
    single_reads: SingleReads = False,
    common: Common = COMMON,
) -> ExitCode:
    """Read the customers again, and name those that do not stand as the job left them.

    It reads 200 with a call. It exits 1 if any has drifted or cannot be read. --json prints the three counts.
    """
    part = _part(sample)

    async def work(context: Context) -> Result:
        return Checked(await context.client.bulk.resume(journal, single_reads=single_reads).verify(part))

    return await perform(None, work, common)


def _part(text: str | None) -> float | None:
    if text is None:
        return None
    found = _SAMPLE.fullmatch(text.strip())
    part = float(found[1]) / (100 if found[2] else 1) if found else 0.0
    if not 0 < part <= 1:
        raise UsageError(f"--sample must be a part such as 1% or 0.01, not {text}")
    return part


async def undo(
    *,
    journal: JournalFile,
    into: Annotated[Path, Option(name=("--into", "-i"), help="The journal of the undo, a file of its own.")],
    service_start_option: Annotated[
        ServiceStartOption | None,
        Option(show_default=False, help="What is charged for the time on hold. The undo of a hold needs it."),
    ] = None,
    allow_charges: Annotated[
        bool,
        Option(negative="", show_default=False, help="Undo a cancellation, though uncancel may invoice and charge."),
    ] = False,
    yes: Yes = False,
    running: Running = RUNNING,
    common: Common = COMMON,
) -> ExitCode:
    """Take a job back. It asks first, unless --yes is given.

    It acts on the customers that the job has changed and that stand as it left them; each is read right before its
    write. All others are skipped, with the reason. Updates go back to the values that were there, latches to the ids of
    the snapshot, holds are released. An undo that was stopped goes on with bulk resume --journal U.
    """

    async def work(context: Context) -> Result:
        job = context.client.bulk.undo(
            journal,
            journal=into,
            service_start_option=service_start_option,
            allow_charges=allow_charges,
            **running.settings(),
        )
        planned = UndoPlanned(await job.plan(), into)
        no = None if yes else declined(planned, common, stdin_is_taken=False)
        result = no or await run_agreed(context, job, into, running, common)
        return await proven(result, job) if running.verify else result

    return await perform(None, work, common)
