"""A job's report, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Self

import attrs
from rich.console import Console
from rich.text import Text

from fusebill_async.bulk import BulkReport, JobOwner, Standing, Tally, Wanted, read_report, read_standing
from fusebill_async.bulk.failures import FailureGroup, read_failures
from fusebill_async.bulk.next_steps import next_steps, retry_of
from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.results import Result
from fusebill_async.cli.wire_text import printable
from fusebill_async.converting import encode

_MOST_GROUPS = 20


@attrs.frozen
class Reported(Result):
    """How a job stands.

    Attributes:
        report: its tallies.
        groups: of its failures.
        journal: its file.
        standing: what it does at this moment, and what is wanted of it.
        ran: this command has run the job.
    """

    report: BulkReport
    groups: list[FailureGroup]
    journal: Path
    standing: Standing
    ran: bool = False

    @classmethod
    def of(cls, journal: Path, *, failures: bool = True, ran: bool = False) -> Self:
        """From the journal, with or without its failures."""
        reported = cls(read_report(journal), [], journal, read_standing(journal), ran)
        if not failures:
            return reported
        groups = read_failures(journal)
        if reported.is_under_way:
            # What is not known yet is on its way.
            groups = [group for group in groups if group.tally is not Tally.UNKNOWN]
        return attrs.evolve(reported, groups=groups)

    @property
    def is_under_way(self) -> bool:
        """Whether a process runs the job at this moment."""
        return self.standing.runs

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
        for line in self._standing_lines():
            console.print(line, soft_wrap=True, markup=False)
        if self.report.stopped and not self.is_under_way:
            console.print(f"It stopped: {printable(self.report.stopped)}")
        for note in self.report.notes:
            console.print(f"Note: {printable(note)}", markup=False)
        for why, command in self.next_steps:
            console.print(Text(f"{why}:", style="dim"))
            console.print(f"  {command}", soft_wrap=True, markup=False)
        for group in self.groups[:_MOST_GROUPS]:
            console.print()
            ids = ", ".join(map(str, group.customer_ids))
            who = f" (customers {ids}{', ...' if group.count > len(group.customer_ids) else ''})" if ids else ""
            console.print(Text(f"{group.count:,} {group.tally.value.replace('_', ' ')}{who}", style="bold"))
            console.print(f"  {printable(group.message) or 'no reason is known'}", markup=False)
            command = "" if self.is_under_way or group.tally is Tally.UNKNOWN else retry_of(group, self.journal)
            if command:
                console.print(f"  {command}", soft_wrap=True, markup=False, style="dim")
        if len(self.groups) > _MOST_GROUPS:
            console.print(
                f"\nand {len(self.groups) - _MOST_GROUPS} more kinds of failure: report -o csv shows each item"
            )

    def _standing_lines(self) -> Iterator[str]:
        standing, owner = self.standing, self.standing.owner
        if owner is not None:
            yield _owner_text(owner)
        if standing.held_for:
            until = "" if standing.held_until is None else f" until {_moment(standing.held_until)}"
            yield f"it sends nothing now: {printable(standing.held_for)}{until}"
        elif standing.wanted is not Wanted.GO and standing.since is not None:
            what = "stop" if standing.wanted is Wanted.STOP else "wait until it may go on"
            yield f"it was told to {what} by {printable(standing.by)}, {_moment(standing.since)}"

    @property
    def next_steps(self) -> list[tuple[str, str]]:
        """What to do now: each with why, and the command."""
        report = self.report
        return list(
            next_steps(
                self.journal,
                self.standing,
                unprocessed=report.unprocessed,
                unknown=report.unknown,
                awaits_approval=report.awaits_approval,
                handed_out=report.handed_out,
            )
        )


def _owner_text(owner: JobOwner) -> str:
    who, since = printable(str(owner)), f"since {_moment(owner.since)}"
    return f"{who} ran it {since}, and ended without a word" if owner.is_gone else f"{who} runs it {since}"


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


@attrs.frozen
class Watched(Reported):
    """How a job stands, and which process has it open."""

    def as_json(self) -> bytes:
        """The six tallies, the process (null if none has it open), what is wanted, and why nothing is sent now."""
        standing = self.standing
        return encode(
            {
                **self.report.tallies,
                "process": None if standing.owner is None else attrs.asdict(standing.owner),
                "control": {
                    "wanted": standing.wanted,
                    "held_for": standing.held_for,
                    "held_until": standing.held_until,
                },
            }
        )


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
