"""Many calls leave nothing behind: no memory that grows, no cycles, and no connection that has gone."""

import asyncio
import gc
import sys
import threading
from collections.abc import Coroutine
from contextlib import contextmanager

import pytest
from aiohttp.client_proto import ResponseHandler

from fusebill_async import FusebillClient
from fusebill_async.session.call import Call
from fusebill_async.testing import Fault, FusebillSimulator

ID = 12000750
CALLS = 1000
AT_MOST = 2
"""Blocks a call. What goes comes in waves: asyncio drops its cancelled timers a hundred at a time."""
VERBS = {
    "get": lambda client: client.customers.get(ID),
    "hold": lambda client: client.customers.hold(ID),
    "update": lambda client: client.customers.update(ID, company_name="Grok Ltd"),
}


@contextmanager
def service():
    """The simulator on an event loop of its own, in a thread of its own: what this thread keeps is the client's."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    simulator = FusebillSimulator(enforce_states=False, record_requests=False, log_size=10)

    def carry_out(work: Coroutine) -> None:
        asyncio.run_coroutine_threadsafe(work, loop).result(10)

    try:
        carry_out(simulator.start())
        simulator.add_customer(id=ID, status="Active")
        yield simulator
        carry_out(simulator.aclose())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@pytest.fixture
def repeat():
    """Make warm calls one after the other; give how many blocks of memory they leave. Debug mode would keep stacks."""
    with service() as simulator, asyncio.Runner(debug=False) as runner:
        client = FusebillClient("MDpub3QtYS1yZWFsLWtleQ", base_url=simulator.base_url)

        async def calls(verb: str, count: int) -> None:
            for _ in range(count):
                await VERBS[verb](client)

        def run(verb: str) -> int:
            runner.run(calls(verb, 100))
            gc.collect()
            gc.disable()
            try:
                before = sys.getallocatedblocks()
                runner.run(calls(verb, CALLS))
                return sys.getallocatedblocks() - before
            finally:
                gc.enable()

        yield run
        runner.run(client.aclose())


@pytest.mark.parametrize("verb", VERBS)
def test_calls_leave_no_memory_and_no_cycles_behind(repeat, verb):
    blocks = repeat(verb)
    assert blocks < CALLS * AT_MOST, f"{verb}: {blocks} blocks of memory stay of {CALLS} calls"
    assert gc.collect() < CALLS, f"{verb}: every call leaves cycles to the garbage collector"


def test_a_call_that_has_ended_is_gone_at_once(repeat):
    """Cancelled timers stay in the event loop for a while, and what knows of them must not know of the call."""
    gc.collect()
    gc.disable()
    try:
        repeat("hold")
        alive = sum(isinstance(one, Call) for one in gc.get_objects())
    finally:
        gc.enable()
    assert alive == 0


async def test_a_connection_that_has_gone_leaves_nothing_behind():
    async with FusebillSimulator() as simulator:
        simulator.add_customer(id=ID, status="Active")
        async with FusebillClient("MDpub3QtYS1yZWFsLWtleQ", base_url=simulator.base_url) as client:
            gc.collect()
            gc.disable()
            try:
                for _ in range(10):
                    simulator.inject(Fault.close_after_answer(operation="get"))
                    await client.customers.get(ID)
                await client.customers.get(ID)
                alive = [one for one in gc.get_objects() if isinstance(one, ResponseHandler) and not one.is_connected()]
            finally:
                gc.enable()
    assert simulator.connections >= 10
    assert len(alive) <= 1
