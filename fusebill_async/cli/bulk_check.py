"""What a verification has shown, for people and for programs."""

from __future__ import annotations

from typing import Any

import attrs
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fusebill_async.bulk import BulkCheck, BulkJob
from fusebill_async.cli.bulk_plan import Planned
from fusebill_async.cli.bulk_report import Reported
from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.results import Result
from fusebill_async.cli.wire_text import printable
from fusebill_async.converting import encode

_SHOWN = 20
"""Customers that are named, at most."""


@attrs.frozen
class Checked(Result):
    """What reading the customers of a job again has shown."""

    check: BulkCheck

    @property
    def exit_code(self) -> ExitCode:
        """Whether everything holds."""
        return ExitCode.NOT_DONE if self.check.drifted or self.check.unreadable else ExitCode.DONE

    def as_json(self) -> bytes:
        """The three counts."""
        return encode(self.check.counts)

    def print_on(self, console: Console) -> None:
        """The counts, and who is different."""
        check = self.check
        seen = sum(check.counts.values())
        told = f"{check.operation}: {check.held:,} of {seen:,} hold"
        told += f", {check.drifted:,} drifted" if check.drifted else ""
        told += f", {check.unreadable:,} unreadable" if check.unreadable else ""
        console.print(Text(told, style="bold"))
        if seen < check.applied:
            console.print(f"A sample of {check.applied:,} that were applied.")
        if check.drifts:
            console.print(self._table())
        _tell_more(console, len(check.drifts))
        for each in check.unread[:_SHOWN]:
            console.print(f"customer {each.customer_id}: {printable(each.reason)}", markup=False, soft_wrap=True)
        _tell_more(console, check.unreadable)

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for name in ("customer", "field", "expected", "found", "changed"):
            table.add_column(name, overflow="fold")
        for each in self.check.drifts[:_SHOWN]:
            values = map(_value, (each.expected, each.found))
            table.add_row(str(each.customer_id), printable(each.field), *values, printable(each.modified or "not told"))
        return table


@attrs.frozen
class Proven(Result):
    """How a job stands, and whether what it did holds."""

    reported: Reported
    checked: Checked

    @property
    def exit_code(self) -> ExitCode:
        """Of the job; where all is well with it, of the verification."""
        return self.reported.exit_code or self.checked.exit_code

    @property
    def happened(self) -> str:
        """The sentence."""
        return self.reported.sentence

    def as_json(self) -> bytes:
        """The six tallies, and the three counts."""
        return encode({**self.reported.report.tallies, "verification": self.checked.check.counts})

    def print_on(self, console: Console) -> None:
        """One after the other."""
        self.reported.print_on(console)
        self.checked.print_on(console)


class UndoPlanned(Planned):
    """What an undo would do."""

    @property
    def exit_code(self) -> ExitCode:
        """What is set aside is no fault of an undo."""
        return ExitCode.DONE

    def print_on(self, console: Console) -> None:
        """How many are put back, and who is not, with the reason."""
        plan = self.plan
        console.print(Text(f"{plan.operation} puts back {plan.to_do:,} of {plan.items:,} customers", style="bold"))
        console.print(f"It takes {plan.calls:,} calls, at least {plan.duration}. Its journal is {self.journal}.")
        if plan.bad_rows:
            console.print(f"{plan.bad_rows:,} are set aside:")
        for number, reason in plan.examples:
            console.print(f"  row {number}: {printable(reason)}", markup=False, soft_wrap=True)
        _tell_more(console, plan.bad_rows)


async def proven(result: Result, job: BulkJob) -> Result:
    """Verify a job that ran to its end; anything else stays as it is."""
    if not isinstance(result, Reported):
        return result
    return Proven(result, Checked(await job.verify()))


def _value(value: Any) -> str:
    return printable(value if isinstance(value, str) else encode(value).decode())


def _tell_more(console: Console, count: int) -> None:
    if count > _SHOWN:
        console.print(f"and {count - _SHOWN:,} more")
