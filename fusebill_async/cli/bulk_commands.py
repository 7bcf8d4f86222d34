"""`bulk`: plan a job, run it, watch it, and read its report."""

from __future__ import annotations

import asyncio
import inspect
import shlex
from collections.abc import Awaitable, Callable, Generator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeAlias, cast

import attrs
from cyclopts import App, Group, validators
from cyclopts import Parameter as Option
from rich.text import Text

from fusebill_async.bulk import BulkJob
from fusebill_async.bulk.limits import OnDayEnd
from fusebill_async.bulk.options import Retry
from fusebill_async.cli.bulk_check import proven
from fusebill_async.cli.bulk_input import FileInput, Form
from fusebill_async.cli.bulk_progress import JobProgress
from fusebill_async.cli.bulk_progress import Kind as ProgressKind
from fusebill_async.cli.bulk_report import Form as ReportForm
from fusebill_async.cli.bulk_report import Planned, Reported, write_items
from fusebill_async.cli.connection import open_client
from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.failures import Failed, NotDone, report_lost_output
from fusebill_async.cli.input import SIGNALS, STDIN, InterruptedInput, ask, person
from fusebill_async.cli.options import COMMON, Common, Json, Verbose, option_type
from fusebill_async.cli.performing import show
from fusebill_async.cli.results import Result
from fusebill_async.cli.terminal import messages
from fusebill_async.cli.usage import UsageError
from fusebill_async.client import FusebillClient
from fusebill_async.errors import FusebillError
from fusebill_async.operations import OPERATIONS, REPLACE, UPDATE, Operation, Safety
from fusebill_async.outcome import Outcome

_JOB = Group("The job", sort_key=1)
_STOPS = Group("When it stops", sort_key=2)

JournalFile: TypeAlias = Annotated[
    Path,
    Option(
        name=("--journal", "-j"),
        group=_JOB,
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
        group=_JOB,
        help="Read customers one by one, a call for each, where the service does not filter by ids.",
    ),
]


@Option(name="*")
@attrs.frozen(kw_only=True)
class Given:
    """The options of a job that say how it reads its input."""

    form: Annotated[
        Form | None, Option(name="--format", group=_JOB, show_default=False, help="If the name of FILE does not tell.")
    ] = None
    skip_bad_rows: Annotated[
        bool, Option(negative="", group=_JOB, show_default=False, help="Set bad rows aside, and do the others.")
    ] = False


@Option(name="*")
@attrs.frozen(kw_only=True)
class Running:
    """The options of a job that say how it is run."""

    concurrency: Annotated[
        int, Option(group=_JOB, validator=validators.Number(gte=1, lte=10_000), help="Calls at once.")
    ] = 32
    progress: Annotated[
        ProgressKind,
        Option(group=_JOB, help="auto shows it at a terminal, and a line a minute without one; json is for machines."),
    ] = "auto"
    take_over: Annotated[
        bool,
        Option(
            negative="",
            group=_JOB,
            show_default=False,
            help="Use the journal though another process has it open that cannot be seen to be gone.",
        ),
    ] = False
    snapshot: Annotated[
        bool | None,
        Option(
            group=_JOB,
            show_default=False,
            help="Read customers before their items, 200 a call, and keep them; an update keeps its own read.",
        ),
    ] = None
    skip_done: Annotated[
        bool,
        Option(negative="", group=_JOB, show_default=False, help="Skip, without a call, those that are so already."),
    ] = False
    single_reads: SingleReads = False
    verify: Annotated[
        bool, Option(negative="", group=_JOB, show_default=False, help="Read all customers again when it has ended.")
    ] = False
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

    def settings(self) -> dict[str, Any]:
        """As a job takes them."""
        return attrs.asdict(self, filter=lambda field, _: field.name not in ("progress", "verify"))


_GIVEN, RUNNING = Given(), Running()


def bulk_app(*, group: Group, sort_key: int) -> App:
    """The commands of jobs, in their place among the others."""
    app = App(
        name="bulk",
        group=group,
        sort_key=sort_key,
        help="Act on many customers: plan a job, run it, and resume it after anything. Exit codes: 0 all applied, "
        "1 some refused or not applied, 3 some not known, 75 stopped and resumable.",
    )
    for verb, about in (
        ("plan", "Read the input, and show what a job would do. It sends no write."),
        ("run", "Run a job, or go on with it. It asks first, unless --yes is given."),
    ):
        commands = App(name=verb, help=about)
        for place, operation in enumerate(_operations()):
            make = _plan_command if verb == "plan" else _run_command
            commands.command(make(operation), name=_name(operation), sort_key=place)
        app.command(commands)
    for command, name in ((resume, "resume"), (status, "status"), (report, "report"), (wipe, "wipe")):
        app.command(command, name=name)
    return app


