"""Every operation meets every fault, on a fresh and on a kept connection; the service is asked what happened.

Each test is a row of the matrix: one operation, one fate of the effect, one kind of connection. Its cells are the
faults, each with a customer and a client of its own, all at the same time.
"""

import asyncio
from itertools import count

import attrs
import pytest

from fusebill_async import Outcome
from fusebill_async.testing import ClockSkew, Fault, FusebillSimulator
from tests.outcomes.outcome_cases import (
    BAD_ANSWERS,
    BEYOND,
    CUT_REQUESTS,
    EVERY_WRITE,
    GOOD_ANSWERS,
    HEAVY_ANSWERS,
    OTHERS,
    READS,
    REFUSALS,
    VERBS,
    Seen,
    cuts,
    observe,
    with_effect,
)

pytestmark = [
    # Whole rows wait for quiet periods. The campaign over sockets and the tests of single faults do so for real.
    pytest.mark.fusebill_simulated(seed=3),
    # What is left unknown is asserted; leaving with it is warned of elsewhere.
    pytest.mark.filterwarnings("ignore::fusebill_async.UnresolvedWritesWarning"),
]

APPLIED, NOT_APPLIED, REJECTED, UNKNOWN = Outcome.APPLIED, Outcome.NOT_APPLIED, Outcome.REJECTED, Outcome.UNKNOWN

connections = pytest.mark.parametrize("connection", ["fresh", "kept"])
writes = pytest.mark.parametrize("verb", EVERY_WRITE, ids=str)

# What is known after one attempt whose answer was of no use. Of what moves money reading cannot tell whose it is.
CONFIRMED = {
    "repeatable": Seen(APPLIED, "read", "ours", effects=1, requests=1),
    "put": Seen(APPLIED, "read", "ours", effects=1, requests=1),
    "create": Seen(APPLIED, "read", "ours", effects=1, requests=1),
    "money": Seen(APPLIED, "read", "unproven", effects=1, requests=1),
    "goalless": Seen(UNKNOWN, effects=1, requests=1),
}
# It did not happen: it is sent again, unless it moves money or creates, and nobody asked for that.
MISSED = {
    "repeatable": Seen(APPLIED, "response", "ours", effects=1, requests=2),
    "put": Seen(APPLIED, "response", "ours", effects=1, requests=2),
    "create": Seen(NOT_APPLIED, effects=0, requests=1),
    "money": Seen(NOT_APPLIED, effects=0, requests=1),
    "goalless": Seen(UNKNOWN, effects=0, requests=1),
}
SENT_AGAIN = {"repeatable", "put"}
LAZILY_TOLD = {"other_id", "wrong_types"}


def overtaken(verb):
    """It happened after the last read: the bound that the error states. What the state does not refuse, twice."""
    if verb.kind in SENT_AGAIN:
        return Seen(APPLIED, "response", "ours", effects=1 if verb.once else 2, requests=2)
    return Seen(UNKNOWN if verb.kind == "goalless" else NOT_APPLIED, effects=1, requests=1)


def without_effect(verb):
    """Answers of a service that did nothing, or not yet. Where there is no goal, a 200 is all there is to believe."""
    return BAD_ANSWERS if verb.kind == "goalless" else [*BAD_ANSWERS, *GOOD_ANSWERS]


AT_ONCE = 40


async def row(fusebill, verb, faults, expected, **options):
    # Debug mode makes a loop that carries so many cells slower than their time-outs; cancellation is tested with it.
    asyncio.get_running_loop().set_debug(False)
    places = asyncio.Semaphore(AT_ONCE)

    async def cell_of(fault, number):
        async with places:
            if verb.by_id:
                return await observe(fusebill, verb, number, fault, **options)
            async with FusebillSimulator() as own:
                return await observe(own, verb, number, fault, **options)

    cells = list(zip(faults, count(1000)))
    seen = await asyncio.gather(*(cell_of(fault, number) for fault, number in cells))
    wrong = [
        f"{fault}\n  expected {expected}\n  but saw  {cell}"
        for (fault, _), cell in zip(cells, seen, strict=True)
        if not cell.meets(expected)
    ]
    assert not wrong, "\n".join(["", *wrong])


@connections
@writes
async def test_the_answer_is_lost_after_the_effect(fusebill, verb, connection):
    faults = [*cuts("before"), *with_effect(BAD_ANSWERS, "before")]
    await row(fusebill, verb, faults, CONFIRMED[verb.kind], connection=connection)


