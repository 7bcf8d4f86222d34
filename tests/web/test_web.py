"""The apps of the chapter on web apps, as real processes: ended, left by a browser, refused by the service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import attrs
import pytest

from fusebill_async.testing import Fault, FusebillSimulator
from tests.web.apps import FRAMEWORKS, App
from tests.web.rounds import WRITES, run


@pytest.fixture(params=FRAMEWORKS)
def framework(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--rounds"))


@pytest.mark.parametrize("kill", [False, True], ids=["SIGTERM", "SIGTERM, then SIGKILL"])
async def test_every_effect_is_answered_or_found_by_the_next_start(
    framework: str, tmp_path: Path, rounds: int, *, kill: bool
):
    tally = await run(framework, tmp_path, rounds=rounds, kill=kill)
    assert tally.told == []
    assert tally.counts["writes"] == WRITES * rounds
    assert tally.counts["answered"] + tally.counts["found"] == tally.counts["effects"] > 0
    # It came in the middle.
    assert tally.counts["under_way"] > 0


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(2000):
        if holds():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came to pass")


@attrs.frozen
class Running:
    app: App
    browser: aiohttp.ClientSession
    fusebill: FusebillSimulator

    async def post(self, path: str, key: str | None = "order-1") -> tuple[int | None, str | None]:
        return await self.app.post(self.browser, path, key)


@pytest.fixture
async def running(framework: str, tmp_path: Path) -> AsyncIterator[Running]:
    async with (
        FusebillSimulator() as fusebill,
        App(framework, tmp_path, fusebill.base_url) as app,
        aiohttp.ClientSession() as browser,
    ):
        fusebill.add_customer(id=1, status="Draft")
        fusebill.add_customer(id=2, status="Active")
        yield Running(app, browser, fusebill)


async def test_a_browser_that_leaves_does_not_stop_its_write(running: Running):
    running.fusebill.latency = 0.3
    leaving = asyncio.create_task(running.post("/customers/1/activation"))
    await until(lambda: running.fusebill.received("activate") > 0)
    leaving.cancel()
    await asyncio.wait([leaving])
    assert await running.app.outcome(running.browser, "order-1") == "unknown"
    # It asks again at once, and gets the outcome of the write that is under way.
    assert await running.post("/customers/1/activation") == (200, "applied")
    assert await running.app.outcome(running.browser, "order-1") == "applied"
    running.fusebill.assert_effects("activate", 1, 1)


async def test_the_next_start_settles_what_was_open(running: Running):
    running.fusebill.inject(Fault.hang_after_effect(operation="activate"))
    asked = asyncio.create_task(running.post("/customers/1/activation"))
    await until(lambda: running.fusebill.effects("activate") > 0)
    await running.app.end()
    assert (await asked)[1] != "applied"
    async with App(running.app.framework, running.app.folder, running.fusebill.base_url) as app:
        found = [await app.outcome(running.browser, "order-1")]
        for _ in range(200):
            if found[-1] != "applied":
                await asyncio.sleep(0.05)
                found.append(await app.outcome(running.browser, "order-1"))
        assert found[-1] == "applied"
        assert await app.post(running.browser, "/customers/1/activation", "order-1") == (200, "applied")
    running.fusebill.assert_effects("activate", 1, 1)


async def test_errors_become_answers(running: Running):
    fusebill = running.fusebill
    assert await running.post("/customers/9/hold") == (404, "rejected")
    assert await running.post("/customers/1/hold", "order-2") == (409, "rejected")
    assert (await running.post("/customers/2/hold", None))[0] == 422
    assert await running.post("/customers/2/hold", "order-3") == (200, "applied")
    assert await running.post("/customers/1/activation", "order-3") == (422, "not_sent")
    fusebill.inject(Fault.reset_before_effect(operation="activate"))
    assert await running.post("/customers/1/activation", "order-4") == (503, "not_applied")
    fusebill.assert_effects("activate", 1, 0)
    fusebill.inject(Fault.status(401, operation="activate", effect="none"))
    assert await running.post("/customers/1/activation", "order-5") == (502, "rejected")
    assert await running.app.outcome(running.browser, "order-6") is None


async def test_a_repeated_request_has_one_effect(running: Running):
    asked = [running.post("/customers/1/activation") for _ in range(5)]
    assert await asyncio.gather(*asked) == [(200, "applied")] * 5
    running.fusebill.assert_effects("activate", 1, 1)
