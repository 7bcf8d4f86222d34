"""The command line as a process of its own: the demo, keys, Ctrl-C."""

from __future__ import annotations

import asyncio
import json
import signal
import textwrap
import time
from collections import Counter
from urllib.request import Request, urlopen

import pytest

from fusebill_async import FusebillClient, QuotaPolicy
from fusebill_async.cli.demo import _THE_CODE
from fusebill_async.testing import Fault, FusebillSimulator
from tests.simulator.plain_wire import Wire


async def ended(process):
    async with asyncio.timeout(30):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_the_demo_shows_every_effect_once(start):
    began = time.monotonic()
    code, out, err = await ended(await start("demo", FUSEBILL_API_KEY=None, FUSEBILL_BASE_URL=None))
    assert (code, err) == (0, "")
    assert time.monotonic() - began < 25
    assert "The service's own ledger has 2,000 holds, and 0 customers that were held twice." in " ".join(out.split())
    assert max(map(len, out.splitlines())) <= 80
    assert "\x1b" not in out
    for word in ("hold", "update", "preview", "activate", "unlatch", "29.3574", "Grok Ltd", "unproven"):
        assert word in out


async def test_the_demo_as_json(start):
    code, out, _ = await ended(await start("demo", "--json", NO_COLOR="1"))
    shown = json.loads(out)
    assert (code, shown["as_promised"]) == (0, True)
    assert shown["seconds"] < 3
    assert '"total":29.3574' in out
    *_, lost = shown["steps"]
    assert lost["connection_cut"]
    assert [lost[key] for key in ("outcome", "confirmed_by", "effects", "after")] == ["applied", "read", 1, "Active"]
    assert [step["effects"] for step in shown["steps"]] == [1, 1, 0, 1, 1, 1]
    assert shown["job"]["as_promised"]
    assert shown["job"]["killed"]["unprocessed"] > 0
    assert shown["job"]["resumed"]["applied"] == shown["job"]["effects"] == 2000


async def test_the_code_that_the_demo_shows_does_what_the_demo_does(fusebill, tmp_path, monkeypatch):
    asyncio.get_running_loop().set_debug(False)
    monkeypatch.chdir(tmp_path)
    for number, status in zip(range(1001, 1006), ("Active", "Active", "Draft", "Active", "Draft"), strict=True):
        fusebill.add_customer(id=number, status=status)
    for number in range(10_001, 12_001):
        fusebill.add_customer(id=number, status="Active")
    lines = _THE_CODE.replace("key, base_url=base_url", "key, base_url=base_url, quota=QuotaPolicy.off()")
    names = {"FusebillClient": FusebillClient, "QuotaPolicy": QuotaPolicy, "key": "k", "base_url": fusebill.base_url}
    exec(f"async def block():\n{textwrap.indent(lines, '    ')}", names)  # noqa: S102
    await names["block"]()
    done = Counter(effect.operation for effect in fusebill.effects_log)
    assert done == {"customers.hold": 2001, "customers.update": 1, "customers.activate": 2, "hubspot.unlatch": 1}


async def test_a_wrong_key(start):
    async with FusebillSimulator(api_key="right") as fusebill:
        code, out, err = await ended(await start("get", "1", FUSEBILL_BASE_URL=fusebill.base_url))
    assert (code, out) == (1, "")
    assert len(err.splitlines()) == 2
    assert "FUSEBILL_API_KEY" in err


async def test_no_key(start):
    code, out, err = await ended(await start("get", "1", FUSEBILL_API_KEY=None))
    assert (code, out) == (2, "")
    assert "FUSEBILL_API_KEY is not set" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_simulate_serves_until_it_is_stopped(start, number, tmp_path):
    process = await start("simulate", "--port", "0", "--customers", "20", "--state", str(tmp_path / "state.sqlite"))
    first = (await process.stdout.readline()).decode()
    base_url = first.split()[-1]

    def ask():
        request = Request(f"{base_url}/customers/7", headers={"Authorization": "Basic any-key"})  # noqa: S310
        with urlopen(request, timeout=10) as answer:  # noqa: S310
            return json.load(answer)["id"]

    assert await asyncio.to_thread(ask) == 7
    process.send_signal(number)
    code, out, err = await ended(process)
    assert (code, err) == (0, "")
    assert "curl" in out
    assert f"FUSEBILL_BASE_URL={base_url}" in out


