import pytest

from fusebill_async.testing import FusebillSimulator


@pytest.fixture
async def fusebill():
    async with FusebillSimulator() as simulator:
        yield simulator
        await simulator.wait_for_late_effects()
