"""Every fault as a plain socket sees it, and the effect at the service."""

import asyncio
import gc
import gzip
import json
import socket
import time
from contextlib import nullcontext

import pytest

from fusebill_async.testing import Fault, FusebillSimulator
from tests.simulator.plain_wire import Wire, ask

HOLD = ("POST", "/v1/CustomerHold/1")


@pytest.fixture(autouse=True)
def customer(fusebill):
    fusebill.add_customer(id=1)


async def outcome(wire) -> str:
    """How the connection ends when no answer comes."""
    try:
        data = await asyncio.wait_for(wire.reader.read(), 0.3)
    except ConnectionResetError:
        return "reset"
    except TimeoutError:
        return "hang"
    return "close" if data == b"" else "answer"


@pytest.mark.parametrize("ending", ["reset", "close", "hang"])
@pytest.mark.parametrize(("when", "effects"), [("before", 0), ("after", 1)])
@pytest.mark.parametrize("kept", [False, True])
async def test_the_end_of_a_connection_around_the_effect(fusebill, ending, when, effects, kept):
    fault = getattr(Fault, f"{ending}_{when}_effect")(operation="hold")
    fusebill.inject(fault)
    async with Wire(fusebill.port) as wire:
        if kept:
            assert (await wire.ask("GET", "/v1/customers/1")).status == 200
        await wire.send(*HOLD)
        assert await outcome(wire) == ending
    assert fusebill.effects("hold", 1) == effects
    assert fusebill.received("hold", 1) == 1
    assert [fired.fault for fired in fusebill.faults_fired] == [fault]
    assert (await ask(fusebill, *HOLD)).status == (400 if effects else 200)


@pytest.mark.parametrize("then", ["reset", "close", "hang", "status"])
async def test_a_late_effect(fusebill, then):
    fusebill.inject(Fault.late_effect(delay=0.4, then=then, operation="hold"))
    async with Wire(fusebill.port) as wire:
        await wire.send(*HOLD)
        if then == "status":
            assert (await wire.receive()).status == 503
        else:
            assert await outcome(wire) == then
    assert (fusebill.effects("hold"), fusebill.late_effects) == (0, 1)
    await asyncio.wait_for(fusebill.wait_for_late_effects(), 5)
    assert (fusebill.effects("hold", 1), fusebill.customer(1)["status"]) == (1, "Hold")


@pytest.mark.parametrize("end", ["reset", "close"])
@pytest.mark.parametrize("where", ["headers", "body"])
async def test_in_the_middle_of_the_request(fusebill, end, where):
    fusebill.inject(getattr(Fault, f"{end}_in_{where}")())
    async with Wire(fusebill.port) as wire:
        await wire.send(*HOLD)
        assert await outcome(wire) == end
    assert (fusebill.effects("hold"), fusebill.received("hold"), len(fusebill.requests)) == (0, 0, 0)


@pytest.mark.parametrize("end", ["reset", "close"])
@pytest.mark.parametrize("effect", ["none", "before"])
async def test_in_the_middle_of_the_answer(fusebill, end, effect):
    in_headers = getattr(Fault, f"{end}_in_headers")(of="answer", effect=effect)
    in_body = getattr(Fault, f"{end}_in_body")(of="answer", effect=effect)
    fusebill.inject(in_headers, in_body)
    failure = ConnectionResetError if end == "reset" else asyncio.IncompleteReadError
    async with Wire(fusebill.port) as wire:
        await wire.send(*HOLD)
        with pytest.raises(failure):
            await wire.receive()
    fusebill.change(1, status="Active")
    async with Wire(fusebill.port) as wire:
        await wire.send(*HOLD)
        assert (await wire.head()).status == 200
        with pytest.raises(failure):
            await wire.reader.readexactly(1000)
    assert fusebill.effects("hold", 1) == (2 if effect == "before" else 0)


@pytest.mark.parametrize("end", ["reset", "close"])
async def test_on_accept(fusebill, end):
    fusebill.inject(getattr(Fault, f"{end}_on_accept")())
    async with Wire(fusebill.port) as wire:
        assert await outcome(wire) == end
    assert (await ask(fusebill, *HOLD)).status == 200


