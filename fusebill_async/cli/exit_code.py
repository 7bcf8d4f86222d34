"""What the exit code of a command says."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of `fusebill-async`."""

    DONE = 0
    """Applied, or found."""
    NOT_DONE = 1
    """Rejected, not applied, not sent, unknown, or not found."""
    USAGE = 2
    """A command, an argument, a key or a base URL that cannot work; nothing was sent."""
    INTERRUPTED = 130
    """Ctrl-C."""
