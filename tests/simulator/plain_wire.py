"""A client of a few lines over a plain socket: what it sees is what is on the wire."""

from __future__ import annotations

import asyncio
import contextlib
import json
from decimal import Decimal

import attrs


@attrs.frozen
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for given, value in self.headers if given.lower() == name.lower()), None)

    @property
    def json(self):
        return json.loads(self.body, parse_float=Decimal)

    @property
    def text(self) -> str:
        """The text of the only error."""
        ((entry),) = self.json["Errors"]
        return entry["Value"]


class Wire:
    """One connection."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def __aenter__(self):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port, limit=2**27)
        return self

    async def __aexit__(self, *_):
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

    async def send(self, method: str, path: str, body=None, *, key="key", headers=()):
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}"]
        if key is not None:
            lines.append(f"Authorization: Basic {key}")
        data = b""
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
        if method != "GET":
            lines.append(f"Content-Length: {len(data)}")
        lines.extend(headers)
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + data)
        await self.writer.drain()

    async def head(self) -> Answer:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.split("\r\n")[:-2]
        pairs = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        return Answer(int(first.split()[1]), pairs, b"")

    async def receive(self) -> Answer:
        head = await self.head()
        body = await self.reader.readexactly(int(head.header("content-length") or 0))
        return attrs.evolve(head, body=body)

    async def ask(self, method: str, path: str, body=None, **more) -> Answer:
        await self.send(method, path, body, **more)
        return await asyncio.wait_for(self.receive(), 20)


async def ask(simulator, method: str, path: str, body=None, **more) -> Answer:
    async with Wire(simulator.port) as wire:
        return await wire.ask(method, path, body, **more)
