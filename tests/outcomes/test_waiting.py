"""How long a caller waits for settling, and what it is told when its write waits to be sent again by then."""

# ruff: noqa: ASYNC110  # what the service saw is looked at, not awaited

import asyncio
import threading

import pytest

from fusebill_async import ClientStateError, NotAppliedError, Outcome, OutcomeUnknownError, SettlingPolicy, Timeouts
from fusebill_async.stores import SQLiteStore, sqlite
from fusebill_async.testing import Fault
from tests.outcomes.outcome_cases import make_client
from tests.outcomes.patience import WAIT, WINDOW, Patience


def make_patient(fusebill, patience, **options):
    return make_client(
        fusebill,
        effects=patience.effects,
        settling=SettlingPolicy(first_read=0.005, quiet_period=0.02, retry_delay=0.01, wait=WAIT, close_wait=5.0),
        timeouts=Timeouts(queue=None),
        **options,
    )


async def begin(fusebill, client, *then):
    """A hold that is lost, and settled as not applied; it waits for the quota before it is sent again."""
    fusebill.add_customer(id=1, status="Active")
    fusebill.inject(
        Fault.reset_before_effect(operation="hold"),
        Fault.status(429, operation="hold", retry_after=WINDOW, quota_headers="without"),
        *then,
    )
    task = asyncio.ensure_future(client.customers.hold(1))
    while not any(client.quota.waiting.values()) and not task.done():
        await asyncio.sleep(0)
    assert not task.done()
    assert fusebill.received("hold", 1) == 2
    return task


async def test_a_write_that_will_be_sent_again_is_waited_for(fusebill):
    patience = Patience()
    async with make_patient(fusebill, patience) as client:
        task = await begin(fusebill, client)
        await patience.is_over()
        assert not task.done()
        patience.window_turns()
        assert (await task).status == "Hold"
    assert (fusebill.effects("hold", 1), fusebill.received("hold", 1)) == (1, 3)


async def test_if_it_is_lost_again_its_caller_is_told_at_once_that_it_is_unknown(fusebill):
    patience = Patience()
    async with make_patient(fusebill, patience) as client:
        task = await begin(fusebill, client, Fault.reset_after_effect(operation="hold"))
        await patience.is_over()
        patience.window_turns()
        with fusebill.hold_open("get"):
            with pytest.raises(OutcomeUnknownError) as raised:
                await task
            [write] = client.unresolved()
            assert (write.id, write.state) == (raised.value.intent_id, "settling")
        assert (await client.resolve(write)).outcome is Outcome.APPLIED
    assert (fusebill.effects("hold", 1), fusebill.received("hold", 1)) == (1, 3)


@pytest.mark.parametrize("over", [False, True], ids=["within the wait", "after it"])
async def test_a_cancelled_caller_drops_a_write_that_waits_to_be_sent_again(fusebill, over):
    patience = Patience()
    async with make_patient(fusebill, patience) as client:
        task = await begin(fusebill, client)
        if over:
            await patience.is_over()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        patience.window_turns()
        while client.unresolved():
            await asyncio.sleep(0)
    assert (fusebill.effects("hold", 1), fusebill.received("hold", 1)) == (0, 2)


@pytest.mark.parametrize("over", [False, True], ids=["within the wait", "after it"])
async def test_closing_drops_it_and_tells_that_it_did_not_happen(fusebill, over):
    patience = Patience()
    client = make_patient(fusebill, patience)
    task = await begin(fusebill, client)
    if over:
        await patience.is_over()
    await client.aclose()
    with pytest.raises(ClientStateError, match="the client was closed") as raised:
        await task
    assert raised.value.outcome is Outcome.NOT_APPLIED
    assert (fusebill.effects("hold", 1), fusebill.received("hold", 1)) == (0, 2)


async def test_a_caller_is_told_the_outcome_while_the_store_still_writes_it_down(fusebill, tmp_path, monkeypatch):
    written = threading.Event()
    delete = sqlite._delete

    def slowly(*arguments, **options):
        written.wait(10.0)
        delete(*arguments, **options)

    monkeypatch.setattr(sqlite, "_delete", slowly)
    fusebill.add_customer(id=1, status="Draft")
    fusebill.inject(Fault.reset_before_effect(operation="activate"))
    async with make_patient(fusebill, Patience(), store=SQLiteStore(tmp_path / "store.sqlite")) as client:
        with pytest.raises(NotAppliedError):
            await client.customers.activate(1, True, True, False)
        assert not written.is_set()
        assert client.unresolved() == []
        written.set()
    assert fusebill.received("activate", 1) == 1
