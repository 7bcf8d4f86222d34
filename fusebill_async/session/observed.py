"""The aiohttp request that tells when it is handed a connection: the proof of what has not been sent."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol

import aiohttp
from aiohttp.connector import Connection


class StaleConnectionError(Exception):
    """A kept connection that must not be used. Nothing was sent. Never leaves the session."""


class OverdueError(Exception):
    """What was to be sent rests on a read that has become too old. Nothing was sent. Never leaves the session."""


class RefusedError(Exception):
    """The check that came with the call refused it at the hand-out. Nothing was sent. Never leaves the session."""


class Observer(Protocol):
    """Who wants to know."""

    def handed_out(self, connection: Connection) -> None:
        """Called before the first byte is written.

        Raises:
            StaleConnectionError: do not use this connection.
            OverdueError: do not send this request any more.
            RefusedError: the check of the call forbids to send it.
        """
        ...


class ObservedRequest(aiohttp.ClientRequest):
    """Tells its observer about the connection before it writes to it.

    aiohttp calls `send` once a connection is there, and every byte of a request is written inside it; so as
    long as it was not called, nothing was sent. A trace config would tell the same at four times the cost.
    """

    observer: Observer | None = None

    def send(  # pyright: ignore[reportIncompatibleMethodOverride]  # the same to who awaits it, a coroutine less
        self, conn: Connection
    ) -> Coroutine[Any, Any, aiohttp.ClientResponse]:
        """Write the request, once the result is awaited."""
        # It is told once; the two would keep each other alive otherwise.
        observer, self.observer = self.observer, None
        if observer is not None:
            observer.handed_out(conn)
        return super().send(conn)
