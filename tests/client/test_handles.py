"""What `with_options` gives: one option changes, the others stay, and everything that is the client's is shared."""

import asyncio

import aiohttp
import pytest

from fusebill_async import (
    ConfigurationError,
    FusebillClient,
    FusebillError,
    PoolSettings,
    QuotaPolicy,
    RequestTimeoutError,
    RetryPolicy,
    SettlingPolicy,
    Timeouts,
    UpdatePolicy,
)
from fusebill_async.testing import Fault, FusebillSimulator

KEY = "MDpub3QtYS1yZWFsLWtleQ"

pytestmark = pytest.mark.fusebill_simulated(seed=5)


@pytest.fixture(autouse=True)
async def customers(fusebill):
    fusebill.add_customer(id=1, status="Draft")
    fusebill.add_customer(id=2, status="Active")


def make(fusebill: FusebillSimulator, **options) -> FusebillClient:
    return FusebillClient(KEY, base_url=fusebill.base_url, **options)


OTHERS = {
    "timeouts": {"timeouts": Timeouts(read=7.0)},
    "retry": {"retry": RetryPolicy(max_attempts=2)},
    "on_cancel": {"on_cancel": "finish"},
    "priority": {"priority": "interactive"},
    "headers": {"headers": {"X-Batch": "night"}},
    "nothing": {},
}


def other_than(option):
    return [pytest.param(options, id=name) for name, options in OTHERS.items() if name != option]


@pytest.mark.parametrize("options", other_than("timeouts"))
async def test_timeouts_stay(fusebill: FusebillSimulator, options):
    fusebill.inject(Fault.hang_before_effect(operation="get", times=None))
    async with make(fusebill, timeouts=Timeouts(read=2.0, total=2.0)) as client:
        with pytest.raises(RequestTimeoutError, match=r"deadline of the call|silent for 2 s"):
            await client.with_options(**options).customers.get(1)


async def test_timeouts_are_those_of_the_handle(fusebill: FusebillSimulator):
    fusebill.inject(Fault.hang_before_effect(operation="get", times=None))
    async with make(fusebill, timeouts=Timeouts(read=2.0), retry=RetryPolicy(max_attempts=1)) as client:
        handle = client.with_options(timeouts=Timeouts(read=3.0))
        for read, one in ((2, client), (3, handle), (3, handle.with_options(on_cancel="abort")), (2, client)):
            with pytest.raises(RequestTimeoutError, match=f"silent for {read} s"):
                await one.customers.get(1)


@pytest.mark.parametrize("options", other_than("retry"))
async def test_retry_stays(fusebill: FusebillSimulator, options):
    fusebill.inject(Fault.status(503, operation="get", times=None))
    async with make(fusebill, retry=RetryPolicy(max_attempts=5)) as client:
        with pytest.raises(FusebillError):
            await client.with_options(**options).customers.get(1)
    assert fusebill.received("get", 1) == 5


@pytest.mark.parametrize("attempts", [1, 2, 4])
async def test_retry_is_that_of_the_handle(fusebill: FusebillSimulator, attempts):
    fusebill.inject(Fault.status(503, operation="get", times=None))
    async with make(fusebill) as client:
        with pytest.raises(FusebillError):
            await client.with_options(retry=RetryPolicy(max_attempts=attempts)).customers.get(1)
        assert fusebill.received("get", 1) == attempts
        with pytest.raises(FusebillError):
            await client.customers.get(1)
    assert fusebill.received("get", 1) == attempts + 3


async def test_one_budget_of_retries_serves_all(fusebill: FusebillSimulator):
    fusebill.inject(Fault.status(503, operation="get", times=None))
    retry = RetryPolicy(max_attempts=10, budget_ratio=0.0, budget_minimum=2)
    wealthy = RetryPolicy(max_attempts=9, budget_ratio=1.0, budget_minimum=1000)
    async with make(fusebill, retry=retry) as client:
        handles = [client.with_options(**options) for options in OTHERS.values()]
        handles += [client.with_options(retry=retry), client.with_options(retry=wealthy), handles[0].with_options()]
        for handle in (client, *handles):
            with pytest.raises(FusebillError):
                await handle.customers.get(1)
    assert fusebill.received("get", 1) == len([client, *handles]) + 2


