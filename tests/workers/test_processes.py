"""Jobs on real worker processes and a real Redis, and what befalls them. Longer: `python -m tests.workers --help`."""

from __future__ import annotations

import pytest

from tests.workers import rounds

pytestmark = [pytest.mark.usefixtures("with_redis"), pytest.mark.campaign]


async def test_workers_and_the_job_itself_are_killed(tmp_path):
    came = await rounds.killed(
        tmp_path, operation="update", items=150, workers=2, every=0.3, progress=40, job_killed=(2.0,)
    )
    assert came.strikes >= 2
    assert came.is_right, str(came)
    assert came.told["applied"] == 150


async def test_an_engine_that_loses_messages(tmp_path):
    lossy, resumed = await rounds.lossy(tmp_path, items=100, workers=2, wait=2.0)
    assert lossy.told["unknown"] >= lossy.missed > 0, str(lossy)
    assert resumed.is_right, str(resumed)
    assert resumed.told["applied"] == 100


async def test_workers_are_stopped_for_longer_than_their_lease(tmp_path):
    came = await rounds.stopped(tmp_path, items=150, workers=2)
    assert came.strikes >= 1
    assert came.is_right, str(came)


@pytest.mark.parametrize("empty", [False, True])
async def test_redis_is_started_again(tmp_path, empty):
    first, resumed = await rounds.restarted(tmp_path, items=250, workers=2, empty=empty)
    assert first.told["applied"] <= 250 - first.missed
    assert first.told["rejected"] == first.told["not_applied"] == 0, str(first)
    assert (first.told["unknown"] > 0) is empty, str(first)
    assert resumed.is_right, str(resumed)
    assert resumed.told["applied"] == 250
