"""The options of the `bulk` commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypeAlias

import attrs
from cyclopts import Group, validators
from cyclopts import Parameter as Option

from fusebill_async.bulk.limits import OnDayEnd
from fusebill_async.cli.bulk_input import Form
from fusebill_async.cli.bulk_progress import Kind as ProgressKind
from fusebill_async.distributed import Workers

JOB = Group("The job", sort_key=1)
_LOOKS = Group("Look ahead", sort_key=2)
_STOPS = Group("When it stops", sort_key=3)

JournalFile: TypeAlias = Annotated[
    Path,
    Option(
        name=("--journal", "-j"),
        group=JOB,
        help="The file that the job is written down in. It is all that resume needs.",
    ),
]
File: TypeAlias = Annotated[
    str,
    Option(
        allow_leading_hyphen=True,
        help="CSV whose first line has a column id, or JSON lines (.jsonl); - is standard input. Further columns are "
        "options of the operation. With update they are fields: an empty cell leaves one alone, \\N erases it.",
    ),
]
Yes: TypeAlias = Annotated[bool, Option(name=("--yes", "-y"), negative="", show_default=False, help="Do not ask.")]

SingleReads: TypeAlias = Annotated[
    bool,
    Option(
        negative="",
        show_default=False,
        group=JOB,
        help="Read customers one by one, a call for each, where the service does not filter by ids.",
    ),
]


@Option(name="*")
@attrs.frozen(kw_only=True)
class Given:
    """The options of a job that say how it reads its input."""

    form: Annotated[
        Form | None, Option(name="--format", group=JOB, show_default=False, help="If the name of FILE does not tell.")
    ] = None
    skip_bad_rows: Annotated[
        bool, Option(negative="", group=JOB, show_default=False, help="Set bad rows aside, and do the others.")
    ] = False
    ignore_columns: Annotated[
        bool,
        Option(
            negative="",
            group=JOB,
            show_default=False,
            help="Leave out columns that the operation has no use for.",
        ),
    ] = False


@Option(name="*")
@attrs.frozen(kw_only=True)
class LookingAhead:
    """The options of a plan that say what else it finds out. None of them writes anything at the service."""

    diff: Annotated[
        bool,
        Option(negative="", group=_LOOKS, show_default=False, help="Read customers, and show what would change."),
    ] = False
    diff_to: Annotated[
        Path | None,
        Option(group=_LOOKS, show_default=False, help="Read all of them, and write this CSV: a line for each field."),
    ] = None
    preview: Annotated[
        bool,
        Option(
            negative="",
            group=_LOOKS,
            show_default=False,
            help="Total what would be invoiced, by currency. It takes a call for each item.",
        ),
    ] = False
    sample: Annotated[
        int | None,
        Option(
            group=_LOOKS,
            show_default=False,
            validator=validators.Number(gte=1),
            help="Look at so many, spread over the job by chance: 20 for --diff, or else all.",
        ),
    ] = None
    single_reads: SingleReads = False


@Option(name="*")
@attrs.frozen(kw_only=True)
class Running:
    """The options of a job that say how it is run."""

    concurrency: Annotated[
        int, Option(group=JOB, validator=validators.Number(gte=1, lte=10_000), help="Calls at once.")
    ] = 32
    progress: Annotated[
        ProgressKind,
        Option(group=JOB, help="auto shows it at a terminal, and a line a minute without one; json is for machines."),
    ] = "auto"
    take_over: Annotated[
        bool,
        Option(
            negative="",
            group=JOB,
            show_default=False,
            help="Use the journal though another process has it open that cannot be seen to be gone.",
        ),
    ] = False
    snapshot: Annotated[
        bool | None,
        Option(
            group=JOB,
            show_default=False,
            help="Read customers before their items, 200 a call, and keep them; an update keeps its own read.",
        ),
    ] = None
    skip_done: Annotated[
        bool,
        Option(negative="", group=JOB, show_default=False, help="Skip, without a call, those that are so already."),
    ] = False
    single_reads: SingleReads = False
    workers: Annotated[
        str | None,
        Option(
            group=JOB,
            show_default=False,
            help="Hand the items to the workers of this Redis, such as redis://host/0; see guide workers.",
        ),
    ] = None
    verify: Annotated[
        bool, Option(negative="", group=JOB, show_default=False, help="Read all customers again when it has ended.")
    ] = False
    canary: Annotated[
        int | None,
        Option(
            group=_STOPS,
            show_default=False,
            validator=validators.Number(gte=1, lte=1000),
            help="So many items, drawn at random, go first. What they change is shown, and then the command asks.",
        ),
    ] = None
    max_failures: Annotated[
        int | None, Option(group=_STOPS, validator=validators.Number(gte=0), help="Stop after more failures than this.")
    ] = None
    max_failure_percent: Annotated[
        float | None, Option(group=_STOPS, help="Stop when more than this part fails, once 100 items have ended.")
    ] = None
    patience: Annotated[float, Option(group=_STOPS, help="Seconds for which the service may be out of reach.")] = 600.0
    on_day_end: Annotated[OnDayEnd, Option(group=_STOPS, help="Wait when the day's quota is used up, or stop.")] = (
        "wait"
    )

    window: Annotated[
        str | None,
        Option(group=_STOPS, show_default=False, help="Send at these hours alone, such as 22:00-06:00; else wait."),
    ] = None
    tz: Annotated[
        str | None,
        Option(
            name="--tz",
            group=_STOPS,
            show_default=False,
            help="The time zone of --window, such as Europe/Berlin; else that of this machine.",
        ),
    ] = None

    def settings(self) -> dict[str, Any]:
        """As a job takes them.

        Raises:
            ConfigurationError: `--workers` names no queue, or the extra is not installed.
        """
        settings = attrs.asdict(self, filter=lambda field, _: field.name not in ("progress", "verify"))
        return {**settings, "workers": None if self.workers is None else Workers(self.workers)}


GIVEN, RUNNING, LOOKING_AHEAD = Given(), Running(), LookingAhead()
