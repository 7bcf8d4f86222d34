"""The first signal stops a job after what is under way, the next one at once."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager

import attrs

from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.input import SIGNALS
from fusebill_async.cli.terminal import messages


@attrs.define
class Signals:
    """The signals that came.

    Attributes:
        pressed: how many.
        exit_code: of the last one.
    """

    pressed: int = 0
    exit_code: ExitCode = ExitCode.INTERRUPTED


@contextmanager
def stoppable() -> Generator[Signals]:
    """Let the first SIGINT or SIGTERM stop the job after what is under way, and the next one at once."""
    loop, job, signals = asyncio.get_running_loop(), asyncio.current_task(), Signals()
    assert job is not None

    def press(code: ExitCode) -> None:
        signals.pressed += 1
        signals.exit_code = code
        if signals.pressed == 1:
            messages().print("Stopping: what is under way is seen to its end. Once more leaves it open.", style="dim")
        job.cancel()

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