@pytest.mark.parametrize("options", other_than("on_cancel"))
@pytest.mark.parametrize("on_cancel", ["abort", "finish"])
async def test_what_a_cancelled_caller_leaves_stays(fusebill: FusebillSimulator, on_cancel, options):
    settling = SettlingPolicy(first_read=0.01, quiet_period=0.1)
    async with make(fusebill, on_cancel=on_cancel, settling=settling) as client:
        with fusebill.hold_open("activate"):
            handle = client.with_options(**options)
            activation = asyncio.ensure_future(handle.customers.activate(1, True, True, False))
            while not fusebill.held_open:  # noqa: ASYNC110 (what the service saw is looked at, not awaited)
                await asyncio.sleep(0.01)
            activation.cancel()
            with pytest.raises(asyncio.CancelledError):
                await activation
            await asyncio.sleep(1)
            [write] = client.unresolved()
            assert write.state == {"abort": "unknown", "finish": "in flight"}[on_cancel]
        await client.resolve_all()


@pytest.mark.parametrize("options", [*other_than(""), pytest.param({"on_cancel": "abort"}, id="abort")])
async def test_the_policy_of_updates_is_the_clients(fusebill: FusebillSimulator, options):
    async with make(fusebill, updates=UpdatePolicy(max_read_age=0)) as client:
        handle = client.with_options(**options)
        customer = await handle.customers.get(1)
        await handle.customers.update(customer, company_name="Grok Ltd")
    assert [request.method for request in fusebill.requests] == ["GET", "GET", "PUT"]


async def who_goes_first(fusebill: FusebillSimulator, first, second) -> list[int | None]:
    """Let one client read customer 1 and then another customer 2, while the only connection is in use."""
    with fusebill.hold_open("overview"):
        blocking = asyncio.ensure_future(second.customers.overview(2))
        await asyncio.sleep(1)
        waiting = [asyncio.ensure_future(first.customers.get(1))]
        await asyncio.sleep(1)
        waiting.append(asyncio.ensure_future(second.customers.get(2)))
        await asyncio.sleep(1)
    await asyncio.gather(blocking, *waiting)
    return [request.customer_id for request in fusebill.requests if request.operation == "customers.get"]


async def test_interactive_calls_go_before_bulk_calls(fusebill: FusebillSimulator):
    async with make(fusebill, pool=PoolSettings(connections=1)) as client:
        assert await who_goes_first(fusebill, client.with_options(priority="bulk"), client) == [2, 1]


async def test_a_handle_may_be_interactive_again(fusebill: FusebillSimulator):
    async with make(fusebill, pool=PoolSettings(connections=1)) as client:
        bulk = client.with_options(priority="bulk")
        assert await who_goes_first(fusebill, bulk.with_options(priority="interactive"), client) == [1, 2]


@pytest.mark.parametrize("options", other_than("priority"))
async def test_priority_stays(fusebill: FusebillSimulator, options):
    async with make(fusebill, pool=PoolSettings(connections=1)) as client:
        bulk = client.with_options(priority="bulk").with_options(**options)
        assert await who_goes_first(fusebill, bulk, client) == [2, 1]


async def test_headers_go_with_each_request_of_the_handle_and_no_other(fusebill: FusebillSimulator):
    async with make(fusebill) as client:
        handle = client.with_options(headers={"X-Batch": "night"})
        await handle.customers.update(1, company_name="Grok Ltd")
        await handle.customers.hold(2)
        await handle.request("GET", "/customers/1")
        await client.customers.get(1)
    sent = [(request.method, request.headers.get("x-batch")) for request in fusebill.requests]
    assert sent == [("GET", "night"), ("PUT", "night"), ("POST", "night"), ("GET", "night"), ("GET", None)]


@pytest.mark.parametrize("options", other_than("headers"))
async def test_headers_stay(fusebill: FusebillSimulator, options):
    async with make(fusebill) as client:
        await client.with_options(headers={"X-Batch": "night"}).with_options(**options).customers.get(1)
    assert fusebill.requests[-1].headers.get("x-batch") == "night"


@pytest.mark.parametrize("headers", [{}, {"X-Other": "a"}], ids=["none", "others"])
async def test_headers_are_in_place_of_those_before(fusebill: FusebillSimulator, headers):
    async with make(fusebill) as client:
        await client.with_options(headers={"X-Batch": "night"}).with_options(headers=headers).customers.get(1)
    assert fusebill.requests[-1].headers.get("x-batch") is None
    assert fusebill.requests[-1].headers.get("x-other") == headers.get("X-Other")


