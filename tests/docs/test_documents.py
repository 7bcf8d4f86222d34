"""Every block of the README and of the guides runs, and what they show of the code is what the code shows."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import sys
import textwrap
from pathlib import Path

import pytest

from fusebill_async import FusebillClient
from fusebill_async.testing import FusebillSimulator
from tests.conftest import KEY
from tests.docs.documents import GUIDES, README, Block, blocks, documents
from tests.docs.tables import with_tables

ROOT = README.parent


@pytest.fixture
async def service():
    async with FusebillSimulator() as fusebill:
        fusebill.add_customer(id=1, status="Active")
        fusebill.add_customer(id=12000750, status="Active", companyName="Grok", customerReference={"reference2": "x"})
        fusebill.add_customer(id=8708457, status="Draft")
        fusebill.add_route("GET", "/invoices/5/pdf", b"%PDF-1.7", content_type="application/pdf")
        yield fusebill


@pytest.fixture(autouse=True)
def the_log_as_it_was():
    logger = logging.getLogger("fusebill_async")
    handlers, level = list(logger.handlers), logger.level
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)


@pytest.mark.parametrize("block", blocks(), ids=str)
async def test_block(block: Block, service: FusebillSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    if "def test_" in block.code:
        await run_as_a_test(block.code, tmp_path)
    elif "asyncio.run(" in block.code:
        await run_as_a_program(block.code, service)
    else:
        await run_in_a_coroutine(block.code, service)


async def run_as_a_test(code: str, folder: Path) -> None:
    (folder / "test_block.py").write_text(code)
    options = ("-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto", "test_block.py")
    tests = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pytest", *options, env=environment(), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await tests.communicate()
    assert re.search(rb"\d+ passed", output), output.decode()
    assert tests.returncode == 0, output.decode()


async def run_as_a_program(code: str, service: FusebillSimulator) -> None:
    given = environment(FUSEBILL_API_KEY=KEY, FUSEBILL_BASE_URL=service.base_url)
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-c", code, env=given, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await program.communicate()
    assert program.returncode == 0, errors.decode()


async def run_in_a_coroutine(code: str, service: FusebillSimulator) -> None:
    """As it stands in a coroutine of the reader's, where `client` is open."""
    async with FusebillClient(KEY, base_url=service.base_url) as client:
        names = {"client": client, "service": service}
        exec(f"async def block():\n    global client\n{textwrap.indent(code, '    ')}", names)  # noqa: S102
        await names["block"]()


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


async def test_the_first_program_holds_and_updates_the_customer(service: FusebillSimulator):
    (program,) = [block for block in blocks() if block.document == "README" and "from_env()" in block.code]
    await run_as_a_program(program.code, service)
    assert (service.effects("hold", 1), service.effects("update", 1)) == (1, 1)


async def test_a_plan_is_shown_as_the_guide_shows_it(service: FusebillSimulator, capsys):
    (planned,) = [block for block in blocks() if block.document == "updating" and "print(plan)" in block.code]
    await run_in_a_coroutine(planned.code, service)
    shown = re.search(r"```text\n(customer.*?)```", (GUIDES / "updating.md").read_text(), re.DOTALL)
    assert shown is not None
    assert shown[1] in capsys.readouterr().out


@pytest.mark.parametrize("document", documents(), ids=lambda path: path.stem)
def test_tables_are_those_of_the_code(document: Path):
    text = document.read_text()
    assert with_tables(text) == text, "run `python -m tests.docs.tables`"


@pytest.mark.parametrize("document", documents(), ids=lambda path: path.stem)
def test_links_lead_somewhere(document: Path):
    text = document.read_text()
    for target in re.findall(r"\]\((?!https?:)([^)#]*)(?:#[^)]*)?\)", text):
        assert not target or (document.parent / target).exists(), f"{document.name} links to {target}"


def test_the_files_on_the_way_of_a_call_are_there():
    text = (GUIDES / "how_it_works.md").read_text()
    named = re.findall(r"`([a-z]+/[a-z_/]*\.py|[a-z]+/|[a-z]+\.py)`", text)
    assert len(named) > 15
    assert [name for name in named if not (GUIDES.parent / name).exists()] == []


def test_the_readme_is_a_first_screen_and_an_index():
    text = README.read_text()
    assert len(text.splitlines()) <= 250
    assert len(text.split()) <= 2000


def test_every_guide_is_named_in_the_readme():
    text = README.read_text()
    assert [path.stem for path in GUIDES.glob("*.md") if f"guides/{path.name}" not in text] == []
