from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest

from fusebill_async.policy.clock import ServiceClock

START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC).timestamp()


def observe(clock, local, takes=0.0, ahead=0.0):
    """An answer that took `takes` seconds and was dated in their middle, by a clock that shows START at local 0."""
    date = START + local + takes / 2 + ahead
    clock.observe(int(date), local, local + takes)


def test_nothing_is_known_before_the_first_answer():
    clock = ServiceClock()
    assert clock.service_time(1.0) is None
    assert clock.local(START) == math.inf


def test_one_answer_leaves_a_second_and_its_latency():
    clock = ServiceClock()
    observe(clock, 0.5, takes=0.2)
    assert clock.service_time(0.7) == pytest.approx((START, START + 1.2))
    assert clock.local(START + 30) == pytest.approx(30.7, abs=0.01)


def test_each_answer_narrows_the_bounds_which_hold_the_truth():
    clock = ServiceClock()
    for number in range(40):
        observe(clock, number * 1.037, takes=0.1)
        earliest, latest = clock.service_time(number * 1.037 + 0.1)
        assert earliest <= START + number * 1.037 + 0.1 <= latest
    assert latest - earliest < 0.25


def test_a_contradiction_starts_anew():
    clock = ServiceClock()
    for number in range(40):
        observe(clock, number * 1.037, takes=0.1)
    observe(clock, 60.0, takes=0.1, ahead=-30.0)
    earliest, latest = clock.service_time(60.1)
    assert earliest <= START + 30.1 <= latest
    assert latest - earliest == pytest.approx(1.1)


def test_bounds_widen_as_clocks_part():
    clock = ServiceClock()
    observe(clock, 0.0, takes=0.1)
    narrow = clock.service_time(0.1)
    wide = clock.service_time(10_000.1)
    assert wide[1] - wide[0] == pytest.approx(narrow[1] - narrow[0] + 4.0)
