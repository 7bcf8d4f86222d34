"""A few items go first, drawn at random. Nothing else is sent until somebody has said yes."""

from __future__ import annotations

from contextlib import aclosing

import pytest

from fusebill_async import ConfigurationError
from fusebill_async.bulk import Tally, read_report
from fusebill_async.bulk.page import page_of
from fusebill_async.testing import Fault


@pytest.fixture
def hundred(fusebill):
    for each in range(1, 101):
        fusebill.add_customer(id=each, status="Active", companyName=f"C{each}")
    return range(1, 101)


def acted_on(fusebill):
    return [effect.customer_id for effect in fusebill.effects_log]


async def test_so_many_go_first_and_the_others_after_a_yes(fusebill, client, journal, hundred):
    job = client.bulk.hold(hundred, journal=journal, canary=7)
    report = await job.run()
    assert (report.applied, report.unprocessed, report.awaits_approval) == (7, 93, True)
    assert report.stopped == "the canary has ended, and the others wait for a yes"
    first = acted_on(fusebill)
    assert len(set(first)) == 7
    # Not without a yes, however often it is run.
    assert (await job.run()).applied == 7
    assert (await client.bulk.resume(journal).run()).awaits_approval
    assert acted_on(fusebill) == first
    await job.approve_canary()
    report = await client.bulk.resume(journal).run()
    assert (report.applied, report.awaits_approval, report.stopped) == (100, False, "")
    assert len(acted_on(fusebill)) == 100


async def test_they_are_drawn_at_random_from_all_parts(fusebill, client, tmp_path, hundred):
    drawn = []
    for each in range(3):
        fusebill.clear_records()
        await client.bulk.hold(hundred, journal=tmp_path / f"{each}.sqlite", canary=5).run()
        drawn.append(sorted(effect.customer_id for effect in fusebill.effects_log))
        for customer_id in hundred:
            fusebill.change(customer_id, status="Active")
    assert len({tuple(each) for each in drawn}) > 1
    assert all([(number - 1) // 20 for number in each] == [0, 1, 2, 3, 4] for each in drawn)


async def test_what_they_have_changed_is_shown(fusebill, client, journal, hundred):
    job = client.bulk.hold([1, 2, 3], journal=journal, canary=2)
    await job.run()
    shown = await job.canary()
    assert len(shown) == 2
    assert [(each.item.tally, [str(change) for change in each.changes]) for each in shown] == [
        (Tally.APPLIED, ['status: "Active" -> "Hold"'])
    ] * 2


async def test_what_nobody_asked_for_is_shown_as_well(fusebill, client, journal):
    """An update whose service changes another field too: that is what a canary is for."""
    fusebill.add_customer(id=1, status="Active", companyName="Before", primaryEmail="a@example.com")
    fusebill.add_customer(id=2, status="Active")
    changes = [(1, {"company_name": "After"}), (2, {"company_name": "After"})]
    job = client.bulk.update(changes, journal=journal, canary=2)
    await job.run()
    fusebill.change(1, primaryEmail="b@example.com")
    shown = {
        each.item.customer_id: {change.field: change.after for change in each.changes} for each in await job.canary()
    }
    assert shown[1] == {"company_name": "After", "primary_email": "b@example.com"}


async def test_a_canary_that_fails_is_shown_with_its_reason(fusebill, client, journal, hundred):
    fusebill.inject(Fault.status(400, operation="hold", times=None, body='{"ErrorId":1,"Errors":["no"]}'))
    job = client.bulk.hold(hundred, journal=journal, canary=3)
    report = await job.run()
    assert (report.rejected, report.unprocessed, report.awaits_approval) == (3, 97, True)
    assert {(each.item.tally, each.changes) for each in await job.canary()} == {(Tally.REJECTED, ())}
    assert fusebill.received("hold") == 3


async def test_a_canary_that_was_killed_goes_on_as_the_same_one(fusebill, client, journal, hundred):
    job = client.bulk.hold(hundred, journal=journal, canary=10, concurrency=1)
    async with aclosing(aiter(job)) as items:
        async for _ in items:
            break
    report = read_report(journal)
    assert 1 <= report.applied < 10
    assert not report.awaits_approval
    report = await client.bulk.resume(journal).run()
    assert (report.applied, report.awaits_approval) == (10, True)
    assert len(acted_on(fusebill)) == 10


async def test_a_canary_of_all_leaves_nothing_to_ask(fusebill, client, journal, customers):
    report = await client.bulk.hold(customers, journal=journal, canary=100).run()
    assert (report.applied, report.awaits_approval, report.stopped) == (10, False, "")


async def test_no_canary_is_drawn_after_a_yes(fusebill, client, journal, hundred):
    job = client.bulk.hold(hundred, journal=journal, canary=2)
    await job.run()
    await job.approve_canary()
    assert (await job.run()).applied == 100


@pytest.mark.parametrize("canary", [0, -1, 1001, True, 2.5, "20"])
async def test_what_is_no_canary(client, journal, canary):
    with pytest.raises(ConfigurationError, match="canary="):
        client.bulk.hold([1], journal=journal, canary=canary)


async def test_the_page_names_the_command_that_goes_on(fusebill, client, journal, hundred):
    await client.bulk.hold(hundred, journal=journal, canary=2).run()
    text = page_of(journal)
    assert f"bulk resume --journal {journal} --yes" in text
    assert "2 of 100 on hold; 98 not begun" in text
