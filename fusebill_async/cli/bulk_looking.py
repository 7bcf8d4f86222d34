"""Looks ahead at what a job would do, and shows how far it has come."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any, TextIO

from fusebill_async.bulk import BulkJob, ItemForecast, ItemPreview, Verdict
from fusebill_async.cli.bulk_ahead import Changes, Invoiced
from fusebill_async.cli.bulk_input import ERASES
from fusebill_async.cli.bulk_options import LookingAhead
from fusebill_async.cli.bulk_performing import Context
from fusebill_async.cli.bulk_progress import JobProgress
from fusebill_async.cli.csv_text import csv_row, no_formula
from fusebill_async.converting import encode
from fusebill_async.errors import ValidationError

_SAMPLE = 20
"""Items that are compared if nothing else is said."""
_COLUMNS = ("number", "customer_id", "verdict", "field", "before", "after", "reason")
_VERDICTS: dict[str, str] = {
    Verdict.CHANGED: "green",
    Verdict.UNCHANGED: "dim",
    Verdict.REFUSED: "red",
    Verdict.MISSING: "red",
    Verdict.UNREADABLE: "bold yellow",
}
_PREVIEWS = {"previewed": "green", "failed": "red"}


async def changes_of(context: Context, job: BulkJob, to_do: int, ahead: LookingAhead, name: str) -> Changes:
    """What a job would change. With `--diff-to` every item is looked at, and written to the file.

    Args:
        context: of the command.
        job: that was planned.
        to_do: items that have no outcome.
        ahead: how it is looked at.
        name: of the job.
    """
    sample = ahead.sample if ahead.sample is not None or ahead.diff_to is not None else _SAMPLE
    found = Changes(to_do=to_do, file=ahead.diff_to)
    progress = JobProgress(context, f"{name}: diff", lambda: _count(to_do, sample), "auto", styles=_VERDICTS)
    with _written(ahead.diff_to) as file:
        forecasts: AsyncGenerator[ItemForecast] = job.diff(sample)
        async with progress, aclosing(forecasts):
            async for forecast in forecasts:
                found.note(forecast)
                progress.note(forecast.verdict)
                if file is not None:
                    file.writelines(_lines(forecast))
    return found


async def invoices_of(context: Context, job: BulkJob, to_do: int, ahead: LookingAhead, name: str) -> Invoiced:
    """What a job would invoice; see `changes_of`."""
    found = Invoiced(to_do=to_do)
    progress = JobProgress(context, f"{name}: preview", lambda: _count(to_do, ahead.sample), "auto", styles=_PREVIEWS)
    previews: AsyncGenerator[ItemPreview] = job.preview(ahead.sample)
    async with progress, aclosing(previews):
        async for preview in previews:
            found.note(preview)
            progress.note("failed" if preview.activation is None else "previewed")
    return found


def _count(to_do: int, sample: int | None) -> int:
    return to_do if sample is None else min(to_do, sample)


@contextmanager
def _written(path: Path | None) -> Generator[TextIO | None]:
    """The file for every item. It is opened before anything is read."""
    if path is None:
        yield None
        return
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            file.write(csv_row(_COLUMNS, "\r\n"))
            yield file
    except OSError as error:
        raise ValidationError(f"{path} cannot be written: {error.strerror}", field="diff_to") from None


def _lines(forecast: ItemForecast) -> list[str]:
    """A line for each field that would change; one for an item without any."""
    begins = (str(forecast.number), str(forecast.customer_id), forecast.verdict.value)
    rows = [(*begins, change.field, _cell(change.before), _cell(change.after), "") for change in forecast.changes]
    return [
        csv_row([no_formula(cell) for cell in row], "\r\n") for row in rows or [(*begins, "", "", "", forecast.reason)]
    ]


def _cell(value: Any) -> str:
    """A value as a cell of an input has it."""
    if value is None:
        return ERASES
    return value if isinstance(value, str) else encode(value).decode()
