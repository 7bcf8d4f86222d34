"""A test of a user's fails at its end if it left something that it did not mean, and says what arrived."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fusebill_async.testing import FusebillSimulator

ROOT = Path(__file__).parents[2]

TESTS = """
import pytest

from fusebill_async import OutcomeUnknownError
from fusebill_async.testing import Fault


async def test_good_in_the_end(fusebill_simulator, fusebill_client):
    fusebill_simulator.add_customer(id=1, status="Draft")
    fusebill_simulator.inject(Fault.reset_after_effect(operation="activate"), Fault.delay(0.0, times=None))
    await fusebill_client.customers.activate(1, True, True, False)
    fusebill_simulator.assert_effects("activate", 1)


async def test_good_without_a_word(fusebill_simulator, fusebill_client):
    fusebill_simulator.add_customer(id=1, status="Active")
    await fusebill_client.customers.hold(1)


async def test_good_with_all_together(fusebill_simulator, fusebill_client):
    for number in (1, 2):
        fusebill_simulator.add_customer(id=number, status="Active")
        await fusebill_client.customers.hold(number)
    fusebill_simulator.assert_effects("hold", times=2)


async def test_bad_fault(fusebill_simulator, fusebill_client):
    fusebill_simulator.add_customer(id=1, status="Active")
    fusebill_simulator.inject(Fault.reset_after_effect(operation="activate"))
    fusebill_simulator.inject(Fault.reset_after_effect(operation="hold"))
    await fusebill_client.customers.hold(1)


async def leaves_unresolved(fusebill_simulator, fusebill_client):
    fusebill_simulator.inject(Fault.reset_after_effect())
    with pytest.raises(OutcomeUnknownError):  # no read can tell what became of it
        await fusebill_client.request("POST", "/customers/1/notes", body={"note": "x"})


@pytest.mark.filterwarnings("error")
async def test_bad_unresolved(fusebill_simulator, fusebill_client):
    await leaves_unresolved(fusebill_simulator, fusebill_client)


@pytest.mark.fusebill_strict(unresolved=False)
@pytest.mark.filterwarnings("ignore::fusebill_async.UnresolvedWritesWarning")
async def test_good_unresolved_as_told(fusebill_simulator, fusebill_client):
    await leaves_unresolved(fusebill_simulator, fusebill_client)


async def writes_twice(fusebill_simulator, fusebill_client):
    for number in (1, 2):
        fusebill_simulator.add_customer(id=number, status="Active")
        await fusebill_client.customers.hold(number)
    fusebill_simulator.assert_effects("hold", 1)


async def test_bad_write(fusebill_simulator, fusebill_client):
    await writes_twice(fusebill_simulator, fusebill_client)


@pytest.mark.fusebill_strict(writes=False)
async def test_good_write_as_told(fusebill_simulator, fusebill_client):
    await writes_twice(fusebill_simulator, fusebill_client)


@pytest.fixture
def in_passing(request):
    request.applymarker(pytest.mark.fusebill_strict(False))


async def test_good_write_as_a_fixture_told(in_passing, fusebill_simulator, fusebill_client):
    await writes_twice(fusebill_simulator, fusebill_client)


async def test_bad_afterwards(fusebill_simulator, fusebill_client):
    fusebill_simulator.add_customer(id=1, status="Active")
    fusebill_simulator.assert_effects("hold", 1, 0)
    await fusebill_client.customers.hold(1)


@pytest.mark.fusebill_strict(False)
async def test_good_fault_as_told(fusebill_simulator):
    fusebill_simulator.inject(Fault.reset_after_effect())


@pytest.mark.fusebill_simulated(seed=7)
async def test_bad_in_virtual_time(fusebill_simulator, fusebill_client):
    fusebill_simulator.inject(Fault.reset_after_effect(operation="activate"))


@pytest.mark.fusebill_strict(write=False)
async def test_bad_mark(fusebill_simulator):
    pass


async def test_failed_already(fusebill_simulator):
    fusebill_simulator.inject(Fault.reset_after_effect())
    raise ValueError("the test's own")


def test_bad_fault_at_the_server(fusebill_server):
    fusebill_server.add_customer(id=1, status="Active")
    fusebill_server.inject(Fault.reset_after_effect())


def test_good_next_one_at_the_server(fusebill_server):
    assert fusebill_server.customer(1)["status"] == "Active"
    assert fusebill_server.requests == []
"""


def run(folder: Path, *options: str) -> str:
    (folder / "test_theirs.py").write_text(TESTS)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rA",
        "-p",
        "no:cacheprovider",
        "-o",
        "asyncio_mode=auto",
        *options,
    ]
    ended = subprocess.run(
        [*command, "test_theirs.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    return ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> str:
    return run(tmp_path_factory.mktemp("theirs"))


def test_what_a_test_leaves_fails_it(shown: str):
    errors = set(re.findall(r"^ERROR test_theirs.py::(\w+)", shown, re.MULTILINE))
    assert errors == {
        "test_bad_fault", "test_bad_unresolved", "test_bad_write", "test_bad_afterwards", "test_bad_in_virtual_time",
        "test_bad_fault_at_the_server", "test_bad_mark",
    }, shown  # fmt: skip
    # One that failed by itself is left alone.
    assert re.findall(r"^FAILED test_theirs.py::(\w+)", shown, re.MULTILINE) == ["test_failed_already"]


@pytest.mark.parametrize(
    "words",
    [
        "Fault.reset_after_effect(operation='customers.activate') was injected and never struck.",
        "was left unresolved.",
        "customers.hold of customer 2 happened once, and no assert_effects names it.",
        "customers.hold of customer 1 had happened never when assert_effects looked, and once at the end of the test.",
        "customers.hold: answered 200, and it had its effect",
        "customers.hold: Fault.reset_after_effect(operation='customers.hold'), and it had its effect",
        "No request arrived.",
        "fusebill_strict knows faults, unresolved, writes, and not write",
    ],
)
def test_it_says_what_was_left_and_what_arrived(shown: str, words: str):
    assert words in shown


def test_a_setting_leaves_it_out(tmp_path: Path):
    shown = run(tmp_path, "-o", "fusebill_strict=false", "-k", "bad_fault or bad_write", "-m", "not fusebill_simulated")
    assert re.search(r"^3 passed", shown, re.MULTILINE), shown


async def test_effects_that_were_not_meant_are_explained():
    async with FusebillSimulator() as fusebill:
        fusebill.add_customer(id=42, status="Draft")
        fusebill.assert_effects("activate", 42, 0)
        with pytest.raises(AssertionError) as raised:
            fusebill.assert_effects("activate", 42)
    assert str(raised.value) == (
        "customers.activate of customer 42 happened never, and was to happen once.\nNo request arrived."
    )
