"""A command at a terminal, as a person has it."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import struct
import termios
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

ESCAPES = re.compile(r"\x1b\[[\d;?]*[A-Za-z]")


class Seen(NamedTuple):
    """How a command ended, and what was seen of it, without colours."""

    code: int
    text: str
    raw: str


async def at_a_terminal(
    start: Callable[..., Awaitable[asyncio.subprocess.Process]],
    *words: str,
    columns: int = 80,
    typed: dict[str, bytes] | None = None,
    stdin: bytes | None = None,
    **environment: str | None,
) -> Seen:
    """Run a command at a terminal of its own.

    Args:
        start: starts the process.
        words: the command.
        columns: how wide the terminal is.
        typed: what is typed once a text is there.
        stdin: what is on standard input, in place of the terminal.
        environment: of the process.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = await start(
        *words,
        stdin=theirs if stdin is None else asyncio.subprocess.PIPE,
        stdout=theirs,
        stderr=theirs,
        preexec_fn=lambda: _take_terminal(1),
        TERM="xterm-256color",
        COLUMNS=None,
        **environment,
    )
    os.close(theirs)
    if stdin is not None:
        process.stdin.write(stdin)
        process.stdin.close()
    # Its end ends the reading, too.
    too_long = asyncio.get_running_loop().call_later(30, process.kill)
    text = await asyncio.to_thread(_read, ours, dict(typed or {}))
    too_long.cancel()
    os.close(ours)
    return Seen(await process.wait(), ESCAPES.sub("", text).replace("\r\n", "\n"), text)


def _take_terminal(descriptor: int) -> None:
    os.setsid()
    fcntl.ioctl(descriptor, termios.TIOCSCTTY, 0)


def _read(descriptor: int, typed: dict[str, bytes]) -> str:
    text = b""
    while True:
        try:
            chunk: Any = os.read(descriptor, 65536)
        except OSError:
            # Linux says so when the other side is closed.
            return text.decode()
        if not chunk:
            return text.decode()
        text += chunk
        for wanted in [wanted for wanted in typed if wanted.encode() in text]:
            os.write(descriptor, typed.pop(wanted))
