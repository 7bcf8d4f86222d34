"""`client.request`: any method, any kind of answer, and a query in the API's own forms."""

import asyncio
import re
from contextlib import asynccontextmanager, suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from urllib.parse import parse_qsl, urlsplit

import pytest

from fusebill_async import (
    FusebillClient,
    InvalidResponseError,
    Outcome,
    OutcomeUnknownError,
    RetryPolicy,
    ServerError,
    Status,
    UnresolvedWritesWarning,
    ValidationError,
)
from tests.conftest import KEY, QUICK

PDF = b"%PDF-1.7\n\xe2\xe3" + bytes(range(256)) * 400
MARK = b"\xef\xbb\xbf"
ERROR = b'{"ErrorId":0,"HttpStatusCode":400,"Errors":[{"Key":"Api Error","Value":"Customer is locked."}]}'


class Kind(str, Enum):  # noqa: UP042 (whose str() is not its value)
    """A choice as a user may have it."""

    OPEN = "Open"


class Number(Enum):
    """Another one."""

    ONE = 1


@asynccontextmanager
async def client_answered(body=b"{}", content_type="application/json", status=200):
    """A client of a service that answers everything with this; `.asked` has method, query and body of each request."""
    asked = []

    async def serve(reader, writer):
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                length = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
                sent = await reader.readexactly(int(length[1]) if length else 0)
                method, target, _ = head.split(" ", 2)
                asked.append((method, dict(parse_qsl(urlsplit(target).query, keep_blank_values=True)), sent))
                kind = f"Content-Type: {content_type}\r\n" if content_type else ""
                writer.write(f"HTTP/1.1 {status} X\r\n{kind}Content-Length: {len(body)}\r\n\r\n".encode())
                writer.write(b"" if method == "HEAD" else body)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1")
    try:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        retry = RetryPolicy(backoff=0.001)
        async with FusebillClient(KEY, base_url=url, settling=QUICK, retry=retry) as client:
            client.asked = asked
            yield client
            # What was answered well leaves nothing open.
            client.open = client.unresolved()
    finally:
        server.close()


@asynccontextmanager
async def client_left_unsettled(*answer):
    """The same, where a write stays open: no read can tell what became of it."""
    with pytest.warns(UnresolvedWritesWarning):
        async with client_answered(*answer) as client:
            yield client


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PATCH"])
@pytest.mark.parametrize(
    ("body", "content_type", "value"),
    [
        (b'{"a":[1,25.9800]}', "application/json; charset=utf-8", {"a": [1, Decimal("25.9800")]}),
        (b'{"a":1}', "application/hal+json", {"a": 1}),
        (b'{"a":1}', "text/json", {"a": 1}),
        (b'{"a":1}', "", {"a": 1}),
        (MARK + b'{"a":1}', "application/json", {"a": 1}),
        (b'"\\ud83d"', "application/json", "\ufffd"),
        (b'{"Message":"a note"}', "application/json", {"Message": "a note"}),
        (b"null", "application/json", None),
        (b"", "application/json", None),
        (b"", "", None),
        (b"OK", "text/plain; charset=utf-8", "OK"),
        (MARK + b"OK", "text/plain", "OK"),
        ("é".encode("latin-1"), 'text/plain; charset="iso-8859-1"', "é"),
        (b'{"a":1}', "text/plain", '{"a":1}'),
        (b"\xff", "text/plain", b"\xff"),
        (b"x", "text/plain; charset=nowhere", b"x"),
        (PDF, "application/pdf", PDF),
        (PDF, "", PDF),
        (b'{"a":1}', "application/octet-stream", b'{"a":1}'),
    ],
    ids=lambda value: repr(value)[:30],
)
async def test_an_answer_is_given_by_its_kind_and_asked_for_once(method, body, content_type, value):
    async with client_answered(body, content_type) as client:
        response = await client.with_response.request(method, "/things/1")
        assert response.value == value
        assert type(response.value) is type(value)
        assert [asked[0] for asked in client.asked] == [method]
    assert client.open == []


@pytest.mark.parametrize("status", [200, 201, 204])
async def test_none_is_said_by_nothing_at_all(status):
    async with client_answered(b"", "", status) as client:
        assert await client.request("DELETE", "/things/1") is None
        assert await client.request("GET", "/things/1") is None
    assert client.open == []