async def test_refused_until_it_is_cleared(fusebill):
    async with Wire(fusebill.port) as kept:
        assert (await kept.ask("GET", "/v1/customers/1")).status == 200
        fusebill.inject(Fault.refuse())
        with pytest.raises(ConnectionRefusedError):
            await ask(fusebill, *HOLD)
        assert (await kept.ask("GET", "/v1/customers/1")).status == 200
        fusebill.clear_faults()
        assert (await ask(fusebill, *HOLD)).status == 200


async def test_refused_for_a_while_and_counted(fusebill):
    fusebill.inject(Fault.refuse(seconds=0.1))
    with pytest.raises(ConnectionRefusedError):
        await ask(fusebill, *HOLD)
    await asyncio.sleep(0.2)
    fusebill.inject(Fault.refuse(times=1))
    async with Wire(fusebill.port) as wire:
        assert await outcome(wire) == "reset"
    assert (await ask(fusebill, *HOLD)).status == 200


async def test_stalled(fusebill):
    fusebill.inject(Fault.stall_connect(), Fault.stall_connect(seconds=0.2))
    async with Wire(fusebill.port) as wire:
        await wire.send(*HOLD)
        assert await outcome(wire) == "hang"
    started = time.monotonic()
    assert (await ask(fusebill, *HOLD)).status == 200
    assert time.monotonic() - started > 0.15
    assert fusebill.received("hold") == 1


async def test_a_full_backlog_hangs_the_connect(fusebill):
    fusebill.inject(Fault.stall_connect(backlog=True))
    plain = socket.socket()
    plain.setblocking(False)
    with plain, pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", fusebill.port)), 0.3)
    fusebill.clear_faults()
    assert (await ask(fusebill, *HOLD)).status == 200


async def test_garbage_instead_of_tls_and_http(fusebill):
    fusebill.inject(Fault.tls_trouble(garbage=b"\x00\xffgarbage"))
    async with Wire(fusebill.port) as wire:
        wire.writer.write(b"\x16\x03\x01\x02\x00\x01\x00")
        assert await wire.reader.read() == b"\x00\xffgarbage"
    fusebill.inject(Fault.tls_trouble())
    async with Wire(fusebill.port) as wire:
        await wire.send(*HOLD)
        assert (await wire.reader.read())[:1] == b"\x15"
    assert fusebill.effects("hold") == 0


@pytest.mark.parametrize("code", [408, 409, 429, 500, 501, 502, 503, 504])
@pytest.mark.parametrize(("effect", "effects"), [("none", 0), ("before", 1), ("late", 1)])
async def test_statuses(fusebill, code, effect, effects):
    fusebill.inject(Fault.status(code, effect=effect, late_by=0.05, headers={"X-A": "b"}, retry_after=7))
    answer = await ask(fusebill, *HOLD)
    assert (answer.status, answer.json["HttpStatusCode"]) == (code, code)
    assert (answer.header("X-A"), answer.header("Retry-After")) == ("b", "7")
    assert fusebill.effects("hold") == (0 if effect == "late" else effects)
    await fusebill.wait_for_late_effects()
    assert fusebill.effects("hold", 1) == effects


async def test_quota_headers_of_a_status(fusebill):
    fusebill.inject(
        *(Fault.status(429, quota_headers=kind, body="slow down") for kind in ("with", "without", "garbage"))
    )
    shown = [await ask(fusebill, *HOLD) for _ in range(3)]
    assert [answer.header("X-Rate-Limit-Limit-Minute") for answer in shown] == ["1000000", None, "many"]
    assert all(answer.header("Date") for answer in shown)
    assert shown[0].body == b"slow down"


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_redirects(fusebill, code):
    fusebill.inject(Fault.redirect(code), Fault.redirect(code, to="https://other.example.com/v1/x"))
    answers = [await ask(fusebill, *HOLD) for _ in range(2)]
    assert [answer.status for answer in answers] == [code, code]
    assert [answer.header("Location") for answer in answers] == [HOLD[1], "https://other.example.com/v1/x"]
    assert fusebill.effects("hold") == 0


