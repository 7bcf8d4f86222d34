"""The fixtures that users of the package get, in both modes of pytest-asyncio."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHECKS = """
import pytest

@pytest.mark.asyncio
async def test_a_hold(fusebill_simulator, fusebill_client):
    fusebill_simulator.add_customer(id=1, status="Active")
    assert (await fusebill_client.customers.hold(1)).status == "Hold"
    assert fusebill_simulator.effects("hold", 1) == 1
"""


@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_fixtures(mode: str, tmp_path: Path):
    (tmp_path / "test_hold.py").write_text(CHECKS)
    arguments = ["-q", "-W", "error", "-p", "no:cacheprovider", "-o", f"asyncio_mode={mode}"]
    arguments += ["-o", "asyncio_default_fixture_loop_scope=function"]
    # Installed, the entry point brings the plugin along; from a checkout it is named.
    arguments += [] if _installed() else ["-p", "fusebill_async.testing.plugin"]
    shown = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env=_environment(),
    )
    assert shown.returncode == 0, shown.stdout + shown.stderr


SCOPES = """
import pytest

class TestIt:
""" + "".join(
    f"""
    @pytest.mark.asyncio(loop_scope={scope!r})
    async def test_a_hold_in_a_loop_of_scope_{scope}(self, fusebill_simulator, fusebill_client):
        fusebill_simulator.add_customer(id=1, status="Active")
        assert (await fusebill_client.customers.hold(1)).status == "Hold"
        assert fusebill_simulator.effects("hold", 1) == 1
"""
    for scope in ("function", "class", "module", "package", "session")
)


@pytest.mark.parametrize("default", ["function", "session"])
@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_fixtures_live_in_the_loop_of_the_test_whatever_its_scope(mode: str, default: str, tmp_path: Path):
    (tmp_path / "test_scopes.py").write_text(SCOPES)
    (tmp_path / "test_default.py").write_text(CHECKS)
    arguments = ["-q", "-W", "error", "-p", "no:cacheprovider", "-o", f"asyncio_mode={mode}"]
    arguments += ["-o", "asyncio_default_fixture_loop_scope=function"]
    arguments += ["-o", f"asyncio_default_test_loop_scope={default}"]
    arguments += [] if _installed() else ["-p", "fusebill_async.testing.plugin"]
    command = [sys.executable, "-m", "pytest", *arguments, str(tmp_path)]
    shown = subprocess.run(command, capture_output=True, text=True, check=False, env=_environment())
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "6 passed" in shown.stdout


ANYIO = (
    """
import pytest

@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.mark.anyio
"""
    "async def test_a_hold" + CHECKS.partition("async def test_a_hold")[2]
)


@pytest.mark.parametrize(
    "options",
    [
        ["-o", "asyncio_mode=auto"],
        ["-o", "asyncio_mode=auto", "-o", "asyncio_default_test_loop_scope=session"],
        ["-o", "asyncio_mode=strict"],
        ["-p", "no:asyncio"],
    ],
    ids=["auto", "auto, session", "strict", "anyio alone"],
)
def test_fixtures_live_in_the_loop_of_a_test_of_anyio(options: list[str], tmp_path: Path):
    pytest.importorskip("anyio")
    (tmp_path / "test_anyio.py").write_text(ANYIO)
    arguments = ["-q", "-p", "no:cacheprovider", *options]
    arguments += [] if _installed() else ["-p", "fusebill_async.testing.plugin"]
    command = [sys.executable, "-m", "pytest", *arguments, str(tmp_path)]
    shown = subprocess.run(command, capture_output=True, text=True, check=False, env=_environment())
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "1 passed" in shown.stdout


def _installed() -> bool:
    from importlib.metadata import entry_points

    return any(point.value == "fusebill_async.testing.plugin" for point in entry_points(group="pytest11"))


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
