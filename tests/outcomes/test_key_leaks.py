"""The API key is in no string of a failure: message, repr, arguments, notes, traceback and its locals, log, pickle."""

import asyncio
import base64
import copy
import logging
import pickle
import pprint
import reprlib
import traceback
import warnings
from pathlib import Path

import pytest
from aiohttp import http_writer
from multidict import CIMultiDict, CIMultiDictProxy

from fusebill_async import (
    ConfigurationError,
    FusebillClient,
    FusebillError,
    RetryPolicy,
    SettlingPolicy,
    Timeouts,
    UnresolvedWritesWarning,
)
from fusebill_async.testing import Fault, FusebillSimulator
from fusebill_async.wire.redact import HIDDEN, HiddenText
from fusebill_async.wire.refusals import BODY_KEPT, read_refusal
from tests.outcomes.outcome_cases import (
    BAD_ANSWERS,
    CUT_REQUESTS,
    HEAVY_ANSWERS,
    KEY,
    REFUSALS,
    VERBS,
    cuts,
    make_client,
)

ECHO = f'{{"ErrorId":1,"Errors":[{{"Key":"Basic {KEY}","Value":"the key Basic {KEY} is not welcome"}}]}}'
PAGE = f"<html><body>Authorization: Basic {KEY}</body></html>"

ECHOES = [
    *(Fault.status(code, body=ECHO) for code in (400, 401, 403, 404, 409, 422, 500, 503)),
    *(Fault.status(code, body=PAGE) for code in (200, 302, 400, 401, 502)),
    Fault.status(200, body=f'{{"id":"{KEY}"}}'),
    Fault.status(200, body=f'"{KEY}"'),
    Fault.status(200, body=f'{{"id":1,"status":["{KEY}"]}}'),
    Fault.status(400, headers={"X-Echo": KEY}),
    Fault.redirect(to=f"https://elsewhere.example/?key={KEY}"),
    Fault.status(400, body=ECHO * 2000),
]
CONNECTIONS = [
    Fault.refuse(), Fault.stall_connect(backlog=True), Fault.tls_trouble(times=None), Fault.reset_on_accept(times=None),
    Fault.close_on_accept(times=None), Fault.stall_connect(times=None),
]  # fmt: skip
FAULTS = [*cuts("none"), *cuts("before"), *BAD_ANSWERS, *CUT_REQUESTS, *REFUSALS, *HEAVY_ANSWERS, *ECHOES, *CONNECTIONS]

TESTS = str(Path(__file__).parents[1])
SECRETS = [KEY, base64.b64encode(KEY.encode()).decode(), base64.b64encode(f"{KEY}:".encode()).decode()]


def chain(error):
    seen = []
    waiting = [error]
    while waiting:
        one = waiting.pop()
        if one is not None and one not in seen:
            seen.append(one)
            waiting += [one.__context__, one.__cause__]
            waiting += getattr(one, "exceptions", ())
    return seen


def strings_of(error):
    yield "".join(traceback.format_exception(error, chain=True))
    for one in chain(error):
        yield str(one)
        yield repr(one)
        yield repr(one.args)
        yield repr(vars(one))
        yield repr(getattr(one, "__notes__", ()))
    yield from (pickle.dumps(error, protocol).decode("latin-1") for protocol in (0, 2, pickle.HIGHEST_PROTOCOL))


def locals_of(error):
    """What reports that show local variables have of every frame but those of the tests."""
    for one in chain(error):
        for frame, _ in traceback.walk_tb(one.__traceback__):
            if not frame.f_code.co_filename.startswith(TESTS):
                yield from (f"{frame.f_code.co_qualname}: {name} = {value!r}" for name, value in frame.f_locals.items())


def assert_silent(text, where):
    for secret in SECRETS:
        assert secret not in text, where


async def fail(verb, fault):
    """Make a call fail with a fault that never ends, reads that settle included."""
    async with FusebillSimulator() as fusebill:
        return await _fail(fusebill, verb, fault)


