"""A call on behalf of a command: the client's life, SIGINT and SIGTERM, and how it ends."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from functools import partial

import attrs

from fusebill_async.cli.acting import declined
from fusebill_async.cli.connection import open_client
from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.failures import Failed, NotDone, report_lost_output
from fusebill_async.cli.ids import FROM_STDIN, read_ids
from fusebill_async.cli.input import SIGNALS, InterruptedInput
from fusebill_async.cli.options import Common
from fusebill_async.cli.results import Result
from fusebill_async.cli.several import for_each
from fusebill_async.cli.terminal import messages, output, write_json
from fusebill_async.client import FusebillClient
from fusebill_async.errors import FusebillError, NotUnresolvedError
from fusebill_async.operations import Operation
from fusebill_async.outcome import Outcome


def _untaken() -> bool:
    return False


async def perform(
    operation: Operation | None,
    work: Callable[[FusebillClient], Awaitable[Result | ExitCode]],
    common: Common,
    *,
    stdout_is_taken: Callable[[], bool] = _untaken,
) -> ExitCode:
    """Let a client do some work, and show its result or its error.

    Args:
        operation: what is done; None for what is in no table.
        work: gives its result, or the exit code if it has shown it already.
        common: the options of the command.
        stdout_is_taken: whether stdout holds a document already, so that an error is told on stderr.
    """

    async def do(client: FusebillClient, session: _Session) -> Result | ExitCode:
        try:
            return await work(client)
        except asyncio.CancelledError:
            return await session.see_to_its_end(client)

    return await _with_client(operation, do, common, stdout_is_taken)


async def perform_each(
    operation: Operation,
    ids: Sequence[int],
    work: Callable[[FusebillClient, int], Awaitable[Result]],
    common: Common,
) -> ExitCode:
    """Let a client do the same to each of the customers. One that was named alone is shown alone."""

    async def do(client: FusebillClient, session: _Session) -> Result:
        wanted = read_ids(ids)
        try:
            no = await declined(client, operation, wanted, common, stdin_is_taken=ids == FROM_STDIN)
            if no is not None:
                return no
            if len(ids) == 1:
                return await work(client, wanted[0])
        except asyncio.CancelledError:
            return await session.see_to_its_end(client)
        seen_to_its_end = partial(session.see_to_its_end, client)
        return await for_each(wanted, operation, partial(work, client), common, seen_to_its_end)

    return await _with_client(operation, do, common, _untaken)


async def _with_client(
    operation: Operation | None,
    do: Callable[[FusebillClient, _Session], Awaitable[Result | ExitCode]],
    common: Common,
    stdout_is_taken: Callable[[], bool],
) -> ExitCode:
    try:
        with _interruptible(quiet=common.json) as session:
            async with open_client(common) as client:
                session.known = frozenset(write.id for write in client.unresolved())
                result = await do(client, session)
    except FusebillError as error:
        result = Failed(error, operation, common.kept_in)
    except InterruptedInput as interrupted:
        result = NotDone(Outcome.NOT_SENT, "Interrupted", "Nothing is under way.", code=interrupted.exit_code)
    return result if isinstance(result, ExitCode) else show(result, json=common.json and not stdout_is_taken())


def show(result: Result, *, json: bool) -> ExitCode:
    """Show a result on stdout, and give the exit code."""
    try:
        if json:
            write_json(result.as_json())
        else:
            result.print_on(output())
            sys.stdout.flush()
    except OSError as error:
        return report_lost_output(error, result.happened, result.exit_code)
    return result.exit_code


@attrs.define
class _Session:
    """One command, and the signal that ended it.

    Attributes:
        quiet: nothing is said on stderr.
        exit_code: that the signal gives.
        known: the writes that were unresolved before it began.
    """

    quiet: bool
    exit_code: ExitCode = ExitCode.INTERRUPTED
    known: frozenset[str] = frozenset()

    async def see_to_its_end(self, client: FusebillClient) -> NotDone:
        """A signal drops what was not sent yet; what was sent is seen to its end, unless a signal comes again."""
        under_way = [write for write in client.unresolved() if write.id not in self.known]
        told = partial(NotDone, name="Interrupted", code=self.exit_code)
        for write in under_way:
            if not self.quiet:
                messages().print("It was sent already: waiting for what becomes of it. Ctrl-C again leaves that open.")
            about = partial(told, customer_id=write.customer_id)
            try:
                resolution = await client.resolve(write)
            except (NotUnresolvedError, asyncio.CancelledError):
                return about(Outcome.UNKNOWN, text="It was not seen to its end: read the customer.")
            return about(resolution.outcome, text=resolution.reason or "It was seen to its end.")
        return told(Outcome.NOT_SENT, text="Nothing is under way.")


@contextmanager
def _interruptible(*, quiet: bool) -> Generator[_Session]:
    """Let the first SIGINT or SIGTERM cancel the command, and the next one everything that it left to be finished.

    Handled between two steps of the event loop, so that nothing is torn apart in the middle.
    """
    loop = asyncio.get_running_loop()
    command = asyncio.current_task(loop)
    assert command is not None
    session = _Session(quiet)
    pressed = False

    def press(code: ExitCode) -> None:
        nonlocal pressed
        session.exit_code = code
        for task in asyncio.all_tasks(loop) if pressed else (command,):
            task.cancel()
        pressed = True

    try:
        for number, code in SIGNALS.items():
            loop.add_signal_handler(number, press, code)
    except (NotImplementedError, RuntimeError, ValueError):
        # Windows, or not the main thread: Python's own way has to do.
        yield session
        return
    try:
        yield session
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
