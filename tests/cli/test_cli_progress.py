"""A command that waits says on stderr what for, and for how long."""

from __future__ import annotations

import asyncio
import re

import pytest

from fusebill_async.cli import connection, progress
from fusebill_async.session.events import WaitEvent
from fusebill_async.settings import SettlingPolicy
from fusebill_async.testing import Fault


@pytest.fixture(autouse=True)
def often(monkeypatch):
    monkeypatch.setattr(progress, "EVERY", 0.2)


def told(ran):
    """What was said, without the figures."""
    return [re.sub(r", for \d+ s$", "", line) for line in ran.err.splitlines()]


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["people", "json"])
async def test_an_answer_that_takes_its_time(cli, fusebill, form):
    fusebill.add_customer(id=1)
    fusebill.inject(Fault.delay(0.7, operation="get"))
    ran = await cli("get", "1", *form)
    assert ran.code == 0
    lines = told(ran)
    assert set(lines) == {"customers.get of customer 1: waiting for the service to answer"}
    assert 2 <= len(lines) <= 4
    assert re.search(r", for \d+ s\n", ran.err)


async def test_what_is_fast_is_not_talked_about(cli, fusebill):
    for number in range(1, 400):
        fusebill.add_customer(id=number)
    assert (await cli("list", "--json")).err == ""


async def test_settling(cli, fusebill, monkeypatch):
    monkeypatch.setattr(connection, "SETTLING", SettlingPolicy(first_read=0.01, quiet_period=0.7, wait=5.0))
    fusebill.add_customer(id=1, status="Draft")
    fusebill.inject(Fault.reset_before_effect(operation="activate"))
    ran = await cli("activate", "1", "--all-subscriptions", "--all-draft-purchases", "--disable-auto-post")
    first, *lines, outcome, _advice = told(ran)
    assert first == (
        "customers.activate of customer 1 got no usable answer: reading the customer to learn what happened"
    )
    assert set(lines) == {"customers.activate of customer 1: reading the customer to learn what happened"}
    assert outcome.startswith("not applied")


@pytest.mark.parametrize(
    ("waited_for", "text"),
    [
        ("lock", "another call on this customer"),
        ("quota", "the account's quota"),
        ("pool", "a connection"),
        ("backoff", "before it is sent again"),
    ],
)
async def test_each_kind_of_wait(capfd, waited_for, text):
    event = WaitEvent(call_id="1", parent_id=None, operation="customers.get", customer_id=7, waited_for=waited_for)
    with progress.Progress().wait_begun(event):
        await asyncio.sleep(0.3)
    assert re.fullmatch(rf"customers.get of customer 7: waiting (for )?{text}, for 0 s\n", capfd.readouterr().err)


async def test_the_lock_of_another_program(cli, fusebill, tmp_path):
    fusebill.add_customer(id=1, status="Active")
    fusebill.inject(Fault.delay(2.0, operation="hold"))
    store = ["--store", str(tmp_path / "store.sqlite")]
    holding = asyncio.create_task(cli("hold", "1", *store))
    async with asyncio.timeout(20):
        while not fusebill.received("hold"):  # noqa: ASYNC110 (the simulator has no event for it)
            await asyncio.sleep(0.02)
    ran = await cli("update", "1", "company_name=x", *store)
    held = await holding
    assert (ran.code, held.code) == (0, 0)
    lines = {*told(ran), *told(held)}
    assert "customers.hold of customer 1: waiting for the service to answer" in lines
    assert "customers.update of customer 1: waiting for another call on this customer" in lines
