"""The program: its commands, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from cyclopts import App, CycloptsError
from rich.markup import escape

from fusebill_async._version import __version__
from fusebill_async.cli.demo import run_demo
from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.terminal import messages, output


def make_app() -> App:
    """The program with all its commands."""
    app = App(
        name="fusebill-async",
        help="Act on customers in Fusebill (Stax Bill), with outcomes that are true.",
        version=__version__,
        console=output(),
        error_console=messages(),
        exit_on_error=False,
        result_action="return_value",
    )
    app.command(run_demo, name="demo")
    return app


def run(arguments: Sequence[str]) -> int:
    """Run one command and return the exit code."""
    app = make_app()
    try:
        command, bound, _ = app.parse_args(list(arguments), print_error=False)
    except CycloptsError as error:
        messages().print(f"[bold red]usage[/]: {escape(str(error))}  (see --help)")
        return ExitCode.USAGE
    result: Any = command(*bound.args, **bound.kwargs)
    if asyncio.iscoroutine(result):
        result = asyncio.run(result)
    return result if isinstance(result, int) else ExitCode.DONE