@pytest.mark.parametrize(
    ("fault", "status", "check"),
    [
        (Fault.html(), 200, lambda answer: answer.body.startswith(b"<!DOCTYPE html>")),
        (Fault.empty(), 200, lambda answer: answer.body == b""),
        (Fault.no_content(), 204, lambda answer: answer.header("Content-Length") is None),
        (Fault.null_body(), 200, lambda answer: answer.body == b"null"),
        (Fault.wrong_types(), 200, lambda answer: answer.json["id"] == {"value": 1}),
        (Fault.other_id(), 200, lambda answer: answer.json["id"] == 2),
        (Fault.other_id(other=77), 200, lambda answer: answer.json["id"] == 77),
        (Fault.gzip_answer(), 200, lambda answer: json.loads(gzip.decompress(answer.body))["id"] == 1),
        (
            Fault.broken_gzip(),
            200,
            lambda answer: answer.header("Content-Encoding") == "gzip" and answer.json,
        ),
        (Fault.deep_json(), 200, lambda answer: answer.body == b"[" * 100_000 + b"]" * 100_000),
        (Fault.header_flood(count=50, length=100), 200, lambda answer: len(answer.headers) > 50),
        (
            Fault.oversized_body(),
            200,
            lambda answer: len(answer.body) == 9 * 2**20 and answer.json["id"] == 1,
        ),
    ],
    ids=lambda value: repr(value) if isinstance(value, Fault) else "",
)
@pytest.mark.parametrize("effect", ["none", "before"])
async def test_answers(fusebill, fault, status, check, effect):
    fusebill.inject(fault.scoped(effect=effect))
    answer = await ask(fusebill, *HOLD)
    assert answer.status == status
    assert check(answer)
    assert fusebill.effects("hold", 1) == (1 if effect == "before" else 0)


async def test_bad_json(fusebill):
    fusebill.inject(Fault.bad_json())
    answer = await ask(fusebill, *HOLD)
    with pytest.raises(json.JSONDecodeError):
        answer.json  # noqa: B018


async def test_a_gzip_bomb(fusebill):
    fusebill.inject(Fault.gzip_bomb())
    answer = await ask(fusebill, *HOLD)
    assert len(answer.body) < 200_000
    assert len(gzip.decompress(answer.body)) == 64 * 2**20


async def test_a_second_answer(fusebill):
    fusebill.inject(Fault.unsolicited_answer(), Fault.unsolicited_answer(after=0.1, other=9, operation="get"))
    async with Wire(fusebill.port) as wire:
        assert (await wire.ask(*HOLD)).json["id"] == 1
        # It waits on the idle connection, before anything else was asked.
        assert (await wire.receive()).json["id"] == 2
        assert (await wire.ask("GET", "/v1/customers/1")).json["id"] == 1
        assert (await wire.receive()).json["id"] == 9
    assert fusebill.effects("hold") == 1


async def test_two_lengths(fusebill):
    fusebill.inject(Fault.duplicate_content_length())
    async with Wire(fusebill.port) as wire:
        await wire.send(*HOLD)
        head = await wire.head()
    assert len({value for name, value in head.headers if name == "Content-Length"}) == 2


@pytest.mark.parametrize(("then", "failure"), [("close", asyncio.IncompleteReadError), ("reset", ConnectionResetError)])
async def test_a_cut_body(fusebill, then, failure):
    fusebill.inject(Fault.cut_body(keep=0.25, then=then))
    with pytest.raises(failure):
        await ask(fusebill, *HOLD)
    assert fusebill.effects("hold") == 1


async def test_slow_answers(fusebill):
    fusebill.inject(Fault.slow_body(seconds=0.05, chunk=500), Fault.delay(0.15))
    for _ in range(2):
        started = time.monotonic()
        assert (await ask(fusebill, "GET", "/v1/customers/1")).json["id"] == 1
        assert time.monotonic() - started >= 0.14


@pytest.mark.parametrize("then", ["close", "reset"])
async def test_the_end_after_a_good_answer(fusebill, then):
    fusebill.inject(Fault.close_after_answer(then=then))
    async with Wire(fusebill.port) as wire:
        assert (await wire.ask(*HOLD)).status == 200
        assert await outcome(wire) == then


