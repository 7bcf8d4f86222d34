"""The pytest plugin. It is found by its entry point, so it must cost nothing to those who do not use it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, cast

import pytest

if TYPE_CHECKING:
    from fusebill_async.client import FusebillClient
    from fusebill_async.testing.simulator import FusebillSimulator


def _async_fixture(function: Callable[..., AsyncIterator[Any]]) -> Any:
    """Make a fixture for auto and strict mode; without pytest-asyncio another plugin may run it."""
    try:
        import pytest_asyncio  # noqa: PLC0415  # optional
    except ImportError:
        return pytest.fixture(function)
    return cast("Any", pytest_asyncio).fixture(function)  # its own types are incomplete


@_async_fixture
async def fusebill_simulator() -> AsyncIterator[FusebillSimulator]:
    """A running simulator without customers."""
    from fusebill_async.testing.simulator import FusebillSimulator  # noqa: PLC0415  # only when it is used

    async with FusebillSimulator() as simulator:
        yield simulator


@_async_fixture
async def fusebill_client(fusebill_simulator: FusebillSimulator) -> AsyncIterator[FusebillClient]:
    """A client of `fusebill_simulator` that settles within a fraction of a second."""
    from fusebill_async.client import FusebillClient  # noqa: PLC0415  # only when it is used
    from fusebill_async.settings import SettlingPolicy  # noqa: PLC0415

    settling = SettlingPolicy(first_read=0.01, quiet_period=0.1, retry_delay=0.02)
    async with FusebillClient("key", base_url=fusebill_simulator.base_url, settling=settling) as client:
        yield client
