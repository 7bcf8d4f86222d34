"""Who a process is, and whether another one is provably gone."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import attrs

_PROC = Path("/proc")


@attrs.frozen
class Process:
    """A process, so exactly that no later one is mistaken for it.

    Attributes:
        host: names the machine, its boot and its namespace of process ids.
        pid: the process id there.
        started: when it started, in the kernel's words; "" where the system does not tell.
    """

    host: str
    pid: int
    started: str

    @classmethod
    def this(cls) -> Process:
        """The process that runs this."""
        return cls(_host(), os.getpid(), _state_and_start(os.getpid())[1])

    def is_gone(self) -> bool:
        """Whether it has certainly ended. False also means "cannot be told", as for one on another machine."""
        if os.name != "posix" or self.host != _host():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            pass  # it lives, under another user
        state, started = _state_and_start(self.pid)
        # Z and X are processes that run no more and whose parent has not asked for their exit status.
        return state in {"Z", "X"} or bool(self.started and started and started != self.started)


def _host() -> str:
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{(_PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return socket.gethostname()


def _state_and_start(pid: int) -> tuple[str, str]:
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return "", ""
    # The name stands in brackets and may hold spaces and brackets itself.
    fields = text.rpartition(")")[2].split()
    return fields[0], fields[19]
