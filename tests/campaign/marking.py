"""Each request carries the number of the call that it is made for, so that the service can tell whose it is.

A call and all that is done for it run in tasks that inherit its context. The header is added where aiohttp takes a
request, so that nothing of the package needs to know of it.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import aiohttp

HEADER = "X-Campaign-Call"

CALL: ContextVar[tuple[str, int]] = ContextVar("CALL", default=("nobody", -1))
"""The client's name and the number of the call."""


@contextmanager
def marked_requests() -> Generator[None]:
    """Mark the requests that are made inside."""
    plain = aiohttp.ClientSession._request

    async def marked(self: aiohttp.ClientSession, method: str, url: Any, **options: Any) -> aiohttp.ClientResponse:
        client, call = CALL.get()
        options["headers"] = {**(options.get("headers") or {}), HEADER: f"{client}/{call}"}
        return await plain(self, method, url, **options)

    aiohttp.ClientSession._request = marked  # type: ignore[method-assign]
    try:
        yield
    finally:
        aiohttp.ClientSession._request = plain  # type: ignore[method-assign]


def mark_of(header: str | None) -> tuple[str, int]:
    """The client's name and the number of the call that a header tells."""
    client, _, call = (header or "nobody/-1").partition("/")
    return client, int(call)
