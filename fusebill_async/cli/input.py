"""Standard input, terminals and files: what is read can be interrupted, and an answer comes from a person."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TextIO

from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.terminal import messages
from fusebill_async.errors import ValidationError

STDIN = "-"
SIGNALS = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}


class InterruptedInput(BaseException):
    """A signal came while something was read. Nothing was sent."""

    def __init__(self, exit_code: ExitCode) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


def read_input(file: str, field: str) -> bytes:
    """What a file holds, or standard input for "-".

    Raises:
        ValidationError: it cannot be read.
    """
    try:
        with interruptible_input():
            return sys.stdin.buffer.read() if file == STDIN else Path(file).read_bytes()
    except OSError as error:
        raise ValidationError(f"{file} cannot be read: {error.strerror}", field=field) from None


def ask(question: str, terminal: TextIO) -> str:
    """What a person answers, in lower case; "" for nothing."""
    try:
        with interruptible_input():
            # Whoever sees the question can interrupt it.
            messages().print(question, end="", markup=False)
            return terminal.readline().strip().lower()
    finally:
        if terminal is not sys.stdin:
            terminal.close()


@contextmanager
def interruptible_input() -> Generator[None]:
    """Let a signal end what is read at once. The event loop would hear of it when the reading is over."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = signal.set_wakeup_fd(-1)
    before = {number: signal.signal(number, _interrupt) for number in SIGNALS}
    try:
        yield
    finally:
        signal.set_wakeup_fd(loop)
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    raise InterruptedInput(SIGNALS[signal.Signals(number)])


def person(*, stdin_is_taken: bool) -> TextIO | None:
    """The terminal at which somebody can answer a question; None if nobody sits there.

    Args:
        stdin_is_taken: standard input holds ids, so that an answer would have to come from the terminal itself.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        return None
    if not stdin_is_taken:
        return sys.stdin if sys.stdin is not None and sys.stdin.isatty() else None
    try:
        return Path("/dev/tty").open(encoding="utf-8")
    except OSError:
        return None
