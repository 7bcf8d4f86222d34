"""`bulk pause`, `go` and `stop`: control of a job from another terminal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import attrs
from cyclopts import App
from rich.console import Console
from rich.text import Text

from fusebill_async.bulk import Standing, Wanted, go, pause, stop
from fusebill_async.bulk.next_steps import command
from fusebill_async.cli.bulk_options import JournalFile
from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.failures import Failed
from fusebill_async.cli.options import Json, Verbose
from fusebill_async.cli.performing import show
from fusebill_async.cli.results import Result
from fusebill_async.cli.wire_text import printable
from fusebill_async.converting import encode
from fusebill_async.errors import FusebillError


def add_control_commands(app: App) -> None:
    """Put the commands among those of `bulk`."""
    for verb, name in ((pause_job, "pause"), (go_job, "go"), (stop_job, "stop")):
        app.command(verb, name=name)


def pause_job(*, journal: JournalFile, json: Json = False, verbose: Verbose = False) -> ExitCode:  # noqa: ARG001
    """Have a job send nothing more, within a second, until bulk go. What is under way is seen to its end.

    It works from any terminal of the machine that runs the job, and holds for later runs, too.
    """
    return _tell(pause, Wanted.PAUSE, journal, json=json)


def go_job(*, journal: JournalFile, json: Json = False, verbose: Verbose = False) -> ExitCode:  # noqa: ARG001
    """Let a job go on that was paused."""
    return _tell(go, Wanted.GO, journal, json=json)


def stop_job(*, journal: JournalFile, json: Json = False, verbose: Verbose = False) -> ExitCode:  # noqa: ARG001
    """End the run of a job after what is under way. It exits 75, and bulk resume goes on."""
    return _tell(stop, Wanted.STOP, journal, json=json)


@attrs.frozen
class _Told(Result):
    """What a job was told.

    Attributes:
        wanted: of it.
        before: how it stood.
        journal: its file.
    """

    wanted: Wanted
    before: Standing
    journal: Path

    @property
    def exit_code(self) -> ExitCode:
        """A run that is not there cannot be stopped."""
        no_run = self.wanted is Wanted.STOP and not self.before.runs
        return ExitCode.NOT_DONE if no_run else ExitCode.DONE

    @property
    def happened(self) -> str:
        """What follows from it, in a sentence."""
        who = printable(str(self.before.owner))
        if not self.before.runs:
            return {
                Wanted.PAUSE: "no process runs the job: the next run sends nothing until bulk go",
                Wanted.GO: f"no process runs the job; go on with: {command('resume', self.journal)}",
                Wanted.STOP: "no process runs the job: there is nothing to stop",
            }[self.wanted]
        return {
            Wanted.PAUSE: f"{who} sends nothing more; go on with: {command('go', self.journal)}",
            Wanted.GO: f"{who} goes on",
            Wanted.STOP: f"{who} ends after what is under way; go on later with: {command('resume', self.journal)}",
        }[self.wanted]

    def as_json(self) -> bytes:
        """What is wanted, and the process that hears of it; null if none does."""
        owner = self.before.owner if self.before.runs else None
        return encode({"wanted": self.wanted, "process": None if owner is None else attrs.asdict(owner)})

    def print_on(self, console: Console) -> None:
        """The sentence."""
        console.print(Text.assemble((self.wanted.value, "bold"), f"  {self.happened}"), soft_wrap=True)


def _tell(tell: Callable[[Path], Standing], wanted: Wanted, journal: Path, *, json: bool) -> ExitCode:
    result: Result
    try:
        result = _Told(wanted, tell(journal), journal)
    except FusebillError as error:
        result = Failed(error, None, None)
    return show(result, json=json)
