"""Real processes, killed by `kill -9` and stopped. As many as you like: `python -m tests.bulk --real 300`."""

from __future__ import annotations

from tests.bulk.kills import kill_a_real_job


async def test_twenty_kills(tmp_path):
    report = await kill_a_real_job(tmp_path, kills=20, seed=1)
    assert report.kills >= 20
    assert not report.wrong, str(report)


async def test_stopped_and_continued(tmp_path):
    report = await kill_a_real_job(tmp_path, kills=3, seed=2, stops=True)
    assert report.stops >= 3
    assert not report.wrong, str(report)
