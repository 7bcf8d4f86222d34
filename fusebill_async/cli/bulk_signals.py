"""The first signal ends a bulk command after what is under way, the next one at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager

import attrs

from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.input import SIGNALS


@attrs.define
class Signals:
    """The signals that came.

    Attributes:
        count: how many; more than two are as two.
        exit_code: that of the last one.
        tell: says on stderr what the first one does, while a job is under way; None while none is.
    """

    count: int = 0
    exit_code: ExitCode = ExitCode.INTERRUPTED
    tell: Callable[[str], None] | None = None


@contextmanager
def stoppable() -> Generator[Signals]:
    """Let SIGINT and SIGTERM cancel the command, handled between two steps of the event loop."""
    loop, command, signals = asyncio.get_running_loop(), asyncio.current_task(), Signals()
    assert command is not None

    def press(code: ExitCode) -> None:
        if signals.count < 2:
            signals.count += 1
            signals.exit_code = code
            command.cancel()
        if signals.count == 1 and signals.tell is not None:
            signals.tell("Stopping: what is under way is seen to its end. Once more leaves it open.")

    try:
        for number, code in SIGNALS.items():
            loop.add_signal_handler(number, press, code)
    except (NotImplementedError, RuntimeError, ValueError):
        # Windows, or not the main thread: Python's own way has to do.
        yield signals
        return
    try:
        yield signals
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
