"""A write that stays unknown goes on: its store keeps it, and a later command settles it."""

from __future__ import annotations

import json
import shlex

import pytest

from fusebill_async.cli import connection
from fusebill_async.settings import SettlingPolicy
from fusebill_async.testing import Fault


@pytest.fixture
def left_open(cli, fusebill, monkeypatch, tmp_path):
    """Let a hold stay unknown, and give how its command ended."""
    fusebill.add_customer(id=1, status="Active")

    async def leave(*form, effect=True):
        with monkeypatch.context() as patched:
            short = SettlingPolicy(first_read=0.01, quiet_period=0.1, wait=0.3, close_wait=0.1)
            patched.setattr(connection, "SETTLING", short)
            lost = Fault.reset_after_effect if effect else Fault.reset_before_effect
            fusebill.inject(lost(operation="hold"), Fault.status(503, operation="get", times=None))
            ran = await cli("hold", "1", "--store", str(tmp_path / "a store.sqlite"), *form)
        fusebill.clear_faults()
        return ran

    return leave


@pytest.mark.parametrize(("effect", "outcome", "code"), [(True, "applied", 0), (False, "not_applied", 1)])
async def test_the_command_that_is_told_settles_it(cli, fusebill, left_open, effect, outcome, code):
    ran = await left_open("--json", effect=effect)
    assert (ran.code, ran.object["outcome"]) == (3, "unknown")
    program, *words = shlex.split(ran.object["next_command"])
    assert (program, words[:2]) == ("fusebill-async", ["resolve", ran.object["intent_id"]])
    settled = await cli(*words, "--json")
    assert settled.code == code
    (found,) = settled.object
    assert [found[key] for key in ("outcome", "operation", "customer_id")] == [outcome, "customers.hold", 1]
    assert fusebill.received("hold", 1) == 1
    again = await cli(*words)
    assert (again.code, again.out) == (1, "")
    assert "Traceback" not in again.err


async def test_people_are_told_the_command_too(cli, left_open, tmp_path, monkeypatch):
    ran = await left_open()
    assert ran.code == 3
    command = ran.err[ran.err.index("fusebill-async resolve") :].splitlines()[0]
    assert shlex.split(command)[-1] == str(tmp_path / "a store.sqlite")
    monkeypatch.setenv("FUSEBILL_STORE", str(tmp_path / "a store.sqlite"))
    listed = await cli("unresolved", "--json")
    assert (listed.code, [write["operation"] for write in listed.object]) == (0, ["customers.hold"])
    assert (await cli("unresolved")).out.split("\t")[0] == listed.object[0]["id"]
    settled = await cli("resolve", "--all")
    assert (settled.code, settled.out.splitlines()[0]) == (0, "applied  customers.hold of customer 1")
    assert json.loads((await cli("unresolved", "--json")).out) == []
    assert (await cli("resolve", "--all")).code == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["unresolved"], "FUSEBILL_STORE"),
        (["resolve", "x"], "FUSEBILL_STORE"),
        (["resolve", "x", "--store", "/nowhere/at all"], "there is no file"),
        (["unresolved", "--store", "/nowhere/at all"], "there is no file"),
    ],
)
async def test_a_store_that_is_not_there_is_refused(cli, words, told):
    ran = await cli(*words)
    assert (ran.code, ran.out) == (2, "")
    assert told in ran.err


async def test_resolve_wants_one_or_all(cli, tmp_path):
    store = tmp_path / "store.sqlite"
    store.touch()
    for words in (["resolve"], ["resolve", "x", "--all"]):
        ran = await cli(*words, "--store", str(store))
        assert ran.code == 2
        assert "--all" in ran.err