@connections
@writes
async def test_the_effect_never_comes(fusebill, verb, connection):
    faults = [*cuts("none"), *with_effect(without_effect(verb), "none")]
    await row(fusebill, verb, faults, MISSED[verb.kind], connection=connection)


@connections
@writes
async def test_the_effect_comes_late_but_inside_the_quiet_period(fusebill, verb, connection):
    faults = [*cuts("late"), *with_effect(without_effect(verb), "late")]
    await row(fusebill, verb, faults, CONFIRMED[verb.kind], connection=connection, late=True)


@connections
@writes
async def test_the_effect_comes_later_than_the_quiet_period(fusebill, verb, connection):
    faults = [*cuts("late", BEYOND), *with_effect([Fault.html(), Fault.status(503)], "late", BEYOND)]
    await row(fusebill, verb, faults, overtaken(verb), connection=connection, late=True)


@connections
@writes
async def test_the_answer_is_odd_but_right(fusebill, verb, connection):
    expected = Seen(APPLIED, "response", "ours", effects=1, requests=1)
    await row(fusebill, verb, [None, *GOOD_ANSWERS], expected, connection=connection)


@connections
@writes
async def test_the_request_is_cut(fusebill, verb, connection):
    # What was cut was never received.
    missed = MISSED[verb.kind]
    expected = attrs.evolve(missed, requests=missed.requests - 1)
    await row(fusebill, verb, CUT_REQUESTS, expected, connection=connection)


@connections
@writes
async def test_it_is_refused(fusebill, verb, connection):
    await row(fusebill, verb, REFUSALS, Seen(REJECTED, effects=0, requests=1), connection=connection)


@connections
@writes
async def test_it_is_refused_for_the_quota(fusebill, verb, connection):
    faults = [Fault.status(429, retry_after=0.01, quota_headers=headers) for headers in ("with", "without", "garbage")]
    expected = Seen(APPLIED, "response", "ours", effects=1, requests=2)
    await row(fusebill, verb, faults, expected, connection=connection)


@connections
@pytest.mark.parametrize("verb", [VERBS["hold"], VERBS["activate"], VERBS["update"]], ids=str)
@pytest.mark.parametrize("fault", HEAVY_ANSWERS, ids=lambda fault: fault.kind)
async def test_the_answer_is_huge(fusebill, verb, fault, connection):
    seen = await observe(fusebill, verb, 1, fault, connection=connection)
    if fault.kind == "header_flood":
        # Whether so many headers are an answer is the HTTP library's business; the effect is not.
        assert (seen.outcome, seen.effects, seen.requests) == (APPLIED, 1, 1)
    else:
        assert seen.meets(CONFIRMED[verb.kind]), seen


@writes
async def test_nobody_listens(fusebill, verb):
    fusebill.add_customer(id=1, status=verb.status)
    fusebill.inject(Fault.refuse())
    seen = await observe(fusebill, verb, 1, None, connection="fresh")
    assert seen == Seen(Outcome.NOT_SENT, effects=0, requests=0)


@writes
@pytest.mark.parametrize(
    "fault", [Fault.reset_on_accept(), Fault.close_on_accept(), Fault.tls_trouble()], ids=lambda fault: fault.kind
)
async def test_the_connection_is_dropped_before_the_request_was_read(fusebill, verb, fault):
    fusebill.inject(fault)
    seen = await observe(fusebill, verb, 1, None, connection="fresh")
    assert (seen.effects, seen.requests) == ((1, 1) if seen.outcome is APPLIED else (0, 0))
    assert seen.outcome in {APPLIED, MISSED[verb.kind].outcome}


@pytest.mark.parametrize("verb", READS, ids=str)
async def test_a_read_is_sent_again_and_changes_nothing(fusebill, verb):
    # An overview names no customer, and its fields are read when they are asked for.
    told = BAD_ANSWERS if verb.name != "overview" else [f for f in BAD_ANSWERS if f.kind not in LAZILY_TOLD]
    confirmed_by = None if verb.name == "list" else "response"
    await row(fusebill, verb, [*cuts("none"), *told], Seen(APPLIED, confirmed_by, effects=0, requests=2))
    # What makes a kept connection for writes is a write, to other customers.
    assert {effect.operation for effect in fusebill.effects_log} <= {"geotab.unlatch"}
    assert all(effect.customer_id > OTHERS for effect in fusebill.effects_log)


@pytest.mark.parametrize("verb", VERBS.values(), ids=str)
@connections
async def test_fresh_is_fresh_and_kept_is_kept(fusebill, verb, connection):
    await observe(fusebill, verb, 1, None, connection=connection)
    *before, asked = fusebill.requests
    assert (asked.connection in {request.connection for request in before}) is (connection == "kept")


