"""What goes over the socket: the request as it was read, the reply before it is written."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from http import HTTPStatus
from urllib.parse import parse_qsl

import attrs

from fusebill_async.converting import UnreadableAnswer, wire_fields
from fusebill_async.testing.lenient_json import strict

JSON = b"application/json; charset=utf-8"
HTML = b"text/html; charset=utf-8"


_LONGEST_LENIENT = 64 * 1024
"""Bytes of a body that is read leniently; a long one is a program's, and would hold everyone up."""


class NotAnObjectError(ValueError):
    """A body that should hold a JSON object holds something else."""


def raw_fields(body: bytes) -> dict[str, bytes]:
    """Take a JSON object apart without touching the text of its values: literals must survive."""
    try:
        body.decode()
        try:
            fields = wire_fields(body)
        except UnreadableAnswer:
            if len(body) > _LONGEST_LENIENT:
                raise
            fields = wire_fields(strict(body.decode()).encode())
    except ValueError as error:
        raise NotAnObjectError(str(error)) from error
    return {key: bytes(value) for key, value in fields.items()}


class Headers:
    """Header fields in the order in which they came; names are compared without regard to case."""

    __slots__ = ("_first", "pairs")

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self.pairs = pairs
        self._first: dict[str, str] = {}
        for name, value in pairs:
            self._first.setdefault(name.lower(), value)

    def get(self, name: str, default: str | None = None) -> str | None:
        """Return the first value of a field, or the default."""
        return self._first.get(name.lower(), default)

    def all(self, name: str) -> list[str]:
        """Return every value of a field: that a client sent one twice is worth a test."""
        return [value for given, value in self.pairs if given.lower() == name.lower()]

    def __getitem__(self, name: str) -> str:
        return self._first[name.lower()]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._first

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def __repr__(self) -> str:
        # The key must not stand in a log of a failed test.
        shown = [(name, "***" if name.lower() == "authorization" else value) for name, value in self.pairs]
        return f"Headers({shown!r})"


@attrs.define(eq=False, slots=False)
class Request:
    """A request that reached the service whole.

    Attributes:
        method: as sent.
        target: path and query as sent.
        path: the path as sent, without the query.
        headers: see `Headers`.
        body: the bytes of the body, after a chunked coding was taken off.
        connection: the number of the connection, counted from 1.
        operation: the title of the operation, such as "customers.hold"; "" for an unknown route.
        customer_id: the customer that it is about, if it names one.
        at: seconds since 1970 by the service's clock.
        fate: what became of it, such as "answered 200", or the fault that struck; "" as long as that is open.
        had_effect: whether its effect has happened.
    """

    method: str
    target: str
    path: str
    headers: Headers
    body: bytes
    connection: int
    operation: str = ""
    customer_id: int | None = None
    at: float = 0.0
    fate: str = ""
    had_effect: bool = False

    @cached_property
    def query(self) -> dict[str, str]:
        """The query parameters as sent."""
        return dict(parse_qsl(self.target.partition("?")[2], keep_blank_values=True))

    @cached_property
    def options(self) -> dict[str, str]:
        """The query parameters with names in lower case, since the service does not tell the cases apart."""
        return {name.lower(): value for name, value in self.query.items()}

    @cached_property
    def fields(self) -> dict[str, bytes]:
        """The body's keys in lower case, each with the JSON text of its value; none for an empty body.

        Raises:
            NotAnObjectError: the body is not a JSON object.
        """
        if not self.body.strip():
            return {}
        return {name.lower(): value for name, value in raw_fields(self.body).items()}


@attrs.frozen
class Reply:
    """An answer before it is written: `headers` holds whole header lines, each with its line end."""

    status: int
    body: bytes = b""
    headers: bytes = b""
    content_type: bytes = JSON


def status_line(status: int) -> bytes:
    """Return the first line of an answer, with its line end."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    return f"HTTP/1.1 {status} {phrase}\r\n".encode()


_STATUS_LINES = {int(status): status_line(status) for status in HTTPStatus}


def render_head(reply: Reply, standing: bytes, length: int | None = None) -> bytes:
    """Return the head of an answer; `standing` are the header lines that every answer carries."""
    return b"%bContent-Type: %b\r\nContent-Length: %d\r\n%b%b\r\n" % (
        _STATUS_LINES.get(reply.status) or status_line(reply.status),
        reply.content_type,
        len(reply.body) if length is None else length,
        standing,
        reply.headers,
    )


def render(reply: Reply, standing: bytes) -> bytes:
    """Return a whole answer as bytes. A 204 has neither length nor type, as the protocol demands."""
    if reply.status == HTTPStatus.NO_CONTENT:
        return b"%b%b%b\r\n" % (status_line(reply.status), standing, reply.headers)
    return render_head(reply, standing) + reply.body
