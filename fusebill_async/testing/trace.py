"""What happened in a simulated run, event by event, as a list or as one hash."""

from __future__ import annotations

import hashlib

import attrs


@attrs.frozen
class TraceEvent:
    """One event.

    Attributes:
        at: seconds of virtual time since the run began.
        who: whom it befell, such as "connection 3, client".
        what: such as "sends", "receives", "is reset".
        data: the bytes of it, or the state after it in words.
    """

    at: float
    who: str
    what: str
    data: bytes = b""

    def __str__(self) -> str:
        text = self.data.decode("utf-8", "backslashreplace")
        return f"{self.at:14.6f}  {self.who}: {self.what}" + (f" {text!r}" if text else "")


class Trace:
    """Takes down every event of a run in its order.

    Args:
        keep: whether `events` holds them; the hash is there either way.

    Attributes:
        events: those that were kept.
    """

    def __init__(self, *, keep: bool = False) -> None:
        self.events: list[TraceEvent] = []
        self._keep = keep
        self._hash = hashlib.sha256()

    def note(self, at: float, who: str, what: str, data: bytes = b"") -> None:
        """Take down one event; see `TraceEvent`."""
        self._hash.update(f"{at:.9f}\n{who}\n{what}\n{len(data)}\n".encode())
        self._hash.update(data)
        if self._keep:
            self.events.append(TraceEvent(at, who, what, data))

    def digest(self) -> str:
        """Return the SHA-256 of everything so far, in hex: two runs are the same if it is."""
        return self._hash.hexdigest()
