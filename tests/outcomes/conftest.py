import sys
from pathlib import Path

import pytest

from fusebill_async.testing import FusebillSimulator

# The campaign lives beside the benchmarks.
sys.path.insert(0, str(Path(__file__).parents[2]))


@pytest.fixture
async def fusebill():
    async with FusebillSimulator() as simulator:
        yield simulator
        await simulator.wait_for_late_effects()
