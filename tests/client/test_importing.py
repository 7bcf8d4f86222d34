"""`import fusebill_async` does no work and imports no extra, and the pytest plugin imports nothing until it is used."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

import fusebill_async
from fusebill_async import models

EXTRAS = ["redis", "cyclopts", "rich", "pytest", "hypothesis", "aioresponses", "opentelemetry"]

IMPORT = "from fusebill_async import FusebillClient"


def run(script: str) -> Any:
    """Run a program in a fresh interpreter, and give what it prints as JSON."""
    shown = subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, capture_output=True, text=True)
    return json.loads(shown.stdout)


def test_import_brings_no_extra_and_starts_nothing():
    assert run(
        "import json, sys, threading, asyncio;"
        f"{IMPORT};"
        f"print(json.dumps([[name for name in {EXTRAS!r} if name in sys.modules], threading.active_count()]))"
    ) == [[], 1]


@pytest.mark.parametrize("module", ["fusebill_async", "fusebill_async.testing", "fusebill_async.testing.plugin"])
def test_what_every_test_run_imports_costs_nothing(module):
    """pytest finds the plugin by its entry point, and imports it and the packages that it is in."""
    brought = run(
        "import json, sys, asyncio, inspect, pytest, pytest_asyncio; before = set(sys.modules);"
        f"import {module};"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    allowed = {"fusebill_async", "fusebill_async._version", "fusebill_async.testing", "fusebill_async.testing.plugin"}
    assert set(brought) <= allowed


def test_exported_names_are_there_and_sorted():
    for module in (fusebill_async, models):
        names = module.__all__
        assert sorted(set(names)) == sorted(names)
        for name in names:
            assert getattr(module, name) is not None
        assert set(names) <= set(dir(module))


@pytest.mark.parametrize("module", [fusebill_async, models])
def test_a_name_that_is_not_there_is_told(module):
    with pytest.raises(AttributeError, match="has no attribute 'Customers'"):
        _ = module.Customers


ANSWER_LOST = """
import asyncio, json, sys
from fusebill_async import FusebillClient, SettlingPolicy
from fusebill_async.testing import Fault, FusebillSimulator

late, connected = [], []

def watch(event, details):
    if event == "socket.connect":
        connected.append(event)
    elif event == "open" and connected and str(details[0]).endswith((".py", ".pyc")):
        late.append(details[0])

async def main():
    async with FusebillSimulator() as fusebill:
        fusebill.add_customer(id=1, status={status!r}, company_name="Grok")
        if {operation!r}:
            fusebill.inject(Fault.reset_after_effect(operation={operation!r}, times=1))
        settling = SettlingPolicy(quiet_period=0.01, first_read=0.001)
        async with FusebillClient("key", base_url=fusebill.base_url, settling=settling) as client:
            sys.addaudithook(watch)
            await client.{call}
    assert connected
    print(json.dumps(late))

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("status", "operation", "call"),
    [
        ("Active", "hold", "customers.hold(1)"),
        ("Draft", "activate", "customers.activate(1, True, True, False)"),
        ("Draft", None, "customers.preview_activation(1)"),
        ("Active", None, "customers.overview(1)"),
        ("Active", "update", 'customers.update(1, company_name="Grok Ltd")'),
        ("Active", "create", 'customers.create(reference="A-1", company_name="Grok")'),
        ("Active", "hubspot.unlatch", "hubspot.unlatch(1)"),
        ("Active", None, 'customers.find(reference="A-1")'),
    ],
)
def test_no_module_is_read_once_a_call_is_on_its_way(status, operation, call):
    assert run(ANSWER_LOST.format(status=status, operation=operation, call=call)) == []
