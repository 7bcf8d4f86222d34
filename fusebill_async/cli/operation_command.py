"""From a row of the table of operations to a command."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeAlias, cast

from cyclopts import Parameter as Option

from fusebill_async.cli.acting import act
from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.ids import CustomerId, CustomerIds
from fusebill_async.cli.options import (
    COMMON,
    MONEY,
    RESENDING,
    WRITING,
    Common,
    Resending,
    Writing,
    command_name,
    nulls_type,
    option_name,
    option_type,
)
from fusebill_async.cli.performing import perform_each
from fusebill_async.cli.results import Preview, Read, Result, Write
from fusebill_async.cli.usage import UsageError
from fusebill_async.client import FusebillClient, Verbs
from fusebill_async.operations import Operation

Command: TypeAlias = Callable[..., Awaitable[ExitCode]]

_All: TypeAlias = Annotated[
    bool, Option(name="--all", negative="", show_default=False, help="Every draft subscription and purchase.")
]


def make_command(operation: Operation) -> Command:
    """The command of an operation on customers."""
    usual = _usual_options(operation)

    async def command(
        ids: int | tuple[int, ...],
        /,
        *,
        common: Common = usual,
        null: tuple[str, ...] = (),
        every: bool = False,
        **given: Any,
    ) -> ExitCode:
        # What was not given is not sent: with some operations a null erases.
        arguments = {name: value for name, value in given.items() if value is not None and value != ()}
        arguments |= dict.fromkeys(null)
        _check_chosen(operation, arguments, every=every)
        wanted = ids if isinstance(ids, tuple) else (ids,)
        if isinstance(common, Writing):
            arguments["idempotency_key"] = _key(common, wanted)
        if isinstance(common, Resending):
            arguments["resend"] = common.resend

        async def work(client: FusebillClient, customer_id: int) -> Result:
            async def send(verbs: Verbs) -> Result:
                verb = getattr(getattr(verbs.with_response, operation.resource), operation.name)
                return _result(operation, await verb(customer_id, **arguments))

            return await act(client, common, send)

        return await perform_each(operation, wanted, work, common)

    described = cast("Any", command)
    described.__name__ = operation.name
    described.__doc__ = f"{operation.summary}\n\nAPI page: {operation.page}"
    described.__signature__ = signature = _signature(operation, usual)
    described.__annotations__ = {name: option.annotation for name, option in signature.parameters.items()}
    return command


def _result(operation: Operation, response: Any) -> Result:
    if operation.writes:
        return Write(operation, response)
    return Preview(operation, response.value) if operation.answer == "activation" else Read(response.value)


def _key(common: Writing, ids: tuple[int, ...]) -> str | None:
    if common.idempotency_key is not None and len(ids) != 1:
        raise UsageError("--idempotency-key names one call: give one id")
    return common.idempotency_key


def _check_chosen(operation: Operation, arguments: dict[str, Any], *, every: bool) -> None:
    """The service takes no ids of items for all of them: that has to be said."""
    choices = [parameter for parameter in operation.parameters if parameter.kind == "ids"]
    chosen = any(parameter.name in arguments for parameter in choices)
    if choices and (every if chosen else operation.writes and not every):
        names = ", ".join(option_name(parameter) for parameter in choices)
        raise UsageError(f"{command_name(operation)} needs {names} or --all" + (", not both" if every else ""))


def _usual_options(operation: Operation) -> Common:
    if not operation.moves_money:
        return WRITING if operation.writes else COMMON
    # What no read can show is never known to be lost, so it cannot be sent again.
    return MONEY if operation.goal is None else RESENDING


def _takes_several(operation: Operation) -> bool:
    """Whether it may act on several customers with the same arguments. An id in another system is of one customer."""
    others = [parameter for parameter in operation.parameters if parameter.name != "customer_id"]
    return all(parameter.kind == "bool" or parameter.choices for parameter in others)


def _signature(operation: Operation, usual: Common) -> inspect.Signature:
    ids = CustomerIds if _takes_several(operation) else CustomerId
    options = [inspect.Parameter("id", inspect.Parameter.POSITIONAL_ONLY, annotation=ids)]
    for parameter in operation.parameters:
        if parameter.name != "customer_id":
            default = inspect.Parameter.empty if parameter.required else () if parameter.kind == "ids" else None
            options.append(_option(parameter.name, option_type(parameter), default))
    if any(parameter.kind == "ids" for parameter in operation.parameters):
        options.append(_option("every", _All, default=False))
    nullable = tuple(parameter.name for parameter in operation.parameters if parameter.nullable)
    if nullable:
        options.append(_option("null", nulls_type(nullable), default=()))
    return inspect.Signature([*options, _option("common", type(usual), default=usual)])


def _option(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
