"""Jobs in worlds of chance: lost answers, kills, commits that are lost, stops. Any number: `python -m tests.bulk`."""

from __future__ import annotations

import pytest

from tests.bulk.worlds import random_world, run_world

WORLDS = 68
"""Four times as many are some 500 kills."""


@pytest.mark.parametrize("part", range(4))
def test_worlds_of_chance(part):
    kills = 0
    for seed in range(part * WORLDS, (part + 1) * WORLDS):
        found = random_world(seed)
        assert not found.wrong, found.wrong
        kills += found.kills
    assert kills > WORLDS


def test_the_same_seed_is_the_same_world():
    assert random_world(4) == random_world(4)


def test_a_job_without_misfortune():
    found = run_world("hold", [])
    assert found.tallies == {"applied": 100}  # looked at twice
    assert (found.writes, found.runs, found.wrong) == (50, 1, [])
