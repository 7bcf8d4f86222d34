"""From a row of the table of operations to a command."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, cast

from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.options import COMMON, WRITING, Common, CustomerId, Resend, Writing, nulls_type, option_type
from fusebill_async.cli.performing import perform
from fusebill_async.cli.results import Preview, Read, Result, Write
from fusebill_async.client import FusebillClient
from fusebill_async.operations import Operation

Command: TypeAlias = Callable[..., Awaitable[ExitCode]]

_SHORT_NAMES = {"preview_activation": "preview"}
"""Commands whose names are shorter than those of the coroutines."""


def command_name(operation: Operation) -> str:
    """The name of an operation's command, within the group of its resource."""
    return _SHORT_NAMES.get(operation.name, operation.name).replace("_", "-")


def make_command(operation: Operation) -> Command:
    """The command of an operation on one customer."""
    usual = WRITING if operation.writes else COMMON

    async def command(
        customer_id: int,
        /,
        *,
        common: Common = usual,
        null: tuple[str, ...] = (),
        **given: Any,
    ) -> ExitCode:
        # What was not given is not sent: with some operations a null erases.
        arguments = {name: value for name, value in given.items() if value is not None and value != ()}
        arguments |= dict.fromkeys(null)
        if isinstance(common, Writing):
            arguments["idempotency_key"] = common.idempotency_key

        async def work(client: FusebillClient) -> Result:
            verb = getattr(getattr(client.with_response, operation.resource), operation.name)
            response = await verb(customer_id, **arguments)
            if operation.writes:
                return Write(operation, response)
            return Preview(operation, response.value) if operation.answer == "activation" else Read(response.value)

        return await perform(operation, work, common)

    described = cast("Any", command)
    described.__name__ = operation.name
    described.__doc__ = f"{operation.summary}\n\nAPI page: {operation.page}"
    described.__signature__ = signature = _signature(operation, usual)
    described.__annotations__ = {name: option.annotation for name, option in signature.parameters.items()}
    return command


def _signature(operation: Operation, usual: Common) -> inspect.Signature:
    options = [inspect.Parameter("id", inspect.Parameter.POSITIONAL_ONLY, annotation=CustomerId)]
    for parameter in operation.parameters:
        if parameter.name != "customer_id":
            default = inspect.Parameter.empty if parameter.required else () if parameter.kind == "ids" else None
            options.append(_option(parameter.name, option_type(parameter), default))
    nullable = tuple(parameter.name for parameter in operation.parameters if parameter.nullable)
    if nullable:
        options.append(_option("null", nulls_type(nullable), default=()))
    if operation.moves_money:
        options.append(_option("resend", Resend, default=False))
    return inspect.Signature([*options, _option("common", type(usual), default=usual)])


def _option(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
