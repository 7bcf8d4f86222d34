from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from functools import wraps

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusebill_async.policy.clock import ServiceClock
from fusebill_async.policy.shared import QuotaGrant
from fusebill_async.session.admission import Admission, AdmissionClosed, QueueTimeout, QuotaExhausted
from fusebill_async.session.effects import Effects
from fusebill_async.settings import Priority, QuotaPolicy
from fusebill_async.stores.redis_quota import RedisQuota
from fusebill_async.testing.redis_twin import RedisTwin, TwinClient
from tests.quota.conftest import load_simulation

SETTLING, INTERACTIVE, BULK = Priority
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC).timestamp()
TOMORROW = datetime(2026, 11, 22, tzinfo=UTC)


class Account:
    """An admission and the headers of an account, on a virtual clock that shows 12:00:10 at the start."""

    def __init__(self, places=100, limit=10, day_limit=1000, policy=None, skew=0, **options):
        self.loop = asyncio.get_running_loop()
        self.shift = NOON + 10 - self.loop.time()
        effects = Effects(now=self.loop.time, sleep=asyncio.sleep, random=lambda: 0.0)
        self.admission = Admission(
            places=places,
            policy=policy or QuotaPolicy(per_minute=limit, per_day=day_limit, burst=1.0),
            effects=effects,
            clock=ServiceClock(),
            **options,
        )
        self.limit, self.day_limit, self.skew = limit, day_limit, skew

    @property
    def time(self):
        return self.loop.time() + self.shift

    def headers(self, remaining, day_remaining=None, at=None, **changes):
        at = self.time if at is None else at
        headers = {
            "Date": datetime.fromtimestamp(at + self.skew, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT"),
            "X-Rate-Limit-Limit-Minute": str(self.limit),
            "X-Rate-Limit-Remaining-Minute": str(remaining),
            "X-Rate-Limit-Reset-Minute": str((at // 60 + 1) * 60),
            "X-Rate-Limit-Limit-Day": str(self.day_limit),
            "X-Rate-Limit-Remaining-Day": str(self.day_limit - 1 if day_remaining is None else day_remaining),
            "X-Rate-Limit-Reset-Day": TOMORROW.isoformat(),
        }
        headers.update({name.replace("_", "-"): value for name, value in changes.items()})
        return {name: value for name, value in headers.items() if value is not None}

    async def call(self, status=200, headers=None, priority=BULK, takes=0.0, remaining=None):
        permit = await self.admission.enter(priority)
        sent = self.loop.time()
        permit.sent()
        await asyncio.sleep(takes)
        if headers is None:
            headers = self.headers(self.limit - 1 if remaining is None else remaining)
        permit.answered(status, headers, sent, self.loop.time())
        permit.leave()

    async def know_the_clock(self):
        """Dates seen at many fractions of a second: the turn of the minute is known to 0.1 s."""
        for number in range(12):
            now = self.loop.time() + number * 0.0917
            self.admission._clock.observe(int(now + self.shift), now, now)
        await asyncio.sleep(1.1)
        await self.call(remaining=self.limit - 1)


def virtually(test):
    """Run a test on a virtual clock."""

    @wraps(test)
    def run(*args, **kwargs):
        return load_simulation().run_virtual(test(*args, **kwargs))

    return run


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


@virtually
async def test_first_come_first_served_and_the_more_urgent_first():
    account = Account(places=1, limit=1000)
    first = await account.admission.enter(BULK)
    order = []

    async def go(name, priority):
        permit = await account.admission.enter(priority)
        order.append(name)
        permit.leave()

    tasks = []
    for name, priority in [("b1", BULK), ("i1", INTERACTIVE), ("b2", BULK), ("s1", SETTLING), ("i2", INTERACTIVE)]:
        tasks.append(asyncio.create_task(go(name, priority)))
        await asyncio.sleep(0)
    first.leave()
    await asyncio.gather(*tasks)
    assert order == ["s1", "i1", "i2", "b1", "b2"]


@virtually
async def test_nobody_starves():
    account = Account(places=1, limit=100_000)
    held = await account.admission.enter(INTERACTIVE)
    order = []

    async def go(priority):
        permit = await account.admission.enter(priority)
        order.append(priority)
        await asyncio.sleep(0.001)
        permit.leave()

    tasks = [asyncio.create_task(go(BULK)) for _ in range(3)]
    tasks += [asyncio.create_task(go(INTERACTIVE)) for _ in range(100)]
    await settle()
    held.leave()
    await asyncio.gather(*tasks)
    assert [i for i, priority in enumerate(order) if priority is BULK] == [15, 31, 47]


@virtually
async def test_a_call_that_waits_for_a_place_holds_no_quota():
    account = Account(places=1, limit=1000)
    first = await account.admission.enter(BULK)
    waiting = asyncio.create_task(account.admission.enter(BULK))
    await settle()
    assert account.admission.quota.used_minute == 1
    assert account.admission.quota.waiting == {SETTLING: 0, INTERACTIVE: 0, BULK: 1}
    first.leave()
    (await waiting).leave()
    assert account.admission.quota.used_minute == 0


@virtually
async def test_a_permit_is_given_back_at_the_end_of_its_block():
    account = Account(places=1, limit=1000)
    with suppress(ZeroDivisionError), await account.admission.enter(BULK, requests=2) as permit:
        permit.sent()
        raise ZeroDivisionError
    assert account.admission.quota.used_minute == 1
    assert account.admission.enter_now(BULK) is not None


@pytest.mark.parametrize("ending", ["stop", "close", "the day"])
@virtually
async def test_a_waiter_that_is_cancelled_is_counted_out_once(ending):
    account = Account(places=1, limit=1000)
    held = await account.admission.enter(BULK)
    held.sent()
    sent = account.loop.time()
    waiting = asyncio.create_task(account.admission.enter(INTERACTIVE))
    await settle()
    waiting.cancel()  # its task has not run yet
    if ending == "the day":
        # Nothing but what is kept for settling.
        held.answered(200, account.headers(900, day_remaining=5), sent, account.loop.time())
    else:
        getattr(account.admission, ending)()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert account.admission.quota.waiting == dict.fromkeys(Priority, 0)
    if ending != "close":
        settling = asyncio.create_task(account.admission.enter(SETTLING))
        await settle()
        assert account.admission.quota.waiting[SETTLING] == 1
        held.leave()
        (await asyncio.wait_for(settling, 1)).leave()


@virtually
async def test_when_the_first_in_line_goes_away_the_next_is_looked_at():
    account = Account(limit=60, policy=QuotaPolicy(per_minute=60, burst=0.2))
    await account.know_the_clock()
    while account.admission.enter_now(BULK) is not None:
        pass
    head = asyncio.create_task(account.admission.enter(BULK, requests=10))
    await settle()
    behind = asyncio.create_task(account.admission.enter(BULK))
    await asyncio.sleep(3)
    assert not behind.done()
    head.cancel()
    await asyncio.sleep(0.2)
    assert behind.done()
    account.admission.close()
    await asyncio.gather(head, behind, return_exceptions=True)


@virtually
async def test_closing_lets_nobody_in_but_those_who_settle():
    account = Account(places=1, limit=1000)
    held = await account.admission.enter(BULK)
    waiting = [asyncio.create_task(account.admission.enter(priority)) for priority in (INTERACTIVE, BULK)]
    await settle()
    account.admission.stop()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [AdmissionClosed] * 2
    held.leave()
    assert account.admission.enter_now(BULK) is None
    with pytest.raises(AdmissionClosed):
        await account.admission.enter(INTERACTIVE)
    (await account.admission.enter(SETTLING)).leave()


@pytest.mark.parametrize("when", ["waiting", "let in", "both in one step"])
@virtually
async def test_cancelling_leaves_nothing_behind(when):
    account = Account(places=1, limit=1000)
    first = await account.admission.enter(BULK)
    waiting = asyncio.create_task(account.admission.enter(BULK, until=account.loop.time() + 5))
    behind = asyncio.create_task(account.admission.enter(BULK))
    await settle()
    if when == "waiting":
        waiting.cancel()
        await settle()
        first.leave()
    elif when == "let in":
        first.leave()  # hands the place on; the waiter has not run yet
        waiting.cancel()
    else:
        waiting.cancel()
        first.leave()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    permit = await asyncio.wait_for(behind, 1)
    permit.leave()
    view = account.admission.quota
    assert (view.used_minute, view.waiting[BULK]) == (0, 0)
    assert account.admission.enter_now(BULK) is not None


@virtually
async def test_a_waiter_that_goes_away_behind_another_is_counted_out():
    account = Account(places=1, limit=1000)
    held = await account.admission.enter(BULK)
    waiting = [asyncio.create_task(account.admission.enter(BULK)) for _ in range(3)]
    await settle()
    waiting[1].cancel()
    await settle()
    assert account.admission.quota.waiting[BULK] == 2
    held.leave()
    (await waiting[0]).leave()
    (await waiting[2]).leave()


@virtually
async def test_leaving_twice_and_leaving_with_a_call_under_way():
    account = Account(places=1, limit=1000)
    permit = await account.admission.enter(BULK, requests=3)
    permit.sent()
    permit.leave()
    permit.leave()
    assert account.admission.quota.used_minute == 1  # the one that was sent; the other two went back
    assert account.admission.quota.under_way == 0
    assert account.admission.enter_now(BULK) is not None
    assert account.admission.enter_now(BULK) is None


@virtually
async def test_queue_timeout_says_what_it_waited_for():
    account = Account(places=1, limit=10)
    await account.know_the_clock()
    await account.call(remaining=0)
    with pytest.raises(QueueTimeout) as caught:
        await account.admission.enter(BULK, until=account.loop.time() + 3)
    assert caught.value.waited_for == "quota"
    assert caught.value.opens_at == datetime(2026, 11, 21, 12, 1, tzinfo=UTC)
    await asyncio.sleep(60)
    permit = await account.admission.enter(BULK)
    started = account.loop.time()
    with pytest.raises(QueueTimeout) as caught:
        await account.admission.enter(BULK, until=started + 3)
    assert (caught.value.waited_for, caught.value.opens_at) == ("pool", None)
    assert account.loop.time() - started == pytest.approx(3, abs=0.01)
    permit.leave()


@virtually
async def test_an_exhausted_day():
    account = Account(limit=1000, day_limit=1000)
    await account.know_the_clock()
    parked = [asyncio.create_task(account.admission.enter(BULK)) for _ in range(2)]
    for task in parked:
        (await task).leave()
    await account.call(headers=account.headers(500, day_remaining=10))  # a hundredth is the reserve
    with pytest.raises(QuotaExhausted) as caught:
        await account.admission.enter(INTERACTIVE)
    assert caught.value.opens_at == TOMORROW
    bulk = asyncio.create_task(account.call())
    for _ in range(10):
        permit = await account.admission.enter(SETTLING)
        permit.sent()
        permit.leave()
    await asyncio.sleep(3600)
    assert not bulk.done()
    with pytest.raises(QueueTimeout) as timeout:
        await account.admission.enter(SETTLING, until=account.loop.time() + 1)
    assert timeout.value.opens_at == TOMORROW
    await bulk
    assert account.time == pytest.approx(TOMORROW.timestamp(), abs=15)


@virtually
async def test_a_day_of_which_all_is_under_way_is_not_exhausted():
    policy = QuotaPolicy(per_minute=1000, per_day=1000, burst=1.0, day_reserve=0.0)
    account = Account(limit=1000, policy=policy)
    await account.call(headers=account.headers(500, day_remaining=1))
    held = await account.admission.enter(INTERACTIVE)
    waiting = asyncio.create_task(account.admission.enter(INTERACTIVE))
    await settle()
    assert not waiting.done()
    held.leave()  # it was never sent
    (await asyncio.wait_for(waiting, 5)).leave()


@virtually
async def test_a_bulk_job_that_waits_for_tomorrow_stands_in_nobodys_way():
    account = Account(limit=1000, policy=QuotaPolicy(per_minute=1000, per_day=1000, burst=1.0, day_reserve=0.1))
    await account.call(headers=account.headers(900, day_remaining=80))
    bulk = [asyncio.create_task(account.admission.enter(BULK)) for _ in range(3)]
    await settle()
    for _ in range(40):  # a bulk call passed over that often would be next
        (await asyncio.wait_for(account.admission.enter(SETTLING), 5)).leave()
    assert not any(task.done() for task in bulk)
    account.admission.close()
    await asyncio.gather(*bulk, return_exceptions=True)


@virtually
async def test_a_part_of_the_day_is_kept_for_settling():
    policy = QuotaPolicy(per_minute=1000, per_day=1000, burst=1.0, day_reserve=0.1)
    account = Account(places=1000, limit=1000, policy=policy)
    await account.call(headers=account.headers(900, day_remaining=102))
    let_in = {BULK: 0, SETTLING: 0}
    for priority in let_in:
        while account.admission.enter_now(priority) is not None:
            let_in[priority] += 1
        await asyncio.sleep(40)
    assert let_in == {BULK: 2, SETTLING: 100}


@virtually
async def test_interactive_calls_in_line_are_told_when_the_day_ends():
    account = Account(places=1, limit=1000)
    held = await account.admission.enter(BULK)
    held.sent()
    sent = account.loop.time()
    waiting = asyncio.create_task(account.admission.enter(INTERACTIVE))
    await settle()
    held.answered(200, account.headers(900, day_remaining=0), sent, account.loop.time())
    held.leave()
    with pytest.raises(QuotaExhausted):
        await waiting


@pytest.mark.parametrize(
    ("changes", "seconds"),
    [
        ({}, 50.0),
        ({"Retry_After": "7"}, 7.0),
        ({"Retry_After": "Sat, 21 Nov 2026 12:00:15 GMT"}, 5.0),
        ({"Retry_After": "soon"}, 50.0),
        ({"X_Rate_Limit_Reset_Minute": "garbage"}, 50.0),
        ({"X_Rate_Limit_Reset_Minute": "2001-01-01T00:00:00Z"}, 50.0),
        ({"X_Rate_Limit_Reset_Minute": None, "Date": None}, 60.0),
        ({"X_Rate_Limit_Limit_Minute": None, "X_Rate_Limit_Remaining_Minute": "x"}, 1.0),
        ({"X_Rate_Limit_Remaining_Minute": "500"}, 1.0),
        ({"Retry_After": "0"}, 1.0),
        ({"Retry_After": "86400"}, 86_400.0),
        ({"Retry_After": "86401"}, 50.0),
        ({"Retry_After": "999999999"}, 50.0),
        ({"X_Rate_Limit_Remaining_Day": "0"}, 12 * 3600 - 10.0),
    ],
)
@virtually
async def test_a_refusal_pauses_everybody(changes, seconds):
    account = Account(limit=1000)
    await account.call(429, account.headers(0, **changes))
    # Two clocks may part by 2e-4 in the meantime.
    assert account.admission.quota.paused_for == pytest.approx(seconds, abs=1.01, rel=3e-4)
    assert account.admission.enter_now(SETTLING) is None


@virtually
async def test_pauses_grow_while_refusals_go_on_coming():
    account = Account()
    pauses = []
    for _ in range(9):
        await account.call(429, {})
        pauses.append(account.admission.quota.paused_for)
    assert pauses == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60, 60])
    await account.call()
    await account.call(429, {})
    assert account.admission.quota.paused_for == pytest.approx(1.0)


@virtually
async def test_calls_refused_together_are_one_refusal():
    account = Account(limit=1000)
    permits = [account.admission.enter_now(BULK) for _ in range(10)]
    sent = account.loop.time()
    for permit in permits:
        permit.sent()
    for permit in permits:
        permit.answered(429, {}, sent, account.loop.time())
        permit.leave()
    assert account.admission.quota.paused_for == pytest.approx(1.0)


@virtually
async def test_after_a_refusal_one_call_goes_and_the_rest_wait_for_its_answer():
    account = Account(limit=1000)
    await account.call(429, account.headers(500))
    await asyncio.sleep(5)
    first = account.admission.enter_now(BULK)
    first.sent()
    assert account.admission.enter_now(SETTLING) is None
    rest = [asyncio.create_task(account.admission.enter(BULK)) for _ in range(3)]
    await settle()
    assert not any(task.done() for task in rest)
    first.answered(200, account.headers(499), account.loop.time(), account.loop.time())
    for permit in await asyncio.wait_for(asyncio.gather(*rest), 1):
        permit.leave()


@virtually
async def test_the_call_that_goes_to_see_may_be_lost():
    account = Account(limit=1000)
    await account.call(429, account.headers(500))
    await asyncio.sleep(5)
    account.admission.enter_now(BULK).leave()  # cancelled before it was sent: the next may go at once
    lost = account.admission.enter_now(BULK)
    lost.sent()
    started = account.loop.time()
    (await account.admission.enter(BULK)).leave()
    assert account.loop.time() - started <= 15


@virtually
async def test_a_refusal_of_a_window_that_is_over_pauses_for_a_second():
    account = Account(limit=1000)
    await account.know_the_clock()
    late = account.headers(0)
    await asyncio.sleep(60)
    await account.call()
    await account.call(429, late)
    assert account.admission.quota.paused_for == pytest.approx(1.0)
    assert account.admission.quota.minute.remaining > 900


@virtually
async def test_two_servers_whose_clocks_are_apart_are_not_flooded_with_calls_that_they_refuse():
    """The limiter refuses all; the resets that it tells jump back and forth between two windows."""
    account = Account(limit=1000)
    calls = 0

    async def go():
        nonlocal calls
        while True:
            calls += 1
            await account.call(429, account.headers(0, at=NOON + 59 if calls % 2 else NOON + 61), takes=0.01)

    await account.know_the_clock()
    tasks = [asyncio.create_task(go()) for _ in range(30)]
    await asyncio.sleep(NOON + 180 - account.time)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert calls - 30 < 60  # all 30 went together at first; then at most one a pause


@pytest.mark.parametrize("told", [{}, {"Retry_After": "3"}], ids=["till the turn", "within a window"])
@virtually
async def test_waiters_are_spread_behind_a_pause(told):
    account = Account(limit=600, policy=QuotaPolicy(per_minute=600, burst=0.05))
    await account.know_the_clock()
    await asyncio.sleep(20)
    for permit in [account.admission.enter_now(BULK) for _ in range(25)]:
        permit.leave()  # a burst of 30 might go at once
    await account.call(429, account.headers(300 if told else 0, **told))
    opened = account.loop.time() + account.admission.quota.paused_for
    times = []

    async def go():
        await account.call(remaining=290 - len(times) if told else 599 - len(times))
        times.append(account.loop.time())

    await asyncio.gather(*(go() for _ in range(50)))
    assert times[0] >= opened
    # About 10 a second are left.
    assert sum(time < opened + 1 for time in times) <= 20
    assert times[-1] == pytest.approx(opened + 5, abs=1.5)


@virtually
async def test_off_still_waits_out_a_refusal():
    account = Account(policy=QuotaPolicy.off())
    for _ in range(5000):
        account.admission.enter_now(BULK).leave()
    await account.call(429, account.headers(0, Retry_After="4"))
    started = account.loop.time()
    await account.call()
    assert account.loop.time() - started == pytest.approx(4, abs=0.1)


@virtually
async def test_off_is_not_held_back_by_limits_that_nobody_told():
    account = Account(policy=QuotaPolicy.off())
    for _ in range(1000):
        await account.call(headers={})
    await account.call(429, {})
    assert account.admission.quota.paused_for == pytest.approx(1.0)


@virtually
async def test_thresholds_once_a_window():
    heard = []
    account = Account(limit=100, on_threshold=lambda window, part: heard.append((window, part)))
    now = account.loop.time()

    def answer(remaining, **more):
        permit = permits.pop()
        permit.sent()
        permit.answered(200, account.headers(remaining, **more), now, account.loop.time())
        permit.leave()

    permits = [account.admission.enter_now(BULK) for _ in range(9)]
    for remaining in (50, 21, 20, 19, 4, 3):
        answer(remaining)
    assert heard == [("minute", 0.8), ("minute", 0.95)]
    answer(2, day_remaining=1)
    assert heard[2:] == [("day", 0.8), ("day", 0.95)]
    await asyncio.sleep(61)
    answer(90, day_remaining=1)
    answer(15, day_remaining=1)
    assert heard[4:] == [("minute", 0.8)]


@pytest.mark.parametrize(("limit", "parts"), [(100, [0.8, 0.95]), (1000, []), (5000, [])])
@virtually
async def test_thresholds_are_parts_of_the_limit_that_the_service_tells(limit, parts):
    heard = []
    account = Account(limit=limit, policy=QuotaPolicy(burst=1), on_threshold=lambda _, part: heard.append(part))
    for used in range(1, 99):
        await account.call(remaining=limit - used)
    assert heard == parts


@pytest.mark.parametrize("counted_in", ["old", "new"])
@virtually
async def test_calls_under_way_over_a_turn_count_until_their_answers_tell(counted_in):
    account = Account(limit=10)
    await account.know_the_clock()
    await asyncio.sleep(30)
    before = [account.admission.enter_now(BULK) for _ in range(5)]
    sent = account.loop.time()
    for permit in before:
        permit.sent()
    await asyncio.sleep(NOON + 61 - account.time)
    await account.call(remaining=9)  # the first of the new window
    await asyncio.sleep(30)
    after = 0
    while (permit := account.admission.enter_now(BULK)) is not None:
        permit.sent()
        after += 1
    assert after == 4
    at = NOON + 59 if counted_in == "old" else account.time
    for number, permit in enumerate(before):
        permit.answered(200, account.headers(8 - number, at=at), sent, account.loop.time())
    await asyncio.sleep(20)
    while (permit := account.admission.enter_now(BULK)) is not None:
        permit.sent()
        after += 1
    assert after == (9 if counted_in == "old" else 4)


@pytest.mark.parametrize("skew", [0, 4, -4])
@virtually
async def test_with_nothing_left_one_call_goes_at_the_reset_and_the_rest_wait_for_its_answer(skew):
    account = Account(limit=10, skew=skew)
    await account.call(remaining=9)
    await asyncio.sleep(NOON + 61 - account.time)
    await account.call(remaining=0)  # the turn is known from now on, whatever `Date` says
    sent = []

    async def go():
        permit = await account.admission.enter(BULK)
        permit.sent()
        sent.append((account.time, permit))

    tasks = [asyncio.create_task(go()) for _ in range(5)]
    await asyncio.sleep(NOON + 125 - account.time)
    assert [time - NOON for time, _ in sent] == [pytest.approx(121, abs=0.1)]
    now = account.loop.time()
    sent[0][1].answered(200, account.headers(9), now, now)
    await asyncio.gather(*tasks)
    assert len(sent) == 5


@pytest.mark.parametrize("skew", [0, 4, -4])
@virtually
async def test_a_day_ends_by_the_clock_by_which_minutes_turn(skew):
    account = Account(limit=10, skew=skew)
    await asyncio.sleep(TOMORROW.timestamp() - 110 - account.time)
    await account.call(remaining=9)
    await asyncio.sleep(TOMORROW.timestamp() - 59 - account.time)
    await account.call(headers=account.headers(9, day_remaining=0))
    (await account.admission.enter(BULK)).leave()
    assert 0 <= account.time - TOMORROW.timestamp() < 1.1


@virtually
async def test_a_limiter_whose_clock_is_set_back_is_believed_after_a_window():
    account = Account(limit=100)
    await account.know_the_clock()
    await asyncio.sleep(60)
    await account.call(remaining=0)
    account.shift -= 7200
    await asyncio.sleep(61)
    await account.call(remaining=99)
    assert account.admission.quota.minute.remaining == 99


@virtually
async def test_a_limiter_whose_clock_is_set_back_a_little_is_learned_from_its_refusals():
    account = Account(limit=10)
    await account.call(remaining=9)
    await asyncio.sleep(NOON + 61 - account.time)
    await account.call(remaining=9)
    account.shift -= 2
    refused = dict.fromkeys(range(8), 0)
    last = 1
    while account.time < NOON + 420:
        with await account.admission.enter(BULK) as permit:
            permit.sent()
            now = account.loop.time()
            minute = int(account.time - NOON) // 60
            full, last = minute == last, minute
            refused[minute] += full
            permit.answered(429 if full else 200, account.headers(0), now, now)
    assert sum(refused.values()) <= 2
    assert not any(refused[minute] for minute in (4, 5, 6))


@virtually
async def test_an_answer_that_overtook_another_does_not_give_calls_back():
    account = Account(limit=100)
    permits = [account.admission.enter_now(BULK) for _ in range(2)]
    now = account.loop.time()
    for permit, remaining in zip(permits, (40, 60), strict=True):
        permit.sent()
        permit.answered(200, account.headers(remaining), now, now)
    assert account.admission.quota.minute.remaining == 40


@virtually
async def test_what_others_use_is_ours_no_more():
    account = Account(limit=100)
    await account.call(remaining=3)  # somebody else has used 96
    let_in = 0
    while account.admission.enter_now(BULK) is not None:
        let_in += 1
    assert let_in <= 3


@virtually
async def test_before_the_first_answer_few_go():
    account = Account(policy=QuotaPolicy())
    let_in = 0
    while account.admission.enter_now(BULK) is not None:
        let_in += 1
    assert let_in == 10


@virtually
async def test_a_service_without_headers_is_paced_by_the_defaults():
    account = Account(policy=QuotaPolicy(per_minute=60))
    started = account.loop.time()
    times = []

    async def go():
        await account.call(headers={})
        times.append(account.loop.time() - started)

    await asyncio.gather(*(go() for _ in range(200)))
    for start in range(0, 140, 5):
        assert sum(start <= time < start + 60 for time in times) <= 60
    assert times[-1] < 260


@virtually
async def test_a_call_larger_than_the_limit_goes_all_the_same():
    account = Account(limit=2)
    permit = await asyncio.wait_for(account.admission.enter(BULK, requests=5), 200)
    permit.leave()
    assert account.admission.quota.used_minute == 0


@virtually
async def test_closing_wakes_everybody():
    account = Account(places=1)
    await account.admission.enter(BULK)
    waiting = [asyncio.create_task(account.admission.enter(priority)) for priority in Priority]
    await settle()
    account.admission.close()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [AdmissionClosed] * 3
    with pytest.raises(AdmissionClosed):
        await account.admission.enter(BULK)
    assert len(asyncio.all_tasks()) == 1


@virtually
async def test_calls_that_waited_leave_nothing_behind():
    account = Account(places=1, limit=100_000)
    held = await account.admission.enter(BULK)
    for _ in range(100):
        waiting = asyncio.create_task(account.admission.enter(BULK, until=account.loop.time() + 3600))
        await settle()
        held.leave()
        held = await waiting
    assert all(timer.cancelled() for timer in account.loop._scheduled)
    assert len(asyncio.all_tasks()) == 1


@virtually
async def test_no_task_runs_when_nobody_waits():
    account = Account(limit=10)
    await asyncio.gather(*(account.call(remaining=5) for _ in range(20)))
    await settle()
    assert len(asyncio.all_tasks()) == 1


@virtually
async def test_a_service_that_tells_no_quota_is_paced_until_it_answers_well():
    account = Account(policy=QuotaPolicy())
    for _ in range(5):
        await account.call(503, {})
    started = account.loop.time()
    await asyncio.gather(*(account.call(503, {}) for _ in range(60)))
    assert account.loop.time() - started > 2
    await account.call(200, {})
    for _ in range(99):
        assert account.admission.enter_now(BULK) is not None


@virtually
async def test_calls_made_without_pacing_are_not_held_against_the_next():
    account = Account(limit=1000, policy=QuotaPolicy())
    for _ in range(500):
        await account.call(200, {})
    await account.call(remaining=499)
    started = account.loop.time()
    await account.call(remaining=498)
    assert account.loop.time() - started < 1


class Away:
    """A shared budget that cannot be reached."""

    async def exchange(self, report):
        raise ConnectionError


class Generous:
    """A shared budget that grants what it is asked for, and tells of three other processes."""

    async def exchange(self, report):
        return QuotaGrant(
            granted=report.want, elsewhere=0, processes=4, minute=report.minute, day=report.day, pause=0.0
        )  # fmt: skip


@virtually
async def test_processes_that_share_a_budget_share_its_pace():
    policy = QuotaPolicy(per_minute=600, burst=0.05)
    account = Account(places=1000, limit=600, policy=policy, shared=Generous())
    await account.call(remaining=599)
    tasks = [asyncio.create_task(account.call(remaining=599)) for _ in range(600)]
    await asyncio.sleep(20)
    # 600 a minute, of which 50 s are left, are 12 a second, and a quarter of that is ours.
    assert 50 <= sum(task.done() for task in tasks) <= 100
    await account.admission.aclose()
    await asyncio.gather(*tasks, return_exceptions=True)


@virtually
async def test_a_shared_budget_is_found_again_though_nobody_waits():
    shared = Away()
    account = Account(limit=1000, shared=shared)
    await account.call()
    await asyncio.sleep(30)
    assert not account.admission.quota.shared
    shared.exchange = Generous().exchange
    await asyncio.sleep(2)
    assert account.admission.quota.shared
    await account.admission.aclose()


def on_redis(policy):
    """The budget of one process after the other, on one Redis that keeps the virtual time."""
    twin = RedisTwin(asyncio.get_running_loop().time)
    return lambda: RedisQuota(TwinClient(twin.driver()), "key", policy)


@pytest.mark.parametrize("idle", [20, 300])
@virtually
async def test_a_process_that_starts_behind_a_used_up_window_does_not_wait_for_another(idle):
    policy = QuotaPolicy(per_minute=10, per_day=1000, burst=1.0)
    shared = on_redis(policy)
    before = Account(policy=policy, shared=shared())
    await asyncio.sleep(40)
    await before.call(remaining=0)
    await asyncio.sleep(1.5)
    await before.admission.aclose()
    await asyncio.sleep(idle)
    after = Account(policy=policy, shared=shared())
    started = after.loop.time()
    await after.call(remaining=9)
    # At most until the window is over that was seen to begin 21.5 s ago; none is left to wait for after 300 s.
    assert after.loop.time() - started < (40 if idle == 20 else 1)
    await after.admission.aclose()


@virtually
async def test_calls_go_on_when_the_next_day_begins_also_with_a_shared_budget():
    policy = QuotaPolicy(per_minute=10, per_day=1000, burst=1.0)
    account = Account(policy=policy, shared=on_redis(policy)())
    await asyncio.sleep(TOMORROW.timestamp() - 50 - account.time)
    await account.call(headers=account.headers(9, day_remaining=0))
    async with asyncio.timeout(60):
        (await account.admission.enter(BULK)).leave()
    assert account.time >= TOMORROW.timestamp()
    await account.admission.aclose()


@virtually
async def test_each_process_keeps_to_its_part_while_the_shared_budget_is_away():
    account = Account(places=100_000, policy=QuotaPolicy(per_minute=1000, workers=4), shared=Away())
    waiting = [asyncio.create_task(account.admission.enter(BULK)) for _ in range(1000)]
    await asyncio.sleep(59)
    assert 100 < sum(task.done() for task in waiting) <= 250
    await account.admission.aclose()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert len(asyncio.all_tasks()) == 1


@given(
    limit=st.integers(5, 60),
    places=st.integers(1, 40),
    latency=st.tuples(st.floats(0.0, 2.0), st.floats(0.0, 4.0)),
    counted=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    seed=st.integers(0, 1000),
    burst=st.sampled_from([0.0, 0.05, 1.0]),
)
@settings(max_examples=40, deadline=None)
def test_never_more_than_the_limit_in_a_window(limit, places, latency, counted, seed, burst):
    simulation = load_simulation()
    service = simulation.Service(limit=limit, length=20.0)
    low, extra = latency
    job = simulation.job(
        service, 4 * limit, policy=QuotaPolicy(per_minute=limit, burst=burst), places=places,
        latency=(low, low + extra), counted=tuple(sorted(counted)), seed=seed,
    )  # fmt: skip
    assert simulation.run_virtual(job) == 4 * limit
    assert not any(window.refused for window in service.windows.values())


def test_a_request_beyond_what_a_permit_took_is_counted_while_it_is_under_way():
    async def main():
        account = Account()
        with await account.admission.enter(INTERACTIVE) as permit:
            for number in range(3):
                permit.sent()
                assert account.admission.quota.used_minute == number + 1
                sent = account.loop.time()
                permit.answered(200, account.headers(9 - number), sent, sent)
        assert account.admission.quota.used_minute == 3

    asyncio.run(main())
