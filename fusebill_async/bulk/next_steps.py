"""What to do now with a job: commands that can be copied."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from fusebill_async.bulk.control import Standing, Wanted
from fusebill_async.bulk.failures import FailureGroup
from fusebill_async.bulk.tallies import Tally

_RETRIED = {Tally.REJECTED: "rejected", Tally.NOT_APPLIED: "not_applied"}


def command(verb: str, journal: Path, *options: str) -> str:
    """A `bulk` command on a journal, as a shell takes it."""
    return shlex.join(["fusebill-async", "bulk", verb, "--journal", str(journal), *options])


def retry_of(group: FailureGroup, journal: Path) -> str:
    """The command that tries a group again, or that settles it; "" where neither is of use."""
    if group.tally is Tally.UNKNOWN:
        return command("resume", journal, "--retry", "unknown")
    if group.tally not in _RETRIED:
        return ""
    chosen = ["--message", group.part] if group.part else []
    return command("resume", journal, "--retry", _RETRIED[group.tally], *chosen)


def next_steps(
    journal: Path, standing: Standing, *, unprocessed: int, unknown: int, awaits_approval: bool, handed_out: int
) -> Iterator[tuple[str, str]]:
    """What to do now: each with why, and the command.

    Args:
        journal: the file of the job.
        standing: what the job does at this moment.
        unprocessed: its tally.
        unknown: its tally.
        awaits_approval: its canary has ended, and nobody has said that it may go on.
        handed_out: how many of the unknown ones were handed to workers.
    """
    if standing.wanted is Wanted.PAUSE:
        yield "It is paused. Let it go on", command("go", journal)
    if standing.runs:
        return
    if handed_out:
        on_workers = f"{command('resume', journal)} --workers redis://..."
        yield "Go on on workers, whose keys tell what became of the rest", on_workers
        return
    if awaits_approval:
        yield "The canary has ended. Go on with all the others", command("resume", journal, "--yes")
    elif unprocessed:
        yield "Go on with what was not begun", command("resume", journal)
    if unknown:
        yield "Do not repeat what is not known. Settle it by reading", command("resume", journal, "--retry", "unknown")
