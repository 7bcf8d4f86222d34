"""The program: its commands, and how it ends."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from inspect import BoundArguments
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Group
from cyclopts import Parameter as Option

from fusebill_async._version import __version__
from fusebill_async.cli.bulk_commands import bulk_app
from fusebill_async.cli.demo import run_demo
from fusebill_async.cli.doctor import doctor
from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.failures import report_lost_output
from fusebill_async.cli.guide import guide
from fusebill_async.cli.list_commands import find, list_customers
from fusebill_async.cli.operation_command import Command, make_command
from fusebill_async.cli.options import Verbose, command_name
from fusebill_async.cli.request_commands import quota, request
from fusebill_async.cli.simulate import simulate
from fusebill_async.cli.terminal import messages, output, set_encoding
from fusebill_async.cli.unresolved_commands import list_unresolved, resolve
from fusebill_async.cli.update_commands import create, replace, update
from fusebill_async.cli.usage import UsageError, refuse
from fusebill_async.cli.worker import run as run_worker
from fusebill_async.errors import UnresolvedWritesWarning
from fusebill_async.operations import CREATE, HUBSPOT_UNLATCH, LIST, OPERATIONS, REPLACE, UPDATE, Operation

_WITHOUT_AN_ACCOUNT = Group("Without an account", sort_key=1)
_CUSTOMERS = Group("Customers", sort_key=2)
_INTEGRATIONS = Group("Integrations", sort_key=3)
_ACCOUNT = Group("Account", sort_key=4)
_ABOUT = Group("About", sort_key=5)
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
            "found, 1 not, 2 usage or configuration, 3 unknown (do not repeat it blindly), 74 the output could not be "
            "written (what happened is on stderr), 130 SIGINT, 143 SIGTERM."
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
    app.command(list_unresolved, name="unresolved", group=_CUSTOMERS, sort_key=len(OPERATIONS) + 1)
    app.command(resolve, name="resolve", group=_CUSTOMERS, sort_key=len(OPERATIONS) + 2)
    app.command(bulk_app(group=_CUSTOMERS, sort_key=len(OPERATIONS) + 3))
    app.command(request, name="request", group=_ACCOUNT, sort_key=1)
    app.command(quota, name="quota", group=_ACCOUNT, sort_key=2)
    app.command(doctor, name="doctor", group=_ACCOUNT, sort_key=3)
    app.command(run_worker, name="worker", group=_CUSTOMERS, sort_key=len(OPERATIONS) + 4)
    app.command(guide, name="guide", group=_WITHOUT_AN_ACCOUNT)
    app.command(_help_command(app), name="help", group=_ABOUT)
    app.command(find, name="find", group=_CUSTOMERS, sort_key=OPERATIONS.index(LIST))
    app.command(make_command(HUBSPOT_UNLATCH), name="unlatch", group=_CUSTOMERS, sort_key=len(OPERATIONS))
    return app


def _help_command(app: App) -> Callable[..., ExitCode]:
    def show_help(
        *words: Annotated[str, Option(show_default=False, help="A command, such as hold or hubspot latch.")],
        verbose: Verbose = False,  # noqa: ARG001 (every command takes it, and there is nothing to log here)
    ) -> ExitCode:
        """Show what there is, or how one command is used."""
        _, _, unknown = app.parse_commands(words)
        if unknown:
            raise UsageError(f"there is no command {' '.join(words)}")
        app.help_print(words)
        return ExitCode.DONE

    return show_help


def run(arguments: Sequence[str]) -> int:
    """Run one command and return the exit code."""
    _make_writable()
    app = make_app()
    try:
        command, bound, _ = app.parse_args(list(arguments), print_error=False)
        return _carry_out(command, bound)
    except (CycloptsError, UsageError) as error:
        try:
            return refuse(error, app, arguments)
        except OSError:
            # Neither stdout nor stderr can be trusted: the exit code says what there is to say.
            return ExitCode.USAGE


def _carry_out(command: Callable[..., Any], bound: BoundArguments) -> int:
    with warnings.catch_warnings():
        # The same is logged, and a log line says it shorter.
        warnings.simplefilter("ignore", UnresolvedWritesWarning)
        try:
            result: Any = command(*bound.args, **bound.kwargs)
            try:
                return asyncio.run(result) if asyncio.iscoroutine(result) else result or ExitCode.DONE
            finally:
                # Now, and not when the process ends: what cannot be written then would change the exit code.
                sys.stdout.flush()
        except OSError as error:
            return report_lost_output(error)


class _Closed(io.TextIOBase):
    """Stands for a stream that was closed before the program began, which Python shows as None."""

    def write(self, _text: str, /) -> int:
        """Fail as a closed file descriptor does."""
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))


def _make_writable() -> None:
    """A name that the terminal's encoding does not have, or a stream that is closed, must not end the program."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, _Closed())
        else:
            set_encoding(stream, errors="replace")
