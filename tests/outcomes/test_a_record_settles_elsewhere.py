"""What is recorded of a write in a store is what another process can settle it by."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from fusebill_async import (
    Attribution,
    Hooks,
    Outcome,
    OutcomeUnknownError,
    Phase,
    RequestTimeoutError,
    SettlingPolicy,
    UnresolvedWritesWarning,
)
from fusebill_async.stores import SQLiteStore
from fusebill_async.stores.sqlite import SQLiteLocks
from fusebill_async.testing import Fault, FusebillSimulator
from tests.outcomes.outcome_cases import make_client

HASTY = {"first_read": 0.001, "quiet_period": 0.02, "retry_delay": 0.01, "close_wait": 0.01}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store.sqlite"


def make_recording(fusebill, path, *, wait=20.0, **options):
    return make_client(fusebill, store=SQLiteStore(path), settling=SettlingPolicy(**HASTY, wait=wait), **options)


def no_reads(fusebill):
    fusebill.inject(Fault.status(503, operation="get", times=None))


async def leave_unknown(client, call):
    """Make a call whose answer and whose reads fail, and end the process that made it."""
    with pytest.raises(OutcomeUnknownError):
        await call
    with pytest.warns(UnresolvedWritesWarning):
        await client.aclose()


async def resolve_as_another_process(fusebill, path):
    fusebill.clear_faults()
    async with make_recording(fusebill, path) as successor:
        [write] = successor.unresolved()
        resolution = await successor.resolve(write)
        assert bool(successor.unresolved()) == (resolution.outcome is Outcome.UNKNOWN)
    return resolution


@pytest.mark.parametrize("name", ["hold", "update"])
async def test_a_write_whose_lease_ran_out_while_it_waited_is_not_sent(fusebill, path, name, monkeypatch):
    fusebill.add_customer(id=1, status="Active")
    monkeypatch.setattr(SQLiteLocks, "still_held", lambda self, customer_id: False)
    async with make_recording(fusebill, path) as client:
        customers = client.customers
        with pytest.raises(RequestTimeoutError, match="lease on the customer ran out") as raised:
            await (customers.hold(1) if name == "hold" else customers.update(1, company_name="Grok Ltd"))
        assert raised.value.outcome is Outcome.NOT_SENT
        assert not client.unresolved()
    assert fusebill.received(name, 1) == 0


LOSERS = {
    "hold": lambda customers: customers.hold(1),
    "update": lambda customers: customers.update(1, company_name="Grok Ltd"),
    "create": lambda customers: customers.create(reference="A-1", company_name="Grok Ltd"),
}


@pytest.mark.parametrize("name", LOSERS)
async def test_a_lease_is_looked_at_when_the_connection_is_there(fusebill, path, name, monkeypatch):
    """A process may stand still while its connection is made, and wake up when the customer is another's."""
    fusebill.add_customer(id=1, status="Active")
    lost = False
    monkeypatch.setattr(SQLiteLocks, "still_held", lambda self, locked: not lost)
    async with make_recording(fusebill, path) as client:
        fusebill.inject(Fault.stall_connect(seconds=0.2, backlog=True))
        writing = asyncio.ensure_future(LOSERS[name](client.customers))
        await asyncio.sleep(0.1)
        assert not writing.done()
        lost = True
        with pytest.raises(RequestTimeoutError, match="lease on the customer ran out") as raised:
            await writing
        assert (raised.value.outcome, raised.value.attempts[-1].phase) == (Outcome.NOT_SENT, Phase.CONNECTING)
        assert not client.unresolved()
    assert fusebill.received(name) == 0