def _operations() -> list[Operation]:
    """What a job can do from a file: every write on an existing customer, but for the PUT of a whole one."""
    return [each for each in OPERATIONS if each.writes and each.safety is not Safety.CREATE and each is not REPLACE]


def _name(operation: Operation) -> str:
    if operation.title == "hubspot.unlatch":
        return "unlatch"
    plain = operation.name if operation.resource == "customers" else f"{operation.resource}_{operation.name}"
    return plain.replace("_", "-")


# --- plan and run, one command for each operation


def _plan_command(operation: Operation) -> Callable[..., Awaitable[ExitCode]]:
    async def command(
        file: str, *, journal: Path, given: Given = _GIVEN, common: Common = COMMON, **options: Any
    ) -> ExitCode:
        async def work(client: FusebillClient) -> Result:
            rows = FileInput(file, operation, given.form)
            job = _job(client, operation, rows, journal, options)
            return Planned(await job.plan(), journal, rows.erased, rows.empty, rows.unused)

        return await perform(operation, work, common)

    return _described(command, operation)


def _run_command(operation: Operation) -> Callable[..., Awaitable[ExitCode]]:
    async def command(
        file: str,
        *,
        journal: Path,
        yes: bool = False,
        given: Given = _GIVEN,
        running: Running = RUNNING,
        common: Common = COMMON,
        **options: Any,
    ) -> ExitCode:
        async def work(client: FusebillClient) -> Result:
            rows = FileInput(file, operation, given.form)
            settings = {**running.settings(), "skip_bad_rows": given.skip_bad_rows}
            job = _job(client, operation, rows, journal, options | settings)
            planned = Planned(await job.plan(), journal, rows.erased, rows.empty, rows.unused)
            if planned.plan.bad_rows and not given.skip_bad_rows:
                return _bad_rows(planned)
            no = None if yes else declined(planned, common, stdin_is_taken=file == STDIN)
            result = no or await run_job(client, job, planned.plan.to_do, journal, running.progress)
            return await proven(result, job) if running.verify else result

        return await perform(operation, work, common)

    return _described(command, operation)


def _job(
    client: FusebillClient, operation: Operation, rows: FileInput, journal: Path, options: dict[str, Any]
) -> BulkJob:
    arguments = {name: value for name, value in options.items() if value is not None and value != ()}
    start: Any = getattr(client.bulk, _name(operation).replace("-", "_"))
    job: BulkJob = start(rows, journal=journal, **arguments)
    return job


def _described(command: Any, operation: Operation) -> Callable[..., Awaitable[ExitCode]]:
    """Give a command the options of its operation."""
    kinds = {"file": File, "journal": JournalFile, "yes": Yes, "given": Given, "running": Running, "common": Common}
    own = [
        inspect.Parameter(
            parameter.name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=option_type(attrs.evolve(parameter, required=False)),
            default=() if parameter.kind == "ids" else None,
        )
        for parameter in operation.parameters
        if parameter.kind != "fields" and parameter.name != "customer_id"
    ]
    if operation is UPDATE:
        own = [_erase_option()]
    usual = [
        parameter.replace(
            annotation=kinds[parameter.name],
            kind=inspect.Parameter.POSITIONAL_ONLY if parameter.name == "file" else inspect.Parameter.KEYWORD_ONLY,
        )
        for parameter in inspect.signature(command).parameters.values()
        if parameter.name in kinds
    ]
    command.__name__ = operation.name
    command.__doc__ = f"{operation.summary}\n\nAPI page: {operation.page}"
    command.__signature__ = inspect.Signature([*usual, *own])
    command.__annotations__ = {each.name: each.annotation for each in (*usual, *own)}
    return cast("Callable[..., Awaitable[ExitCode]]", command)


def _erase_option() -> inspect.Parameter:
    kind = Annotated[
        tuple[str, ...],
        Option(
            name="--allow-erase", negative="", show_default=False,
            help="This field may be erased though it was not named. Repeat it for more.",
        ),
    ]  # fmt: skip
    return inspect.Parameter("allow_erase", inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=())


