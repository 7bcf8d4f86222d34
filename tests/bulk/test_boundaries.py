"""A job of 50 items that is killed anywhere is resumed: nothing missed, nothing twice, nothing untrue.

All boundaries: `python -m tests.bulk --boundaries`.
"""

from __future__ import annotations

import pytest

from tests.bulk.boundaries import KINDS, boundaries
from tests.bulk.worlds import DEEDS


@pytest.mark.parametrize("what", KINDS)
@pytest.mark.parametrize("name", DEEDS)
def test_a_kill_at_a_boundary(name, what):
    every = 131
    first = 1 + 17 * (1 + list(DEEDS).index(name)) % every
    runs = kills = 0
    for strike, found in boundaries(name, every=every, first=first, kinds=[what]):
        assert not found.wrong, (strike, found.wrong)
        runs += 1
        kills += found.kills
    assert kills >= 3
    assert runs > kills
