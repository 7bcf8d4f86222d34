"""The bounded form of the campaign; `python -m tests.campaign --sockets --calls 1000000` is the whole of it."""

import asyncio

import pytest

from tests.campaign.sockets import Campaign
from tests.campaign.sockets_schedule import MIXES, plan_call

pytestmark = pytest.mark.campaign


async def test_twenty_thousand_calls_end_in_a_true_outcome():
    asyncio.get_running_loop().set_debug(False)
    report = await Campaign(calls=20_000, seed=7, concurrency=128).run()
    assert not report.violations, str(report)
    assert report.strict
    assert report.calls == sum(report.outcomes.values()) == 20_000
    assert report.faults.total() > 0.3 * report.calls


@pytest.mark.parametrize("mix", ["nasty", "impatient", "beyond", "crowded"])
async def test_nastier_mixes(mix):
    asyncio.get_running_loop().set_debug(False)
    report = await Campaign(calls=800, seed=3, concurrency=64, mix=mix).run()
    assert not report.violations, str(report)


async def test_the_same_seed_draws_the_same_calls():
    usual = MIXES["usual"]
    assert [plan_call(7, number, usual) for number in range(500)] == [
        plan_call(7, number, usual) for number in range(500)
    ]
    assert plan_call(7, 1, usual) != plan_call(8, 1, usual)
