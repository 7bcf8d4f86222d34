"""The campaign itself: a world is the same from its seed alone, and it can be followed."""

import os
import subprocess
import sys
from pathlib import Path

from tests.campaign.surroundings import draw_surroundings
from tests.campaign.world import World

ROOT = Path(__file__).parents[2]


def told(*arguments, hash_seed="0"):
    """What the campaign prints of its worlds, as a program of its own."""
    finished = subprocess.run(
        [sys.executable, "-m", "tests.campaign", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert finished.returncode in {0, 1}, finished.stderr
    return [line for line in finished.stdout.splitlines() if line.startswith("world ")]


def test_the_same_seed_gives_the_same_traces_in_new_processes_with_other_hash_seeds():
    once, again = (told("--worlds", "15", "--seed", "7", hash_seed=seed) for seed in ("1", "2"))
    assert once == again
    assert len({line.split()[2] for line in once}) == len(once) == 15


def test_a_world_that_is_run_alone_is_the_same_and_can_be_followed():
    hashes = [World(7_000_003, keep=keep).run().digest for keep in (False, True)]
    assert hashes[0] == hashes[1]
    report = World(7_000_003, keep=True).run()
    text = "\n".join(report.trace)
    for part in ("begins: ", " arrives on ", " takes effect: ", "modifiedTimestamp", "answers", "is told: ", "sends"):
        assert part in text
    assert report.calls == 100
    times = [float(line.split()[0]) for line in report.trace]
    assert times == sorted(times)


def test_other_seeds_are_other_worlds_and_every_kind_of_trouble_is_in_some():
    worlds = [draw_surroundings(seed) for seed in range(200)]
    assert len(set(map(str, worlds))) == 200
    for trouble in (
        "faulty",
        "blind",
        "proxied",
        "lag",
        "others",
        "quota",
        "cancelled",
        "hurried",
        "connections",
        "beyond",
    ):
        some = [bool(getattr(world, trouble)) for world in worlds]
        assert any(some), trouble
        assert not all(some), trouble
    assert any(world.skew.date is None for world in worlds)
    assert {client for world in worlds for client in world.clients} == {"a", "a2", "b", "c"}
