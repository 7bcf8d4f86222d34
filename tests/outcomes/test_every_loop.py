"""Limits of time hold on every event loop. The transports of uvloop are of no class of asyncio's.

With `--uvloop` every test runs on uvloop; this one always tries both.
"""

import asyncio
import time

import pytest

from fusebill_async import Outcome, OutcomeUnknownError, RequestTimeoutError, RetryPolicy, SettlingPolicy, Timeouts
from fusebill_async.testing import Fault, FusebillSimulator
from tests.outcomes.outcome_cases import make_client


def uvloop_loop():
    return pytest.importorskip("uvloop").new_event_loop()


@pytest.fixture(params=[asyncio.new_event_loop, uvloop_loop], ids=["asyncio", "uvloop"])
def run(request):
    with asyncio.Runner(loop_factory=request.param, debug=False) as runner:
        yield runner.run


async def ends_in(service, call, error, seconds, **timeouts):
    """What the call of a silent service raised, within so many seconds."""
    options = {
        "timeouts": Timeouts(**timeouts),
        "retry": RetryPolicy(max_attempts=1),
        "settling": SettlingPolicy(first_read=0.01, wait=0.5, give_up=0.5, close_wait=0.1),
    }
    async with make_client(service, **options) as client:
        started = time.monotonic()
        async with asyncio.timeout(5 * seconds):
            with pytest.raises(error) as raised:
                await call(client.customers)
    assert time.monotonic() - started < seconds
    return raised.value


async def silent(name, call, error, seconds=2.0, **timeouts):
    async with FusebillSimulator(customers=1) as service:
        service.inject(Fault.hang_before_effect(operation="get", times=None), Fault.hang_before_effect(operation=name))
        return await ends_in(service, call, error, seconds, **timeouts)


def test_a_read_ends_when_the_service_was_silent(run):
    error = run(silent("get", lambda customers: customers.get(1), RequestTimeoutError, read=0.2, total=20.0))
    assert "silent for 0.2 s" in str(error)


def test_a_read_ends_at_the_deadline(run):
    error = run(silent("get", lambda customers: customers.get(1), RequestTimeoutError, read=20.0, total=0.3))
    assert "deadline of the call" in str(error)


@pytest.mark.filterwarnings("ignore::fusebill_async.UnresolvedWritesWarning")
def test_a_write_ends_unknown(run):
    error = run(silent("hold", lambda customers: customers.hold(1), OutcomeUnknownError, read=0.2, total=20.0))
    assert error.outcome is Outcome.UNKNOWN
    assert "silent for 0.2 s" in str(error)


def test_so_does_an_answer_that_stops_in_the_middle(run):
    async def cut():
        async with FusebillSimulator(customers=1) as service:
            service.inject(Fault.cut_body(then="hang", operation="get"))
            return await ends_in(service, lambda c: c.get(1), RequestTimeoutError, 2.0, read=0.2, total=20.0)

    assert "silent for 0.2 s" in str(run(cut()))


def test_connecting_ends_too(run):
    async def nobody_accepts():
        async with FusebillSimulator(customers=1) as service:
            service.inject(Fault.stall_connect(backlog=True))
            return await ends_in(service, lambda c: c.hold(1), RequestTimeoutError, 2.0, connect=0.2, total=20.0)

    assert run(nobody_accepts()).outcome is Outcome.NOT_SENT
