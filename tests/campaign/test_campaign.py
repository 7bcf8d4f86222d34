"""A minute of worlds on each commit, and the safeguards broken one at a time: the campaign must see each of them."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.campaign.mutants import MUTANTS
from tests.campaign.running import make_world, run_world, seeds_of

pytestmark = pytest.mark.campaign

ROOT = Path(__file__).parents[2]
_WITHIN = 200


def seed_of_the_commit() -> int:
    """Each commit draws worlds of its own; where there is no commit, always the same ones."""
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S607
    return int(head.stdout[:7], 16) if head.returncode == 0 else 7


def test_a_minute_of_worlds_holds():
    seed = seed_of_the_commit()
    command = ["-m", "tests.campaign", "--seed", str(seed), "--worlds", "100000", "--seconds", "60", "--quiet"]
    print(f"python {' '.join(command)}")
    ended = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)
    print(ended.stdout)
    assert ended.returncode == 0, f"seed {seed}\n{ended.stdout}{ended.stderr}"
    assert "effects twice: 0; untrue outcomes: 0; lost changes: 0" in ended.stdout


@pytest.mark.parametrize("name", MUTANTS)
def test_it_goes_red_without(name):
    for seed in seeds_of(11, _WITHIN):
        red = run_world(seed, name)
        seen = [finding for finding in red.violations if MUTANTS[name].seen_as in f"{finding.kind}: {finding.what}"]
        if seen:
            print(f"world {seed}: {seen[0]}")
            assert not make_world(seed, mutant=name).run().violations, "it is red with nothing broken, too"
            return
    pytest.fail(f"{_WITHIN} worlds are green without the safeguard: {MUTANTS[name].about}")
