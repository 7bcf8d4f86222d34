"""Runs many worlds, each in its own event loop, over the processors of this computer; and what came of them all."""

from __future__ import annotations

import logging
import multiprocessing
import os
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from functools import partial
from multiprocessing.pool import AsyncResult

import attrs

from tests.campaign.checker import LOST, TWICE, UNRECORDED, UNTRUE, Finding
from tests.campaign.mutants import MUTANTS, broken
from tests.campaign.processes import ProcessWorld
from tests.campaign.world import World, WorldReport

_SEEDS = 1_000_000


def seeds_of(seed: int, worlds: int) -> range:
    """The seeds of the worlds of a campaign."""
    return range(seed * _SEEDS, seed * _SEEDS + worlds)


def make_world(seed: int, *, keep: bool = False, mutant: str = "") -> World:
    """Make a world: every other one has several processes. A mutant that only those can find is tried in those."""
    of_processes = MUTANTS[mutant].in_processes if mutant else bool(seed % 2)
    return ProcessWorld(seed, keep=keep) if of_processes else World(seed, keep=keep)


def run_world(seed: int, mutant: str = "") -> WorldReport:
    """Run one world, perhaps with something broken on purpose. What goes wrong with the world itself is a finding."""
    world = make_world(seed, mutant=mutant)
    try:
        with broken(mutant):
            return world.run()
    except Exception as error:  # noqa: BLE001 (a world that cannot go on is a finding like any other)
        world.report.findings.append(Finding(-1, f"the world came to no end: {error!r:.500}", "other"))
        return world.report


def _be_quiet() -> None:
    """What the client logs and warns of in trouble is no news here."""
    logging.getLogger("fusebill_async").setLevel(logging.CRITICAL + 1)


def run_worlds(seeds: Iterable[int], *, mutant: str = "", jobs: int | None = None) -> Iterator[WorldReport]:
    """Run worlds side by side; their reports come in the order of the seeds."""
    jobs = jobs or os.cpu_count() or 1
    if jobs == 1:
        _be_quiet()
        yield from map(partial(run_world, mutant=mutant), seeds)
        return
    with multiprocessing.get_context("spawn").Pool(jobs, _be_quiet) as pool:
        # Only so many are asked for ahead: the seeds may end when the time is up.
        asked: deque[AsyncResult[WorldReport]] = deque()
        for seed in seeds:
            asked.append(pool.apply_async(run_world, (seed, mutant)))
            if len(asked) > 4 * jobs:
                yield asked.popleft().get()
        while asked:
            yield asked.popleft().get()


@attrs.define
class Summary:
    """What came of all worlds."""

    worlds: int = 0
    calls: int = 0
    effects: int = 0
    copies: int = 0
    refused: int = 0
    virtual: float = 0.0
    failed: list[int] = attrs.field(factory=list)
    kinds: Counter[str] = attrs.field(factory=Counter)
    violations: Counter[str] = attrs.field(factory=Counter)
    apart: Counter[str] = attrs.field(factory=Counter)
    unknowns: Counter[str] = attrs.field(factory=Counter)
    outcomes: Counter[str] = attrs.field(factory=Counter)
    faults: Counter[str] = attrs.field(factory=Counter)
    _began: float = attrs.field(factory=time.perf_counter)

    def add(self, report: WorldReport) -> None:
        """Count a world in."""
        self.worlds += 1
        self.calls += report.calls
        self.effects += report.effects
        self.copies += report.copies
        self.refused += report.refused
        self.virtual += report.seconds
        self.outcomes += report.outcomes
        self.unknowns += report.unknowns
        self.faults += report.faults
        if report.violations:
            self.failed.append(report.seed)
        for finding in report.findings:
            if finding.apart:
                self.apart[f"{finding.kind}: {finding.apart}"] += 1
            else:
                self.kinds[finding.kind] += 1
                self.violations[finding.what.split(" = ")[0]] += 1

    def table(self) -> str:
        """The whole, to be printed."""
        seconds = time.perf_counter() - self._began
        kinds = self.kinds
        lines = [
            f"{self.worlds:,} worlds, {self.calls:,} calls in {seconds:,.1f} s of real time",
            f"{self.calls / seconds:,.0f} calls a real second; virtual time: {self.virtual / 3600:,.1f} h",
            f"effects: {self.effects:,}, copies that a proxy made among them: {self.copies:,}",
            f"faults that struck: {self.faults.total():,}; refused by the quota: {self.refused:,}",
            f"effects twice: {kinds[TWICE]:,}; untrue outcomes: {kinds[UNTRUE]:,}; lost changes: {kinds[LOST]:,}",
            f"writes without a durable intent: {kinds[UNRECORDED]:,}",
            f"processes killed: {self.faults['process killed']:,}",
            f"stopped beyond the lease: {self.faults['stopped beyond the lease']:,}",
            f"other violations: {kinds['other']:,}",
            f"worlds that failed: {len(self.failed):,}" + "".join(f" {seed}" for seed in self.failed[:50]),
        ]
        for title, counts in (
            ("outcomes", self.outcomes),
            ("what explains each unknown", self.unknowns),
            ("counted apart: bounds that the client states", self.apart),
            ("faults by kind", self.faults),
            ("VIOLATIONS", self.violations),
        ):
            lines += ["", f"{title}: {counts.total():,}"]
            lines += [f"  {count:>10,}  {kind}" for kind, count in counts.most_common(40)]
        return "\n".join(lines)
