"""Several customers in one command, and ids on standard input."""

from __future__ import annotations

import asyncio
import json
import os
import signal

import pytest

from fusebill_async.cli import connection
from fusebill_async.settings import SettlingPolicy
from fusebill_async.testing import Fault
from tests.cli.conftest import finish

PIPE = asyncio.subprocess.PIPE


@pytest.fixture
def customers(fusebill):
    for number, status in enumerate(["Active", "Draft", "Active", "Active"], 1):
        fusebill.add_customer(id=number, status=status)


async def test_each_has_its_outcome_and_the_worst_is_the_code(cli, fusebill, customers):
    ran = await cli("hold", "1", "2", "3")
    assert ran.code == 1
    assert [line.split(":")[0] for line in ran.out.splitlines()[::2]] == [
        "applied  customers.hold of customer 1 (Example Company 1)",
        "applied  customers.hold of customer 3 (Example Company 3)",
    ]
    assert ran.err.startswith("rejected  customers.hold of customer 2: 400")
    assert [fusebill.effects("hold", number) for number in (1, 2, 3)] == [1, 0, 1]


async def test_json_is_a_list_of_what_one_would_be(cli, customers):
    ran = await cli("hold", "1", "2", "77", "--json")
    assert (ran.code, ran.err) == (1, "")
    assert [found["outcome"] for found in ran.object] == ["applied", "rejected", "rejected"]
    assert [found["customer_id"] for found in ran.object] == [1, 2, 77]
    read = await cli("get", "3", "1", "--json")
    assert (read.code, [found["id"] for found in read.object]) == (0, [3, 1])


@pytest.mark.parametrize(("statuses", "code"), [(["Active", "Active"], 0), (["Draft", "Active"], 1)])
async def test_the_code_of_what_is_known(cli, fusebill, statuses, code):
    for number, status in enumerate(statuses, 1):
        fusebill.add_customer(id=number, status=status)
    assert (await cli("hold", "1", "2")).code == code


async def test_an_unknown_one_is_the_worst(cli, fusebill, customers, monkeypatch, tmp_path):
    short = SettlingPolicy(first_read=0.01, quiet_period=0.1, wait=0.3, close_wait=0.1)
    monkeypatch.setattr(connection, "SETTLING", short)
    fusebill.inject(Fault.reset_after_effect(operation="hold", customer_id=1))
    fusebill.inject(Fault.status(503, operation="get", times=None, customer_id=1))
    ran = await cli("hold", "1", "2", "3", "--json", "--store", str(tmp_path / "store.sqlite"))
    assert ran.code == 3
    assert [found["outcome"] for found in ran.object] == ["unknown", "rejected", "applied"]
    assert ran.object[0]["next_command"].startswith("fusebill-async resolve ")


@pytest.mark.parametrize("given", [b"1\n3\n", b"\xef\xbb\xbf1 3", b"  1\r\n3"], ids=repr)
async def test_ids_come_from_standard_input(start, fusebill, customers, given):
    ran = await finish(await start("hold", "-", "--json", stdin=PIPE), given)
    assert (ran.code, [found["customer_id"] for found in ran.object]) == (0, [1, 3])
    assert fusebill.effects("hold") == 2


@pytest.mark.parametrize(
    ("words", "given", "told"),
    [
        (["hold", "-"], b"", "standard input holds no id"),
        (["hold", "-"], b"1 x", "standard input: 'x' is no id"),
        (["hold", "-"], b"1 1", "1 is named twice"),
        (["hold", "1", "-"], b"", "- stands alone"),
        (["hold", "1", "1"], b"", "1 is named twice"),
        (["hold", "1", "--bogus"], b"", "there is no option --bogus"),
        (["hold", "1", "3", "--idempotency-key", "k"], b"", "names one call"),
        (["hubspot", "latch", "1", "3", "--hubspot-id", "7"], b"", "Unused"),
    ],
)
async def test_what_cannot_be_meant_is_refused_before_anything_is_sent(start, fusebill, customers, words, given, told):
    ran = await finish(await start(*words, stdin=PIPE), given)
    assert (ran.code, ran.out) == (2, "")
    assert told in ran.err
    assert not fusebill.requests


async def test_what_would_end_all_ends_the_first(cli, fusebill, customers):
    fusebill.inject(Fault.status(401, times=None))
    ran = await cli("hold", "1", "3", "4", "--json")
    assert ran.code == 1
    assert [found["error"] for found in ran.object] == ["AuthenticationError", "NotBegun", "NotBegun"]
    assert len(fusebill.requests) == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_a_signal_sees_one_to_its_end_and_begins_no_other(start, fusebill, customers, number, code):
    fusebill.inject(Fault.delay(1.0, operation="hold", customer_id=3))
    process = await start("hold", "1", "3", "4", "--json")
    async with asyncio.timeout(20):
        while not fusebill.received("hold", 3):  # noqa: ASYNC110 (the simulator has no event for it)
            await asyncio.sleep(0.02)
    process.send_signal(number)
    ran = await finish(process)
    assert ran.code == code
    assert [(found["outcome"], found.get("error")) for found in ran.object] == [
        ("applied", None), ("applied", "Interrupted"), ("not_sent", "NotBegun"),
    ]  # fmt: skip
    assert [fusebill.received("hold", customer) for customer in (1, 3, 4)] == [1, 1, 0]


async def test_what_nobody_can_read_ends_with_what_was_done(start, fusebill, customers):
    descriptor = os.open("/dev/full", os.O_WRONLY)
    try:
        ran = await finish(await start("hold", "1", "3", "4", stdout=descriptor))
    finally:
        os.close(descriptor)
    assert ran.code == 74
    assert "What happened: applied  customers.hold of customer 1; not sent  customers.hold of customer 3" in ran.err
    assert fusebill.effects("hold") == 1


async def test_ctrl_c_while_ids_are_awaited(start, fusebill, tmp_path):
    store = tmp_path / "store.sqlite"
    process = await start("hold", "-", "--json", "--store", str(store), stdin=PIPE)
    async with asyncio.timeout(20):
        while not store.exists():  # noqa: ASYNC110 (it is opened right before the ids are read)
            await asyncio.sleep(0.02)
    await asyncio.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, err = await asyncio.wait_for(asyncio.gather(process.stdout.read(), process.stderr.read()), 20)
    assert (await process.wait(), json.loads(out)["error"], err) == (130, "Interrupted", b"")
    assert not fusebill.requests
