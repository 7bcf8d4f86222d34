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
