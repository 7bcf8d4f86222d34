"""What came on a kept connection before a request is no answer to it, also if the event loop has not seen it yet.

aiohttp notices what it was told: bytes that the event loop has read, and an end that it has seen. A program that was
busy since then asks on such a connection before the loop has looked, so the client asks the kernel, too.
"""

import asyncio
import os
import socket
import time
from contextlib import asynccontextmanager

import pytest

from fusebill_async import PoolSettings, Timeouts
from fusebill_async.session.pool import Kept
from tests.outcomes.outcome_cases import VERBS, WRITES, keep_connections, make_client

REFUSAL = b'{"ErrorId":7,"Errors":[{"Key":"Customer","Value":"The customer is already in Hold status."}]}'
SECOND_ANSWER = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(REFUSAL) + REFUSAL
)


PART = SECOND_ANSWER[:10]


def hears_first():
    """Whether the event loop reads what came before the task of a write begins: uvloop does, asyncio's does not."""
    return not isinstance(asyncio.get_running_loop(), asyncio.SelectorEventLoop)


class Relay:
    """Stands before the service, hands everything on, and has a voice of its own."""

    def __init__(self, fusebill):
        self._port = fusebill.port
        self._towards_client = []
        self._tasks = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def base_url(self):
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    @property
    def connections(self):
        """How many the client has made."""
        return len(self._towards_client)

    async def _serve(self, from_client, to_client):
        self._tasks.add(asyncio.current_task())
        self._towards_client.append(to_client)
        from_service, to_service = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            await asyncio.gather(self._hand_on(from_client, to_service), self._hand_on(from_service, to_client))
        finally:
            to_service.close()
            to_client.close()

    async def _hand_on(self, reader, writer):
        while chunk := await reader.read(65536):
            writer.write(chunk)
        if not writer.is_closing():
            writer.write_eof()

    def speak(self, spoken):
        """Say something on every idle connection, or end it, while the program is too busy to hear that.

        The system is told directly: not every event loop hands on at once what is written.
        """
        for writer in self._towards_client:
            if not writer.is_closing():
                with socket.socket(fileno=os.dup(writer.get_extra_info("socket").fileno())) as connection:
                    connection.sendall(spoken) if spoken else connection.shutdown(socket.SHUT_WR)
        time.sleep(0.02)


@asynccontextmanager
async def on_kept_connections(fusebill, **options):
    """A client, and the relay on its two kept connections: reads and writes never share one."""
    fusebill.add_customer(id=1000)
    # The loop is blocked on purpose: the limits are not what is tested.
    patient = {"timeouts": Timeouts(connect=5.0, read=5.0, total=20.0, queue=10.0), **options}
    async with Relay(fusebill) as relay, make_client(fusebill, base_url=relay.base_url, **patient) as client:
        await keep_connections(client, 1000)
        assert relay.connections == 2
        yield client, relay


@pytest.mark.parametrize("spoken", [SECOND_ANSWER, PART, b""], ids=["a refusal", "a part of it", "an end"])
@pytest.mark.parametrize("verb", WRITES, ids=str)
async def test_what_waits_in_the_kernel_is_no_answer_to_the_next_write(fusebill, verb, spoken):
    fusebill.add_customer(id=1, status=verb.status)
    async with on_kept_connections(fusebill) as (client, relay):
        relay.speak(spoken)
        response = await verb.call(client.with_response, 1)
    assert (response.confirmed_by, response.attribution, len(response.attempts)) == ("response", "ours", 1)
    assert fusebill.effects(verb.title, 1) == fusebill.received(verb.title, 1) == 1
    # A part that the loop has read was thrown away with the parser of the answer before, and does no harm.
    assert relay.connections > 2 or (spoken == PART and hears_first())


@pytest.mark.parametrize("spoken", [SECOND_ANSWER, b""], ids=["a refusal", "an end"])
async def test_neither_to_the_next_read(fusebill, spoken):
    async with on_kept_connections(fusebill) as (client, relay):
        relay.speak(spoken)
        response = await client.with_response.customers.get(1000)
    assert (response.value.id, len(response.attempts)) == (1000, 1)


@pytest.mark.parametrize("spoken", [SECOND_ANSWER, PART, b""], ids=["a refusal", "a part of it", "an end"])
@pytest.mark.parametrize("name", ["hold", "activate", "update"])
async def test_nor_what_the_event_loop_has_read_since(fusebill, name, spoken):
    verb = VERBS[name]
    fusebill.add_customer(id=1, status=verb.status)
    async with on_kept_connections(fusebill) as (client, relay):
        relay.speak(spoken)
        for _ in range(5):
            await asyncio.sleep(0)
        response = await verb.call(client.with_response, 1)
    assert (response.confirmed_by, len(response.attempts)) == ("response", 1)
    assert fusebill.effects(verb.title, 1) == fusebill.received(verb.title, 1) == 1


async def test_a_write_may_have_a_connection_of_its_own(fusebill):
    fusebill.add_customer(id=1, status="Active")
    async with on_kept_connections(fusebill, pool=PoolSettings(fresh_connection_per_write=True)) as (client, relay):
        await client.customers.hold(1)
        await client.hubspot.unlatch(1)
        await client.customers.get(1)
    assert relay.connections == 4
    read, first, hold, unlatch, again = [request.connection for request in fusebill.requests]
    assert len({read, first, hold, unlatch}) == 4
    assert again == read


async def test_every_kept_connection_may_be_such_a_one(fusebill):
    for number in range(1, 5):
        fusebill.add_customer(id=number, status="Active")
    async with on_kept_connections(fusebill, pool=PoolSettings(connections=4)) as (client, relay):
        with fusebill.hold_open("hubspot.unlatch"):
            writes = [asyncio.ensure_future(client.hubspot.unlatch(number)) for number in range(1, 5)]
            while fusebill.held_open < 4:  # noqa: ASYNC110 (what the service saw is looked at, not awaited)
                await asyncio.sleep(0.001)
        await asyncio.gather(*writes)
        assert relay.connections == 5
        relay.speak(SECOND_ANSWER)
        response = await client.with_response.customers.hold(1)
    assert (response.confirmed_by, len(response.attempts)) == ("response", 1)
    assert fusebill.effects("hold", 1) == 1


@pytest.mark.parametrize("name", ["hold", "activate"])
async def test_without_that_look_the_refusal_is_believed(fusebill, name, monkeypatch):
    """As long as this one sees the refusal, the kernel still is the only one who knows when the write goes out."""
    if hears_first():
        pytest.skip("the loop knows it, too")
    monkeypatch.setattr(Kept, "something_waits", lambda self: False)
    verb = VERBS[name]
    fusebill.add_customer(id=1, status=verb.status)
    async with on_kept_connections(fusebill) as (client, relay):
        relay.speak(SECOND_ANSWER)
        with pytest.raises(Exception, match="already in Hold"):
            await verb.call(client.with_response, 1)
