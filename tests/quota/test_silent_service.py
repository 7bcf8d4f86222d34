"""A service that never tells its quota is not paced; one that does is, and so are limits that the user names."""

from __future__ import annotations

import asyncio
import time

import pytest

from fusebill_async import FusebillClient, QuotaPolicy

ANSWER = b'{"id": 1, "status": "Hold"}'


async def serve(headers: bytes, quota: QuotaPolicy | None, calls: int) -> float:
    """Make so many calls against a service that answers with these headers, and give the seconds they took."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s" % (headers, len(ANSWER), ANSWER))

    async def answer_until_closed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(answer_until_closed, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    started = time.monotonic()
    async with server:
        async with FusebillClient("key", base_url=url, quota=quota) as client:
            for _ in range(calls):
                await client.customers.get(1)
        return time.monotonic() - started


@pytest.mark.parametrize(
    ("headers", "quota", "paced"),
    [
        (b"", None, False),
        (b"", QuotaPolicy(per_minute=600), True),
        (b"X-Rate-Limit-Limit-Minute: 600\r\nX-Rate-Limit-Remaining-Minute: 500\r\n", None, True),
    ],
)
async def test_pacing(headers: bytes, quota: QuotaPolicy | None, paced: bool):
    # 600 a minute is one each 100 ms; a few go at once, and 20 calls later nearly two seconds have passed.
    took = await serve(headers, quota, 25)
    assert (took > 1.0) is paced
