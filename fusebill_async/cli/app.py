"""The program: its commands, and how it ends."""

from __future__ import annotations

import asyncio
import io
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from cyclopts import App, CycloptsError, Group
from rich.text import Text

from fusebill_async._version import __version__
from fusebill_async.cli.demo import run_demo
from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.list_commands import find, list_customers
from fusebill_async.cli.operation_command import Command, command_name, make_command
from fusebill_async.cli.simulate import simulate
from fusebill_async.cli.terminal import messages, output, write_json
from fusebill_async.cli.update_commands import create, replace, update
from fusebill_async.cli.wire_text import printable
from fusebill_async.converting import encode
from fusebill_async.errors import UnresolvedWritesWarning
from fusebill_async.operations import CREATE, HUBSPOT_UNLATCH, LIST, OPERATIONS, REPLACE, UPDATE, Operation
from fusebill_async.outcome import Outcome

_WITHOUT_AN_ACCOUNT = Group("Without an account", sort_key=1)
_CUSTOMERS = Group("Customers", sort_key=2)
_INTEGRATIONS = Group("Integrations", sort_key=3)
_ABOUT = Group("About", sort_key=4)
_BRANDS = {"hubspot": "HubSpot", "salesforce": "Salesforce", "netsuite": "NetSuite", "geotab": "Geotab"}

_SPECIAL: dict[Operation, Command] = {UPDATE: update, REPLACE: replace, CREATE: create, LIST: list_customers}
"""Commands whose arguments are more than an id and the operation's parameters."""


def make_app() -> App:
    """The program with all its commands."""
    app = App(
        name="fusebill-async",
        help=(
            "Act on customers in Fusebill (Stax Bill): every command ends in an outcome that is true.\n\n"
            "The key and the base URL come from FUSEBILL_API_KEY and FUSEBILL_BASE_URL. Exit codes: 0 applied or "
            "found, 1 not, 2 usage or configuration, 130 Ctrl-C."
        ),
        version=f"fusebill-async {__version__}",
        console=output(),
        error_console=messages(),
        exit_on_error=False,
        result_action="return_value",
    )
    app["--help"].group = app["--version"].group = (_ABOUT,)
    app.command(run_demo, name="demo", group=_WITHOUT_AN_ACCOUNT)
    app.command(simulate, name="simulate", group=_WITHOUT_AN_ACCOUNT)
    for resource in dict.fromkeys(operation.resource for operation in OPERATIONS if operation.resource != "customers"):
        brand = _BRANDS.get(resource, resource.capitalize())
        app.command(App(name=resource, help=f"Map customers to {brand}.", group=_INTEGRATIONS))
    for place, operation in enumerate(OPERATIONS):
        command = _SPECIAL.get(operation) or make_command(operation)
        if operation.resource == "customers":
            app.command(command, name=command_name(operation), group=_CUSTOMERS, sort_key=place)
        else:
            app[operation.resource].command(command, name=command_name(operation), sort_key=place)
    app.command(find, name="find", group=_CUSTOMERS, sort_key=OPERATIONS.index(LIST))
    app.command(make_command(HUBSPOT_UNLATCH), name="unlatch", group=_CUSTOMERS, sort_key=len(OPERATIONS))
    return app


def run(arguments: Sequence[str]) -> int:
    """Run one command and return the exit code."""
    _show_what_can_be_shown()
    app = make_app()
    try:
        command, bound, _ = app.parse_args(list(arguments), print_error=False)
    except CycloptsError as error:
        return _refuse(str(error), json="--json" in arguments)
    with warnings.catch_warnings():
        # The same is logged, and a log line says it shorter.
        warnings.simplefilter("ignore", UnresolvedWritesWarning)
        try:
            result: Any = command(*bound.args, **bound.kwargs)
            return asyncio.run(result) if asyncio.iscoroutine(result) else ExitCode.DONE
        except KeyboardInterrupt:
            return ExitCode.INTERRUPTED
        except BrokenPipeError:
            # Whoever read our output has enough. Nothing more must be flushed into the closed pipe.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return ExitCode.NOT_DONE


def _refuse(text: str, *, json: bool) -> ExitCode:
    if json:
        write_json(encode({"outcome": Outcome.NOT_SENT, "error": "UsageError", "message": text}))
    else:
        messages().print(Text.assemble(("usage", "bold red"), f"  {printable(text)}"))
        messages().print("fusebill-async --help, or COMMAND --help, shows what there is.", style="dim")
    return ExitCode.USAGE


def _show_what_can_be_shown() -> None:
    """A name that the terminal's encoding does not have must not end the program."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
