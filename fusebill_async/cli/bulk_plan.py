"""A job's plan, for people and for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Literal

import attrs
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fusebill_async.bulk import BulkPlan
from fusebill_async.cli.bulk_ahead import Changes, Invoiced
from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.results import Result
from fusebill_async.cli.wire_text import printable
from fusebill_async.converting import encode
from fusebill_async.operations import UPDATE


@attrs.frozen
class Planned(Result):
    """What a job would do.

    Attributes:
        plan: of it.
        journal: its file.
        erased, empty: how many cells of the input erase a field or leave it alone, by its name.
        unused: columns of the input that the operation has no use for.
        no_quota: why the quota is not known, in words.
        changes: what it would change, if that was looked at.
        invoiced: what it would invoice, if that was asked for.
    """

    plan: BulkPlan
    journal: Path
    erased: Counter[str] = attrs.field(factory=Counter[str])
    empty: Counter[str] = attrs.field(factory=Counter[str])
    unused: list[str] = attrs.field(factory=list[str])
    no_quota: str = ""
    changes: Changes | None = None
    invoiced: Invoiced | None = None

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
                **({} if self.changes is None else {"diff": self.changes.as_object()}),
                **({} if self.invoiced is None else {"preview": self.invoiced.as_object()}),
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
            beside = ", beside which the rest of each customer goes back as it stands" if self._is_update else ""
            console.print(Text(f"The first requests{beside}:", style="dim"))
        for request in plan.first_requests:
            body = "" if request.body is None else f"  {printable(request.body.decode())}"
            console.print(Text(f"  {request.method} {request.target}{body}"), soft_wrap=True)
        for ahead in (self.changes, self.invoiced):
            if ahead is not None:
                ahead.print_on(console)

    @property
    def _is_update(self) -> bool:
        return self.plan.operation == UPDATE.title

    def _rows(self) -> Iterator[tuple[str, str]]:
        plan = self.plan
        besides = [f"rows that said the same as another: {plan.duplicates:,}"] if plan.duplicates else []
        besides += [f"bad rows: {plan.bad_rows:,}"] if plan.bad_rows else []
        yield plan.operation, f"{plan.items:,} items" + (f"; {'; '.join(besides)}" if besides else "")
        if plan.to_do != plan.items:
            yield "to do", f"{plan.to_do:,}"
        yield "calls", f"{plan.calls:,}"
        minute, day = _left(plan, "minute"), _left(plan, "day")
        unknown = f"not told: {printable(self.no_quota)}" if self.no_quota else "not told"
        yield "quota", unknown if minute is None else f"{minute:,} left this minute, {day:,} today"
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
