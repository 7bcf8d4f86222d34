"""A job's plan and its report, for people and for programs."""

from __future__ import annotations

import csv
import io
import shlex
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

import attrs
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fusebill_async.bulk import BulkPlan, BulkReport, Tally, read_items, read_report
from fusebill_async.bulk.failures import FailureGroup, grouped
from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.results import Result
from fusebill_async.cli.terminal import write_bytes
from fusebill_async.cli.wire_text import printable
from fusebill_async.converting import encode

Form: TypeAlias = Literal["text", "csv", "jsonl"]

_COLUMNS = (
    "number",
    "customer_id",
    "tally",
    "outcome",
    "attribution",
    "status",
    "attempts",
    "run",
    "ended_at",
    "message",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""
_MOST_GROUPS = 20
_RETRIED = {Tally.REJECTED: "rejected", Tally.NOT_APPLIED: "not_applied"}


@attrs.frozen
class Planned(Result):
    """What a job would do.

    Attributes:
        plan: of it.
        journal: its file.
        erased, empty: how many cells of the input erase a field or leave it alone, by its name.
        unused: columns of the input that the operation has no use for.
    """

    plan: BulkPlan
    journal: Path
    erased: Counter[str] = attrs.field(factory=Counter[str])
    empty: Counter[str] = attrs.field(factory=Counter[str])
    unused: list[str] = attrs.field(factory=list[str])

    @property
    def exit_code(self) -> ExitCode:
        """A plan with bad rows is none that can be run as it is."""
        return ExitCode.USAGE if self.plan.bad_rows else ExitCode.DONE

    @property
    def ends_at(self) -> datetime:
        """When it ends if it begins now and all goes well, in local time."""
        return datetime.now().astimezone() + self.plan.duration

    def as_json(self) -> bytes:
        """One object."""
        plan = self.plan
        return encode(
            {
                "operation": plan.operation,
                "items": plan.items,
                "duplicates": plan.duplicates,
                "bad_rows": plan.bad_rows,
                "examples": [{"row": row, "reason": reason} for row, reason in plan.examples],
                "to_do": plan.to_do,
                "calls": plan.calls,
                "minute_left": _left(plan, "minute"),
                "day_left": _left(plan, "day"),
                "seconds": round(plan.seconds),
                "ends_at": self.ends_at.isoformat(timespec="seconds"),
                "days": plan.days,
                "erased": dict(self.erased),
                "empty": dict(self.empty),
                "unused_columns": self.unused,
                "first_requests": [
                    {
                        "method": each.method,
                        "target": each.target,
                        "body": None if each.body is None else each.body.decode(),
                    }
                    for each in plan.first_requests
                ],
                "journal": str(self.journal),
            }
        )

    def print_on(self, console: Console) -> None:
        """A table of what is to be done, and what the first requests are."""
        plan = self.plan
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(style="bold")
        table.add_column(overflow="fold")
        for name, text in self._rows():
            table.add_row(name, text)
        console.print(table)
        for _, reason in plan.examples:
            console.print(Text.assemble(("bad row", "bold red"), f"  {printable(reason)}"), soft_wrap=True)
        more = plan.bad_rows - len(plan.examples)
        if more > 0:
            console.print(f"and {more:,} more bad rows")
        if plan.first_requests:
            console.print(Text("The first requests:", style="dim"))
        for request in plan.first_requests:
            body = "" if request.body is None else f"  {printable(request.body.decode())}"
            console.print(Text(f"  {request.method} {request.target}{body}"), soft_wrap=True)

    def _rows(self) -> Iterator[tuple[str, str]]:
        plan = self.plan
        besides = [f"rows that said the same as another: {plan.duplicates:,}"] if plan.duplicates else []
        besides += [f"bad rows: {plan.bad_rows:,}"] if plan.bad_rows else []
        yield plan.operation, f"{plan.items:,} items" + (f"; {'; '.join(besides)}" if besides else "")
        if plan.to_do != plan.items:
            yield "to do", f"{plan.to_do:,}"
        yield "calls", f"{plan.calls:,}"
        minute, day = _left(plan, "minute"), _left(plan, "day")
        yield "quota", "not told yet" if minute is None else f"{minute:,} left this minute, {day:,} today"
        days = "" if plan.days == 1 else f", on {plan.days} days, as the quota of a day has it"
        yield "takes", f"{plan.duration}, until {self.ends_at:%Y-%m-%d %H:%M}{days}"
        for what, counts in (("erases", self.erased), ("leaves alone", self.empty)):
            if counts:
                yield what, ", ".join(f"{name} in {count:,} rows" for name, count in counts.items())
        if self.unused:
            yield "not used", f"columns {', '.join(self.unused)}"
        yield "journal", str(self.journal)


def _left(plan: BulkPlan, window: Literal["minute", "day"]) -> int | None:
    quota = plan.quota
    seen = quota.minute if window == "minute" else quota.day
    used = quota.used_minute if window == "minute" else quota.used_day
    return None if seen is None else max(0, seen.limit - used)


@attrs.frozen
class Reported(Result):
    """How a job stands.

    Attributes:
        report: its tallies.
        groups: of its failures.
        journal: its file.
    """

    report: BulkReport
    groups: list[FailureGroup]
    journal: Path

    @classmethod
    def of(cls, journal: Path, *, failures: bool = True) -> Reported:
        """From the journal, with or without its failures."""
        return cls(read_report(journal), grouped(read_items(journal)) if failures else [], journal)

    @property
    def exit_code(self) -> ExitCode:
        """As the contract has it: unknown, refused or not applied, done."""
        report = self.report
        if report.unknown:
            return ExitCode.UNKNOWN
        return ExitCode.NOT_DONE if report.rejected or report.not_applied else ExitCode.DONE

    @property
    def happened(self) -> str:
        """The sentence."""
        return self.sentence

    @property
    def sentence(self) -> str:
        """What became of the job, in one sentence."""
        report = self.report
        counts = [
            (report.applied, "applied"),
            (report.rejected, "refused"),
            (report.not_applied, "not applied"),
            (report.unknown, "not known"),
            (report.skipped, "skipped"),
            (report.unprocessed, "not begun"),
        ]
        told = "; ".join(f"{count:,} {name}" for count, name in counts[1:] if count)
        return f"{report.operation}: {report.applied:,} of {report.items:,} applied" + (f"; {told}" if told else "")

    def as_json(self) -> bytes:
        """The six tallies."""
        return encode(self.report.tallies)

    def print_on(self, console: Console) -> None:
        """The sentence, what to do now, and the failures."""
        console.print(Text(self.sentence, style="bold"))
        if self.report.stopped:
            console.print(f"It stopped: {printable(self.report.stopped)}")
        for note in self.report.notes:
            console.print(f"Note: {printable(note)}", markup=False)
        for why, command in self._next_steps():
            console.print(Text(f"{why}:", style="dim"))
            console.print(f"  {command}", soft_wrap=True, markup=False)
        for group in self.groups[:_MOST_GROUPS]:
            console.print()
            ids = ", ".join(map(str, group.customer_ids))
            who = f" (customers {ids}{', ...' if group.count > len(group.customer_ids) else ''})" if ids else ""
            console.print(Text(f"{group.count:,} {group.tally.value.replace('_', ' ')}{who}", style="bold"))
            console.print(f"  {printable(group.message) or 'no reason is known'}", markup=False)
            command = self.retry_of(group)
            if command:
                console.print(f"  {command}", soft_wrap=True, markup=False, style="dim")
        if len(self.groups) > _MOST_GROUPS:
            console.print(
                f"\nand {len(self.groups) - _MOST_GROUPS} more kinds of failure: report -o csv shows each item"
            )

    def _next_steps(self) -> Iterator[tuple[str, str]]:
        resume = f"fusebill-async bulk resume --journal {shlex.quote(str(self.journal))}"
        if self.report.unprocessed:
            yield "Go on with what was not begun", resume
        if self.report.unknown:
            yield "Do not repeat what is not known. Settle it by reading", f"{resume} --retry unknown"

    def retry_of(self, group: FailureGroup) -> str:
        """The command that tries a group again; "" where that is of no use."""
        if group.tally not in _RETRIED:
            return ""
        command = f"fusebill-async bulk resume --journal {shlex.quote(str(self.journal))}"
        return f"{command} --retry {_RETRIED[group.tally]} --message {shlex.quote(group.part)}"


def write_items(journal: Path, form: Form) -> None:
    """Write every item of a job to stdout, as CSV or JSON lines."""
    if form == "csv":
        write_bytes((",".join(_COLUMNS) + "\r\n").encode())
    for item in read_items(journal):
        facts = {name: getattr(item, name) for name in _COLUMNS}
        write_bytes(encode(facts) + b"\n" if form == "jsonl" else _csv_line(facts))


def _csv_line(facts: dict[str, Any]) -> bytes:
    line = io.StringIO()
    csv.writer(line).writerow([_cell(value) for value in facts.values()])
    return line.getvalue().encode()


def _cell(value: Any) -> str:
    """A text that no spreadsheet takes for a formula."""
    text = "" if value is None else value.isoformat() if isinstance(value, datetime) else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
