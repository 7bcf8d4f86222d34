"""A job uses the quota fully. The whole: `python -m tests.bulk --paced 100000`."""

from __future__ import annotations

from tests.bulk.pace import hold_all


def test_a_job_uses_the_quota():
    paced = hold_all(3_000, per_minute=500)
    assert paced.report.applied == 3_000
    assert paced.minutes <= 6 * 1.03
    # With the snapshot.
    assert paced.calls <= 3_016
    assert paced.checked.counts == {"held": 3_000, "drifted": 0, "unreadable": 0}
    assert paced.all_calls <= 3_000 * 1.03
    assert paced.refused == 0
