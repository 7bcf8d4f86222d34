"""Reads that lag behind writes: such a read is never the base of a PUT, so nothing that was written is undone."""

import pytest

from fusebill_async import (
    Attribution,
    FusebillClient,
    Hooks,
    Outcome,
    RequestTimeoutError,
    RetryPolicy,
    SettlingPolicy,
    Timeouts,
)
from fusebill_async.testing import Fault
from tests.outcomes.outcome_cases import KEY, make_client

LAG = 0.3
PATIENT = {"retry": RetryPolicy(backoff=0.05)}


async def test_an_update_after_an_update_keeps_what_the_first_one_wrote(fusebill):
    fusebill.add_customer(id=1)
    fusebill.inject(Fault.lagging_read(LAG, times=None))
    async with make_client(fusebill, **PATIENT) as client:
        await client.customers.update(1, company_name="New Ltd")
        await client.customers.update(1, first_name="Bea")
    assert (fusebill.customer(1)["companyName"], fusebill.customer(1)["firstName"]) == ("New Ltd", "Bea")
    assert fusebill.effects("update", 1) == 2


@pytest.mark.parametrize("lost", [False, True], ids=["answered", "lost"])
async def test_an_update_after_a_hold_keeps_the_customer_on_hold(fusebill, lost):
    fusebill.add_customer(id=1, status="Active")
    fusebill.inject(Fault.lagging_read(LAG, times=None))
    if lost:
        fusebill.inject(Fault.reset_after_effect(operation="hold"))
    # A settling read that lags is late, and no proof; it is asked for again until it shows the hold.
    patient = SettlingPolicy(first_read=2 * LAG, quiet_period=1.0)
    async with make_client(fusebill, settling=patient, **PATIENT) as client:
        await client.customers.hold(1)
        await client.customers.update(1, first_name="Bea")
    assert (fusebill.customer(1)["status"], fusebill.customer(1)["firstName"]) == ("Hold", "Bea")
    assert fusebill.effects("hold", 1) == 1


@pytest.mark.parametrize("how", ["update", "replace", "strict"])
async def test_what_the_customer_that_was_handed_in_shows_is_not_undone(fusebill, how):
    fusebill.add_customer(id=1)
    # From the first read on: that one comes from the service itself.
    fusebill.inject(Fault.lagging_read(LAG, skip=1, times=None))
    fusebill.change(1, company_name="New Ltd")
    async with make_client(fusebill) as another_client:
        customer = await another_client.customers.get(1)
    assert customer.company_name == "New Ltd"
    async with make_client(fusebill, **PATIENT) as client:
        if how == "replace":
            customer.first_name = "Bea"
            await client.customers.replace(customer)
        else:
            check = "strict" if how == "strict" else "fresh"
            await client.customers.update(customer, check=check, first_name="Bea")
    assert (fusebill.customer(1)["companyName"], fusebill.customer(1)["firstName"]) == ("New Ltd", "Bea")
    assert fusebill.received("get", 1) > 2


async def test_an_update_of_what_is_there_already_is_told_by_a_read_that_does_not_lag(fusebill):
    """The replica shows the name that the update before it has replaced: that is not what is there."""
    fusebill.add_customer(id=1, company_name="Old Ltd")
    fusebill.inject(Fault.lagging_read(LAG, times=None))
    async with make_client(fusebill, **PATIENT) as client:
        await client.customers.update(1, company_name="New Ltd")
        await client.customers.update(1, company_name="Old Ltd")
        response = await client.with_response.customers.update(1, company_name="Old Ltd")
    assert response.attribution is Attribution.ALREADY
    assert fusebill.effects("update", 1) == 2


async def test_a_replica_that_never_catches_up_ends_the_update_as_not_sent(fusebill):
    fusebill.add_customer(id=1)
    fusebill.inject(Fault.lagging_read(60, times=None))
    options = {"retry": RetryPolicy(backoff=0.05), "timeouts": Timeouts(total=0.5)}
    async with make_client(fusebill, **options) as client:
        await client.customers.update(1, company_name="New Ltd")
        with pytest.raises(RequestTimeoutError, match="every read was older than what was seen") as raised:
            await client.customers.update(1, first_name="Bea")
    assert raised.value.outcome is Outcome.NOT_SENT
    assert fusebill.received("update", 1) == 1
    assert fusebill.customer(1)["companyName"] == "New Ltd"


