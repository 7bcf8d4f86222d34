"""What the session needs of HTTP: one method that sends one request once, and tells facts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import attrs

from fusebill_async.outcome import Phase
from fusebill_async.wire.request import Request

BODY_LIMIT = 8 * 1024 * 1024
"""Bytes of an answer's body after decompression, at most."""


@attrs.frozen(kw_only=True)
class Limits:
    """What one exchange may take.

    Attributes:
        connect: seconds for making a connection.
        read: seconds of silence while an answer is awaited or read.
        total: seconds for everything.
        fresh: use a connection that has carried no other request.
    """

    connect: float
    read: float
    total: float
    fresh: bool = False


@attrs.frozen(kw_only=True)
class Exchange:
    """The facts of one attempt.

    Times are seconds of the clock that was handed in. `phase` alone says whether a byte may have left.

    Attributes:
        phase: how far it came.
        started_at: when it began.
        sent_at: when a connection was handed out; None if none was.
        ended_at: when it ended.
        status, headers, body: of the answer, as far as it came. The body is decompressed.
        reason: what went wrong, in words that hold no key; "" if nothing did.
        timed_out: a time limit ended it.
        lasting: what ended it would end the next attempt, too, as a certificate that is not accepted does.
        connection: names the one that was used, for `Transport.drop`.
        oversized: the body was larger than the limit, and was not read to its end.
    """

    phase: Phase
    started_at: float
    sent_at: float | None
    ended_at: float
    status: int | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    body: bytes = attrs.field(default=b"", repr=False)
    reason: str = ""
    timed_out: bool = False
    lasting: bool = False
    oversized: bool = False
    connection: object = attrs.field(default=None, repr=False)


class Transport(Protocol):
    """Sends requests. It knows nothing of quotas, of retries and of what a request means."""

    async def exchange(self, request: Request, limits: Limits, on_handed_out: Callable[[], None]) -> Exchange:
        """Send a request once, and read its answer.

        Args:
            request: what to send.
            limits: how long it may take.
            on_handed_out: called when a connection is there and before the first byte is written. If it raises,
                nothing is written, and the error is raised from here.

        Returns:
            The facts. Whatever goes wrong at the network is told by them, and not raised.
        """
        ...

    def drop(self, connection: object) -> None:
        """Use a connection never again, since an answer to another question came on it.

        Its own answer may still be to come, and the next request would take that for its own.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections that belong to it."""
        ...
