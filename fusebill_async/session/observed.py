"""Sees an aiohttp request being handed a connection: the proof of what has not been sent."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import aiohttp
from aiohttp.connector import Connection


class NotHandedOutError(Exception):
    """The request may not use the connection that it was handed, or gets none. Never leaves the session."""


class StaleConnectionError(NotHandedOutError):
    """A kept connection that must not be used. Nothing was sent."""


class OverdueError(NotHandedOutError):
    """What was to be sent rests on a read that has become too old. Nothing was sent."""


class RefusedError(NotHandedOutError):
    """The check that came with the call refused it at the hand-out. Nothing was sent."""


class SessionClosedError(NotHandedOutError):
    """The aiohttp session is closed. Nothing was sent."""


class RepeatedError(NotHandedOutError):
    """A middleware of the user's session wanted to send the request a second time. It was sent once."""


def watch(request: aiohttp.ClientRequest, handed_out: Callable[[Connection], None]) -> None:
    """Have `handed_out` called with the connection before a byte is written to it; it may raise to prevent that.

    aiohttp calls `send` once a connection is there, and every byte of a request is written inside it; so as
    long as it was not called, nothing was sent. A trace config would tell the same at four times the cost, and a class
    of requests of our own would leave out sessions that users hand in.
    """

    def send(connection: Connection) -> Coroutine[Any, Any, aiohttp.ClientResponse]:
        # It is seen once; the request and its watcher would keep each other alive otherwise.
        del vars(request)["send"]
        handed_out(connection)
        return request.send(connection)

    vars(request)["send"] = send


def unwatch(request: aiohttp.ClientRequest) -> None:
    """Watch no more a request that was never handed a connection."""
    vars(request).pop("send", None)
