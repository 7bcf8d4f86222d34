"""Each safeguard is broken on purpose, and the checks of the matrix must see it; `tests/campaign` does it on worlds.

A check that stays green without the safeguard that it checks proves nothing.
"""

# ruff: noqa: ASYNC110  # what the service saw is looked at, not awaited

import asyncio

import attrs
import pytest

from fusebill_async import FusebillError, Outcome
from fusebill_async.policy import retry
from fusebill_async.policy.retry import Ruling
from fusebill_async.session import slot
from fusebill_async.settings import SettlingPolicy
from fusebill_async.settling import driver, evidence, reader
from fusebill_async.settling.driver import WriteDriver
from fusebill_async.testing import Fault
from fusebill_async.wire import answer, refusals
from tests.campaign.mutants import MUTANTS
from tests.outcomes.outcome_cases import KEY, VERBS, Seen, make_client, observe

pytestmark = [
    pytest.mark.fusebill_simulated(seed=3),
    # What is left unknown is asserted.
    pytest.mark.filterwarnings("ignore::fusebill_async.UnresolvedWritesWarning"),
]

APPLIED, NOT_APPLIED, REJECTED = Outcome.APPLIED, Outcome.NOT_APPLIED, Outcome.REJECTED
right_rule, right_read = retry.rule, answer.read_value


def ruled(change):
    """A policy that rules otherwise: `change` takes the right ruling, the phase and the status."""

    def rule(safety, *, phase, status, **facts):
        return change(right_rule(safety, phase=phase, status=status, **facts), phase, status)

    return rule


def broken_as_in_the_campaign(broken, mutant):
    for place, name, replacement in MUTANTS[mutant].patches:
        broken.setattr(place, name, replacement)


def replay_on(broken):
    broken_as_in_the_campaign(broken, "replay on")


def id_check_off(broken):
    broken.setattr(slot, "read_value", lambda operation, _, *answer: right_read(operation, None, *answer))


def answers_believed(broken):
    broken.setattr(WriteDriver, "_shows_effect", lambda *_: True)


def settling_off(broken):
    """An unknown outcome is taken for one that never happened, and sent again."""
    broken.setattr(slot, "rule", ruled(lambda right, *_: Ruling.SEND_AGAIN if right is Ruling.SETTLE else right))


def refusals_sent_again(broken):
    broken.setattr(slot, "rule", ruled(lambda right, *_: Ruling.SEND_AGAIN if right is Ruling.REJECTED else right))


def phase_ignored(broken):
    """A connection that ended with an error counts as one that was never made."""
    broken_as_in_the_campaign(broken, "phase ignored")


def consent_not_asked(broken):
    right = driver.after_miss

    def careless(safety, *, resend, **facts):
        return right(safety, resend=True, **facts)

    broken.setattr(driver, "after_miss", careless)


def one_miss_is_enough(broken):
    broken.setattr(SettlingPolicy, "quiet_seconds", lambda self, *, moves_money: 0.0)


def another_state_is_untouched(broken):
    broken.setattr(reader, "untouched", lambda *_: True)


def all_is_ours(broken):
    broken.setattr(reader, "attribute", lambda *_, **__: evidence.Attribution.OURS)


@attrs.frozen
class Safeguard:
    """One safeguard, how it is broken, and the cell of the matrix that must notice."""

    break_it: object
    verb: str
    fault: Fault
    expected: Seen
    late: bool = False

    def __str__(self):
        return self.break_it.__name__


