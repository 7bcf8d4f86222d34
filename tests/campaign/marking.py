"""Each request carries the number of the call that it is made for, so that the service can tell whose it is.

A call and all that is done for it run in tasks that inherit its context. The header is added where aiohttp takes a
request, so that nothing of the package needs to know of it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import aiohttp

from fusebill_async.settling.driver import WriteDriver
from fusebill_async.settling.write import Write

HEADER = "X-Campaign-Call"

CALL: ContextVar[tuple[str, int]] = ContextVar("CALL", default=("nobody", -1))
"""The client's name and the number of the call."""


@contextmanager
def marked_requests(handed_out: Callable[[int], None]) -> Generator[None]:
    """Mark the requests that are made inside.

    Args:
        handed_out: told the number of a call whose write has been handed a connection.
    """
    plain, last_look = aiohttp.ClientSession._request, WriteDriver._hand_out

    async def marked(self: aiohttp.ClientSession, method: str, url: Any, **options: Any) -> aiohttp.ClientResponse:
        client, call = CALL.get()
        options["headers"] = {**(options.get("headers") or {}), HEADER: f"{client}/{call}"}
        return await plain(self, method, url, **options)

    def looked(self: WriteDriver, write: Write) -> None:
        last_look(self, write)
        handed_out(CALL.get()[1])

    aiohttp.ClientSession._request = marked  # type: ignore[method-assign]
    WriteDriver._hand_out = looked  # type: ignore[method-assign]
    try:
        yield
    finally:
        aiohttp.ClientSession._request = plain  # type: ignore[method-assign]
        WriteDriver._hand_out = last_look  # type: ignore[method-assign]


def mark_of(header: str | None) -> tuple[str, int]:
    """The client's name and the number of the call that a header tells."""
    client, _, call = (header or "nobody/-1").partition("/")
    return client, int(call)
