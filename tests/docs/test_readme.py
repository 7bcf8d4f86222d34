"""Every block of the README runs, and what it shows of the code is what the code shows."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import textwrap
from pathlib import Path

import pytest

from fusebill_async import FusebillClient
from fusebill_async.testing import FusebillSimulator
from tests.conftest import KEY
from tests.docs.operations_shown import operations_table, states_diagram

README = (Path(__file__).parents[2] / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_there_are_blocks():
    assert len(BLOCKS) >= 7


@pytest.fixture
async def service():
    async with FusebillSimulator() as fusebill:
        fusebill.add_customer(id=12000750, status="Active", companyName="Grok", customerReference={"reference2": "x"})
        fusebill.add_customer(id=8708457, status="Draft")
        yield fusebill


@pytest.mark.parametrize("number", range(len(BLOCKS)))
async def test_block(number: int, service: FusebillSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    block = BLOCKS[number]
    monkeypatch.chdir(tmp_path)
    if block.startswith("import pytest"):
        (tmp_path / "test_block.py").write_text(block)
        options = ("-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto", "test_block.py")
        tests = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "pytest", *options, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await tests.communicate()
        assert b"1 passed" in output, output.decode()
        return
    if "asyncio.run(" in block:
        environment = {**os.environ, "FUSEBILL_API_KEY": KEY, "FUSEBILL_BASE_URL": service.base_url}
        environment["PYTHONPATH"] = str(Path(__file__).parents[2])
        program = await asyncio.create_subprocess_exec(
            sys.executable, "-W", "error", "-c", block, env=environment, stderr=asyncio.subprocess.PIPE
        )
        _, errors = await program.communicate()
        assert program.returncode == 0, errors.decode()
        assert service.effects("hold", 12000750) == 1
        return
    async with FusebillClient(KEY, base_url=service.base_url) as client:
        names = {
            "client": client,
            "plan_changes": {"company_name": "Grok Ltd", "customer_reference": {"reference1": "A-1"}},
        }
        exec(f"async def block():\n    global client\n{textwrap.indent(block, '    ')}", names)  # noqa: S102
        await names["block"]()
    shown = capsys.readouterr().out
    if "plan_update" in block:
        assert re.search(r"```text\n(.*?)```", README, re.DOTALL)[1] in shown
        assert service.customer(12000750)["companyName"] == "Grok Ltd"


def test_the_table_of_operations_is_that_of_the_code():
    assert operations_table().strip() in README


def test_the_diagram_of_states_is_that_of_the_code():
    assert states_diagram().strip() in README