@pytest.mark.parametrize(
    ("body", "content_type"),
    [(b'{"a":', "application/json"), (b"<html>", "application/json"), (ERROR, "application/json"), (ERROR, "")],
)
async def test_what_is_no_answer_is_not_believed(body, content_type):
    async with client_answered(body, content_type) as client:
        with pytest.raises(InvalidResponseError):
            await client.request("GET", "/things/1")
        assert len(client.asked) == 3
    async with client_left_unsettled(body, content_type) as client:
        with pytest.raises(OutcomeUnknownError):
            await client.request("POST", "/things")
        assert len(client.asked) == 1


async def test_a_page_of_html_confirms_no_write():
    async with client_answered(b"<html>Sign in</html>", "text/html") as client:
        assert await client.request("GET", "/page") == "<html>Sign in</html>"
    async with client_left_unsettled(b"<html>Sign in</html>", "text/html") as client:
        with pytest.raises(OutcomeUnknownError):
            await client.request("POST", "/things")


@pytest.mark.parametrize("method", ["get", "HEAD", "OPTIONS", "patch", "PURGE", "DELETE"])
async def test_any_method_is_sent(method):
    async with client_answered() as client:
        value = await client.request(method, "/things/1", body={"a": Decimal("1.50")} if method == "patch" else None)
        assert value == (None if method == "HEAD" else {})
        assert client.asked == [(method.upper(), {}, b'{"a":1.50}' if method == "patch" else b"")]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PATCH", "DELETE"])
async def test_what_changes_nothing_is_sent_again_and_nothing_else_is(method):
    async with client_answered(b"", "", 503) as client:
        if method in {"GET", "HEAD", "OPTIONS"}:
            with pytest.raises(ServerError):
                await client.request(method, "/things/1")
            assert len(client.asked) == 3
            return
    async with client_left_unsettled(b"", "", 503) as client:
        with pytest.raises(OutcomeUnknownError) as caught:
            await client.request(method, "/things/1")
        assert caught.value.outcome is Outcome.UNKNOWN
        assert [write.operation for write in client.unresolved()] == ["client.request"]
        assert len(client.asked) == 1


@pytest.mark.parametrize("method", ["", "G T", "GET ", "CONNECT", "trace", 5, None, b"GET", "GÉT"])
async def test_what_is_no_method_is_refused(method):
    async with client_answered() as client:
        with pytest.raises(ValidationError) as caught:
            await client.request(method, "/things/1")
        assert (caught.value.field, client.asked) == ("method", [])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a b&c=d", "a b&c=d"),
        ("", ""),
        (True, "true"),
        (7, "7"),
        (Decimal("25.9800"), "25.9800"),
        (1.5, "1.5"),
        (Kind.OPEN, "Open"),
        (Number.ONE, "1"),
        (Status.HOLD, "Hold"),
        (datetime(2024, 1, 2, 3, tzinfo=UTC), "2024-01-02T03:00:00Z"),
        (date(2024, 1, 2), "2024-01-02"),
        ([1, 2], "1,2"),
        (("a", Kind.OPEN), "a,Open"),
        ({7}, "7"),
        (None, None),
    ],
)
async def test_a_value_of_a_query_has_the_form_of_the_api(value, text):
    async with client_answered() as client:
        await client.request("GET", "/things", query={"q": value, "other": "x"})
        ((_, query, _),) = client.asked
        assert query == ({"other": "x"} if text is None else {"q": text, "other": "x"})


@pytest.mark.parametrize(
    "value",
    [b"x", {"b": 1}, float("nan"), Decimal("Infinity"), Ellipsis, "\ud800", [], ["a,b"], ["a", ""], [None], [[1]]],
    ids=repr,
)
async def test_what_has_no_form_is_refused_before_anything_is_sent(value):
    async with client_answered() as client:
        with pytest.raises(ValidationError) as caught:
            await client.request("GET", "/things", query={"q": value})
        assert caught.value.field.startswith("query")
        assert client.asked == []


@pytest.mark.parametrize("query", ["a=b", [("a", 1)], {1: 2}, {None: 1}, b"a=b"], ids=repr)
async def test_what_is_no_query_is_refused(query):
    async with client_answered() as client:
        with pytest.raises(ValidationError) as caught:
            await client.request("GET", "/things", query=query)
        assert (caught.value.field, client.asked) == ("query", [])