async def fail_with_all(verb, faults):
    asyncio.get_running_loop().set_debug(False)
    places = asyncio.Semaphore(12)

    async def one(fault):
        async with places:
            return fault, *await fail(verb, fault)

    return await asyncio.gather(*(one(fault) for fault in faults))


async def _fail(fusebill, verb, fault):
    fusebill.add_customer(id=1, status=verb.status)
    client = make_client(
        fusebill,
        timeouts=Timeouts(connect=0.1, read=0.1, total=5.0),
        retry=RetryPolicy(backoff=0.001, max_attempts=2),
        settling=SettlingPolicy(
            first_read=0.001, quiet_period=0.01, retry_delay=0.01, wait=0.05, give_up=0.1, close_wait=0.2
        ),
    )
    fusebill.inject(fault.scoped(times=None))
    try:
        await verb.call(client.with_response, 1)
    except FusebillError as error:
        raised = error
    else:
        raised = None
    fusebill.clear_faults()
    texts = [repr(client), repr(client._core), repr(client.unresolved()), repr(client.quota)]
    try:
        await client.aclose()
    except UnresolvedWritesWarning as warning:
        texts += strings_of(warning)
    return raised, texts


@pytest.mark.fusebill_simulated(seed=1)
@pytest.mark.parametrize(
    "verb", [VERBS[name] for name in ("hold", "activate", "update", "create", "get", "list", "preview")], ids=str
)
async def test_no_failure_holds_the_key(verb, caplog):
    caplog.set_level(logging.DEBUG)
    failures = 0
    for fault, error, texts in await fail_with_all(verb, FAULTS):
        for text in texts:
            assert_silent(text, f"{fault}: client")
        if error is None:
            continue
        failures += 1
        for text in (*strings_of(error), *locals_of(error)):
            assert_silent(text, f"{fault}: {type(error).__name__}, {text[:80]}")
        for one in chain(error):
            assert not type(one).__module__.startswith("aiohttp"), f"{fault}: {chain(error)}"
    assert failures > len(FAULTS) / 2
    for record in caplog.records:
        assert_silent(logging.Formatter().format(record), f"log of {record.name}")


@pytest.mark.fusebill_simulated(seed=1)
@pytest.mark.parametrize("verb", [VERBS[name] for name in ("hold", "activate", "update", "get")], ids=str)
async def test_failures_pickle_with_their_facts(verb):
    faults = [*cuts("none"), *REFUSALS, Fault.html(), Fault.refuse(), Fault.status(503)]
    for fault, error, _ in await fail_with_all(verb, faults):
        if error is None:
            continue
        back = pickle.loads(pickle.dumps(error))  # noqa: S301 (our own)
        assert type(back) is type(error)
        assert back.args == error.args
        assert vars(back).keys() == vars(error).keys()
        for name in ("outcome", "operation", "customer_id", "attempts", "status", "errors", "body", "intent_id"):
            assert getattr(back, name, None) == getattr(error, name, None), (fault, name)


ENDLESS = {
    "connecting": Fault.stall_connect(backlog=True, times=None),
    "waiting for the answer": Fault.hang_before_effect(times=None),
    "reading the answer": Fault.slow_body(seconds=60, times=None),
}


@pytest.mark.parametrize("phase", ENDLESS)
@pytest.mark.parametrize("verb", [VERBS[name] for name in ("hold", "update", "create", "get", "list")], ids=str)
async def test_a_call_that_is_cancelled_does_not_show_the_key(verb, phase):
    async with FusebillSimulator() as fusebill:
        fusebill.add_customer(id=1, status="Active")
        settling = SettlingPolicy(close_wait=0.01)
        client = make_client(fusebill, timeouts=Timeouts(), settling=settling, on_cancel="abort")
        fusebill.inject(ENDLESS[phase])
        with pytest.raises(TimeoutError) as raised:
            async with asyncio.timeout(0.1):
                await verb.call(client.with_response, 1)
        for text in (*strings_of(raised.value), *locals_of(raised.value)):
            assert_silent(text, text[:80])
        fusebill.clear_faults()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UnresolvedWritesWarning)
            await client.aclose()


