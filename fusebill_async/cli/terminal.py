"""Where output goes: what was asked for to stdout, everything about it to stderr."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any

from rich.console import Console
from rich.text import Text

STATUS_STYLES = {
    "Draft": "cyan",
    "Active": "green",
    "Hold": "yellow",
    "Suspended": "magenta",
    "Cancelled": "red",
}
ARROW = "->"


class _Console(Console):
    """A console that raises what every other stream raises; rich would end the process with exit code 1."""

    def on_broken_pipe(self) -> None:
        """Let the error through, whose handler knows what was done."""
        raise  # noqa: PLE0704 (it is called while the error is handled)


def output() -> Console:
    """The console of stdout. Colours go away by themselves in a pipe and with NO_COLOR."""
    return _Console(file=sys.stdout, highlight=False, soft_wrap=False)


def messages() -> Console:
    """The console of stderr. A message is one line, however narrow the terminal is."""
    return _Console(file=sys.stderr, highlight=False, soft_wrap=True)


def say(text: str | Text) -> None:
    """Say something on stderr. Where it cannot be written, what is done goes on all the same."""
    with suppress(OSError):
        messages().print(text, style="dim" if isinstance(text, str) else "", markup=False)


def set_encoding(stream: object, **options: str) -> None:
    """Reconfigure a stream of text, with the options of `io.TextIOWrapper.reconfigure`; others stay as they are."""
    reconfigure: Any = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(**options)


def write_json(text: bytes) -> None:
    """Write JSON to stdout as the bytes that it is, with a line end."""
    write_bytes(text + b"\n")


def write_text(text: str, *, flush: bool = True) -> None:
    """Write a text to stdout, in UTF-8 whatever the encoding of the terminal is."""
    write_bytes(text.encode(), flush=flush)


def write_bytes(text: bytes, *, flush: bool = True) -> None:
    """Write to stdout, past its encoding."""
    sys.stdout.flush()
    binary = getattr(sys.stdout, "buffer", None)
    if binary is None:
        sys.stdout.write(text.decode())
        return
    binary.write(text)
    if flush:
        binary.flush()


def status_text(status: str) -> Text:
    """A service status in its colour."""
    return Text(status, style=STATUS_STYLES.get(status, ""))
