"""The mark for tests in virtual time, as a user's project runs it: in both modes of pytest-asyncio."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SIMULATED = """
import asyncio

import pytest
import pytest_asyncio

from fusebill_async import NotAppliedError
from fusebill_async.testing import Fault, VirtualTimeLoop


@pytest_asyncio.fixture
async def customer_id(fusebill_simulator):
    assert isinstance(asyncio.get_running_loop(), VirtualTimeLoop)
    fusebill_simulator.add_customer(id=1, status="Draft")
    yield 1
    await asyncio.sleep(1000)


@pytest.mark.fusebill_simulated(seed=7)
async def test_lost_activation(fusebill_simulator, fusebill_client, customer_id):
    fusebill_simulator.inject(Fault.reset_before_effect(operation="activate", times=1))
    with pytest.raises(NotAppliedError):  # read twice, a minute apart
        await fusebill_client.customers.activate(customer_id, True, True, False)
    assert fusebill_simulator.effects("activate", customer_id) == 0
    assert asyncio.get_running_loop().clock.elapsed() > 60


@pytest.mark.fusebill_simulated(seed=7, latency=(1.0, 1.0), split=1.0)
@pytest.mark.asyncio(loop_scope="module")
async def test_slow_network(fusebill_simulator, fusebill_client):
    fusebill_simulator.add_customer(id=1, status="Active")
    await fusebill_client.customers.hold(1)
    assert asyncio.get_running_loop().clock.elapsed() == pytest.approx(4.0)


@pytest.mark.asyncio
async def test_in_real_time(fusebill_simulator, fusebill_client):
    assert not isinstance(asyncio.get_running_loop(), VirtualTimeLoop)
    fusebill_simulator.add_customer(id=1, status="Active")
    await fusebill_client.customers.hold(1)
"""

IN_VAIN = """
import asyncio

import pytest


@pytest.mark.fusebill_simulated(seed=7)
async def test_in_vain(fusebill_client):
    await asyncio.sleep(5)
    await asyncio.get_running_loop().create_future()
"""

NOT_ASYNC = """
import pytest


@pytest.mark.fusebill_simulated(seed=7)
def test_not_async():
    pass
"""


def run(tmp_path: Path, text: str, mode: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "test_it.py").write_text(text)
    options = ["-q", "-W", "error", "--strict-markers", "-p", "no:cacheprovider", "-o", f"asyncio_mode={mode}"]
    options += ["-o", "asyncio_default_fixture_loop_scope=function"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={**environment, "PYTHONPATH": str(Path(__file__).parents[2])},
    )


@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_a_marked_test_and_its_fixtures_run_in_virtual_time_and_others_do_not(mode: str, tmp_path: Path):
    shown = run(tmp_path, SIMULATED, mode)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "3 passed" in shown.stdout


def test_a_failure_tells_the_seed_and_who_waits(tmp_path: Path):
    shown = run(tmp_path, IN_VAIN, "auto")
    assert shown.returncode == 1
    assert "deadlock: nothing is scheduled any more" in shown.stdout
    assert "test_in_vain (test_it.py:10)" in shown.stdout
    assert "seed=7, 5.000000 s of virtual time" in shown.stdout


def test_a_test_that_is_not_async_is_refused(tmp_path: Path):
    shown = run(tmp_path, NOT_ASYNC, "auto")
    assert shown.returncode
    assert "fusebill_simulated is for async tests" in shown.stdout + shown.stderr
