"""A job's report, for people and for programs."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import attrs
from rich.console import Console
from rich.text import Text

from fusebill_async.bulk import BulkReport, JobOwner, Tally, read_items, read_owner, read_report
from fusebill_async.bulk.failures import FailureGroup, grouped
from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.results import Result
from fusebill_async.cli.wire_text import printable
from fusebill_async.converting import encode

_MOST_GROUPS = 20
_RETRIED = {Tally.REJECTED: "rejected", Tally.NOT_APPLIED: "not_applied"}


@attrs.frozen
class Reported(Result):
    """How a job stands.

    Attributes:
        report: its tallies.
        groups: of its failures.
        journal: its file.
        owner: the process that has the journal open; None if none has.
        ran: this command has run the job.
    """

    report: BulkReport
    groups: list[FailureGroup]
    journal: Path
    owner: JobOwner | None = None
    ran: bool = False

    @classmethod
    def of(cls, journal: Path, *, failures: bool = True, ran: bool = False) -> Self:
        """From the journal, with or without its failures."""
        reported = cls(read_report(journal), [], journal, read_owner(journal), ran)
        if not failures:
            return reported
        groups = grouped(read_items(journal))
        if reported.is_under_way:
            # What is not known yet is on its way.
            groups = [group for group in groups if group.tally is not Tally.UNKNOWN]
        return attrs.evolve(reported, groups=groups)

    @property
    def is_under_way(self) -> bool:
        """Whether a process runs the job at this moment."""
        return self.owner is not None and not self.owner.is_gone

    @property
    def exit_code(self) -> ExitCode:
        """As the contract has it: unknown, refused or not applied, done. A job under way has not failed yet."""
        report = self.report
        if self.is_under_way:
            return ExitCode.DONE
        if report.unknown:
            return ExitCode.UNKNOWN
        return ExitCode.NOT_DONE if report.rejected or report.not_applied else ExitCode.DONE

    @property
    def happened(self) -> str:
        """The sentence, if this command has run the job."""
        return self.sentence if self.ran else ""

    @property
    def sentence(self) -> str:
        """What became of the job, in one sentence."""
        report = self.report
        counts = [
            (report.applied, "applied"),
            (report.rejected, "refused"),
            (report.not_applied, "not applied"),
            (report.unknown, "under way" if self.is_under_way else "not known"),
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
        if self.owner is not None:
            console.print(self._owner_text(self.owner), soft_wrap=True, markup=False)
        if self.report.stopped and not self.is_under_way:
            console.print(f"It stopped: {printable(self.report.stopped)}")
        for note in self.report.notes:
            console.print(f"Note: {printable(note)}", markup=False)
        for why, command in () if self.is_under_way else self._next_steps():
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

    def _owner_text(self, owner: JobOwner) -> str:
        who = f"process {owner.pid} on {printable(owner.machine)}"
        since = f"since {owner.since:%Y-%m-%d %H:%M:%S} UTC"
        return f"{who} ran it {since}, and ended without a word" if owner.is_gone else f"{who} runs it {since}"

    def _next_steps(self) -> Iterator[tuple[str, str]]:
        resume = f"fusebill-async bulk resume --journal {shlex.quote(str(self.journal))}"
        if self.report.handed_out:
            yield "Go on on workers, whose keys tell what became of the rest", f"{resume} --workers redis://..."
            return
        if self.report.unprocessed:
            yield "Go on with what was not begun", resume
        if self.report.unknown:
            yield "Do not repeat what is not known. Settle it by reading", f"{resume} --retry unknown"

    def retry_of(self, group: FailureGroup) -> str:
        """The command that tries a group again; "" where that is of no use."""
        if group.tally not in _RETRIED or self.is_under_way:
            return ""
        command = f"fusebill-async bulk resume --journal {shlex.quote(str(self.journal))}"
        return f"{command} --retry {_RETRIED[group.tally]} --message {shlex.quote(group.part)}"


@attrs.frozen
class Watched(Reported):
    """How a job stands, and which process has it open."""

    def as_json(self) -> bytes:
        """The six tallies, and the process; null if none has it open."""
        return encode({**self.report.tallies, "process": None if self.owner is None else attrs.asdict(self.owner)})


@attrs.frozen
class Wiped(Result):
    """A journal that was wiped, and how its job stands."""

    reported: Reported

    @property
    def happened(self) -> str:
        """That it was wiped: nothing brings that back."""
        return f"{self.reported.journal} holds nothing of persons any more; ids, outcomes and times stay"

    def as_json(self) -> bytes:
        """The six tallies."""
        return self.reported.as_json()

    def print_on(self, console: Console) -> None:
        """What was done."""
        console.print(Text.assemble(("wiped", "bold green"), f"  {self.happened}"))