async def test_headers_go_through_a_users_session_too(fusebill: FusebillSimulator):
    shop = aiohttp.ClientSession(headers={"User-Agent": "shop"})
    async with shop, make(fusebill, session=shop) as client:
        await client.with_options(headers={"X-Batch": "night"}).customers.get(1)
    headers = fusebill.requests[-1].headers
    assert (headers.get("x-batch"), headers.get("user-agent")) == ("night", "shop")
    assert headers.get("authorization") == f"Basic {KEY}"


@pytest.mark.parametrize(
    "name",
    ["Authorization", "authorization", "Content-Type", "Content-Length", "Host", "Cookie", "Transfer-Encoding"],
)
async def test_a_header_of_the_clients_is_refused_by_name(fusebill: FusebillSimulator, name):
    async with make(fusebill) as client:
        with pytest.raises(ConfigurationError, match=f"cannot set {name}:"):
            client.with_options(headers={name: "s3cret"})


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Batch": "s3cret\r\nHost: b"},
        {"X-Batch": "s3cret\x00"},
        {"X-Batch": "s3cr\u00e9t"},
        {"X-Batch": b"s3cret"},
        {"X-Batch: s3cret": ""},
        {"": "s3cret"},
        {1: "s3cret"},
        ["X-Batch"],
    ],
    ids=["line break", "zero", "not ASCII", "bytes", "no name", "empty name", "number", "list"],
)
async def test_a_header_that_cannot_be_sent_is_refused_and_not_shown(fusebill: FusebillSimulator, headers):
    async with make(fusebill) as client:
        with pytest.raises(ConfigurationError, match="headers= ") as refused:
            client.with_options(headers=headers)
    assert "s3cr" not in str(refused.value)


async def test_the_values_of_headers_are_never_shown_or_logged(fusebill: FusebillSimulator, caplog):
    caplog.set_level("DEBUG")
    fusebill.inject(Fault.status(503, operation="get", times=None))
    async with make(fusebill) as client:
        handle = client.with_options(headers={"X-Batch": "s3cret"})
        with pytest.raises(FusebillError) as failed:
            await handle.customers.get(1)
        assert "s3cret" not in repr(handle) + repr(handle._core.options) + repr(failed.value) + str(failed.value)
    assert "s3cret" not in caplog.text


async def test_connections_are_shared(fusebill: FusebillSimulator):
    async with make(fusebill, pool=PoolSettings(connections=1)) as client:
        for options in OTHERS.values():
            await client.with_options(**options).customers.get(1)
        with fusebill.hold_open("get"):
            first = asyncio.ensure_future(client.customers.get(1))
            await asyncio.sleep(1)
            hasty = client.with_options(timeouts=Timeouts(queue=2.0))
            with pytest.raises(RequestTimeoutError, match="no connection of the pool"):
                await hasty.customers.get(2)
        await first
    assert len({request.connection for request in fusebill.requests}) == 1


async def test_quota_is_shared(fusebill: FusebillSimulator):
    async with make(fusebill, quota=QuotaPolicy(per_minute=1, burst=0)) as client:
        handle = client.with_options(timeouts=Timeouts(queue=2.0))
        fusebill.inject(Fault.status(429, retry_after=30, operation="get", quota_headers="without"))
        with pytest.raises(FusebillError):
            await handle.customers.get(1)
        with pytest.raises(FusebillError):
            await client.with_options(timeouts=Timeouts(queue=1.0)).customers.get(2)
        assert handle.quota == client.quota
    assert fusebill.received("get") == 1


async def test_locks_and_what_is_open_are_shared(fusebill: FusebillSimulator):
    async with make(fusebill) as client:
        handle = client.with_options(timeouts=Timeouts(queue=2.0))
        with fusebill.hold_open("hold"):
            first = asyncio.ensure_future(client.customers.hold(2))
            await asyncio.sleep(1)
            assert [write.customer_id for write in handle.unresolved()] == [2]
            with pytest.raises(RequestTimeoutError, match="another write of this customer"):
                await handle.geotab.unlatch(2)
        await first


@pytest.mark.parametrize(
    "options",
    [{"timeouts": 5.0}, {"retry": Timeouts()}, {"on_cancel": "wait"}, {"priority": "settling"}, {"priority": []}],
    ids=["timeouts", "retry", "on_cancel", "priority", "list as priority"],
)
async def test_what_is_no_option_is_refused(fusebill: FusebillSimulator, options):
    async with make(fusebill) as client:
        with pytest.raises(ConfigurationError):
            client.with_options(**options)
