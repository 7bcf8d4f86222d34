"""What came on a kept connection before a request is no answer to it, also if the event loop has not seen it yet.

aiohttp notices what it was told: bytes that the event loop has read, and an end that it has seen. A program that was
busy since then asks on such a connection before the loop has looked, so the client asks the kernel, too.
"""

import asyncio
import os
import socket
import time
from contextlib import asynccontextmanager

import aiohttp
import pytest

from fusebill_async import PoolSettings, Timeouts
from fusebill_async.session import aiohttp_transport
from fusebill_async.testing import Fault
from tests.outcomes.outcome_cases import EVERY_WRITE, VERBS, WRITES, keep_connections, make_client

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
    """A client, and the relay on its kept connection."""
    fusebill.add_customer(id=1000)
    # The loop is blocked on purpose: the limits are not what is tested.
    patient = {"timeouts": Timeouts(connect=5.0, read=5.0, total=20.0, queue=10.0), **options}
    async with Relay(fusebill) as relay, make_client(fusebill, base_url=relay.base_url, **patient) as client:
        await keep_connections(client, 1000)
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
    assert relay.connections > 1 or (spoken == PART and hears_first())


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


MONEY = {"activate", "activate_items", "cancel", "release_hold", "uncancel", "create"}
"""What moves money, and what creates."""


@pytest.mark.parametrize("mode", [None, "money", "writes", "never"])
@pytest.mark.parametrize("verb", [*EVERY_WRITE, VERBS["get"]], ids=str)
async def test_which_calls_have_a_connection_of_their_own(fusebill, verb, mode):
    """No answer that is left over from another call can reach such a one."""
    fusebill.add_customer(id=1, status=verb.status, **verb.fields)
    fusebill.add_customer(id=1000)
    async with make_client(fusebill, pool=PoolSettings(fresh_connections=mode)) as client:
        for _ in range(2):
            await client.customers.get(1000)
        await verb.call(client.with_response, 1)
        await client.customers.get(1000)
    kept, kept_still, *others, back = [request.connection for request in fusebill.requests]
    assert kept == kept_still == back
    wanted = {"writes": verb.kind != "read", "never": False}.get(mode, verb.name in MONEY)
    assert (others[-1] != kept) is wanted


async def test_a_request_that_may_move_money_has_one_too(fusebill):
    fusebill.add_customer(id=1, status="Active")
    async with make_client(fusebill) as client:
        await client.request("GET", "/customers/1")
        await client.request("POST", "/CustomerHold/1")
        await client.request("GET", "/customers/1")
    first, post, last = [request.connection for request in fusebill.requests]
    assert first == last != post


async def test_in_a_session_that_was_handed_in_none_has(fusebill):
    fusebill.add_customer(id=1, status="Draft")
    async with aiohttp.ClientSession() as session, make_client(fusebill, session=session) as client:
        await client.customers.get(1)
        await client.customers.activate(1, True, True, False)
    assert len({request.connection for request in fusebill.requests}) == 1


@pytest.mark.parametrize("name", ["activate", "create"])
async def test_a_second_answer_that_is_under_way_reaches_nothing_that_moves_money(fusebill, name):
    """It comes after the next call was sent, when no look into a kept connection can find it."""
    verb = VERBS[name]
    fusebill.add_customer(id=1, status=verb.status)
    fusebill.add_customer(id=2)
    fusebill.inject(Fault.unsolicited_answer(operation="geotab.unlatch", customer_id=2, after=0.02, other=1))
    fusebill.inject(Fault.delay(0.05, operation=verb.title))
    async with make_client(fusebill) as client:
        await client.geotab.unlatch(2)
        response = await verb.call(client.with_response, 1)
    assert (response.confirmed_by, len(response.attempts)) == ("response", 1)
    assert fusebill.effects(verb.title) == 1


async def test_every_kept_connection_may_be_such_a_one(fusebill):
    for number in range(1, 5):
        fusebill.add_customer(id=number, status="Active")
    async with on_kept_connections(fusebill, pool=PoolSettings(connections=4)) as (client, relay):
        with fusebill.hold_open("hubspot.unlatch"):
            writes = [asyncio.ensure_future(client.hubspot.unlatch(number)) for number in range(1, 5)]
            while fusebill.held_open < 4:  # noqa: ASYNC110 (what the service saw is looked at, not awaited)
                await asyncio.sleep(0.001)
        await asyncio.gather(*writes)
        assert relay.connections == 4
        relay.speak(SECOND_ANSWER)
        response = await client.with_response.customers.hold(1)
    assert (response.confirmed_by, len(response.attempts)) == ("response", 1)
    assert fusebill.effects("hold", 1) == 1


@pytest.mark.parametrize("name", ["hold", "update"])
async def test_without_that_look_the_refusal_is_believed(fusebill, name, monkeypatch):
    """As long as this one sees the refusal, the kernel still is the only one who knows when the write goes out."""
    if hears_first():
        pytest.skip("the loop knows it, too")
    monkeypatch.setattr(aiohttp_transport, "_speaks_unasked", lambda connection: False)
    verb = VERBS[name]
    fusebill.add_customer(id=1, status=verb.status)
    async with on_kept_connections(fusebill) as (client, relay):
        relay.speak(SECOND_ANSWER)
        with pytest.raises(Exception, match="already in Hold"):
            await verb.call(client.with_response, 1)