def _bad_rows(planned: Planned) -> NotDone:
    plan = planned.plan
    named = "; ".join(why for _, why in plan.examples[:5])
    more = f"; and {plan.bad_rows - 5:,} more" if plan.bad_rows > 5 else ""
    text = f"the file has bad rows, {plan.bad_rows:,} of them: {named}{more}. Correct them, or add --skip-bad-rows"
    return NotDone(Outcome.NOT_SENT, "BadRows", text, code=ExitCode.USAGE)


def declined(planned: Planned, common: Common, *, stdin_is_taken: bool) -> NotDone | None:
    """Ask before anything is written. Where nobody sits at a terminal, `--yes` is needed."""
    plan = planned.plan
    if not plan.to_do:
        return None
    terminal = person(stdin_is_taken=stdin_is_taken)
    if terminal is None or common.json:
        raise UsageError("the command asks before it writes, and nobody sits at a terminal: add --yes")
    planned.print_on(messages())
    if ask(f"{plan.operation} for {plan.to_do:,} customers? [y/N] ", terminal) in {"y", "yes"}:
        return None
    return NotDone(Outcome.NOT_SENT, "Declined", f"{plan.operation}: you did not say yes", code=ExitCode.NOT_DONE)


# --- the others


async def resume(
    *,
    journal: JournalFile,
    retry: Annotated[
        Retry | None,
        Option(
            group=_JOB,
            show_default=False,
            help="Try again what was rejected or not_applied; unknown reads again, and sends nothing.",
        ),
    ] = None,
    message: Annotated[str | None, Option(group=_JOB, show_default=False, help="Of those only what says this.")] = None,
    yes: Yes = False,
    running: Running = RUNNING,
    common: Common = COMMON,
) -> ExitCode:
    """Go on with a job. It takes no input, and asks nothing: the job was agreed to.

    It asks before it sends again what moves money and was not applied.
    """

    async def work(client: FusebillClient) -> Result:
        job = client.bulk.resume(journal, retry=retry, message=message, **running.settings())
        before = await job.report()
        if retry == "not_applied" and not yes:
            no = _not_again(before.operation, before.not_applied, common)
            if no is not None:
                return no
        total = before.unprocessed + before.unknown + (getattr(before, retry) if retry in _RETRIES else 0)
        result = await run_job(client, job, total, journal, running.progress)
        return await proven(result, job) if running.verify else result

    return await perform(None, work, common)


_RETRIES = ("rejected", "not_applied")


def _not_again(title: str, count: int, common: Common) -> NotDone | None:
    operation = next(each for each in OPERATIONS if each.title == title)
    if not operation.moves_money or not count:
        return None
    terminal = person(stdin_is_taken=False)
    if terminal is None or common.json:
        raise UsageError(f"{title} moves money: add --yes to send again what was not applied")
    if ask(f"{title} moves money. Send it again for {count:,} customers? [y/N] ", terminal) in {"y", "yes"}:
        return None
    return NotDone(Outcome.NOT_SENT, "Declined", f"{title}: you did not say yes", code=ExitCode.NOT_DONE)


def status(*, journal: JournalFile, json: Json = False, verbose: Verbose = False) -> ExitCode:  # noqa: ARG001
    """Show how a job stands, also while another process runs it."""
    return _tell(lambda: Reported.of(journal, failures=False), json=json)


def report(
    *,
    journal: JournalFile,
    form: Annotated[
        ReportForm, Option(name=("--format", "-o"), help="A summary, or every item as CSV or JSON lines.")
    ] = "text",
    json: Json = False,
    verbose: Verbose = False,  # noqa: ARG001 (every command takes it)
) -> ExitCode:
    """Show what became of a job: a summary, what to do now, and the failures by what the service said.

    --json prints the six tallies, whose sum is the input.
    """
    if form == "text" or json:
        return _tell(lambda: Reported.of(journal, failures=not json), json=json)
    try:
        write_items(journal, form)
    except FusebillError as error:
        return show(Failed(error, None, None), json=False)
    return ExitCode.DONE


def _tell(read: Callable[[], Result], *, json: bool) -> ExitCode:
    try:
        result = read()
    except FusebillError as error:
        result = Failed(error, None, None)
    return show(result, json=json)


