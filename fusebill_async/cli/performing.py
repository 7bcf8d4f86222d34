"""A call on behalf of a command: the client's life, SIGINT and SIGTERM, and how it ends."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager

import attrs

from fusebill_async.cli.connection import open_client
from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.failures import Interrupted, report_failure, report_lost_output
from fusebill_async.cli.options import Common
from fusebill_async.cli.results import Result
from fusebill_async.cli.terminal import messages, output, write_json
from fusebill_async.client import FusebillClient
from fusebill_async.errors import FusebillError
from fusebill_async.operations import Operation
from fusebill_async.outcome import Outcome


async def perform(
    operation: Operation | None,
    work: Callable[[FusebillClient], Awaitable[Result | None]],
    common: Common,
) -> ExitCode:
    """Let a client do some work, and show its result or its error. Work without a result has shown it already."""
    try:
        with _interruptible() as interruption:
            async with open_client(common) as client:
                try:
                    result = await work(client)
                except asyncio.CancelledError:
                    await _tell_of_interruption(client, json=common.json)
                    return interruption.exit_code
    except FusebillError as error:
        return report_failure(error, operation, json=common.json, store=common.kept_in)
    if result is None:
        return ExitCode.DONE
    try:
        if common.json:
            write_json(result.as_json())
        else:
            result.print_on(output())
            sys.stdout.flush()
    except OSError as error:
        return report_lost_output(error, result.happened)
    return result.exit_code


@attrs.define
class _Interruption:
    """The signal that ended a command, and with it the exit code."""

    exit_code: ExitCode = ExitCode.INTERRUPTED


_SIGNALS = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}


@contextmanager
def _interruptible() -> Generator[_Interruption]:
    """Let the first SIGINT or SIGTERM cancel the command, and the next one everything that it left to be finished.

    Handled between two steps of the event loop, so that nothing is torn apart in the middle.
    """
    loop = asyncio.get_running_loop()
    command = asyncio.current_task(loop)
    assert command is not None
    interruption = _Interruption()
    pressed = False

    def press(code: ExitCode) -> None:
        nonlocal pressed
        interruption.exit_code = code
        for task in asyncio.all_tasks(loop) if pressed else (command,):
            task.cancel()
        pressed = True

    try:
        for number, code in _SIGNALS.items():
            loop.add_signal_handler(number, press, code)
    except (NotImplementedError, RuntimeError, ValueError):
        # Windows, or not the main thread: Python's own way has to do.
        yield interruption
        return
    try:
        yield interruption
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


async def _tell_of_interruption(client: FusebillClient, *, json: bool) -> None:
    """An interruption drops what was not sent yet; what was sent is seen to its end, unless it comes again."""
    under_way = client.unresolved()
    if not under_way:
        Interrupted(Outcome.NOT_SENT, "Nothing is under way.").report(json=json)
        return
    for write in under_way:
        if not json:
            messages().print("It was sent already: waiting for what becomes of it. Ctrl-C again leaves that open.")
        try:
            resolution = await client.resolve(write)
        except (KeyError, asyncio.CancelledError):
            Interrupted(Outcome.UNKNOWN, "It was not seen to its end: read the customer.").report(json=json)
            return
        Interrupted(resolution.outcome, resolution.reason or "It was seen to its end.").report(json=json)
