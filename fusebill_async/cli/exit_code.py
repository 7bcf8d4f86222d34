"""What the exit code of a command says."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of `fusebill-async`."""

    DONE = 0
    """Applied, or found."""
    NOT_DONE = 1
    """Rejected, not applied, not sent, or not found."""
    USAGE = 2
    """A command, an argument, a key or a base URL that cannot work; nothing was sent."""
    UNKNOWN = 3
    """A write that may have happened: do not repeat it blindly."""
    STOPPED = 75
    """A job that has ended before all was done, and can be resumed."""
    OUTPUT_LOST = 74
    """The output could not be written. What happened is said on stderr."""
    INTERRUPTED = 130
    """SIGINT, which is Ctrl-C."""
    TERMINATED = 143
    """SIGTERM."""
