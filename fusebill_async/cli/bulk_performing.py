"""What every bulk command stands on: a client, the signals, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import attrs
from rich.console import Console

from fusebill_async.cli.bulk_signals import Signals, stoppable
from fusebill_async.cli.connection import open_client
from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.failures import Failed, NotDone
from fusebill_async.cli.input import InterruptedInput
from fusebill_async.cli.options import Common
from fusebill_async.cli.performing import show
from fusebill_async.cli.progress import Progress
from fusebill_async.cli.results import Result
from fusebill_async.client import FusebillClient
from fusebill_async.errors import FusebillError
from fusebill_async.operations import Operation
from fusebill_async.outcome import Outcome


@attrs.define
class Context:
    """What a bulk command works with.

    Attributes:
        client: open.
        signals: those that came.
        waits: says what is waited for, unless a display does.
        verbose: whether the log is shown on stderr, which a display there would mingle with.
        ran: what a job has come to, once it has run; whatever comes afterwards does not change that.
    """

    client: FusebillClient
    signals: Signals
    waits: Progress
    verbose: bool = False
    ran: Result | None = None


@attrs.frozen
class CutShort(Result):
    """A result whose command ended early.

    Attributes:
        result: what there is to show.
        code: the exit code.
    """

    result: Result
    code: ExitCode

    @property
    def exit_code(self) -> ExitCode:
        """As it was given."""
        return self.code

    @property
    def happened(self) -> str:
        """As the result has it."""
        return self.result.happened

    def as_json(self) -> bytes:
        """As the result has it."""
        return self.result.as_json()

    def print_on(self, console: Console) -> None:
        """As the result has it."""
        self.result.print_on(console)


async def perform(
    operation: Operation | None, work: Callable[[Context], Awaitable[Result]], common: Common
) -> ExitCode:
    """Do what a command does with a client, and show what came of it.

    Args:
        operation: what is done; None for what is in no table.
        work: gives its result.
        common: the options of the command.
    """
    context: Context | None = None
    with stoppable() as signals:
        waits = Progress()
        try:
            async with open_client(common, waits) as client:
                context = Context(client, signals, waits, common.verbose)
                result = await work(context)
        except FusebillError as error:
            result = Failed(error, operation, None)
        except InterruptedInput as interrupted:
            result = _interrupted(context, interrupted.exit_code)
        except asyncio.CancelledError:
            result = _interrupted(context, signals.exit_code)
    return show(result, json=common.json)


def _interrupted(context: Context | None, code: ExitCode) -> Result:
    if context is not None and context.ran is not None:
        return CutShort(context.ran, code)
    return NotDone(Outcome.NOT_SENT, "Interrupted", "Nothing was sent.", code=code)
