"""Every default of every setting, by what a client that was made without settings does: in virtual time."""

from __future__ import annotations

import asyncio
import itertools
import ssl
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import attrs
import pytest
import trustme

from fusebill_async import (
    ConcurrentModificationError,
    ConfigurationError,
    ConnectError,
    FusebillClient,
    FusebillError,
    Hooks,
    NotAppliedError,
    OutcomeUnknownError,
    PoolSettings,
    QuotaExhaustedError,
    QuotaPolicy,
    RequestTimeoutError,
    RetryPolicy,
    SettlingPolicy,
    Timeouts,
    UpdatePolicy,
)
from fusebill_async.session.effects import Effects
from fusebill_async.testing import Fault, FusebillSimulator, SimulatorQuota
from tests.conftest import KEY
from tests.quota.test_admission import BULK, Account, Away, virtually

ONCE = RetryPolicy(max_attempts=1)
TESTED: set[tuple[type, str]] = set()

simulated = pytest.mark.fusebill_simulated(seed=11)


def default_of(kind: type, *names: str) -> Callable[[Any], Any]:
    """Say which defaults a test is about."""
    TESTED.update((kind, name) for name in names)
    return lambda test: test


def make(fusebill: FusebillSimulator, **options: Any) -> FusebillClient:
    return FusebillClient(KEY, base_url=fusebill.base_url, **options)


@contextmanager
def taking(seconds: float, *, late: float = 0.5):
    started = asyncio.get_running_loop().time()
    yield
    took = asyncio.get_running_loop().time() - started
    assert seconds <= took <= seconds + late, took


class Ends(Hooks):
    """When attempts ended, in seconds of the loop, by operation."""

    def __init__(self) -> None:
        self.started = asyncio.get_running_loop().time()
        self.times: dict[str, list[float]] = {}

    def attempt_ended(self, attempt):
        self.times.setdefault(attempt.operation, []).append(asyncio.get_running_loop().time() - self.started)

    def gaps(self, operation):
        times = self.times[operation]
        return [round(later - earlier, 1) for earlier, later in itertools.pairwise(times)]


def about(*seconds, by=0.15):
    return pytest.approx(list(seconds), abs=by)


# --- Timeouts


@default_of(Timeouts, "connect")
@simulated
async def test_a_connection_may_take_ten_seconds(fusebill):
    fusebill.inject(Fault.stall_connect(backlog=True))
    async with make(fusebill, retry=ONCE) as client:
        with taking(10.0), pytest.raises(RequestTimeoutError):
            await client.customers.get(1)


@default_of(Timeouts, "read")
@simulated
async def test_an_answer_may_be_silent_for_sixty_seconds(fusebill):
    fusebill.inject(Fault.hang_before_effect(operation="get"))
    async with make(fusebill, retry=ONCE) as client:
        with taking(60.0, late=2.0), pytest.raises(RequestTimeoutError):
            await client.customers.get(1)


@default_of(Timeouts, "total")
@simulated
async def test_all_attempts_may_take_a_hundred_and_fifty_seconds(fusebill):
    fusebill.inject(Fault.hang_before_effect(operation="get", times=None))
    async with make(fusebill, retry=RetryPolicy(max_attempts=9, backoff=0.0)) as client:
        with taking(150.0, late=2.0), pytest.raises(RequestTimeoutError):
            await client.customers.get(1)


@default_of(Timeouts, "queue")
@simulated
async def test_a_call_waits_for_the_pool_for_thirty_seconds(fusebill):
    fusebill.add_customer(id=1)
    fusebill.inject(Fault.delay(50.0, operation="get"))
    async with make(fusebill, pool=PoolSettings(connections=1)) as client:
        first = asyncio.ensure_future(client.customers.get(1))
        await asyncio.sleep(1)
        with taking(30.0), pytest.raises(RequestTimeoutError, match="no connection of the pool came free"):
            await client.customers.get(1)
        await first


# --- PoolSettings


@default_of(PoolSettings, "connections")
@simulated
async def test_a_hundred_calls_are_under_way_at_most(fusebill):
    fusebill.add_customer(id=1)
    async with make(fusebill, quota=QuotaPolicy.off()) as client:
        with fusebill.hold_open("get"):
            calls = [asyncio.ensure_future(client.customers.get(1)) for _ in range(150)]
            await asyncio.sleep(10)
            assert fusebill.held_open == 100
        await asyncio.gather(*calls)


