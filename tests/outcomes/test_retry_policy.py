"""The table of what may be sent again, the pauses between attempts, and the budget that holds them down."""

import asyncio

import pytest

from fusebill_async import FusebillClient, FusebillError, Phase, QuotaPolicy, RequestTimeoutError, RetryPolicy, Timeouts
from fusebill_async.operations import Safety
from fusebill_async.policy.retry import RetryBudget, Ruling, backoff, rule
from fusebill_async.session.effects import Effects
from fusebill_async.testing import Fault
from tests.outcomes.outcome_cases import KEY, make_client

WRITES = [safety for safety in Safety if safety is not Safety.READ]
EVERYTHING = [None, *range(100, 600)]
REFUSED = {*range(400, 500)} - {408}


@pytest.mark.parametrize("safety", Safety)
@pytest.mark.parametrize("phase", [phase for phase in Phase if phase.nothing_sent])
def test_what_was_never_sent_is_sent_again(safety, phase):
    assert rule(safety, phase=phase, status=None, readable=False) is Ruling.SEND_AGAIN


@pytest.mark.parametrize("safety", Safety)
@pytest.mark.parametrize("phase", [phase for phase in Phase if phase.nothing_sent])
def test_but_not_where_the_next_attempt_would_end_the_same(safety, phase):
    assert rule(safety, phase=phase, status=None, readable=False, lasting=True) is Ruling.FAILED


@pytest.mark.parametrize("safety", Safety)
@pytest.mark.parametrize("phase", [phase for phase in Phase if not phase.nothing_sent and phase is not Phase.ANSWERED])
@pytest.mark.parametrize("readable", [False, True])
def test_a_status_without_the_whole_answer_says_nothing(safety, phase, readable):
    wanted = Ruling.SEND_AGAIN if safety is Safety.READ else Ruling.SETTLE
    assert {rule(safety, phase=phase, status=status, readable=readable) for status in EVERYTHING} == {wanted}


@pytest.mark.parametrize("safety", Safety)
def test_a_refusal_that_is_not_believed_is_settled_but_for_a_read(safety):
    ruled = {
        status: rule(safety, phase=Phase.ANSWERED, status=status, readable=True, believed=False) for status in REFUSED
    }
    believed = {status: rule(safety, phase=Phase.ANSWERED, status=status, readable=True) for status in REFUSED}
    assert ruled == (believed if safety is Safety.READ else dict.fromkeys(REFUSED, Ruling.SETTLE))


@pytest.mark.parametrize("safety", Safety)
@pytest.mark.parametrize("readable", [False, True])
def test_a_whole_answer_is_ruled_by_its_status(safety, readable):
    wanted = dict.fromkeys(EVERYTHING, Ruling.SEND_AGAIN if safety is Safety.READ else Ruling.SETTLE)
    if readable:
        wanted |= dict.fromkeys(range(200, 300), Ruling.ACCEPT) | dict.fromkeys(REFUSED, Ruling.REJECTED)
        wanted |= {429: Ruling.WAIT_FOR_WINDOW}
    ruled = {status: rule(safety, phase=Phase.ANSWERED, status=status, readable=readable) for status in EVERYTHING}
    assert ruled == wanted


