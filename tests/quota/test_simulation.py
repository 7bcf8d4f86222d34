"""The bars in a short form: what the service counted, on a virtual clock."""

from __future__ import annotations

import pytest

from fusebill_async.settings import QuotaPolicy

CALLS = 3000


@pytest.mark.parametrize(
    ("name", "service", "options", "bar"),
    [
        ("alone", {}, {}, (0.98, 0.0)),
        ("epoch headers", {"reset_format": "epoch"}, {}, (0.98, 0.0)),
        ("short windows", {"limit": 300, "length": 3.0}, {"latency": (0.005, 0.05)}, (0.95, 0.0)),
        ("sandbox", {"limit": 50}, {"places": 10}, (0.95, 0.0)),
        ("another program", {"others": (0.0, 0.6)}, {}, (0.95, 0.01)),
        ("another, counted late", {"others": (0.0, 0.6)}, {"counted": (0.9, 0.95)}, (0.95, 0.01)),
    ],
)
def test_bars(simulation, name, service, options, bar):
    calls = 400 if service.get("limit") == 50 else CALLS
    result = simulation.simulate(name, simulation.Service(**service), calls, bar, **options)
    assert result.done == calls
    assert result.utilisation >= bar[0]
    assert result.refusals <= bar[1]


@pytest.mark.parametrize("skew", [4.0, -4.0])
def test_a_date_from_another_clock_costs_no_refusal_once_the_turns_are_known(simulation, skew):
    service = simulation.Service(limit=240, length=8.0, date_skew=skew)
    result = simulation.simulate("skew", service, CALLS, (0, 0), latency=(0.05, 0.3), places=30)
    refused = [window.refused for _, window in sorted(service.windows.items())]
    assert sum(refused[:3]) <= 10
    assert not any(refused[3:])
    assert sum(window.ours for window in result.full[2:]) >= 0.95 * 240 * len(result.full[2:])


RESET = "X-Rate-Limit-Reset-Minute"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda headers, _: headers.pop("Date"), id="no Date"),
        pytest.param(lambda headers, _: headers.pop(RESET), id="no reset"),
        pytest.param(lambda headers, now: headers.update({RESET: f"{(now // 60 - 299) * 60}"}), id="local time"),
        pytest.param(lambda headers, now: headers.update({RESET: f"{(now // 3600 + 1) * 3600}"}), id="the hour's"),
        pytest.param(lambda headers, now: headers.update({RESET: f"{now // 60 * 60}"}), id="the window's beginning"),
        pytest.param(lambda headers, now: headers.update({RESET: f"{(now // 60 + 1) * 60 + now % 0.9}"}), id="shaking"),
    ],
)
def test_odd_headers_cost_no_refusal(simulation, change):
    class Odd(simulation.Service):
        def count(self, now):
            status, headers = super().count(now)
            change(headers, now)
            return status, headers

    result = simulation.simulate("odd", Odd(limit=300), 1500, (0, 0))
    assert (result.done, result.refused) == (1500, 0)
    assert result.utilisation >= 0.9


def test_share_leaves_the_rest_to_others(simulation):
    service = simulation.Service()
    result = simulation.simulate("half", service, CALLS, (0, 0), policy=QuotaPolicy(share=0.5))
    assert all(window.ours <= 500 for window in service.windows.values())
    assert result.utilisation >= 0.48


def test_off_is_not_held_back_and_waits_out_a_refusal(simulation):
    service = simulation.Service(limit=100)
    result = simulation.simulate("off", service, 300, (0, 1), policy=QuotaPolicy.off(), places=50)
    assert result.done == 300
    assert max(window.ours for window in service.windows.values()) == 100
    assert result.refused > 0


def test_an_exhausted_day_parks_a_bulk_job_which_resumes(simulation):
    service = simulation.Service(day_limit=1200)
    result = simulation.simulate("days", service, CALLS, (0, 0))
    assert (result.done, result.refused) == (CALLS, 0)
    days = [service.days[day] for day in sorted(service.days)]
    # A hundredth of each day is kept for settling.
    assert days[:2] == [1188, 1188]


def test_a_day_that_ends_between_minutes_loses_nothing(simulation):
    # The day turns at a minute's turn in the middle of the job, and nothing is used up.
    service = simulation.Service(day_limit=2500, day_offset=43_200.0 + 120.0)
    result = simulation.simulate("turn", service, CALLS, (0.98, 0))
    assert (result.done, result.refused) == (CALLS, 0)
    assert len(service.days) == 2
