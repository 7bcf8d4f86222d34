"""An answer came, and it is in doubt: until reading has settled it the write is as open as one without an answer.

It shows no effect, so it is from before; or it is a refusal after a lost attempt, so it may say "already so". In both
nothing of the session says any more that the service may have acted.
"""

# ruff: noqa: ASYNC110  # what the service saw is looked at, not awaited

import asyncio
from collections.abc import Callable

import attrs
import pytest

from fusebill_async import (
    Hooks,
    Outcome,
    OutcomeUnknownError,
    SettlingPolicy,
    UnresolvedWritesWarning,
)
from fusebill_async.stores import SQLiteStore
from fusebill_async.testing import Fault
from tests.outcomes.outcome_cases import VERBS, make_client
from tests.outcomes.patience import WAIT, Patience

LATE = 0.02


class Listening(Hooks):
    """Counts how often settling has begun."""

    def __init__(self):
        self.settlings = 0

    def settling_begun(self, settling):
        self.settlings += 1


@attrs.frozen
class Doubt:
    """How an answer comes to be in doubt: the faults of an operation, and the settling in which it is."""

    name: str
    faults: Callable[[str], list[Fault]]
    settling: int

    def __str__(self):
        return self.name


DOUBTS = [
    Doubt("no effect shown", lambda title: [Fault.gzip_answer(operation=title, effect="late", late_by=LATE)], 1),
    Doubt(
        "refused after a lost attempt",
        lambda title: [
            Fault.reset_before_effect(operation=title),
            # The effect is that of the first attempt, which has come after all.
            Fault.status(400, operation=title, effect="late", late_by=LATE),
        ],
        2,
    ),
]
RESENT = {
    "hold": lambda client, number: client.customers.hold(number),
    "unlatch": lambda client, number: client.hubspot.unlatch(number),
    "activate": lambda client, number: client.customers.activate(number, True, True, False, resend=True),
}

doubts = pytest.mark.parametrize("doubt", DOUBTS, ids=str)
names = pytest.mark.parametrize("name", RESENT)


def settling(**options):
    """Its first read comes after a late effect."""
    usual = {"first_read": 2 * LATE, "quiet_period": 0.05, "retry_delay": 0.01, "wait": 20.0, "close_wait": 5.0}
    return SettlingPolicy(**{**usual, **options})


async def begin(fusebill, client, name, doubt, listening):
    """Start a write, and go on when its answer is in doubt."""
    verb = VERBS[name]
    fusebill.add_customer(id=1, status=verb.status)
    fusebill.inject(*doubt.faults(verb.title))
    task = asyncio.ensure_future(RESENT[name](client, 1))
    while listening.settlings < doubt.settling and not task.done():
        await asyncio.sleep(0)
    assert not task.done()
    return task


@doubts
@names
async def test_it_is_listed_and_settled_without_its_caller(fusebill, name, doubt):
    listening = Listening()
    async with make_client(fusebill, settling=settling(), hooks=[listening]) as client:
        task = await begin(fusebill, client, name, doubt, listening)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        [write] = client.unresolved()
        assert (write.customer_id, write.state) == (1, "settling")
        resolution = await client.resolve(write)
        assert resolution.outcome is Outcome.APPLIED
        assert not client.unresolved()
    title = VERBS[name].title
    assert (fusebill.effects(title, 1), fusebill.received(title, 1)) == (1, doubt.settling)


@doubts
@names
async def test_the_customer_stays_locked_meanwhile(fusebill, name, doubt):
    listening = Listening()
    async with make_client(fusebill, settling=settling(), hooks=[listening]) as client:
        task = await begin(fusebill, client, name, doubt, listening)
        task.cancel()
        await client.customers.update(1, company_name="Next Ltd")
    first, second = fusebill.effects_log
    assert first.operation.endswith(VERBS[name].title)
    assert second.operation == "customers.update"


@doubts
@names
async def test_abort_leaves_it_unknown(fusebill, name, doubt):
    listening = Listening()
    async with make_client(fusebill, settling=settling(), hooks=[listening]) as client:
        handle = client.with_options(on_cancel="abort")
        task = await begin(fusebill, handle, name, doubt, listening)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        # The intent stays in the ledger when its task has ended.
        await asyncio.sleep(0.01)
        [write] = client.unresolved()
        assert write.state == "unknown"
        await fusebill.wait_for_late_effects()
        assert (await client.resolve(write)).outcome is Outcome.APPLIED


@doubts
@names
async def test_a_caller_who_waits_no_longer_is_told_that_it_is_unknown(fusebill, name, doubt):
    listening, patience = Listening(), Patience()
    options = {"settling": settling(wait=WAIT), "effects": patience.effects}
    async with make_client(fusebill, **options, hooks=[listening]) as client:
        task = await begin(fusebill, client, name, doubt, listening)
        with fusebill.hold_open("get"):
            await patience.is_over()
            with pytest.raises(OutcomeUnknownError) as raised:
                await task
            [write] = client.unresolved()
            assert (raised.value.intent_id, write.state) == (write.id, "settling")
        assert (await client.resolve(raised.value)).outcome is Outcome.APPLIED


@doubts
@names
async def test_closing_records_it(fusebill, name, doubt, tmp_path):
    listening, path = Listening(), tmp_path / "store.sqlite"
    client = make_client(fusebill, settling=settling(close_wait=0.01), hooks=[listening], store=SQLiteStore(path))
    task = await begin(fusebill, client, name, doubt, listening)
    with fusebill.hold_open("get"), pytest.warns(UnresolvedWritesWarning, match=r"of customer 1 \(unknown\)"):
        await client.aclose()
    with pytest.raises(OutcomeUnknownError, match="the client was closed"):
        await task
    await fusebill.wait_for_late_effects()
    async with make_client(fusebill, settling=settling(), store=SQLiteStore(path)) as successor:
        [write] = successor.unresolved()
        assert (await successor.resolve(write)).outcome is Outcome.APPLIED
    assert fusebill.effects(VERBS[name].title, 1) == 1
