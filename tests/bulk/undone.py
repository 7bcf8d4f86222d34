"""A job of updates that is taken back, while others edit some customers and the undo's process is killed."""

from __future__ import annotations

import asyncio
import random
import re
import tempfile
from pathlib import Path

import attrs

from fusebill_async import FusebillClient, QuotaPolicy
from fusebill_async.bulk import BulkCheck, BulkReport
from fusebill_async.stores.effects import StoreEffects
from fusebill_async.testing import Fault, FusebillSimulator, run_simulated
from tests.bulk.worlds import Found, Strike, mortal_files, process_for, silence

_STAMP = re.compile(rb'"modifiedTimestamp":"[^"]*"')
_ODD_NAMES = (b'"Caf\\u00e9"', b"null", b'"a\\/b"', b'""', b'"  spaces "')
_MEMORY = Path("/dev/shm")  # noqa: S108 (a disk in memory: no sync takes time there)


@attrs.define
class Undone:
    """What came of it.

    Attributes:
        items: of the job.
        edited: by others, after the job.
        report: of the undo.
        check: of the job, after others had edited.
        kills: of the undo's processes.
        writes: PUTs of the undo that had an effect.
        wrong: what may not be, in words.
    """

    items: int
    edited: int
    report: BulkReport | None = None
    check: BulkCheck | None = None
    kills: int = 0
    writes: int = 0
    wrong: list[str] = attrs.field(factory=list)


def undo_updates(items: int, *, kills: int = 0, seed: int = 1) -> Undone:
    """Update customers, have others edit one in a hundred, and take the job back.

    Args:
        items: of the job.
        kills: of processes that run the undo.
        seed: of chance.
    """
    undone = Undone(items, max(1, items // 100))
    folder = tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None)
    with folder as place, mortal_files(), silence():
        run_simulated(lambda: _main(undone, Path(place), kills, random.Random(seed)), seed=seed, limit=100 * 86_400.0)
    return undone


async def _main(undone: Undone, folder: Path, kills: int, chance: random.Random) -> None:
    ids = range(1, undone.items + 1)
    edited = set(chance.sample(ids, undone.edited))
    async with FusebillSimulator(latency=0.01, record_requests=False) as fusebill:
        for each in ids:
            fusebill.add_customer(id=each, status="Active")
            fusebill.change(each, raw={"companyName": _ODD_NAMES[each % len(_ODD_NAMES)], "reference": b"%d" % each})
        before = _standing(fusebill, ids)
        job, undo = folder / "job.sqlite", folder / "undo.sqlite"
        await _update(fusebill, ids, job)
        for each in edited:
            # Every other one in a field that the job named.
            fusebill.change(each, **{"lastName" if each % 2 else "companyName": "by somebody else"})
        left = _standing(fusebill, ids)
        await _verify(fusebill, job, undone, {each for each in edited if not each % 2})
        written = fusebill.effects("update")
        if kills:
            fusebill.inject(Fault.reset_after_effect(operation="update", times=None, probability=0.02))
            fusebill.inject(Fault.reset_before_effect(operation="update", times=None, probability=0.02))
        undone.kills = await _run_undo(fusebill, job, undo, kills, undone.items, chance)
        undone.writes = fusebill.effects("update") - written
        async with _client(fusebill) as client:
            undone.report = await client.bulk.resume(undo, effects=StoreEffects(threads=False)).report()
        _judge(undone, edited, before, left, _standing(fusebill, ids))


def _client(fusebill: FusebillSimulator) -> FusebillClient:
    return FusebillClient("key", base_url=fusebill.base_url, quota=QuotaPolicy.off())


async def _update(fusebill: FusebillSimulator, ids: range, journal: Path) -> None:
    changes = {"company_name": "New", "reference": "new", "customer_reference": {"reference1": "n"}}
    async with _client(fusebill) as client:
        effects = StoreEffects(threads=False)
        job = client.bulk.update(((each, changes) for each in ids), journal=journal, effects=effects)
        assert (await job.run()).applied == len(ids)


async def _verify(fusebill: FusebillSimulator, job: Path, undone: Undone, drifted: set[int]) -> None:
    async with _client(fusebill) as client:
        undone.check = check = await client.bulk.resume(job, effects=StoreEffects(threads=False)).verify()
    named = {drift.customer_id for drift in check.drifts}
    if named != drifted or check.held != undone.items - len(drifted) or check.unreadable:
        undone.wrong.append(f"verify names {sorted(named)}, and drifted have {sorted(drifted)}")


async def _run_undo(
    fusebill: FusebillSimulator, job: Path, undo: Path, kills: int, items: int, chance: random.Random
) -> int:
    """Run the undo, and start it anew after each kill, to its end; how often it was killed."""
    found, processes = Found(), []
    while True:
        strike = Strike(1 + int(chance.random() * 40 * items / (kills + 1)), chance.choice(("kill", "before", "after")))
        process = process_for(len(processes) + 1, strike if found.kills < kills else None, found)
        processes.append(process)
        effects = process.effects(processes)

        async def work(effects: StoreEffects = effects) -> None:
            async with _client(fusebill) as client:
                await client.bulk.undo(job, journal=undo, effects=effects).run()

        task = process.start(work())
        if await process.wait(task):
            task.result()
            return found.kills
        await asyncio.sleep(1.0)


def _standing(fusebill: FusebillSimulator, ids: range) -> dict[int, bytes]:
    """The customers byte for byte, but for the service's timestamp."""
    return {each: _STAMP.sub(b"", fusebill.customer_bytes(each)) for each in ids}


def _judge(
    undone: Undone, edited: set[int], before: dict[int, bytes], left: dict[int, bytes], after: dict[int, bytes]
) -> None:
    report = undone.report
    assert report is not None
    for each, now in after.items():
        if each in edited and now != left[each]:
            undone.wrong.append(f"customer {each}: what others had edited was written over")
        if each not in edited and now != before[each]:
            undone.wrong.append(f"customer {each} is not as it was: {now!r}")
    sums = (report.applied, report.skipped, report.items)
    if sums != (undone.items - undone.edited, undone.edited, undone.items):
        undone.wrong.append(f"the sums do not add up: {report}")
    if undone.writes != report.applied:
        undone.wrong.append(f"{undone.writes} PUTs had an effect, and {report.applied} are told")