async def wipe(*, journal: JournalFile, yes: Yes = False, common: Common = COMMON) -> ExitCode:
    """Erase what a journal holds of persons; ids, outcomes and times stay. The job cannot be undone any more."""

    async def work(client: FusebillClient) -> Result:
        if not yes:
            terminal = person(stdin_is_taken=False)
            if terminal is None or common.json:
                raise UsageError("bulk wipe asks before it erases, and nobody sits at a terminal: add --yes")
            if ask(f"Erase what {journal} holds of persons? [y/N] ", terminal) not in {"y", "yes"}:
                return NotDone(Outcome.NOT_SENT, "Declined", "you did not say yes", code=ExitCode.NOT_DONE)
        await client.bulk.resume(journal).wipe()
        return Reported.of(journal, failures=False)

    return await perform(None, work, common)


# --- how they are carried out


class _Stopped(Result):
    """A job that ended before all was done.

    Args:
        reported: how it stands.
        code: the exit code.
    """

    def __init__(self, reported: Reported, code: ExitCode) -> None:
        self._reported = reported
        self._code = code

    @property
    def exit_code(self) -> ExitCode:
        """That it can be resumed, or the signal."""
        return self._code

    @property
    def happened(self) -> str:
        """The sentence."""
        return self._reported.sentence

    def as_json(self) -> bytes:
        """The six tallies."""
        return self._reported.as_json()

    def print_on(self, console: Any) -> None:
        """The same as the report."""
        self._reported.print_on(console)


async def run_job(client: FusebillClient, job: BulkJob, total: int, journal: Path, kind: ProgressKind) -> Result:
    """Run a job, show how it goes on, and report."""
    name = journal.stem
    code: ExitCode | None = None
    with _stoppable() as signals:
        try:
            with JobProgress(client, name, total, kind) as progress:
                async with aclosing(aiter(job)) as items:
                    async for item in items:
                        progress.note(item)
        except asyncio.CancelledError:
            if not signals.pressed:
                raise
            code = ExitCode.STOPPED if signals.pressed == 1 else signals.exit_code
    reported = Reported.of(journal)
    if code is not None or reported.report.unprocessed:
        _tell_how_to_go_on(journal)
        return _Stopped(reported, code or ExitCode.STOPPED)
    return reported


def _tell_how_to_go_on(journal: Path) -> None:
    command = f"fusebill-async bulk resume --journal {shlex.quote(str(journal))}"
    messages().print(Text.assemble(("stopped", "bold yellow"), "  go on with: ", command))


@attrs.define
class _Signals:
    """The signals that came.

    Attributes:
        pressed: how many.
        exit_code: of the last one.
    """

    pressed: int = 0
    exit_code: ExitCode = ExitCode.INTERRUPTED


@contextmanager
def _stoppable() -> Generator[_Signals]:
    """Let the first SIGINT or SIGTERM stop the job after what is under way, and the next one at once."""
    loop, job, signals = asyncio.get_running_loop(), asyncio.current_task(), _Signals()
    assert job is not None

    def press(code: ExitCode) -> None:
        signals.pressed += 1
        signals.exit_code = code
        if signals.pressed == 1:
            messages().print("Stopping: what is under way is seen to its end. Once more leaves it open.", style="dim")
        job.cancel()

    try:
        for number, code in SIGNALS.items():
            loop.add_signal_handler(number, press, code)
    except (NotImplementedError, RuntimeError, ValueError):
        # Windows, or not the main thread: Python's own way has to do.
        yield signals
        return
    try:
        yield signals
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)


async def perform(
    operation: Operation | None, work: Callable[[FusebillClient], Awaitable[Result]], common: Common
) -> ExitCode:
    """Do what a command does with a client, and show what came of it."""
    result: Result
    try:
        async with open_client(common) as client:
            result = await work(client)
    except FusebillError as error:
        result = Failed(error, operation, None)
    except InterruptedInput as interrupted:
        result = NotDone(Outcome.NOT_SENT, "Interrupted", "Nothing was sent.", code=interrupted.exit_code)
    except asyncio.CancelledError:
        # Before the job has begun, Ctrl-C ends the command as Python has it.
        result = NotDone(Outcome.NOT_SENT, "Interrupted", "Nothing was sent.", code=ExitCode.INTERRUPTED)
    try:
        return show(result, json=common.json)
    except OSError as error:
        return report_lost_output(error)