def test_pauses_grow_up_to_a_limit_and_are_drawn_from_nothing_to_that():
    policy = RetryPolicy(backoff=0.5, backoff_limit=3.0)
    assert [backoff(policy, attempt, 1.0) for attempt in (1, 2, 3, 4, 50)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    assert [backoff(policy, attempt, 0.0) for attempt in (1, 2, 50)] == [0.0, 0.0, 0.0]
    assert backoff(policy, 3, 0.25) == 0.5


def test_what_the_service_asks_for_comes_before_the_pause():
    policy = RetryPolicy(backoff=0.5, backoff_limit=3.0)
    assert [backoff(policy, 1, chance, asked=2.0) for chance in (0.0, 1.0)] == [2.0, 2.5]
    assert backoff(policy, 1, 1.0, asked=None) == backoff(policy, 1, 1.0, asked=0.0) == 0.5


def taken(budget, now, times=1000):
    return sum(budget.take(now) for _ in range(times))


@pytest.mark.parametrize(
    ("calls", "minimum", "allowed"), [(0, 10, 10), (50, 10, 10), (500, 10, 50), (0, 0, 0), (9, 0, 0)]
)
def test_a_tenth_of_the_calls_or_the_minimum(calls, minimum, allowed):
    budget = RetryBudget(RetryPolicy(budget_ratio=0.1, budget_minimum=minimum, budget_window=60.0))
    for _ in range(calls):
        budget.call_started(0.0)
    assert taken(budget, 1.0) == allowed
    assert taken(budget, 59.0) == 0


def test_what_is_older_than_the_window_counts_no_more():
    budget = RetryBudget(RetryPolicy(budget_ratio=0.1, budget_minimum=5, budget_window=60.0))
    for _ in range(1000):
        budget.call_started(0.0)
    assert taken(budget, 1.0) == 100
    # The calls are forgotten, and so are the attempts: the minimum is there again, and no more than that.
    assert taken(budget, 70.0) == 5
    assert taken(budget, 71.0) == 0
    for second in range(100, 160):
        budget.call_started(float(second))
    assert taken(budget, 160.0) == 6


async def attempts_of_a_read(fusebill, fault, **options):
    fusebill.add_customer(id=1)
    fusebill.inject(fault)
    async with make_client(fusebill, **options) as client:
        with pytest.raises(FusebillError) as raised:
            await client.customers.get(1)
    assert fusebill.received("get", 1) == len(raised.value.attempts)
    return len(raised.value.attempts)


async def test_the_pauses_count_towards_the_deadline(fusebill):
    pauses = []

    async def sleep(seconds):
        pauses.append(seconds)
        await asyncio.sleep(0)

    attempts = await attempts_of_a_read(
        fusebill,
        Fault.status(503, operation="get", times=None),
        retry=RetryPolicy(max_attempts=10, backoff=40.0, backoff_limit=40.0),
        timeouts=Timeouts(total=100.0),
        effects=Effects(sleep=sleep, random=lambda: 1.0),
    )
    assert (attempts, pauses) == (3, [40.0, 40.0])


@pytest.mark.parametrize("left", [0, 1, 2])
async def test_no_read_is_sent_again_without_a_budget(fusebill, left):
    attempts = await attempts_of_a_read(
        fusebill,
        Fault.status(503, operation="get", times=None),
        retry=RetryPolicy(max_attempts=10, backoff=0.001, budget_ratio=0.0, budget_minimum=left),
    )
    assert attempts == 1 + left


async def test_an_answer_that_comes_in_drops_ends_at_the_deadline(fusebill):
    """It is never silent for long, so nothing but the deadline ends it."""
    fusebill.add_customer(id=1)
    fusebill.inject(Fault.slow_body(seconds=0.1, chunk=16, operation="get"))
    async with make_client(fusebill, timeouts=Timeouts(read=5.0, total=1.0)) as client:
        with pytest.raises(RequestTimeoutError, match="deadline of the call"):
            await client.customers.get(1)


class Pauses:
    """Effects whose pauses take no time, and are noted."""

    def __init__(self, chance=1.0):
        self.taken = []
        self.effects = Effects(sleep=self._sleep, random=lambda: chance)

    async def _sleep(self, seconds):
        self.taken.append(seconds)
        await asyncio.sleep(0)


@pytest.mark.parametrize("status", [502, 503])
@pytest.mark.parametrize(
    ("retry_after", "wanted"), [("2", [2.5, 3.0]), ("0", [0.5, 1.0]), ("soon", [0.5, 1.0]), ("-1", [0.5, 1.0])]
)
async def test_a_service_that_is_away_is_asked_again_when_it_wants_to_be(fusebill, status, retry_after, wanted):
    pauses = Pauses()
    fault = Fault.status(status, headers={"Retry-After": retry_after}, operation="get", times=None)
    options = {"retry": RetryPolicy(backoff=0.5), "effects": pauses.effects}
    assert await attempts_of_a_read(fusebill, fault, **options) == 3
    assert pauses.taken == wanted


@pytest.mark.parametrize("retry_after", ["100", "80000"])
async def test_it_is_not_asked_again_if_that_is_after_the_deadline(fusebill, retry_after):
    pauses = Pauses()
    fault = Fault.status(503, headers={"Retry-After": retry_after}, operation="get", times=None)
    options = {"timeouts": Timeouts(total=100.0), "effects": pauses.effects}
    assert await attempts_of_a_read(fusebill, fault, **options) == 1
    assert pauses.taken == []


async def test_usually_there_are_three_attempts_half_a_second_and_a_second_apart_at_most(fusebill):
    pauses = Pauses()
    fault = Fault.status(503, operation="get", times=None)
    assert await attempts_of_a_read(fusebill, fault, retry=RetryPolicy(), effects=pauses.effects) == 3
    assert pauses.taken == [0.5, 1.0]


async def test_usually_a_pause_is_8_s_at_most(fusebill):
    pauses = Pauses()
    fault = Fault.status(503, operation="get", times=None)
    options = {"retry": RetryPolicy(max_attempts=8), "timeouts": Timeouts(total=1000.0), "effects": pauses.effects}
    assert await attempts_of_a_read(fusebill, fault, **options) == 8
    assert pauses.taken == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


@pytest.mark.fusebill_simulated
@pytest.mark.parametrize(("calls", "again"), [(20, 10), (200, 20)])
async def test_usually_a_tenth_of_the_calls_of_a_minute_may_be_sent_again_and_ten_at_least(fusebill, calls, again):
    fusebill.add_customer(id=1)
    fusebill.inject(Fault.status(503, operation="get", times=None))
    async with FusebillClient(KEY, base_url=fusebill.base_url, quota=QuotaPolicy.off()) as client:

        async def outage():
            before = fusebill.received("get", 1)
            read = client.with_options(retry=RetryPolicy(max_attempts=1))
            ended = await asyncio.gather(*(read.customers.get(1) for _ in range(calls - 20)), return_exceptions=True)
            ended += await asyncio.gather(*(client.customers.get(1) for _ in range(20)), return_exceptions=True)
            assert all(isinstance(error, FusebillError) for error in ended)
            return fusebill.received("get", 1) - before - calls

        assert await outage() == again
        await asyncio.sleep(40)
        # Within the minute the calls of before count, and so do their further attempts.
        assert await outage() == (0 if calls == 20 else again)
        await asyncio.sleep(70)
        assert await outage() == again
