"""A command in this process, with whatever may stand at its ends: a terminal, a pipe, a full disk, a signal."""

from __future__ import annotations

import asyncio
import fcntl
import io
import os
import pty
import signal
import struct
import sys
import termios
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from fusebill_async.cli import main
from fusebill_async.testing import FusebillSimulator


class Service:
    """A simulator in a thread of its own, so that a command has the main thread, and with it the signals."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.simulator: Any = self._wait_for(FusebillSimulator().start())

    def _wait_for(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    def do(self, work: Callable[[FusebillSimulator], Any]) -> Any:
        """Do something to the simulator, in its own thread."""

        async def done() -> Any:
            return work(self.simulator)

        return self._wait_for(done())

    def close(self) -> None:
        """End it, and its thread."""
        self._wait_for(self.simulator.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Ended(NamedTuple):
    """How a command ended. At a terminal, `out` has what is seen of stderr, too."""

    code: int
    out: str
    err: str


class _Drain:
    """Reads a descriptor to its end in a thread: neither a pipe nor a terminal holds much."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._text = b""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        # Linux says with an error that the other side of a terminal is closed.
        with suppress(OSError):
            while chunk := os.read(self._descriptor, 65536):
                self._text += chunk

    def text(self) -> str:
        self._thread.join(20)
        os.close(self._descriptor)
        return self._text.decode()


def terminal(columns: int) -> tuple[int, int]:
    """Both sides of a terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    return ours, theirs


def run(words: list[str], *, columns: int = 0, stdout: int | None = None, kill: Any = None) -> Ended:
    """Run a command.

    Args:
        words: the command.
        columns: of a terminal at all its three ends; 0 is pipes.
        stdout: in place of a pipe; it is closed.
        kill: the signal that is sent, and what says when.
    """
    drains = []
    if columns:
        ours, theirs = terminal(columns)
        drains, ends = [_Drain(ours)], (theirs, theirs, theirs)
        opened = [theirs]
    else:
        (out_read, out), (err_read, err) = os.pipe(), os.pipe()
        nothing = os.open(os.devnull, os.O_RDONLY)
        drains, opened = [_Drain(out_read), _Drain(err_read)], [out, err, nothing]
        if stdout is not None:
            opened.append(stdout)
        ends = (nothing, out if stdout is None else stdout, err)
    with _ends(ends, opened), _killed(kill):
        code = int(main(words))
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
    texts = [drain.text() for drain in drains]
    return Ended(code, texts[0], "" if columns else texts[1])


@contextmanager
def _ends(ends: tuple[int, int, int], opened: list[int]) -> Generator[None]:
    """Let a program in this process have these as its standard input, output and error."""
    before = [os.dup(number) for number in range(3)]
    streams = sys.stdin, sys.stdout, sys.stderr
    for number, descriptor in enumerate(ends):
        os.dup2(descriptor, number)
    for descriptor in opened:
        os.close(descriptor)
    sys.stdin, sys.stdout, sys.stderr = (_stream(number, "rw"[number > 0]) for number in range(3))
    try:
        yield
    finally:
        ours = sys.stdin, sys.stdout, sys.stderr
        sys.stdin, sys.stdout, sys.stderr = streams
        for number, descriptor in enumerate(before):
            os.dup2(descriptor, number)
            os.close(descriptor)
        for stream in ours:
            # What could not be written is still in it, and goes nowhere.
            with suppress(OSError, ValueError):
                stream.detach().detach()


def _stream(number: int, mode: str) -> Any:
    raw: Any = io.FileIO(number, mode, closefd=False)
    buffered: Any = io.BufferedReader(raw) if mode == "r" else io.BufferedWriter(raw)
    return io.TextIOWrapper(buffered, encoding="utf-8", line_buffering=raw.isatty() or number == 2)


@contextmanager
def _killed(kill: Any) -> Generator[None]:
    """Send a signal to this process once it is time."""
    if kill is None:
        yield
        return
    number, is_time = kill
    before = signal.signal(number, lambda *_: None)

    def wait() -> None:
        until = time.monotonic() + 20
        while not is_time() and time.monotonic() < until:
            time.sleep(0.005)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    try:
        yield
    finally:
        # The event loop has put back what Python does with a signal, and one that comes late is no worse.
        signal.signal(number, lambda *_: None)
        thread.join()
        signal.signal(number, before)
