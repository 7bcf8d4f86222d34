"""Fixtures that every part of the tests may use. With `--uvloop` every event loop of the tests is one of uvloop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from unittest.mock import Mock

import aiohttp
import pytest
from aioresponses import aioresponses, core

from fusebill_async import FusebillClient, RetryPolicy, SettlingPolicy, Timeouts
from fusebill_async.testing import FusebillSimulator
from tests.quick import is_quick

KEY = "MDpub3QtYS1yZWFsLWtleQ"
"""Looks like a key, and is none."""

QUICK = SettlingPolicy(first_read=0.005, quiet_period=0.05, retry_delay=0.01, wait=5.0, close_wait=2.0)
"""Settling that takes no time to speak of."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--uvloop", action="store_true", help="run every event loop of the tests on uvloop")
    parser.addoption("--rounds", type=int, default=1, help="rounds of SIGTERM with each web framework")
    parser.addoption("--whole", action="store_true", help="see the whole matrix with hooks, not one verb of each kind")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--uvloop"):
        uvloop = pytest.importorskip("uvloop")
        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    # To import every other file would take longer than the tests.
    other = collection_path.name.startswith("test_") and not is_quick(collection_path)
    return True if config.option.markexpr == "quick" and other else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if is_quick(item.path):
            item.add_marker(pytest.mark.quick)


class ResponseWithoutWriter(aiohttp.ClientResponse):
    """aiohttp 3.14 wants a `stream_writer`, which aioresponses 0.7.9 does not give."""

    def __init__(self, *arguments: object, **options: object) -> None:
        options.setdefault("stream_writer", Mock(output_size=0))
        super().__init__(*arguments, **options)  # type: ignore[arg-type]


@pytest.fixture
def mocked(monkeypatch: pytest.MonkeyPatch) -> Iterator[aioresponses]:
    """aioresponses, made to work with this aiohttp. `test_aioresponses_still_needs_help` says when it can go."""
    monkeypatch.setattr(core, "ClientResponse", ResponseWithoutWriter)
    with aioresponses() as mock:
        yield mock


@pytest.fixture
async def fusebill() -> AsyncIterator[FusebillSimulator]:
    """A service without customers, on a free loopback port."""
    async with FusebillSimulator() as simulator:
        yield simulator


@pytest.fixture
async def client(fusebill: FusebillSimulator) -> AsyncIterator[FusebillClient]:
    """A client of that service which settles fast."""
    async with FusebillClient(
        KEY,
        base_url=fusebill.base_url,
        settling=QUICK,
        retry=RetryPolicy(backoff=0.001),
        timeouts=Timeouts(read=2.0),
    ) as opened:
        yield opened
