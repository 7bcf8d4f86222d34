"""SIGTERM in the middle of fifty writes. The oracle is the simulator's log of effects."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections import Counter
from pathlib import Path

import aiohttp
import attrs

from fusebill_async.testing import Fault, FusebillSimulator
from tests.web.apps import App

WRITES = 50
_OPEN = {"unknown", None}


@attrs.define
class Tally:
    """What became of the writes of some rounds.

    Attributes:
        counts: by name: rounds, writes, under_way (unanswered when SIGTERM came), effects, answered (effects whose
            request was told "applied"), found (effects that the next start knows), lost, untrue.
        told: a sentence for each fault.
    """

    counts: Counter[str] = attrs.field(factory=Counter)
    told: list[str] = attrs.field(factory=list)

    @property
    def faults(self) -> int:
        return len(self.told)

    def fault(self, kind: str, sentence: str) -> None:
        self.counts[kind] += 1
        self.told.append(sentence)

    def __str__(self) -> str:
        names = (
            "rounds",
            "writes",
            "under_way",
            "effects",
            "answered",
            "found",
            "not_applied",
            "lost",
            "untrue",
            "twice",
        )
        return ", ".join(f"{name} {self.counts[name]}" for name in names)


@attrs.frozen
class _Write:
    verb: str
    customer_id: int

    @property
    def path(self) -> str:
        return f"/customers/{self.customer_id}/{'activation' if self.verb == 'activate' else self.verb}"

    @property
    def key(self) -> str:
        return f"order-{self.customer_id}"


async def run(framework: str, folder: Path, *, rounds: int, seed: int = 7, kill: bool = False) -> Tally:
    """Some rounds with one framework.

    Args:
        framework: "fastapi" or "aiohttp".
        folder: each round gets a folder in it.
        rounds: how many.
        seed: of the faults, and of the moment of SIGTERM.
        kill: SIGKILL follows SIGTERM before the app has ended.
    """
    tally = Tally()
    for number in range(rounds):
        place = folder / f"{framework}-{number}"
        place.mkdir()
        await _round(framework, place, random.Random(f"{seed} {framework} {number} {kill}"), tally, kill=kill)
    return tally


async def _round(framework: str, folder: Path, chance: random.Random, tally: Tally, *, kill: bool) -> None:
    async with FusebillSimulator(seed=chance.randrange(2**32)) as fusebill:
        writes = [
            _Write(verb, fusebill.add_customer(status="Draft" if verb == "activate" else "Active"))
            for verb in ("activate", "hold") * (WRITES // 2)
        ]
        async with App(framework, folder, fusebill.base_url) as app:
            await _learn_the_quota(app, fusebill)
            # Effects happen when a request is read. The answer is late, so that SIGTERM comes between the two, and
            # often the answer comes after the grace time.
            fusebill.latency = chance.uniform(0.6, 3.0)
            for verb in ("activate", "hold"):
                fusebill.inject(Fault.reset_after_effect(operation=verb, probability=0.2, times=None))
                fusebill.inject(Fault.reset_before_effect(operation=verb, probability=0.1, times=None))
            answers = await _ask_and_end(app, fusebill, writes, chance, tally, kill=kill)
        fusebill.clear_faults()
        fusebill.latency = 0.0
        async with App(framework, folder, fusebill.base_url) as app, aiohttp.ClientSession() as browser:
            found = await _settled(app, browser, writes)
            _judge(fusebill, writes, answers, found, tally, folder)
            await _ask_again(app, browser, writes, found, fusebill, tally)


async def _learn_the_quota(app: App, fusebill: FusebillSimulator) -> None:
    """Make one call: before the first answer the client does not send fifty at once."""
    customer_id = fusebill.add_customer(status="Active")
    async with aiohttp.ClientSession() as browser:
        assert await app.post(browser, f"/customers/{customer_id}/hold", "first") == (200, "applied")


async def _ask_and_end(
    app: App, fusebill: FusebillSimulator, writes: list[_Write], chance: random.Random, tally: Tally, *, kill: bool
) -> list[tuple[int | None, str | None]]:
    """Ask for every write at once, and end the app in the middle."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as browser:
        asked = [asyncio.ensure_future(app.post(browser, write.path, write.key)) for write in writes]
        # Every second time all of them have reached the service, else some are on their way.
        wanted = chance.choice((len(writes), chance.randrange(1, len(writes))))
        async with asyncio.timeout(60):
            while sum(fusebill.received(write.verb, write.customer_id) > 0 for write in writes) < wanted:  # noqa: ASYNC110 (nobody tells)
                await asyncio.sleep(0.005)
        tally.counts["rounds"] += 1
        tally.counts["writes"] += len(writes)
        tally.counts["under_way"] += sum(not one.done() for one in asked)
        app.process.send_signal(signal.SIGTERM)
        if kill:
            await asyncio.sleep(chance.uniform(0.0, 0.4))
            await app.end(signal.SIGKILL)
        async with asyncio.timeout(60):
            await app.process.wait()
        return await asyncio.gather(*asked)


async def _settled(app: App, browser: aiohttp.ClientSession, writes: list[_Write]) -> dict[str, str | None]:
    """What the next start knows of each key, once it has settled what was open."""
    found: dict[str, str | None] = {}
    until = time.monotonic() + 20
    while True:
        found = {write.key: await app.outcome(browser, write.key) for write in writes}
        if "unknown" not in found.values() or time.monotonic() > until:
            return found
        await asyncio.sleep(0.1)


def _judge(
    fusebill: FusebillSimulator,
    writes: list[_Write],
    answers: list[tuple[int | None, str | None]],
    found: dict[str, str | None],
    tally: Tally,
    folder: Path,
) -> None:
    """Compare what was told with what happened."""
    for write, (status, told) in zip(writes, answers, strict=True):
        effects, known = fusebill.effects(write.verb, write.customer_id), found[write.key]
        about = f"{folder.name}: {write.verb} of customer {write.customer_id}: {effects} effects, told {status} {told}"
        about += f", found {known}"
        tally.counts["effects"] += effects
        tally.counts["answered"] += effects and told == "applied"
        tally.counts["found"] += effects and told != "applied" and known == "applied"
        tally.counts["not_applied"] += not effects and "not_applied" in {told, known}
        if effects > 1:
            tally.fault("twice", f"twice: {about}")
        if effects and "applied" not in {told, known}:
            tally.fault("lost", f"lost: {about}")
        if bool(effects) is not ("applied" in {told, known}) or (effects and told in {"not_applied", "not_sent"}):
            tally.fault("untrue", f"untrue: {about}")


async def _ask_again(
    app: App,
    browser: aiohttp.ClientSession,
    writes: list[_Write],
    found: dict[str, str | None],
    fusebill: FusebillSimulator,
    tally: Tally,
) -> None:
    """A browser asks again with its key: no second effect, and what is known is told."""
    again = await asyncio.gather(*(app.post(browser, write.path, write.key) for write in writes))
    for write, (status, told) in zip(writes, again, strict=True):
        effects = fusebill.effects(write.verb, write.customer_id)
        about = f"{write.verb} of customer {write.customer_id}: {effects} effects, asked again: {status} {told}"
        if effects > 1:
            tally.fault("twice", f"twice: {about}")
        if (told == "applied") is not bool(effects) or (found[write.key] == "applied" and status != 200):
            tally.fault("untrue", f"untrue: {about}")