SAFEGUARDS = [
    Safeguard(
        replay_on, "update", Fault.close_after_effect(),
        Seen(APPLIED, "read", "ours", effects=1, requests=1),
    ),
    Safeguard(
        id_check_off, "hold", Fault.other_id(other=77),
        Seen(APPLIED, "read", "ours", effects=1, requests=1),
    ),
    Safeguard(
        answers_believed, "hold", Fault.close_after_answer(effect="none"),
        Seen(APPLIED, "response", "ours", effects=1, requests=2),
    ),
    Safeguard(
        settling_off, "unlatch", Fault.reset_after_effect(),
        Seen(APPLIED, "read", "ours", effects=1, requests=1),
    ),
    Safeguard(
        settling_off, "activate", Fault.reset_before_effect(),
        Seen(NOT_APPLIED, effects=0, requests=1),
    ),
    Safeguard(refusals_sent_again, "activate", Fault.status(409), Seen(REJECTED, effects=0, requests=1)),
    Safeguard(
        phase_ignored, "unlatch", Fault.reset_after_effect(),
        Seen(APPLIED, "read", "ours", effects=1, requests=1),
    ),
    Safeguard(
        consent_not_asked, "activate", Fault.reset_before_effect(),
        Seen(NOT_APPLIED, effects=0, requests=1),
    ),
    Safeguard(
        one_miss_is_enough, "activate", Fault.late_effect(delay=0.1),
        Seen(APPLIED, "read", "unproven", effects=1, requests=1), late=True,
    ),
    Safeguard(
        all_is_ours, "activate", Fault.reset_after_effect(),
        Seen(APPLIED, "read", "unproven", effects=1, requests=1),
    ),
]  # fmt: skip


@pytest.mark.parametrize("safeguard", SAFEGUARDS, ids=lambda each: f"{each}-{each.verb}")
async def test_the_matrix_goes_red_without(fusebill, safeguard, monkeypatch):
    fusebill.add_customer(id=77, status="Hold")
    verb = VERBS[safeguard.verb]
    whole = await observe(fusebill, verb, 1, safeguard.fault, late=safeguard.late)
    assert whole.meets(safeguard.expected), whole

    safeguard.break_it(monkeypatch)
    broken = await observe(fusebill, verb, 2, safeguard.fault, late=safeguard.late)
    assert not broken.meets(safeguard.expected), broken


async def test_a_silent_copy_of_a_read_is_seen(fusebill, monkeypatch):
    fusebill.add_customer(id=1)

    async def copies_and_attempts():
        fusebill.clear_records()
        fusebill.inject(Fault.close_before_effect(operation="get"))
        async with make_client(fusebill) as client:
            response = await client.with_response.customers.get(1)
        return fusebill.received("get", 1), len(response.attempts)

    assert await copies_and_attempts() == (2, 2)
    replay_on(monkeypatch)
    assert await copies_and_attempts() == (2, 1)


async def test_the_key_is_seen_without_redaction(fusebill, monkeypatch):
    fusebill.add_customer(id=1)

    async def body_of_the_error():
        fusebill.inject(Fault.status(401, body=f"<p>Basic {KEY}</p>", operation="get"))
        async with make_client(fusebill) as client:
            with pytest.raises(FusebillError) as raised:
                await client.customers.get(1)
        return raised.value.body.decode()

    assert KEY not in await body_of_the_error()
    monkeypatch.setattr(refusals, "redact_bytes", lambda body, key: body)
    assert KEY in await body_of_the_error()


async def test_another_state_would_be_sent_again_if_it_counted_as_untouched(fusebill, monkeypatch):
    """Somebody else cancels the customer while the hold is lost: nobody sends that hold again."""
    fusebill.add_customer(id=1, status="Active")

    async def hold(number):
        fusebill.add_customer(id=number, status="Active")
        async with make_client(fusebill) as client, make_client(fusebill) as other:
            await client.customers.get(number)
            fusebill.inject(Fault.hang_before_effect(operation="hold", customer_id=number))
            lost = asyncio.ensure_future(client.customers.hold(number))
            while not fusebill.received("hold", number):
                await asyncio.sleep(0.001)
            await other.customers.cancel(number, "None")
            with pytest.raises(FusebillError):
                await lost
        return fusebill.received("hold", number)

    assert await hold(1) == 1
    another_state_is_untouched(monkeypatch)
    assert await hold(2) == 2
