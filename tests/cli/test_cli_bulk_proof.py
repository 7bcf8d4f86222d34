"""`bulk verify` and `run --verify`, as a person and as a program see them."""

from __future__ import annotations

import json

import pytest

from fusebill_async import FusebillClient, QuotaPolicy
from fusebill_async.testing import Fault


@pytest.fixture
async def held(fusebill, tmp_path):
    """The journal of a job that put ten customers on hold."""
    for each in range(1, 11):
        fusebill.add_customer(id=each, status="Active")
    path = tmp_path / "hold.sqlite"
    async with FusebillClient("key", base_url=fusebill.base_url, quota=QuotaPolicy.off()) as client:
        await client.bulk.hold(range(1, 11), journal=path).run()
    return str(path)


async def test_verify_names_who_has_drifted(fusebill, cli, held):
    ran = await cli("bulk", "verify", "--journal", held)
    assert (ran.code, ran.out) == (0, "customers.hold: 10 of 10 hold\n")
    fusebill.change(3, status="Active")
    ran = await cli("bulk", "verify", "--journal", held)
    assert ran.code == 1
    assert "9 of 10 hold, 1 drifted" in ran.out
    assert "Hold" in ran.out
    assert "Active" in ran.out
    ran = await cli("bulk", "verify", "--journal", held, "--json")
    assert (ran.code, ran.object) == (1, {"held": 9, "drifted": 1, "unreadable": 0})


async def test_a_sample_is_a_part(cli, held):
    ran = await cli("bulk", "verify", "--journal", held, "--sample", "20%")
    assert "2 of 2 hold\nA sample of 10" in ran.out
    for part in ("0%", "2", "some"):
        assert (await cli("bulk", "verify", "--journal", held, "--sample", part)).code == 2


async def test_run_and_verify_in_one(fusebill, start, tmp_path):
    fusebill.add_customer(id=1, status="Active")
    file = tmp_path / "ids.csv"
    file.write_text("id\n1\n")
    options = ("--journal", str(tmp_path / "hold.sqlite"), "--yes", "--verify")
    process = await start("bulk", "run", "hold", str(file), *options)
    out, _ = await process.communicate()
    assert process.returncode == 0
    assert out.decode().endswith("customers.hold: 1 of 1 hold\n")
    process = await start("bulk", "run", "hold", str(file), *options, "--json")
    told = json.loads((await process.communicate())[0])
    assert told["applied"] == 1
    assert told["verification"] == {"held": 1, "drifted": 0, "unreadable": 0}


async def test_a_service_that_refuses_the_filter(fusebill, cli, held):
    fusebill.inject(Fault.status(400, operation="list", times=None))
    ran = await cli("bulk", "verify", "--journal", held)
    assert ran.code == 2
    assert "--single-reads" in ran.err
    assert (await cli("bulk", "verify", "--journal", held, "--single-reads")).code == 0


async def test_undo_asks_and_puts_back(fusebill, cli, start, held, tmp_path):
    fusebill.change(3, companyName="by somebody else")
    undo = ("bulk", "undo", "--journal", held, "--into", str(tmp_path / "undo.sqlite"))
    ran = await cli(*undo)
    assert ran.code == 2
    assert "needs service_start_option=" in ran.err
    undo = (*undo, "--service-start-option", "NoChargesForMissedPeriods")
    ran = await cli(*undo)
    assert ran.code == 2
    assert "add --yes" in ran.err
    assert fusebill.effects("release_hold") == 0
    process = await start(*undo, "--yes", "--verify")
    out, _ = await process.communicate()
    assert process.returncode == 0
    assert "customers.release_hold: 9 of 10 applied; 1 skipped" in out.decode()
    assert "it was changed since" in out.decode()
    assert "customers.release_hold: 9 of 9 hold" in out.decode()
    assert fusebill.effects("release_hold") == 9
    assert fusebill.customer(3)["status"] == "Hold"


async def test_what_cannot_be_undone_says_why(fusebill, cli, tmp_path):
    fusebill.add_customer(id=1, status="Draft")
    job = str(tmp_path / "job.sqlite")
    flags = dict.fromkeys(
        ("activate_all_subscriptions", "activate_all_draft_purchases", "temporarily_disable_auto_post"), False
    )
    async with FusebillClient("key", base_url=fusebill.base_url, quota=QuotaPolicy.off()) as client:
        await client.bulk.activate([1], journal=job, **flags).run()
    ran = await cli("bulk", "undo", "--journal", job, "--into", str(tmp_path / "undo.sqlite"), "--yes")
    assert ran.code == 2
    assert "cannot be undone: no customer becomes a draft again" in ran.err
