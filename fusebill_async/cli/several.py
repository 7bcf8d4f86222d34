"""Several customers in one command: one after the other, each with its outcome."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence

import attrs
from rich.console import Console

from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.failures import Failed, NotDone
from fusebill_async.cli.options import Common
from fusebill_async.cli.results import Read, Result
from fusebill_async.cli.terminal import output
from fusebill_async.errors import AuthenticationError, ConfigurationError, FusebillError, ValidationError
from fusebill_async.operations import Operation
from fusebill_async.outcome import Outcome

_WORST = (ExitCode.UNKNOWN, ExitCode.USAGE, ExitCode.NOT_DONE)
_FOR_ALL = (AuthenticationError, ConfigurationError, ValidationError)
"""What ends one call, and would end every other one alike."""


@attrs.define(eq=False)
class Several(Result):
    """What became of several customers, in their order.

    Attributes:
        results: of each.
        interrupted: the exit code of the signal that ended it, if one did.
        shown: how many of them people have seen.
        lost: why no more could be shown.
    """

    results: list[Result] = attrs.field(factory=list[Result])
    interrupted: ExitCode | None = None
    shown: int = 0
    lost: OSError | None = None

    @property
    def exit_code(self) -> ExitCode:
        """That of a signal, else the worst: unknown, not done, done."""
        if self.interrupted is not None:
            return self.interrupted
        codes = {result.exit_code for result in self.results}
        return next((code for code in _WORST if code in codes), ExitCode.DONE)

    @property
    def happened(self) -> str:
        """Each outcome."""
        return "; ".join(filter(None, (result.happened for result in self.results)))

    def as_json(self) -> bytes:
        """An array."""
        return b"[" + b",".join(result.as_json() for result in self.results) + b"]"

    def print_on(self, console: Console) -> None:
        """Those that were not shown yet."""
        if self.lost is not None:
            raise self.lost
        while self.shown < len(self.results):
            result = self.results[self.shown]
            if isinstance(result, Read) and self.shown and not console.is_terminal:
                console.file.write("\n")
            result.print_on(console)
            self.shown += 1
        sys.stdout.flush()


async def for_each(
    ids: Sequence[int],
    operation: Operation,
    one: Callable[[int], Awaitable[Result]],
    common: Common,
    seen_to_its_end: Callable[[], Awaitable[NotDone]],
) -> Several:
    """Do something to each customer, and show each outcome as soon as it is there.

    Args:
        ids: the customers.
        operation: what is done to them.
        one: does it to one of them.
        common: the options of the command.
        seen_to_its_end: waits for what was sent when a signal came, and gives what became of it.
    """
    several = Several()
    left = list(ids)
    while left:
        customer_id = left.pop(0)
        try:
            result = await one(customer_id)
        except asyncio.CancelledError:
            result = await seen_to_its_end()
            several.interrupted = result.exit_code
        except FusebillError as error:
            result = Failed(error, operation, common.kept_in)
        several.results.append(result)
        if not common.json:
            _show(several)
        stopped = several.interrupted or several.lost or (isinstance(result, Failed) and result.concerns(_FOR_ALL))
        if stopped:
            break
    several.results += [
        NotDone(Outcome.NOT_SENT, "NotBegun", f"{operation.title} of customer {customer_id}: not begun", customer_id)
        for customer_id in left
    ]
    return several


def _show(several: Several) -> None:
    try:
        several.print_on(output())
    except OSError as error:
        # Nobody would hear of the others. What was done is told on stderr.
        several.lost = error