@pytest.mark.parametrize("verb", READS, ids=str)
async def test_a_read_is_refused(fusebill, verb):
    await row(fusebill, verb, REFUSALS, Seen(REJECTED, effects=0, requests=1))


LAG = 0.06
"""Seconds that a replica is behind: with the latest effect that is less than the quiet period."""
LAGGING = [Fault.lagging_read(LAG, operation=operation, times=None) for operation in ("get", "customers.list")]
DYING = [
    getattr(Fault, f"{end}_in_headers")(operation=operation, times=1)
    for operation in ("get", "customers.list")
    for end in ("reset", "close")
]
"""Reads that end before they arrive. An update meets them before its PUT, too."""


@writes
async def test_reads_lag_behind_the_effect(fusebill, verb):
    await row(fusebill, verb, [*cuts("before"), *cuts("late")], CONFIRMED[verb.kind], around=LAGGING, late=True)


@writes
async def test_reads_lag_and_the_effect_never_comes(fusebill, verb):
    await row(fusebill, verb, cuts("none"), MISSED[verb.kind], around=LAGGING)


@writes
async def test_reads_die_before_they_arrive(fusebill, verb):
    await row(fusebill, verb, cuts("before"), CONFIRMED[verb.kind], around=DYING)


FOREIGN = [
    Fault.html(code=403), Fault.html(code=404), Fault.status(403, body=""), Fault.status(409, body="null"),
    Fault.status(429, body="<html>Too many</html>", quota_headers="without"),
]  # fmt: skip
"""Refusals that are not in the service's words."""


@connections
@writes
async def test_somebody_else_refuses_it_after_the_effect(fusebill, verb, connection):
    await row(fusebill, verb, with_effect(FOREIGN, "before"), CONFIRMED[verb.kind], connection=connection)


@connections
@writes
async def test_somebody_else_refuses_it_and_nothing_happens(fusebill, verb, connection):
    expected = Seen(UNKNOWN if verb.kind == "goalless" else REJECTED, effects=0, requests=1)
    await row(fusebill, verb, with_effect(FOREIGN[:-1], "none"), expected, connection=connection)


@writes
async def test_a_proxy_sends_it_twice_and_the_first_answer_comes(fusebill, verb):
    # The state refuses some second effects; the others are the proxy's.
    expected = Seen(APPLIED, "response", "ours", effects=1 if verb.once else 2, requests=1)
    await row(fusebill, verb, [Fault.doubled_request(answer="first")], expected, late=True)


@writes
async def test_a_proxy_sends_it_twice_and_the_second_answer_comes(fusebill, verb):
    expected = Seen(APPLIED, "response", "ours", effects=2, requests=1)
    if verb.once:
        # It is refused, since it is so already. That the customer was otherwise is known.
        expected = Seen(APPLIED, "read", "unproven", effects=1, requests=1)
    await row(fusebill, verb, [Fault.doubled_request(answer="second")], expected, known=verb.by_id)


@pytest.mark.parametrize("verb", [verb for verb in EVERY_WRITE if verb.by_id], ids=str)
async def test_somebody_else_changes_the_customer_while_it_is_lost(fusebill, verb):
    """Whether it happened cannot be told, so it is neither claimed nor sent again."""
    expected = Seen(UNKNOWN, effects=0, requests=1)
    await row(
        fusebill, verb, cuts("none"), expected, known=True, meanwhile=lambda service, i: service.change(i, suffix="Sr.")
    )


SKEWS = [ClockSkew(date=3.0, database=-3.0, limiter=2.0), ClockSkew(date=-3.0, database=3.0), ClockSkew(date=None)]


@pytest.mark.parametrize("skew", SKEWS, ids=str)
@writes
async def test_the_clocks_are_apart_and_the_answer_is_lost(verb, skew):
    """A customer that was known shows by itself what came after; a create is found, and nothing is made twice."""
    seen = []
    for fault in cuts("before"):
        async with FusebillSimulator(clock_skew=skew) as fusebill:
            seen.append(await observe(fusebill, verb, 1, fault, known=verb.by_id))
    confirmed = CONFIRMED[verb.kind]
    if verb.kind == "create":
        assert {(each.outcome, each.effects, each.requests) for each in seen} <= {(UNKNOWN, 1, 1), (APPLIED, 1, 1)}
    else:
        assert [(each.outcome, each.effects, each.requests) for each in seen] == [(confirmed.outcome, 1, 1)] * len(seen)
        assert not {each.attribution for each in seen} & {"already"}