def refused_keys():
    yield from (f"Basic {KEY}", f"{KEY}\n", f"{KEY} ", f" {KEY}", f"{KEY}\u20ac", f"{KEY}\0", KEY.encode(), [KEY])


def from_env(**options):
    return FusebillClient.from_env(**options)


REFUSED = {
    **{f"key {number}": (lambda key=key: FusebillClient(key)) for number, key in enumerate(refused_keys())},
    "base_url": lambda: FusebillClient(KEY, base_url="https://secure.fusebill.com/v2"),
    "a key in base_url": lambda: FusebillClient("x", base_url=f"https://{KEY}@secure.fusebill.com:x/v1"),
    "timeouts": lambda: FusebillClient(KEY, timeouts=5),
    "hooks": lambda: FusebillClient(KEY, hooks=5),
    "on_cancel": lambda: FusebillClient(KEY, on_cancel="no"),
    "from_env with a base_url": lambda: from_env(base_url="https://secure.fusebill.com/v2"),
    "from_env with hooks": lambda: from_env(hooks=[None]),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused_does_not_show_the_key(what, monkeypatch):
    monkeypatch.setenv("FUSEBILL_API_KEY", KEY)
    with pytest.raises(ConfigurationError) as raised:
        REFUSED[what]()
    for text in strings_of(raised.value):
        assert_silent(text, "ConfigurationError")
    # An address that was refused is the user's own, and shown.
    shown = [text for text in locals_of(raised.value) if "base_url = " not in text]
    assert shown
    for text in shown:
        assert_silent(text, text[:80])


@pytest.mark.parametrize("key", [f"{KEY}\n", f"Basic {KEY}"])
def test_a_key_of_the_environment_that_is_refused_is_not_shown(key, monkeypatch):
    monkeypatch.setenv("FUSEBILL_API_KEY", key)
    with pytest.raises(ConfigurationError) as raised:
        from_env()
    for text in (*strings_of(raised.value), *locals_of(raised.value)):
        assert_silent(text, text[:80])


def test_the_key_is_hidden_wherever_it_is_shown_and_whole_wherever_it_is_used():
    hidden = HiddenText.of(KEY)
    headers = CIMultiDict({"Authorization": HiddenText(f"Basic {hidden}")})
    shown = [
        repr(hidden), repr(hidden[:8]), repr([hidden]), pprint.pformat({"key": hidden}), reprlib.repr(hidden),
        repr(headers), repr(CIMultiDict(headers)), repr(CIMultiDictProxy(headers)), repr(copy.deepcopy(headers)),
        repr(pickle.loads(pickle.dumps(hidden))),  # noqa: S301 (our own)
    ]  # fmt: skip
    for text in shown:
        assert KEY[:4] not in text
    for used in (hidden, copy.copy(hidden), pickle.loads(pickle.dumps(hidden))):  # noqa: S301 (our own)
        assert str(used) == f"{used}" == "".join(used) == KEY
        assert used == KEY
        assert hash(used) == hash(KEY)


@pytest.mark.parametrize("write", [http_writer._serialize_headers, http_writer._py_serialize_headers])
def test_a_hidden_header_is_sent_as_it_is(write):
    headers = CIMultiDict({"Authorization": HiddenText(f"Basic {KEY}")})
    assert f"Authorization: Basic {KEY}\r\n".encode() in write("GET / HTTP/1.1", headers)


async def test_the_service_gets_the_key(fusebill):
    fusebill.add_customer(id=1, status="Active")
    async with make_client(fusebill) as client:
        await client.customers.hold(1)
    assert {request.headers["Authorization"] for request in fusebill.requests} == {f"Basic {KEY}"}


@pytest.mark.parametrize("shown", [1, 8, len(KEY) - 1])
def test_a_body_that_is_cut_within_the_key_shows_no_part_of_it(shown):
    body = b"\n" * (BODY_KEPT - shown) + KEY.encode() + b"\n" * 100
    assert read_refusal(502, body, KEY).body.strip() == HIDDEN.encode()[:shown]
