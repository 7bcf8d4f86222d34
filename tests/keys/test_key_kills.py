"""One key is one effect, whatever becomes of the processes. The long form is `python -m tests.keys`."""

from __future__ import annotations

import pytest

from tests.keys.kills import deliver_to_killed_processes


@pytest.fixture(params=["sqlite", "redis"])
def place(request, tmp_path):
    return str(tmp_path / "store.sqlite") if request.param == "sqlite" else request.getfixturevalue("redis_url")


async def test_processes_that_are_killed(place):
    report = await deliver_to_killed_processes(place, rounds=20)
    assert not report.faults, str(report)
    assert report.kills


async def test_processes_that_are_stopped_for_longer_than_their_lease(place):
    report = await deliver_to_killed_processes(place, rounds=10, seed=3, stops=True)
    assert not report.faults, str(report)
    assert report.stops or report.kills
