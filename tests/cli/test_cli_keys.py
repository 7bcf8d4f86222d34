"""A command that is run again with its key has no second effect, whatever became of the first one."""

from __future__ import annotations

import pytest

from fusebill_async.cli import connection
from fusebill_async.settings import SettlingPolicy
from fusebill_async.testing import Fault


@pytest.fixture
def keyed(cli, tmp_path):
    """Run a command with a key, on a store that stays."""

    async def run(*words, key="order-1"):
        return await cli(*words, "--idempotency-key", key, "--store", str(tmp_path / "store.sqlite"), "--json")

    return run


async def test_a_hold_that_stays_unknown_is_settled_when_it_is_run_again(keyed, fusebill, monkeypatch):
    fusebill.add_customer(id=1, status="Active")
    with monkeypatch.context() as patched:
        short = SettlingPolicy(first_read=0.01, quiet_period=0.1, wait=0.3, close_wait=0.1)
        patched.setattr(connection, "SETTLING", short)
        fusebill.inject(Fault.reset_after_effect(operation="hold"), Fault.status(503, operation="get", times=None))
        lost = await keyed("hold", "1")
    fusebill.clear_faults()
    assert (lost.code, lost.object["outcome"]) == (3, "unknown")
    again = await keyed("hold", "1")
    assert (again.code, again.object["outcome"], again.object["replayed"]) == (0, "applied", True)
    assert (fusebill.effects("hold", 1), fusebill.received("hold", 1)) == (1, 1)


@pytest.mark.parametrize(
    ("words", "operation"),
    [
        (["activate", "1", "--all-subscriptions", "--all-draft-purchases",
          "--no-disable-auto-post"], "activate"),
        (["update", "1", "company_name=Grok"], "update"),
        (["request", "POST", "/CustomerHold/2"], "hold"),
    ],
)  # fmt: skip
async def test_every_write_takes_a_key(keyed, fusebill, words, operation):
    fusebill.add_customer(id=1, status="Draft")
    fusebill.add_customer(id=2, status="Active")
    for _ in range(2):
        assert (await keyed(*words)).code == 0
    assert fusebill.effects(operation, 2 if operation == "hold" else 1) == 1


async def test_people_are_told_that_nothing_was_sent(cli, keyed, fusebill, tmp_path):
    fusebill.add_customer(id=1, status="Active")
    await keyed("hold", "1")
    again = await cli("hold", "1", "--idempotency-key", "order-1", "--store", str(tmp_path / "store.sqlite"))
    assert "the record of an earlier call with this key, nothing was sent" in " ".join(again.out.split())


async def test_a_key_of_another_call_is_a_usage_error(keyed, fusebill):
    for number in (1, 2):
        fusebill.add_customer(id=number, status="Active")
    await keyed("hold", "1")
    refused = await keyed("hold", "2")
    assert refused.code == 2
    assert fusebill.effects("hold", 2) == 0


async def test_what_never_settles_ends_with_its_id_and_the_command_that_goes_on(cli, fusebill, monkeypatch, tmp_path):
    fusebill.add_customer(id=1, status="Active")
    store = str(tmp_path / "store.sqlite")
    command = ["hold", "1", "--idempotency-key", "order-1", "--store", store]
    with monkeypatch.context() as patched:
        short = SettlingPolicy(first_read=0.01, quiet_period=0.1, wait=0.3, close_wait=0.1)
        patched.setattr(connection, "SETTLING", short)
        fusebill.inject(Fault.reset_after_effect(operation="hold"), Fault.status(503, operation="get", times=None))
        lost = await cli(*command)
    (write,) = (await cli("unresolved", "--store", store, "--json")).object
    assert (lost.code, lost.out) == (3, "")
    assert lost.err.splitlines()[-1].endswith(f"settle it: fusebill-async resolve {write['id']} --store {store}")
    fusebill.clear_faults()
    settled = await cli(*command)
    assert (settled.code, settled.out.startswith("applied  customers.hold of customer 1")) == (0, True)
    assert (await cli("unresolved", "--store", store, "--json")).object == []
    assert (fusebill.effects("hold", 1), fusebill.received("hold", 1)) == (1, 1)
