"""From bytes to requests: as much of HTTP/1.1 as a client can send to a JSON service."""

from __future__ import annotations

from typing import Final

import attrs

from fusebill_async.testing.messages import Headers, Reply, Request
from fusebill_async.testing.refusals import message

_LONGEST_HEAD: Final = 64 * 1024
_LONGEST_BODY: Final = 4 * 1024 * 1024
"""Bytes: what ASP.NET takes unless it is configured otherwise."""

_HEADS_KEPT: Final = 1024


class BadRequestError(Exception):
    """Bytes that are no request; `reply` is what is answered before the connection is closed."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.reply: Reply = message(status, text).reply


@attrs.frozen(eq=False)
class _Head:
    """The header fields of a request, and what they say about its body."""

    headers: Headers
    length: int | None
    chunked: bool
    keep_alive: bool
    expects_continue: bool


@attrs.frozen
class Parsed:
    """A request that is complete, and what follows it."""

    request: Request
    keep_alive: bool
    rest: bytes


class Parser:
    """Takes requests off a stream.

    One client sends the same header fields with every request, so what was read from them is kept: this is
    most of the work that a request makes.
    """

    def __init__(self) -> None:
        self._heads: dict[bytes, _Head] = {}

    def parse(self, data: bytes, connection: int) -> Parsed | None:
        """Return the first request in the data, None while it is not complete.

        Raises:
            BadRequestError: it will never be one.
        """
        end = data.find(b"\r\n\r\n")
        if end < 0:
            if len(data) > _LONGEST_HEAD:
                raise BadRequestError(431, "Request header fields too large.")
            return None
        line_end = data.find(b"\r\n", 0, end + 2)
        method, target = _request_line(data[:line_end])
        head = self._head(data[line_end + 2 : end + 2], method)
        start = end + 4
        if (len(data) - start if head.chunked else head.length or 0) > _LONGEST_BODY:
            raise BadRequestError(413, "Maximum request length exceeded.")
        if head.chunked:
            body, after = _chunked(data, start)
            if body is None:
                return None
        else:
            after = start + (head.length or 0)
            if len(data) < after:
                return None
            body = data[start:after]
        path = target.partition("?")[0]
        request = Request(method, target, path, head.headers, body, connection)
        return Parsed(request, head.keep_alive, data[after:])

    def expects_continue(self, data: bytes) -> bool:
        """Say whether the client waits for a 100 before it sends the body."""
        end = data.find(b"\r\n\r\n")
        head = self._heads.get(data[data.find(b"\r\n") + 2 : end + 2]) if end >= 0 else None
        return head is not None and head.expects_continue

    def _head(self, block: bytes, method: str) -> _Head:
        head = self._heads.get(block)
        if head is None:
            if len(self._heads) >= _HEADS_KEPT:
                self._heads.clear()
            head = self._heads[block] = _parse_head(block)
        if head.length is None and not head.chunked and method in {"POST", "PUT"}:
            # IIS wants a length even where there is no body (FACTS 1).
            raise BadRequestError(411, "Length Required")
        return head


def _request_line(line: bytes) -> tuple[str, str]:
    parts = line.decode("latin-1").split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1.") or not parts[1].startswith("/"):
        raise BadRequestError(400, "Bad Request - Invalid Request Line")
    return parts[0], parts[1]


def _parse_head(block: bytes) -> _Head:
    pairs: list[tuple[str, str]] = []
    for line in block.decode("latin-1").split("\r\n")[:-1]:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise BadRequestError(400, "Bad Request - Invalid Header")
        pairs.append((name, value.strip()))
    headers = Headers(pairs)
    lengths = set(headers.all("content-length"))
    if len(lengths) > 1 or any(not (length.isascii() and length.isdigit()) for length in lengths):
        raise BadRequestError(400, "Bad Request - Invalid Content-Length")
    return _Head(
        headers=headers,
        length=int(lengths.pop()) if lengths else None,
        chunked=(headers.get("transfer-encoding") or "").lower() == "chunked",
        keep_alive=(headers.get("connection") or "").lower() != "close",
        expects_continue=(headers.get("expect") or "").lower() == "100-continue",
    )


def _chunked(data: bytes, start: int) -> tuple[bytes | None, int]:
    """Return the body of a chunked request and where it ends; None while it is not complete."""
    parts: list[bytes] = []
    while True:
        line_end = data.find(b"\r\n", start)
        if line_end < 0:
            return None, start
        try:
            size = int(data[start:line_end].partition(b";")[0], 16)
        except ValueError:
            size = -1
        if size < 0:
            raise BadRequestError(400, "Bad Request - Invalid Chunk")
        chunk_end = line_end + 2 + size
        if len(data) < chunk_end + 2:
            return None, start
        if size == 0:
            return b"".join(parts), chunk_end + 2
        parts.append(data[line_end + 2 : chunk_end])
        start = chunk_end + 2
