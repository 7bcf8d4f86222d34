"""The API key is in no string of any failure: message, repr, arguments, notes, traceback, log, pickle."""

import asyncio
import base64
import logging
import pickle
import traceback

import pytest

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
    texts = [repr(client), repr(client._handle), repr(client.unresolved()), repr(client.quota)]
    try:
        await client.aclose()
    except UnresolvedWritesWarning as warning:
        texts += strings_of(warning)
    return raised, texts


@pytest.mark.parametrize("verb", [VERBS[name] for name in ("hold", "activate", "update", "get", "preview")], ids=str)
async def test_no_failure_holds_the_key(verb, caplog):
    caplog.set_level(logging.DEBUG)
    failures = 0
    for fault, error, texts in await fail_with_all(verb, FAULTS):
        for text in texts:
            assert_silent(text, f"{fault}: client")
        if error is None:
            continue
        failures += 1
        for text in strings_of(error):
            assert_silent(text, f"{fault}: {type(error).__name__}")
        for one in chain(error):
            assert not type(one).__module__.startswith("aiohttp"), f"{fault}: {chain(error)}"
    assert failures > len(FAULTS) / 2
    for record in caplog.records:
        assert_silent(logging.Formatter().format(record), f"log of {record.name}")


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


def test_a_key_that_is_refused_is_not_shown():
    for key in (f"Basic {KEY}", f"{KEY}\n", f"{KEY} "):
        with pytest.raises(ConfigurationError) as raised:
            FusebillClient(key)
        for text in strings_of(raised.value):
            assert_silent(text, "ConfigurationError")
