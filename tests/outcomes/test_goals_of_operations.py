"""After an effect the system goes on: a customer that was activated may be suspended, or held, when it is read."""

import time

import pytest

from fusebill_async import ConfirmedBy, Hooks, SettlingPolicy
from fusebill_async.operations import BY_TITLE
from fusebill_async.settling.evidence import Verdict, judge
from fusebill_async.testing import Fault
from tests.outcomes.outcome_cases import VERBS, make_client

MET_BY = {
    "activate": {"Active", "Suspended", "Hold"},
    "release_hold": {"Active", "Suspended"},
    "uncancel": {"Active", "Suspended", "Hold"},
    "hold": {"Hold"},
    "cancel": {"Cancelled"},
}


@pytest.mark.parametrize("status", ["Draft", "Active", "Suspended", "Hold", "Cancelled", "Unheard of"])
@pytest.mark.parametrize("name", MET_BY)
def test_which_statuses_show_that_it_has_happened(name, status):
    verdict = judge(BY_TITLE[f"customers.{name}"].goal, {"status": status}, {})
    assert (verdict is Verdict.MET) is (status in MET_BY[name])


class System(Hooks):
    """What changes a customer right after the effect, before the first settling read."""

    def __init__(self, fusebill, status):
        self._fusebill, self._status = fusebill, status

    def settling_begun(self, settling):
        self._fusebill.change(settling.customer_id, status=self._status)


@pytest.mark.parametrize(
    ("name", "after"),
    [(name, after) for name in MET_BY for after in sorted(MET_BY[name]) if VERBS[name].status != after],
)
async def test_a_lost_answer_is_settled_by_what_the_system_made_of_it(fusebill, name, after):
    verb = VERBS[name]
    fusebill.add_customer(id=1, status=verb.status)
    fusebill.inject(Fault.reset_after_effect(operation=verb.title))
    async with make_client(fusebill, hooks=[System(fusebill, after)]) as client:
        response = await verb.call(client.with_response, 1)
    assert response.confirmed_by is ConfirmedBy.READ
    assert fusebill.effects(verb.title, 1) == 1


async def test_a_write_is_never_listed_as_sent_later_than_it_was(fusebill):
    """`Date` tells whole seconds: by its latest end, an effect of our own would lie before the send."""
    fusebill.add_customer(id=1, status="Active")
    async with make_client(fusebill, settling=SettlingPolicy(wait=0.01, first_read=0.3, quiet_period=0.1)) as client:
        await client.customers.get(1)
        fusebill.inject(Fault.hang_before_effect(operation="hold"))
        before = time.time()
        with pytest.raises(Exception, match="not settled it"):
            await client.customers.hold(1)
        [write] = client.unresolved()
        assert before - 2.0 <= write.opened_at <= before + 0.01
        await client.resolve(write)
