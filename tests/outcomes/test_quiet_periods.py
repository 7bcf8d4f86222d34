"""How long settling waits before a write counts as not applied. The waiting is recorded, and takes no time."""

import asyncio
import time

import pytest

from fusebill_async import NotAppliedError, SettlingPolicy
from fusebill_async.session.effects import Effects
from fusebill_async.testing import Fault
from tests.outcomes.outcome_cases import VERBS, make_client

WAIT = 7777.0


class Recorded:
    """Effects of a client that sleeps by turning its own clock; only the caller's patience never ends."""

    def __init__(self):
        self.slept = []
        self.effects = Effects(now=self._now, sleep=self._sleep, random=lambda: 0.0)

    def _now(self):
        return time.monotonic() + sum(self.slept)

    async def _sleep(self, seconds):
        if seconds > 0.5 * WAIT:
            await asyncio.Event().wait()
        self.slept.append(seconds)
        await asyncio.sleep(0)

    @property
    def between_reads(self):
        """The pauses between two reads that missed the goal."""
        return [pytest.approx(seconds, abs=0.6) for seconds in self.slept if seconds > 0.6]


async def settle_a_miss(fusebill, name, **policy):
    verb = VERBS[name]
    fusebill.add_customer(id=1, status=verb.status)
    fusebill.inject(Fault.reset_before_effect(operation=verb.title, times=None))
    recorded = Recorded()
    settling = SettlingPolicy(wait=WAIT, **policy)
    async with make_client(fusebill, settling=settling, effects=recorded.effects) as client:
        with pytest.raises(NotAppliedError) as raised:
            await verb.call(client.with_response, 1)
    return raised.value.quiet_period, recorded.between_reads


@pytest.mark.parametrize("name", ["activate", "release_hold", "cancel", "uncancel"])
async def test_what_moves_money_is_given_a_minute(fusebill, name):
    assert await settle_a_miss(fusebill, name) == (60.0, [60.0])


@pytest.mark.parametrize("name", ["hold", "unlatch", "update"])
async def test_anything_else_is_given_ten_seconds_each_time_it_is_sent(fusebill, name):
    assert await settle_a_miss(fusebill, name) == (10.0, [10.0] * 3)


@pytest.mark.parametrize(("name", "times"), [("activate", 1), ("hold", 3)])
async def test_a_number_holds_for_all(fusebill, name, times):
    assert await settle_a_miss(fusebill, name, quiet_period=25.0) == (25.0, [25.0] * times)


async def test_the_pauses_between_more_reads_grow(fusebill):
    quiet, pauses = await settle_a_miss(fusebill, "activate", quiet_period=20.0, misses=3, quiet_growth=4.0)
    assert quiet == 20.0
    assert pauses == [10.0, 40.0]


@pytest.mark.parametrize(("moves_money", "expected"), [(True, 60.0), (False, 10.0)])
def test_the_quiet_period_of_the_settings(moves_money, expected):
    assert SettlingPolicy().quiet_seconds(moves_money=moves_money) == expected
    assert SettlingPolicy(quiet_period=3.0).quiet_seconds(moves_money=moves_money) == 3.0


@pytest.mark.parametrize(("failures", "expected"), [(1, 0.5), (2, 1.0), (3, 2.0), (7, 30.0), (10_000, 30.0)])
def test_the_pause_after_reads_that_were_of_no_use(failures, expected):
    assert SettlingPolicy().pause_after(failures) == expected