@pytest.mark.parametrize(
    ("options", "limit", "statuses", "let_in"),
    [
        ([], 1000, {"Active", "Draft"}, True),
        (["--quota", "sandbox", "--status", "hold"], 50, {"Hold"}, True),
        (["--quota", "7/8", "--per-minute", "9", "--api-key", "made-up"], 9, {"Active", "Draft"}, False),
    ],
)
async def test_simulate_has_the_live_quota_and_every_option(start, options, limit, statuses, let_in):
    process = await start("simulate", "--port", "0", "--customers", "2", *options)
    try:
        port = int((await process.stdout.readline()).decode().split()[-1].split(":")[2].removesuffix("/v1"))
        async with Wire(port) as wire:
            answer = await wire.ask("GET", "/v1/customers", key="made-up")
            assert {customer["status"] for customer in answer.json} == statuses
            assert answer.header("X-Rate-Limit-Limit-Minute") == str(limit)
            assert (await wire.ask("GET", "/v1/customers", key="another")).status == (200 if let_in else 401)
    finally:
        process.terminate()
        assert (await ended(process))[0] == 0


@pytest.mark.parametrize("options", [["--quota", "much"], ["--status", "Nope"]], ids=" ".join)
async def test_simulate_refuses_what_it_cannot_be(cli, options):
    ran = await cli("simulate", *options)
    assert (ran.code, ran.out) == (2, "")
    assert "neither of" in ran.err or "must be one of" in ran.err


async def test_a_port_that_is_taken(start, fusebill):
    code, _, err = await ended(await start("simulate", "--port", str(fusebill.port)))
    assert code == 2
    assert "--port" in err


async def received(fusebill, operation):
    async with asyncio.timeout(20):
        while not fusebill.received(operation):  # noqa: ASYNC110 (the simulator has no event for it)
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_an_interruption_waits_for_what_was_sent(start, fusebill, number, code):
    fusebill.add_customer(id=1)
    fusebill.inject(Fault.delay(1.0, operation="hold"))
    process = await start("hold", "1")
    await received(fusebill, "hold")
    process.send_signal(number)
    ended_with, out, err = await ended(process)
    assert (ended_with, out) == (code, "")
    assert "interrupted, applied" in err
    assert fusebill.effects("hold", 1) == 1


async def test_ctrl_c_twice_leaves(start, fusebill):
    fusebill.add_customer(id=1)
    fusebill.inject(Fault.hang_after_effect(operation="hold"))
    process = await start("hold", "1")
    await received(fusebill, "hold")
    process.send_signal(signal.SIGINT)
    assert b"Ctrl-C again" in await process.stderr.readline()
    process.send_signal(signal.SIGINT)
    code, out, err = await ended(process)
    assert (code, out) == (130, "")
    assert "unknown" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_an_interruption_of_a_read(start, fusebill, number, code):
    fusebill.add_customer(id=1)
    fusebill.inject(Fault.delay(20.0, operation="get"))
    process = await start("get", "1")
    await received(fusebill, "get")
    process.send_signal(number)
    ended_with, out, _ = await ended(process)
    assert (ended_with, out) == (code, "")


async def test_a_closed_pipe_is_no_error(start, fusebill):
    for number in range(1, 3000):
        fusebill.add_customer(id=number)
    process = await start("list", "--json")
    await process.stdout.readline()
    process.stdout._transport.close()
    async with asyncio.timeout(30):
        err = await process.stderr.read()
        code = await process.wait()
    assert (code, err) == (74, b"")
