"""Virtual time goes on for a loop of sleep(0), is exact for who waits, and leaves tests alone that are not async."""

import asyncio

import pytest

pytestmark = pytest.mark.fusebill_simulated(seed=5)


async def test_who_asks_again_and_again_is_answered_in_the_end():
    loop = asyncio.get_running_loop()
    later = loop.create_future()
    loop.call_later(2.0, later.set_result, None)
    while not later.done():  # noqa: ASYNC110
        await asyncio.sleep(0)
    assert 2.0 <= loop.clock.elapsed() < 2.01


async def test_waiting_is_exact():
    loop = asyncio.get_running_loop()
    began = loop.time()
    for _ in range(10):
        await asyncio.sleep(6.0)
        await asyncio.sleep(0)
    assert loop.time() - began == pytest.approx(60.0, abs=1e-9)


def test_that_is_not_async_runs_as_it_is_in_a_module_with_the_mark():
    with pytest.raises(RuntimeError, match="no running event loop"):
        asyncio.get_running_loop()
