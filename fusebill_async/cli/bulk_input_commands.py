"""`bulk plan` and `bulk run`: one command for each operation."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, cast

import attrs
from cyclopts import App
from cyclopts import Parameter as Option

from fusebill_async.bulk import BulkJob
from fusebill_async.cli.bulk_asking import declined
from fusebill_async.cli.bulk_check import proven
from fusebill_async.cli.bulk_input import FileInput
from fusebill_async.cli.bulk_options import GIVEN, RUNNING, File, Given, JournalFile, Running, Yes
from fusebill_async.cli.bulk_plan import Planned
from fusebill_async.cli.bulk_running import perform, run_job
from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.failures import NotDone
from fusebill_async.cli.input import STDIN
from fusebill_async.cli.options import COMMON, Common, option_type
from fusebill_async.cli.results import Result
from fusebill_async.client import FusebillClient
from fusebill_async.operations import OPERATIONS, REPLACE, UPDATE, Operation, Safety
from fusebill_async.outcome import Outcome


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
        file: str, *, journal: Path, given: Given = GIVEN, common: Common = COMMON, **options: Any
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
        given: Given = GIVEN,
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
