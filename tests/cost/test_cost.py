"""What a call may cost, in counts and not in seconds: a machine that is busy cannot make these fail.

One warm call on a kept connection, the service in another thread. The least of many calls is taken, since a timer of
the event loop may fall into some of them. A ceiling is what was counted, and a tenth: whoever breaks one has either
something to undo, or a reason to give with the new figure. `python -m benchmarks.all` shows what it means in time.
"""

import asyncio
import gc
import sys
import threading
import tracemalloc
from collections.abc import Callable, Coroutine
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiohttp.client_proto import ResponseHandler

import fusebill_async
from benchmarks.server import running
from fusebill_async import FusebillClient
from fusebill_async.testing import Fault, FusebillSimulator

PACKAGE = str(Path(fusebill_async.__file__).parent)
ID = 12000750
CALLS = 20
BUFFER = 256 * 1024
"""What asyncio reads into, at the service."""


@contextmanager
def service():
    """The simulator on an event loop of its own, in a thread of its own: the profile of this thread is the client's."""
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
    """Make one warm call after the other, and give what a counter counts in each. Debug mode is off: it costs too."""
    with service() as simulator, asyncio.Runner(debug=False) as runner:
        client = FusebillClient("MDpub3QtYS1yZWFsLWtleQ", base_url=simulator.base_url)

        def run(verb: str, count: Callable[[], Callable[[], int]]) -> list[int]:
            call = getattr(client.customers, verb)

            async def calls() -> list[int]:
                for _ in range(50):
                    await call(ID)
                counts = []
                for _ in range(CALLS):
                    stop = count()
                    await call(ID)
                    counts.append(stop())
                return counts

            gc.collect()
            gc.disable()
            try:
                return runner.run(calls())
            finally:
                gc.enable()

        yield run
        runner.run(client.aclose())


def function_calls(*, ours: bool) -> Callable[[], Callable[[], int]]:
    """Count the Python functions that are entered, and the coroutines that are resumed."""

    def start() -> Callable[[], int]:
        counted = 0
        former = sys.getprofile()

        def saw(frame, event, _argument) -> None:
            nonlocal counted
            if event == "call" and (not ours or frame.f_code.co_filename.startswith(PACKAGE)):
                counted += 1

        def stop() -> int:
            sys.setprofile(former)
            return counted

        sys.setprofile(saw)
        return stop

    return start


def peak_memory() -> Callable[[], int]:
    """Measure the bytes that a call has allocated at its highest."""
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()

    def stop() -> int:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak - before

    return stop


def blocks_that_stay() -> Callable[[], int]:
    """Count the blocks of memory that a call leaves behind."""
    before = sys.getallocatedblocks()
    return lambda: sys.getallocatedblocks() - before


@pytest.mark.parametrize(("verb", "ceiling"), [("hold", 69), ("get", 55)])
def test_a_call_enters_few_functions_of_ours(repeat, verb, ceiling):
    counted = min(repeat(verb, function_calls(ours=True)))
    assert counted <= ceiling, f"{verb}: {counted} functions of ours were entered, {ceiling} may be"


@pytest.mark.parametrize(("verb", "ceiling"), [("hold", 257), ("get", 212)])
def test_a_call_enters_few_functions_in_all(repeat, verb, ceiling):
    counted = min(repeat(verb, function_calls(ours=False)))
    assert counted <= ceiling, f"{verb}: {counted} functions were entered, {ceiling} may be"


async def test_a_read_makes_little_room():
    """Less than half of what asyncio makes by itself, which costs a tenth of a call: see `session/pool.py`."""
    with running() as url:
        async with FusebillClient("key", base_url=url) as client:
            for number in range(1, 50):
                await client.customers.hold(number)
            stop = peak_memory()
            await client.customers.hold(50)
            assert stop() < BUFFER // 2


@pytest.mark.parametrize(("verb", "ceiling"), [("hold", BUFFER + 11_900), ("get", BUFFER + 9_300)])
def test_a_call_allocates_little(repeat, verb, ceiling):
    counted = min(repeat(verb, peak_memory))
    assert counted <= ceiling, f"{verb}: {counted} bytes were allocated at the highest, {ceiling} may be"


@pytest.mark.parametrize("verb", ["hold", "get"])
def test_a_call_leaves_nothing_behind(repeat, verb):
    counted = repeat(verb, blocks_that_stay)
    assert sorted(counted)[CALLS // 2] <= 0, f"{verb}: blocks of memory stay, {counted}"


@pytest.mark.parametrize("verb", ["hold", "get"])
def test_a_call_makes_no_cyclic_garbage(repeat, verb):
    repeat(verb, blocks_that_stay)
    assert gc.collect() < CALLS, f"{verb}: every call leaves cycles to the garbage collector"


async def test_a_connection_that_has_gone_leaves_nothing_behind():
    """The pool remembers the last exchange of a connection, and that must not keep the connection."""
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
