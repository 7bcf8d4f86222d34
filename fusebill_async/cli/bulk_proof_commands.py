"""`bulk verify` and `bulk undo`: prove a job, and take it back."""

from __future__ import annotations

import re
from typing import Annotated

from cyclopts import App
from cyclopts import Parameter as Option

from fusebill_async.cli.bulk_check import Checked
from fusebill_async.cli.bulk_commands import JournalFile, SingleReads, perform
from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.options import COMMON, Common
from fusebill_async.cli.results import Result
from fusebill_async.cli.usage import UsageError
from fusebill_async.client import FusebillClient

_SAMPLE = re.compile(r"(\d+(?:\.\d+)?)(%?)", re.ASCII)


def add_proof_commands(app: App) -> App:
    """Put the commands among those of `bulk`."""
    app.command(verify, name="verify")
    return app


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

    async def work(client: FusebillClient) -> Result:
        return Checked(await client.bulk.resume(journal, single_reads=single_reads).verify(part))

    return await perform(None, work, common)


def _part(text: str | None) -> float | None:
    if text is None:
        return None
    found = _SAMPLE.fullmatch(text.strip())
    part = float(found[1]) / (100 if found[2] else 1) if found else 0.0
    if not 0 < part <= 1:
        raise UsageError(f"--sample must be a part such as 1% or 0.01, not {text}")
    return part