@default_of(PoolSettings, "keepalive")
@simulated
@pytest.mark.parametrize(("pause", "connections"), [(14.0, 1), (31.0, 2)])
async def test_an_idle_connection_is_kept_for_fifteen_seconds(fusebill, pause, connections):
    fusebill.add_customer(id=1)
    async with make(fusebill) as client:
        await client.customers.get(1)
        await asyncio.sleep(pause)
        await client.customers.get(1)
    assert len({request.connection for request in fusebill.requests}) == connections


@default_of(PoolSettings, "fresh_connections")
@simulated
async def test_what_moves_money_has_a_connection_of_its_own(fusebill):
    for number, status in enumerate(("Active", "Active", "Draft", "Draft"), 1):
        fusebill.add_customer(id=number, status=status)
    async with make(fusebill) as client:
        for number in (1, 2):
            await client.customers.hold(number)
        for number in (3, 4):
            await client.customers.activate(number, True, True, False)
    connections = [request.connection for request in fusebill.requests]
    assert connections[0] == connections[1]
    assert len(set(connections)) == 3


@default_of(PoolSettings, "proxy", "trust_env")
async def test_a_proxy_of_the_environment_is_not_asked_unless_that_is_wished(fusebill, monkeypatch):
    fusebill.add_customer(id=1)
    # Nobody listens there.
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    async with make(fusebill) as client:
        await client.customers.get(1)
    for pool in (PoolSettings(trust_env=True), PoolSettings(proxy="http://127.0.0.1:9")):
        async with make(fusebill, pool=pool, retry=RetryPolicy(max_attempts=1)) as client:
            with pytest.raises(ConnectError, match="the proxy was not reached"):
                await client.customers.get(1)


