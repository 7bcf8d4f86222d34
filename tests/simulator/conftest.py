import pytest_asyncio

from fusebill_async.testing import FusebillSimulator


@pytest_asyncio.fixture
async def fusebill():
    async with FusebillSimulator() as simulator:
        yield simulator