async def test_scope(fusebill):
    fusebill.add_customer(id=2)
    fusebill.inject(Fault.status(500, operation="HOLD", customer_id=2, times=2, skip=1, effect="none"))
    statuses = [(await ask(fusebill, "POST", f"/v1/CustomerHold/{one}")).status for one in (1, 2, 2, 2)]
    assert statuses == [200, 200, 500, 500]
    assert (await ask(fusebill, "GET", "/v1/customers/2")).status == 200
    assert (await ask(fusebill, "POST", "/v1/CustomerHold/2")).status == 400
    with pytest.raises(ValueError, match="no operation"):
        Fault.empty(operation="explode")


async def test_chance_comes_from_the_seed():
    async def run(seed):
        async with FusebillSimulator(customers=1, seed=seed) as fusebill:
            fusebill.inject(Fault.status(500, probability=0.5, times=None))
            async with Wire(fusebill.port) as wire:
                return [(await wire.ask("GET", "/v1/customers/1")).status for _ in range(40)]

    first = await run(7)
    assert first == await run(7) != await run(8)
    assert set(first) == {200, 500}


EVERY_FAULT = [
    Fault.refuse(seconds=1.0),
    Fault.refuse(times=2),
    Fault.stall_connect(),
    Fault.stall_connect(backlog=True),
    Fault.reset_on_accept(times=None),
    Fault.close_on_accept(),
    Fault.tls_trouble(),
    Fault.reset_in_headers(),
    Fault.close_in_headers(of="answer", effect="late"),
    Fault.reset_in_body(),
    Fault.close_in_body(),
    Fault.reset_before_effect(operation="activate"),
    Fault.reset_after_effect(customer_id=3),
    Fault.close_before_effect(),
    Fault.close_after_effect(),
    Fault.hang_before_effect(),
    Fault.hang_after_effect(),
    Fault.late_effect(delay=1.5, then="hang"),
    Fault.status(429, headers={"a": "b"}, retry_after="soon"),
    Fault.status(503, effect="late", late_by=0.5, probability=0.1, times=None),
    Fault.redirect(307, to="/x"),
    Fault.html(),
    Fault.empty(),
    Fault.no_content(),
    Fault.null_body(),
    Fault.bad_json(),
    Fault.wrong_types(),
    Fault.other_id(other=3),
    Fault.unsolicited_answer(after=1.0),
    Fault.duplicate_content_length(),
    Fault.cut_body(),
    Fault.slow_body(),
    Fault.gzip_bomb(),
    Fault.gzip_answer(),
    Fault.broken_gzip(),
    Fault.deep_json(),
    Fault.header_flood(),
    Fault.oversized_body(),
    Fault.delay(2.0, operation="unlatch"),
    Fault.lagging_read(5.0, times=None),
    Fault.doubled_request(answer="first"),
    Fault.close_after_answer(),
]


@pytest.mark.parametrize("fault", EVERY_FAULT, ids=repr)
def test_a_fault_can_be_read_and_written(fault):
    assert eval(repr(fault), {"Fault": Fault}) == fault  # noqa: S307
    assert hash(fault) == hash(eval(repr(fault), {"Fault": Fault}))  # noqa: S307


def test_a_fault_reads_well():
    fault = Fault.status(503, effect="late", operation="activate", times=None)
    assert (
        repr(fault) == "Fault.status(code=503, operation='customers.activate', times=None, effect='late', late_by=0.2)"
    )


def test_the_list_above_is_complete():
    assert {fault.kind for fault in EVERY_FAULT} == {
        name for name, value in vars(Fault).items() if isinstance(value, classmethod)
    }


@pytest.mark.parametrize("turns", range(6))
async def test_a_connection_that_is_being_accepted_when_others_are_refused_is_not_lost(fusebill, turns):
    """It was made, so it is served; or it still waited, and ends with those. Nothing is left half open."""
    with socket.create_connection(("127.0.0.1", fusebill.port)) as made:
        made.setblocking(False)
        for _ in range(turns):
            await asyncio.sleep(0)
        fusebill.inject(Fault.refuse())
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", fusebill.port)
        loop = asyncio.get_running_loop()
        served = fusebill.connections == 1
        assert served == (turns > 0) or turns == 1
        with nullcontext() if served else pytest.raises(ConnectionError):
            await loop.sock_sendall(made, b"GET /v1/customers/1 HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await loop.sock_recv(made, 100)).startswith(b"HTTP/1.1 401")
    fusebill.clear_faults()
    gc.collect()
