"""A user's hook that fails is logged once, and changes no outcome: of a call that is answered, settled or refused."""

from __future__ import annotations

import asyncio
import logging
import warnings
from contextlib import contextmanager

import pytest

from fusebill_async import ConfigurationError, FusebillClient, Hooks, NotFoundError, QuotaPolicy
from fusebill_async.testing import Fault, FusebillSimulator, SimulatorQuota
from tests.outcomes.outcome_cases import KEY, make_client

# What bulk jobs and stores tell is not told by the calls here.
EVENTS = [
    "call_begun", "call_ended", "wait_begun", "wait_ended", "attempt_begun", "attempt_ended",
    "settling_begun", "settling_ended", "quota_threshold",
]  # fmt: skip
REASON = "the metrics client is closed"


class Listener(Hooks):
    """Hears everything, and then fails in one event, as `fail` says."""

    def __init__(self, event, fail):
        self.heard = []

        def told(*facts):
            self.heard.append(event)
            return fail()

        setattr(self, event, told)


def raises():
    raise KeyError(REASON)


def is_cancelled():
    raise asyncio.CancelledError


async def is_async():
    raise AssertionError("nobody awaits it")


async def is_a_generator():
    yield 1


@contextmanager
def cannot_be_entered():
    raise KeyError(REASON)
    yield


@contextmanager
def cannot_be_left():
    yield
    raise KeyError(REASON)


class NoContextManager:
    """What somebody returns by mistake."""


def lines_of(caplog):
    return [logging.Formatter().format(record) for record in caplog.records if record.levelno >= logging.ERROR]


async def a_lost_hold_and_more(client, fusebill):
    """Every event comes: writes that are settled, reads, a refusal, a quota that runs low, waits."""
    fusebill.add_customer(id=1, status="Active")
    fusebill.inject(Fault.reset_after_effect(operation="hold"))
    assert (await client.with_response.customers.hold(1)).confirmed_by == "read"
    fusebill.inject(Fault.reset_after_effect(operation="hubspot.unlatch"))
    await asyncio.gather(*(client.hubspot.unlatch(1) for _ in range(3)))
    with pytest.raises(NotFoundError):
        await client.customers.get(2)
    for _ in range(5):
        await client.customers.get(1)
    assert client.unresolved() == []
    assert fusebill.effects("hold", 1) == 1


async def run_with(hooks):
    quota = QuotaPolicy(burst=1.0, per_minute=100, thresholds=(0.03, 0.06))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        async with (
            FusebillSimulator(quota=SimulatorQuota(per_minute=100)) as fusebill,
            make_client(fusebill, hooks=hooks, quota=quota) as client,
        ):
            await a_lost_hold_and_more(client, fusebill)


@pytest.mark.parametrize("fail", [raises, is_cancelled, is_async, is_a_generator])
@pytest.mark.parametrize("event", EVENTS)
async def test_a_hook_that_fails_is_logged_once_and_harms_nothing(event, fail, caplog):
    before, after = Listener(event, fail), Listener(event, lambda: None)
    await run_with([before, after])
    assert len(before.heard) > 1
    assert after.heard == before.heard
    [line] = lines_of(caplog)
    assert f"Listener.{event}" in line
    assert fail is not raises or REASON in line


@pytest.mark.parametrize("fail", [cannot_be_entered, cannot_be_left, NoContextManager, int])
@pytest.mark.parametrize("event", [event for event in EVENTS if event.endswith("_begun")])
async def test_a_context_manager_that_fails_is_logged_and_harms_nothing(event, fail, caplog):
    before, after = Listener(event, fail), Listener(event, lambda: None)
    await run_with([before, after])
    assert len(before.heard) > 1
    assert after.heard == before.heard
    assert len(lines_of(caplog)) == 1


async def test_each_hook_that_fails_is_logged(fusebill, caplog):
    async with make_client(fusebill, hooks=[Listener("attempt_ended", raises) for _ in range(3)]) as client:
        for _ in range(2):
            with pytest.raises(NotFoundError):
                await client.customers.get(1)
    assert len(lines_of(caplog)) == 3


@pytest.mark.parametrize("hooks", [Hooks(), [None], [Hooks], [Hooks(), object()], 5, "hooks"])
def test_what_is_no_hook_is_refused_when_the_client_is_made(hooks):
    with pytest.raises(ConfigurationError, match="hooks="):
        FusebillClient(KEY, hooks=hooks)
