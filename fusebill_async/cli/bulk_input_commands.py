"""`bulk plan` and `bulk run`: one command for each operation."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, cast

import attrs
from cyclopts import App
from cyclopts import Parameter as Option

from fusebill_async.bulk import BulkJob
from fusebill_async.cli.bulk_asking import declined
from fusebill_async.cli.bulk_canary import run_agreed
from fusebill_async.cli.bulk_check import proven
from fusebill_async.cli.bulk_input import FileInput
from fusebill_async.cli.bulk_looking import changes_of, invoices_of
from fusebill_async.cli.bulk_options import (
    GIVEN,
    LOOKING_AHEAD,
    RUNNING,
    File,
    Given,
    JournalFile,
    LookingAhead,
    Running,
    Yes,
)
from fusebill_async.cli.bulk_performing import Context, perform
from fusebill_async.cli.bulk_plan import Planned
from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.failures import NotDone
from fusebill_async.cli.input import STDIN
from fusebill_async.cli.options import COMMON, Common, option_type
from fusebill_async.cli.results import Result
from fusebill_async.cli.usage import UsageError
from fusebill_async.errors import AuthenticationError, FusebillError
from fusebill_async.operations import OPERATIONS, REPLACE, UPDATE, Operation, Safety
from fusebill_async.outcome import Outcome

_FOR_THE_QUOTA = 10.0
"""Seconds that a plan waits for the quota, at most."""


def add_input_commands(app: App) -> None:
    """Put `plan` and `run` among the commands of `bulk`."""
    for verb, about in (
        ("plan", "Read the input, and show what a job would do. It sends no write."),
        ("run", "Run a job, or go on with it. It asks first, unless --yes is given."),
    ):
        commands = App(name=verb, help=about)
        for place, operation in enumerate(_operations()):
            make = _plan_command if verb == "plan" else _run_command
            commands.command(make(operation), name=_name(operation), sort_key=place)
        app.command(commands)


def _operations() -> list[Operation]:
    """What a job can do from a file: every write on an existing customer, but for the PUT of a whole one."""
    return [each for each in OPERATIONS if each.writes and each.safety is not Safety.CREATE and each is not REPLACE]


def _name(operation: Operation) -> str:
    if operation.title == "hubspot.unlatch":
        return "unlatch"
    plain = operation.name if operation.resource == "customers" else f"{operation.resource}_{operation.name}"
    return plain.replace("_", "-")


def _plan_command(operation: Operation) -> Callable[..., Awaitable[ExitCode]]:
    async def command(
        file: str,
        *,
        journal: Path,
        given: Given = GIVEN,
        ahead: LookingAhead = LOOKING_AHEAD,
        common: Common = COMMON,
        **options: Any,
    ) -> ExitCode:
        if ahead.sample is not None and not (ahead.diff or ahead.diff_to or ahead.preview):
            raise UsageError("--sample goes with --diff, --diff-to or --preview")

        async def work(context: Context) -> Result:
            rows = FileInput(file, operation, given.form, ignore_columns=given.ignore_columns)
            job = _job(context, operation, rows, journal, options | {"single_reads": ahead.single_reads})
            planned = await _planned(context, job, rows, journal, ask_quota=True)
            to_do, name = planned.plan.to_do, journal.stem
            if ahead.diff or ahead.diff_to is not None:
                planned = attrs.evolve(planned, changes=await changes_of(context, job, to_do, ahead, name))
            if ahead.preview:
                planned = attrs.evolve(planned, invoiced=await invoices_of(context, job, to_do, ahead, name))
            return planned

        return await perform(operation, work, common)

    return _described(command, operation)


def _run_command(operation: Operation) -> Callable[..., Awaitable[ExitCode]]:
    async def command(
        file: str,
        *,
        journal: Path,
        yes: bool = False,
        given: Given = GIVEN,
        running: Running = RUNNING,
        common: Common = COMMON,
        **options: Any,
    ) -> ExitCode:
        async def work(context: Context) -> Result:
            rows = FileInput(file, operation, given.form, ignore_columns=given.ignore_columns)
            settings = {**running.settings(), "skip_bad_rows": given.skip_bad_rows}
            job = _job(context, operation, rows, journal, options | settings)
            planned = await _planned(context, job, rows, journal, ask_quota=not yes)
            if planned.plan.bad_rows and not given.skip_bad_rows:
                return _bad_rows(planned)
            no = None if yes else declined(planned, common, stdin_is_taken=file == STDIN)
            result = no or await run_agreed(context, job, journal, running, common, stdin_is_taken=file == STDIN)
            return await proven(result, job) if running.verify else result

        return await perform(operation, work, common)

    return _described(command, operation)


async def _planned(context: Context, job: BulkJob, rows: FileInput, journal: Path, *, ask_quota: bool) -> Planned:
    """Read the input, and work out what the job would do. The quota costs one call, and is no reason to fail."""
    no_quota = await _no_quota(context) if ask_quota else ""
    return Planned(await job.plan(), journal, rows.erased, rows.empty, rows.unused, no_quota)


async def _no_quota(context: Context) -> str:
    """Learn the quota from one read; why that was not possible, in words.

    Raises:
        AuthenticationError: the API key is refused, so that nothing else would succeed either.
    """
    try:
        async with asyncio.timeout(_FOR_THE_QUOTA):
            await context.client.request("GET", "/customers", query={"pageSize": 1})
    except AuthenticationError:
        raise
    except (FusebillError, TimeoutError) as error:
        return str(error) or f"no answer within {_FOR_THE_QUOTA:g} s"
    return ""


def _job(context: Context, operation: Operation, rows: FileInput, journal: Path, options: dict[str, Any]) -> BulkJob:
    arguments = {name: value for name, value in options.items() if value is not None and value != ()}
    start: Any = getattr(context.client.bulk, _name(operation).replace("-", "_"))
    job: BulkJob = start(rows, journal=journal, **arguments)
    return job


def _described(command: Any, operation: Operation) -> Callable[..., Awaitable[ExitCode]]:
    """Give a command the options of its operation."""
    kinds = {
        "file": File,
        "journal": JournalFile,
        "yes": Yes,
        "given": Given,
        "ahead": LookingAhead,
        "running": Running,
        "common": Common,
    }
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