@pytest.mark.parametrize("behind", [0.0, 60.0, 240.0])
async def test_a_computer_whose_clock_is_ahead_takes_no_effect_of_its_own_for_older(path, behind):
    """Nothing has told the service's time yet when the first write is recorded."""
    async with FusebillSimulator(clock=lambda: datetime.now(UTC) - timedelta(seconds=behind)) as fusebill:
        fusebill.add_customer(id=1, status="Active")
        fusebill.inject(Fault.reset_after_effect(operation="hold"))
        no_reads(fusebill)
        client = make_recording(fusebill, path, wait=0.05)
        await leave_unknown(client, client.customers.hold(1))
        resolution = await resolve_as_another_process(fusebill, path)
    assert (resolution.outcome, resolution.attribution) == (Outcome.APPLIED, Attribution.OURS)
    assert fusebill.effects("hold", 1) == fusebill.received("hold", 1) == 1


async def test_what_was_known_before_tells_another_process_whether_the_customer_was_touched(fusebill, path):
    fusebill.add_customer(id=1, status="Hold")
    fusebill.inject(Fault.reset_before_effect(operation="release_hold"))
    client = make_recording(fusebill, path, wait=0.05)
    # By the service's clock, of which a second is in doubt, this may be later than the send.
    fusebill.change(1, title="Dr")
    await client.customers.get(1)
    no_reads(fusebill)
    await leave_unknown(client, client.customers.release_hold(1, "NoChargesForMissedPeriods"))
    assert (await resolve_as_another_process(fusebill, path)).outcome is Outcome.NOT_APPLIED


async def test_only_one_of_two_settles_it(fusebill, path):
    fusebill.add_customer(id=1, status="Active")
    fusebill.inject(Fault.reset_after_effect(operation="hold"))
    no_reads(fusebill)
    client = make_recording(fusebill, path, wait=0.05)
    await leave_unknown(client, client.customers.hold(1))
    fusebill.clear_faults()
    async with make_recording(fusebill, path) as successor:
        [write] = successor.unresolved()
        one, other = await asyncio.gather(successor.resolve(write), successor.resolve(write), return_exceptions=True)
    assert one.outcome is Outcome.APPLIED
    assert isinstance(other, KeyError)


class BetweenRounds(Hooks):
    """Somebody else changes the customer before the second round of an update; after that round nobody can read."""

    def __init__(self, fusebill):
        self._fusebill = fusebill
        self._rounds = 0

    def attempt_ended(self, attempt):
        if attempt.operation == "customers.update":
            self._rounds += 1
            if self._rounds == 2:
                no_reads(self._fusebill)

    def settling_ended(self, settling):
        if settling.outcome is Outcome.NOT_APPLIED and self._rounds == 1:
            self._fusebill.change(1, title="Dr")


@pytest.mark.parametrize("lost", ["before", "after"])
async def test_a_later_round_of_an_update_is_recorded_with_what_it_knew(fusebill, path, lost):
    fusebill.add_customer(id=1, status="Active", middle_name=None)
    fusebill.inject(
        Fault.reset_before_effect(operation="update"), getattr(Fault, f"reset_{lost}_effect")(operation="update")
    )
    client = make_recording(fusebill, path, wait=0.3, hooks=[BetweenRounds(fusebill)])
    await leave_unknown(client, client.customers.update(1, middle_name="M."))
    assert fusebill.received("update", 1) == 2
    expected = Outcome.NOT_APPLIED if lost == "before" else Outcome.APPLIED
    assert (await resolve_as_another_process(fusebill, path)).outcome is expected
    assert json.loads(fusebill.customer_bytes(1))["title"] == "Dr"


async def test_two_that_resolve_everything_share_the_work(fusebill, path):
    for number in (1, 2):
        fusebill.add_customer(id=number, status="Active")
        no_reads(fusebill)
        fusebill.inject(Fault.reset_after_effect(operation="hold"))
        client = make_recording(fusebill, path, wait=0.01)
        await leave_unknown(client, client.customers.hold(number))
        fusebill.clear_faults()
    async with make_recording(fusebill, path) as one, make_recording(fusebill, path) as other:
        settled = await asyncio.gather(one.resolve_all(), other.resolve_all())
        assert sorted(resolution.write.customer_id for both in settled for resolution in both) == [1, 2]
        assert one.unresolved() == other.unresolved() == []
    assert [fusebill.effects("hold", number) for number in (1, 2)] == [1, 1]