@default_of(PoolSettings, "ssl")
async def test_a_certificate_that_this_machine_does_not_know_needs_a_context():
    authority, here = trustme.CA(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(here)

    body = b'{"id":1,"status":"Active"}'

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        writer.close()

    server = await asyncio.start_server(serve, "localhost", 0, ssl=here)
    base_url = f"https://localhost:{server.sockets[0].getsockname()[1]}/v1"
    there = ssl.create_default_context()
    authority.configure_trust(there)
    async with FusebillClient("key", base_url=base_url, pool=PoolSettings(ssl=there)) as client:
        assert (await client.customers.get(1)).id == 1
    async with FusebillClient("key", base_url=base_url) as client:
        with pytest.raises(ConnectError, match="the certificate of localhost was not accepted"):
            await client.customers.get(1)
    server.close()


@pytest.mark.parametrize(
    "wrong", [{"proxy": "proxy.example:3128"}, {"proxy": 3128}, {"trust_env": "yes"}, {"ssl": True}]
)
def test_a_setting_of_the_network_that_cannot_work_is_refused(wrong):
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        PoolSettings(**wrong)


# --- RetryPolicy


@default_of(RetryPolicy, "max_attempts")
@simulated
async def test_a_read_is_tried_three_times(fusebill):
    fusebill.inject(Fault.status(503, operation="get", times=None))
    async with make(fusebill) as client:
        with pytest.raises(FusebillError):
            await client.customers.get(1)
    assert fusebill.received("get", 1) == 3


@default_of(RetryPolicy, "backoff", "backoff_limit")
@simulated
async def test_pauses_are_half_a_second_at_first_and_eight_at_most(fusebill):
    fusebill.inject(Fault.status(503, operation="get", times=None))
    ends = Ends()
    highest = Effects(random=lambda: 1.0)
    async with make(fusebill, retry=RetryPolicy(max_attempts=8), effects=highest, hooks=[ends]) as client:
        with pytest.raises(FusebillError):
            await client.customers.get(1)
    assert ends.gaps("customers.get") == about(0.5, 1, 2, 4, 8, 8, 8)


@default_of(RetryPolicy, "budget_ratio", "budget_minimum", "budget_window")
@simulated
async def test_ten_calls_or_a_tenth_of_those_of_a_minute_are_sent_again(fusebill):
    fusebill.inject(Fault.status(503, operation="get", times=None))
    retry = RetryPolicy(max_attempts=2, backoff=0.0)

    async def sent_by(calls):
        before = fusebill.received("get", 1)
        for _ in range(calls):
            with pytest.raises(FusebillError):
                await client.customers.get(1)
        return fusebill.received("get", 1) - before

    async with make(fusebill, retry=retry, quota=QuotaPolicy.off()) as client:
        assert await sent_by(50) == 60
        await asyncio.sleep(50)
        assert await sent_by(40) == 40
        await asyncio.sleep(130)
        assert await sent_by(50) == 60
        await asyncio.sleep(130)
        assert await sent_by(300) == 330


# --- QuotaPolicy


@default_of(QuotaPolicy, "share", "burst", "enabled")
@simulated
async def test_all_of_the_quota_is_used_and_a_twentieth_of_it_at_once(fusebill_of):
    """Of 1,000 calls a minute 50 go at once, and the others at the pace of the whole."""
    async with fusebill_of(per_minute=1000, per_day=180_000) as fusebill, make(fusebill) as client:
        fusebill.add_customer(id=1)
        await client.customers.get(1)
        await asyncio.sleep(10)
        started = asyncio.get_running_loop().time()
        calls = [asyncio.ensure_future(client.customers.get(1)) for _ in range(450)]
        await asyncio.sleep(0.5)
        gone = sum(call.done() for call in calls)
        await asyncio.gather(*calls)
    assert 45 <= gone <= 80
    assert asyncio.get_running_loop().time() - started < 31


@default_of(QuotaPolicy, "day_reserve", "thresholds")
@simulated
async def test_a_hundredth_of_the_day_is_kept_back_and_two_thresholds_are_told(fusebill_of):
    heard = []

    class Heard(Hooks):
        def quota_threshold(self, quota):
            heard.append((quota.window, quota.used, fusebill.received("get", 1)))

    async with (
        fusebill_of(per_minute=100_000, per_day=1000) as fusebill,
        make(fusebill, hooks=[Heard()]) as client,
    ):
        fusebill.add_customer(id=1)
        for _ in range(990):
            await client.customers.get(1)
        with pytest.raises(QuotaExhaustedError):
            await client.customers.get(1)
    assert heard == [("day", 0.8, 800), ("day", 0.95, 950)]


@default_of(QuotaPolicy, "per_minute", "workers")
@pytest.mark.parametrize("shared", [None, Away()])
@virtually
async def test_before_any_answer_calls_go_as_for_a_thousand_a_minute(shared):
    """Ten at once, and 15.8 a second; also while a shared budget is away, for one that knows of no others."""
    account = Account(places=1000, policy=QuotaPolicy(), shared=shared)
    gone = []

    async def go():
        (await account.admission.enter(BULK)).sent()
        gone.append(account.loop.time())

    calls = [asyncio.create_task(go()) for _ in range(500)]
    await asyncio.sleep(0)
    await asyncio.sleep(10)
    assert 160 <= len(gone) <= 175
    await account.admission.aclose()
    await asyncio.gather(*calls, return_exceptions=True)


# --- SettlingPolicy


@default_of(SettlingPolicy, "quiet_period", "first_read", "misses", "quiet_growth", "enabled")
@simulated
@pytest.mark.parametrize(("misses", "reads"), [(2, [0.1, 10.1]), (3, [0.1, 5.1, 10.1])])
async def test_a_lost_hold_is_read_soon_and_after_ten_seconds(fusebill, misses, reads):
    fusebill.add_customer(id=1, status="Active")
    fusebill.inject(Fault.reset_before_effect(operation="hold"))
    ends = Ends()
    policy = SettlingPolicy() if misses == 2 else SettlingPolicy(misses=misses)
    async with make(fusebill, hooks=[ends], settling=policy, retry=ONCE) as client:
        with pytest.raises(NotAppliedError):
            await client.customers.hold(1)
    assert ends.times["customers.get"] == about(*reads)


@default_of(SettlingPolicy, "quiet_period", "wait")
@simulated
async def test_a_lost_activation_is_told_after_thirty_seconds_and_settled_after_sixty(fusebill):
    fusebill.add_customer(id=1, status="Draft")
    fusebill.inject(Fault.reset_before_effect(operation="activate"))
    ends = Ends()
    async with make(fusebill, hooks=[ends]) as client:
        with taking(30.0), pytest.raises(OutcomeUnknownError):
            await client.customers.activate(1, True, True, False)
        assert [write.state for write in client.unresolved()] == ["settling"]
        await asyncio.sleep(31)
        assert client.unresolved() == []
    assert ends.times["customers.get"] == about(0.1, 60.1)


@default_of(SettlingPolicy, "retry_delay", "growth", "retry_limit", "give_up")
@simulated
@pytest.mark.filterwarnings("ignore::fusebill_async.UnresolvedWritesWarning")
async def test_reads_that_fail_are_repeated_ever_more_seldom_for_ten_minutes(fusebill):
    fusebill.add_customer(id=1, status="Active")
    fusebill.inject(Fault.reset_before_effect(operation="hold"), Fault.status(503, operation="get", times=None))
    ends = Ends()
    async with make(fusebill, hooks=[ends]) as client:
        with pytest.raises(OutcomeUnknownError):
            await client.customers.hold(1)
        await asyncio.sleep(560)
        assert [write.state for write in client.unresolved()] == ["settling"]
        await asyncio.sleep(15)
        assert [write.state for write in client.unresolved()] == ["unknown"]
        reads = len(ends.times["customers.get"])
        await asyncio.sleep(300)
        assert len(ends.times["customers.get"]) == reads
    gaps = ends.gaps("customers.get")
    assert gaps[:9] == about(0.5, 1, 2, 4, 8, 16, 30, 30, 30)
    assert set(gaps[6:-1]) <= {30.0, 30.1}


@default_of(SettlingPolicy, "close_wait")
@simulated
async def test_closing_waits_for_thirty_seconds(fusebill):
    fusebill.add_customer(id=1, status="Active")
    fusebill.inject(Fault.reset_before_effect(operation="hold"), Fault.status(503, operation="get", times=None))
    client = make(fusebill)
    hold = asyncio.ensure_future(client.customers.hold(1))
    await asyncio.sleep(5)
    with taking(30.0), pytest.warns(match="unresolved"):
        await client.aclose()
    with pytest.raises(OutcomeUnknownError):
        await hold


# --- UpdatePolicy


@default_of(UpdatePolicy, "max_read_age")
@simulated
@pytest.mark.parametrize(("age", "methods"), [(0.8, ["GET", "PUT"]), (1.2, ["GET", "GET", "PUT"])])
async def test_a_put_rests_on_a_read_that_is_younger_than_a_second(fusebill, age, methods):
    fusebill.add_customer(id=1, status="Active")
    async with make(fusebill) as client:
        customer = await client.customers.get(1)
        await asyncio.sleep(age)
        await client.customers.update(customer, company_name="x")
    assert [request.method for request in fusebill.requests] == methods


@default_of(UpdatePolicy, "rounds")
@simulated
async def test_an_update_that_is_overtaken_five_times_gives_up(fusebill):
    fusebill.add_customer(id=1, status="Active")
    fusebill.inject(Fault.status(429, operation="update", times=None, retry_after=0.01))

    class Others(Hooks):
        def attempt_ended(self, attempt):
            if attempt.status == 429:
                fusebill.change(1, middle_name=f"theirs {fusebill.received('update', 1)}")

    async with make(fusebill, hooks=[Others()], timeouts=Timeouts(queue=None)) as client:
        with pytest.raises(ConcurrentModificationError, match="5 times"):
            await client.customers.update(1, company_name="x")
    assert fusebill.effects("update", 1) == 0


# --- all of them


def test_every_default_has_its_test_here():
    kinds = (Timeouts, PoolSettings, RetryPolicy, QuotaPolicy, SettlingPolicy, UpdatePolicy)
    every = {(kind, field.name) for kind in kinds for field in attrs.fields(kind)}
    # Of a day's limit that was never told nothing can be seen: a day is longer than any answer stays away.
    assert every - TESTED == {(QuotaPolicy, "per_day")}
    assert QuotaPolicy().per_day == 180_000


@pytest.fixture
def fusebill_of():
    return lambda **limits: FusebillSimulator(quota=SimulatorQuota(**limits))
