"""`Date` and the customers' timestamps come from clocks that may be seconds apart: between them no time is a proof."""

import time
from contextlib import nullcontext, suppress

import pytest

from fusebill_async import Attribution, ConfirmedBy, Hooks, Outcome, OutcomeUnknownError, SettlingPolicy
from fusebill_async.stores import SQLiteStore
from fusebill_async.testing import ClockSkew, Fault, FusebillSimulator
from tests.outcomes.outcome_cases import make_client

AHEAD, BEHIND = 5.0, -5.0

pytestmark = pytest.mark.filterwarnings("ignore::fusebill_async.UnresolvedWritesWarning")


class Operator(Hooks):
    """Somebody who undoes what has just happened, before it is read for."""

    def __init__(self, undo):
        self._undo = undo

    def settling_begun(self, settling):
        self._undo()


@pytest.mark.parametrize("resend", [False, True])
@pytest.mark.parametrize("skew", [AHEAD, BEHIND, 0.0])
async def test_a_lost_create_makes_one_customer(skew, resend):
    async with FusebillSimulator(clock_skew=ClockSkew(date=skew)) as fusebill, make_client(fusebill) as client:
        fusebill.inject(Fault.reset_after_effect(operation="create"))
        unproven = pytest.raises(OutcomeUnknownError, match="may have been made before")
        with unproven if skew == AHEAD else nullcontext():
            await client.customers.create(company_name="X", reference="R-1", resend=resend)
        assert fusebill.effects("create") == fusebill.received("create") == 1


@pytest.mark.parametrize("skew", [AHEAD, BEHIND, 0.0])
async def test_a_lost_activation_of_a_draft_is_never_told_as_already_so(skew):
    async with FusebillSimulator(clock_skew=ClockSkew(date=skew)) as fusebill, make_client(fusebill) as client:
        fusebill.add_customer(id=1, status="Draft")
        draft = await client.customers.get(1)
        fusebill.inject(Fault.reset_after_effect(operation="activate"))
        response = await client.with_response.customers.activate(draft, True, True, False)
        assert (response.confirmed_by, response.attribution) == (ConfirmedBy.READ, Attribution.UNPROVEN)
        assert fusebill.effects("activate", 1) == 1


@pytest.mark.parametrize("known", [False, True], ids=["by id", "handed in"])
@pytest.mark.parametrize("skew", [AHEAD, BEHIND, 0.0])
async def test_a_hold_that_somebody_has_undone_is_unknown_and_not_done_again(skew, known):
    async with FusebillSimulator(clock_skew=ClockSkew(date=skew)) as fusebill:
        fusebill.add_customer(id=1, status="Active")
        operator = Operator(lambda: fusebill.change(1, status="Active"))
        async with make_client(fusebill, hooks=[operator]) as client:
            subject = await client.customers.get(1) if known else 1
            fusebill.inject(Fault.reset_after_effect(operation="hold"))
            with pytest.raises(OutcomeUnknownError):
                await client.customers.hold(subject)
        assert fusebill.effects("hold", 1) == fusebill.received("hold", 1) == 1


@pytest.mark.parametrize(("digits", "held"), [(7, 2), (3, 2), (1, 1), (0, 1)])
async def test_a_timestamp_that_tells_no_more_than_seconds_is_no_proof_within_them(fusebill, digits, held):
    """An edit, a read, a lost hold and its undoing, all within a second: the text is the same before and after.

    One with three digits or more cannot be the same by chance; here it is set on purpose, to show that it is believed.
    """
    now = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{'0' * digits}".rstrip(".") + "Z"
    fusebill.add_customer(id=1, status="Active")
    fusebill.change(1, modified_timestamp=now)
    operator = Operator(lambda: fusebill.change(1, status="Active", modified_timestamp=now))
    async with make_client(fusebill, hooks=[operator]) as client:
        customer = await client.customers.get(1)
        fusebill.inject(Fault.reset_after_effect(operation="hold"))
        with suppress(OutcomeUnknownError):
            await client.customers.hold(customer)
    assert fusebill.effects("hold", 1) == fusebill.received("hold", 1) == held


@pytest.mark.parametrize("lost", ["before", "after"])
async def test_another_process_settles_an_update_as_well_as_the_one_that_sent_it(fusebill, tmp_path, lost):
    """What was known before the send is kept with the intent, and erased when it is closed."""
    path = tmp_path / "store.sqlite"
    fusebill.add_customer(id=1, company_name="Old Ltd")
    fusebill.inject(getattr(Fault, f"reset_{lost}_effect")(operation="update"))
    dying = make_client(fusebill, store=SQLiteStore(path), settling=SettlingPolicy(enabled=False))
    with pytest.raises(OutcomeUnknownError):
        await dying.customers.update(1, company_name="New Ltd")
    async with make_client(fusebill, store=SQLiteStore(path)) as successor:
        [resolution] = await successor.resolve_all()
        assert not successor.unresolved()
    assert resolution.outcome is (Outcome.NOT_APPLIED if lost == "before" else Outcome.APPLIED)
    assert fusebill.received("update", 1) == 1
    with pytest.warns(match="unresolved"):
        await dying.aclose()
    for file in tmp_path.iterdir():
        assert b"Old Ltd" not in file.read_bytes()
