"""`simulate` shows what arrives, has faults, and can be reached over a network on purpose."""

from __future__ import annotations

import asyncio
import re

import pytest

from fusebill_async import ConfigurationError, FusebillClient
from fusebill_async.testing.serving import parse_fault
from tests.cli.conftest import finish


@pytest.fixture
async def simulated(start):
    """Start `simulate`, and give the process and its first line."""
    running = []

    async def run(*options):
        process = await start("simulate", "--port", "0", "--customers", "9", "--status", "Draft", *options)
        running.append(process)
        return process, (await process.stdout.readline()).decode()

    yield run
    for process in running:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def test_the_log_has_a_line_for_each_request(start, simulated):
    process, first = await simulated(
        "--log", "--fault", "reset_after_effect:hubspot.unlatch", "--fault", "status=503:list"
    )
    url = first.split()[-1]
    assert (await finish(await start("get", "7", FUSEBILL_BASE_URL=url))).code == 0
    assert (await finish(await start("unlatch", "7", FUSEBILL_BASE_URL=url))).code == 0
    assert (await finish(await start("list", FUSEBILL_BASE_URL=url))).code == 1
    process.terminate()
    out = (await finish(process)).out
    lines = [re.sub(r"^\d\d:\d\d:\d\d  ", "", line) for line in out.splitlines() if line[:2].isdigit()]
    assert lines[0] == "GET /v1/customers/7  customers.get of customer 7  200"
    assert "POST /v1/HubSpot/UnlatchCustomer/7  hubspot.unlatch of customer 7  reset_after_effect" in lines
    assert lines[-1].endswith("customers.list  status")


async def test_it_can_be_reached_over_a_network(start, simulated):
    process, first = await simulated("--host", "0.0.0.0")  # noqa: S104 (that is the test)
    port = re.search(r":(\d+)/", first)[1]
    text = first + "".join([(await process.stdout.readline()).decode() for _ in range(2)])
    assert f"FUSEBILL_BASE_URL=http://THIS-COMPUTER:{port}/v1" in text
    assert "get 1 --allow-http" in text
    # 127.0.0.2 is no loopback host by its name.
    url = {"FUSEBILL_BASE_URL": f"http://127.0.0.2:{port}/v1"}
    refused = await finish(await start("get", "1", **url))
    assert (refused.code, "--allow-http lets it through" in refused.err) == (2, True)
    assert (await finish(await start("get", "1", "--allow-http", **url))).code == 0


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("reset_after_effect:activate:0.1",
         "Fault.reset_after_effect(operation='customers.activate', times=None, probability=0.1)"),
        ("delay=2.5:*", "Fault.delay(seconds=2.5, times=None, effect='before')"),
        ("hang_before_effect", "Fault.hang_before_effect(times=None)"),
    ],
)  # fmt: skip
def test_a_fault_is_named(text, shown):
    assert repr(parse_fault(text)) == shown


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("reset_after:hold", "there is reset_after_effect"),
        ("delay:hold", "delay=2:hold"),
        ("reset_after_effect:bogus", "no operation is named"),
        ("reset_after_effect:hold:2", "a share is above 0"),
        ("delay=x:hold", "could not convert"),
    ],
)
async def test_what_is_no_fault_is_refused(cli, text, told):
    ran = await cli("simulate", "--fault", text)
    assert (ran.code, told in ran.err) == (2, True)


async def test_http_is_for_loopback_hosts_unless_it_is_allowed():
    with pytest.raises(ConfigurationError, match="allow_http=True"):
        FusebillClient("key", base_url="http://fusebill:8090/v1")
    with pytest.raises(ConfigurationError, match="True or False"):
        FusebillClient("key", base_url="http://fusebill:8090/v1", allow_http="yes")
    await FusebillClient("key", base_url="http://fusebill:8090/v1", allow_http=True).aclose()
    await asyncio.sleep(0)