class FallsBehind(Hooks):
    """The replica falls behind when the first attempt is settled."""

    def __init__(self, fusebill):
        self._fusebill = fusebill

    def settling_ended(self, settling):
        self._fusebill.inject(Fault.lagging_read(60, customer_id=settling.customer_id, times=None))


async def test_after_a_lost_attempt_it_ends_as_not_applied(fusebill):
    """The first PUT was lost and settled; then the replica is so far behind that nothing can be sent again."""
    fusebill.add_customer(id=1)
    # From now on the simulator knows what a replica that is behind would show.
    fusebill.inject(Fault.lagging_read(60, customer_id=2, times=None))
    fusebill.change(1, first_name="Ann")
    fusebill.inject(Fault.reset_before_effect(operation="update"))
    options = {"retry": RetryPolicy(backoff=0.05), "timeouts": Timeouts(total=0.5), "hooks": [FallsBehind(fusebill)]}
    async with make_client(fusebill, **options) as client:
        with pytest.raises(RequestTimeoutError, match="older than what was seen") as raised:
            await client.customers.update(1, last_name="Lee")
    assert raised.value.outcome is Outcome.NOT_APPLIED
    assert (fusebill.received("update", 1), fusebill.effects("update", 1)) == (1, 0)


async def test_reads_that_lag_by_nothing_are_made_once(fusebill):
    """A service whose timestamps stand still, or are the same, costs no read more."""
    fusebill.add_customer(id=1)
    async with FusebillClient(KEY, base_url=fusebill.base_url) as client:
        for number in range(3):
            await client.customers.update(1, company_name=f"{number} Ltd")
    assert fusebill.received("get", 1) == 3


async def test_an_edit_begins_with_what_was_seen_and_conflicts_with_nobody(fusebill):
    """A block that began with the old name would call our own earlier change somebody else's."""
    fusebill.add_customer(id=1, company_name="Old Ltd")
    fusebill.inject(Fault.lagging_read(LAG, times=None))
    async with make_client(fusebill, **PATIENT) as client:
        await client.customers.update(1, company_name="New Ltd")
        async with client.customers.edit(1) as draft:
            assert draft.company_name == "New Ltd"
            draft.company_name = "Newer Ltd"
    assert fusebill.customer(1)["companyName"] == "Newer Ltd"


@pytest.mark.parametrize("handed_in", [False, True], ids=["by id", "handed in"])
async def test_a_plan_shows_what_would_change_of_what_was_seen(fusebill, handed_in):
    fusebill.add_customer(id=1, company_name="Old Ltd")
    fusebill.inject(Fault.lagging_read(LAG, times=None))
    async with make_client(fusebill, **PATIENT) as writer:
        customer = await writer.customers.update(1, company_name="New Ltd")
        async with make_client(fusebill, **PATIENT) as another_client:
            client, subject = (another_client, customer) if handed_in else (writer, 1)
            plan = await client.customers.plan_update(subject, company_name="Newer Ltd")
    assert [(change.before, change.after) for change in plan.changes] == [("New Ltd", "Newer Ltd")]


async def test_a_plan_that_no_read_can_show_is_an_error(fusebill):
    fusebill.add_customer(id=1)
    fusebill.inject(Fault.lagging_read(60, times=None))
    options = {"retry": RetryPolicy(backoff=0.05), "timeouts": Timeouts(total=0.3)}
    async with make_client(fusebill, **options) as client:
        await client.customers.update(1, company_name="New Ltd")
        with pytest.raises(RequestTimeoutError, match="older than what was seen") as raised:
            await client.customers.plan_update(1, company_name="Newer Ltd")
    assert raised.value.outcome is Outcome.NOT_SENT
