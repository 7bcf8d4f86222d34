"""Simulated worlds of one job: its process is killed, stopped and started anew until the job is done.

The service looks into the journal at every write that arrives. What it did is compared with what the report says.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import random
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import attrs

from fusebill_async import FusebillClient, Outcome, QuotaPolicy, Timeouts
from fusebill_async.bulk import read_items, read_report
from fusebill_async.bulk.journal_file import JournalFile
from fusebill_async.operations import BY_TITLE
from fusebill_async.stores.effects import StoreEffects
from fusebill_async.testing import Fault, FusebillSimulator, run_simulated
from fusebill_async.testing.routing import identify
from fusebill_async.testing.simulated_process import KilledError, SimulatedProcess, is_gone, process_of

_MEMORY = Path("/dev/shm")  # noqa: S108 (a disk in memory: no sync takes time there)
LONG_AGO = "2020-01-01T00:00:00.1234567Z"
"""So long that every clock agrees that it was before the job."""
_LONGEST_STOP = 120.0
_MOST_RUNS = 40


@attrs.frozen
class Deed:
    """What a job does, as a world needs it."""

    title: str
    status: str
    start: Any
    moves_money: bool = False
    besides: dict[str, Any] = attrs.field(factory=dict)


DEEDS = {
    "hold": Deed("customers.hold", "Active", lambda bulk, ids, **options: bulk.hold(ids, **options)),
    "activate": Deed(
        "customers.activate",
        "Draft",
        lambda bulk, ids, **options: bulk.activate(
            ids,
            activate_all_subscriptions=True,
            activate_all_draft_purchases=True,
            temporarily_disable_auto_post=False,
            **options,
        ),
        moves_money=True,
    ),
    "update": Deed(
        "customers.update",
        "Active",
        lambda bulk, ids, **options: bulk.update([(each, {"company_name": f"N{each}"}) for each in ids], **options),
    ),
    "unlatch": Deed(
        "hubspot.unlatch",
        "Active",
        lambda bulk, ids, **options: bulk.unlatch(ids, **options),
        besides={"hubSpotId": 7, "hubSpotCompanyId": 8},
    ),
}


@attrs.define
class Strike:
    """What befalls the process of one run, and when.

    Attributes:
        after: so many of its steps.
        what: "kill", "stop", or a kill in its next commit: "before" it counts, or "after", unacknowledged either way.
        seconds: how long it is stopped.
    """

    after: int
    what: str = "kill"
    seconds: float = 0.0


@attrs.define
class Found:
    """What was found out about a world.

    Attributes:
        wrong: what may not be, in words.
        kills, stops: what really befell.
        writes: that arrived at the service.
        runs: of the job.
        tallies: of its report.
        reached_end: a process came to its end before it was struck.
    """

    wrong: list[str] = attrs.field(factory=list)
    kills: int = 0
    stops: int = 0
    writes: int = 0
    runs: int = 0
    tallies: Counter[str] = attrs.field(factory=Counter)
    reached_end: bool = False


class _Struck(SimulatedProcess):
    """A process that something befalls after so many steps."""

    def __init__(self, pid: int, strike: Strike | None, found: Found) -> None:
        super().__init__(pid)
        self._strike = strike
        self._left = 0 if strike is None else strike.after
        self._found = found
        self.dies_at = ""

    @property
    def was_struck(self) -> bool:
        return self._strike is None or self._left <= 0

    def run(self, *due: Any) -> None:
        self._left -= 1
        if self._left == 0 and self._strike is not None:
            self._befall(self._strike)
        super().run(*due)

    def _befall(self, strike: Strike) -> None:
        if strike.what == "kill":
            self._found.kills += 1
            self.kill()
        elif strike.what == "stop":
            self._found.stops += 1
            self.stop()
            # The system's timer, which runs in no process.
            asyncio.get_running_loop().call_later(strike.seconds, self.go_on, context=contextvars.Context())
        else:
            self.dies_at = strike.what

    def effects(self, processes: list[_Struck]) -> StoreEffects:
        """The clocks of a job in this process, which knows who of the others lives."""
        return StoreEffects(threads=False, this_process=lambda: self.identity, is_gone=is_gone(processes))

    def die_in_commit(self) -> None:
        self.dies_at = ""
        self._found.kills += 1
        self.kill()
        raise KilledError


def process_for(pid: int, strike: Strike | None, found: Found) -> _Struck:
    """A process that something befalls."""
    return _Struck(pid, strike, found)


class _DyingConnection:
    """A connection whose process may die in a commit: what was not acknowledged is then there, or it is not."""

    def __init__(self, connection: sqlite3.Connection, process: _Struck) -> None:
        self._connection = connection
        self._process = process

    def execute(self, sql: str, *values: Any) -> Any:
        if sql != "COMMIT" or not self._process.dies_at:
            return self._connection.execute(sql, *values)
        if self._process.dies_at == "after":
            self._connection.execute(sql)
        self._process.die_in_commit()
        raise AssertionError

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


@contextmanager
def mortal_files() -> Iterator[None]:
    """The system closes what a dead process had open."""
    connect = JournalFile.connect

    def connect_and_watch(file: JournalFile) -> Any:
        connection = connect(file)
        process = process_of()
        if not isinstance(process, _Struck):
            return connection
        process.at_death(connection.close)
        return _DyingConnection(connection, process)

    JournalFile.connect = connect_and_watch  # type: ignore[method-assign]
    try:
        yield
    finally:
        JournalFile.connect = connect  # type: ignore[method-assign]


@contextmanager
def silence() -> Iterator[None]:
    """What dead processes would have logged, and what befalls the others, is no news."""
    loggers = [logging.getLogger(name) for name in ("fusebill_async", "fusebill_async.store", "asyncio")]
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        for logger in loggers:
            logger.disabled = False


class _Watchful(FusebillSimulator):
    """A service that looks into the journal at every write."""

    journal: Path
    found: Found

    def respond(self, request: Any, connection: Any) -> Any:
        identify(request)
        operation = BY_TITLE.get(request.operation)
        if operation is not None and operation.writes:
            self.found.writes += 1
            if not self._is_recorded(request.customer_id):
                self.found.wrong.append(f"{request.operation} of {request.customer_id} came without a durable intent")
        return super().respond(request, connection)

    def _is_recorded(self, customer_id: int) -> bool:
        with closing(sqlite3.connect(f"{self.journal.as_uri()}?mode=ro", uri=True)) as connection:
            asked = "SELECT 1 FROM intents JOIN items ON number = item WHERE customer_id = ?"
            return connection.execute(asked, (customer_id,)).fetchone() is not None


def run_world(
    name: str,
    strikes: list[Strike],
    *,
    items: int = 50,
    seed: int = 0,
    faults: bool = False,
    concurrency: int = 8,
) -> Found:
    """Run a job to its end.

    Args:
        name: of the deed.
        strikes: one for each run, as far as they go; what comes after is left in peace.
        items: of the job.
        seed: of the world.
        faults: the network and the service err, too.
        concurrency: of the job.
    """
    folder = tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None)
    found = Found()
    with folder as place, mortal_files(), silence():
        journal = Path(place) / "job.sqlite"
        run_simulated(lambda: _main(DEEDS[name], strikes, items, seed, faults, concurrency, journal, found), seed=seed)
    return found


async def _main(
    deed: Deed,
    strikes: list[Strike],
    items: int,
    seed: int,
    faults: bool,
    concurrency: int,
    journal: Path,
    found: Found,
) -> None:
    async with _Watchful(latency=0.02, seed=seed) as fusebill:
        fusebill.journal, fusebill.found = journal, found
        ids = range(1, items + 1)
        for each in ids:
            fusebill.add_customer(id=each, status=deed.status, modifiedTimestamp=LONG_AGO, **deed.besides)
        if faults:
            _inject(fusebill, deed.title)
        processes: list[_Struck] = []
        for number in range(_MOST_RUNS):
            process = _Struck(number + 1, strikes[number] if number < len(strikes) else None, found)
            processes.append(process)
            if number == len(strikes):
                fusebill.clear_faults()
            task = process.start(_work(process, processes, deed, ids, fusebill.base_url, journal, concurrency))
            found.runs += 1
            if await process.wait(task):
                task.result()
                if not process.was_struck:
                    found.reached_end = True
                if read_report(journal).is_done:
                    break
            await asyncio.sleep(1.0)
        _judge(deed, ids, fusebill, journal, found, faults=faults)
        fusebill.clear_faults()
        process = _Struck(_MOST_RUNS + 1, None, found)
        processes.append(process)
        await process.start(_work(process, processes, None, ids, fusebill.base_url, journal, concurrency))
        _judge(deed, ids, fusebill, journal, found, faults=False)
        if read_report(journal).applied != len(ids):
            found.wrong.append(f"not applied when it was tried again: {read_report(journal)}")


async def _work(
    process: _Struck,
    processes: list[_Struck],
    deed: Deed | None,
    ids: range,
    base_url: str,
    journal: Path,
    concurrency: int,
) -> None:
    """One run; without a deed, what was not applied is tried again."""
    effects = process.effects(processes)
    options: dict[str, Any] = {"journal": journal, "concurrency": concurrency, "effects": effects}
    async with FusebillClient(
        "key", base_url=base_url, quota=QuotaPolicy.off(), timeouts=Timeouts(read=10.0)
    ) as client:
        if deed is None:
            await client.bulk.resume(**options, retry="not_applied").run()
        else:
            await deed.start(client.bulk, ids, **options).run()


def _inject(fusebill: FusebillSimulator, title: str) -> None:
    for fault, share in (
        (Fault.reset_after_effect, 0.08),
        (Fault.reset_before_effect, 0.08),
        (Fault.hang_after_effect, 0.01),
        (Fault.reset_on_accept, 0.02),
    ):
        scope = {} if fault is Fault.reset_on_accept else {"operation": title}
        fusebill.inject(fault(times=None, probability=share, **scope))
    fusebill.inject(Fault.delay(3.0, operation=title, times=None, probability=0.05))
    fusebill.inject(Fault.status(503, operation=title, times=None, probability=0.02))


def _judge(deed: Deed, ids: range, fusebill: FusebillSimulator, journal: Path, found: Found, *, faults: bool) -> None:
    report = read_report(journal)
    found.tallies.update({name: count for name, count in report.tallies.items() if count})
    if report.items != len(ids):
        found.wrong.append(f"{report.items} items of {len(ids)}: {report}")
    seen = 0
    for item in read_items(journal):
        seen += 1
        assert item.customer_id is not None
        effects = fusebill.effects(deed.title, item.customer_id)
        if effects > 1:
            found.wrong.append(f"customer {item.customer_id}: {effects} effects")
        if item.outcome is not Outcome.UNKNOWN and (item.outcome is Outcome.APPLIED) is not (effects == 1):
            found.wrong.append(f"customer {item.customer_id}: {item.outcome}, and {effects} effects")
        told = {Outcome.NOT_APPLIED, Outcome.UNKNOWN} if deed.moves_money or faults else {Outcome.UNKNOWN}
        if effects == 0 and item.outcome not in told:
            found.wrong.append(f"customer {item.customer_id} was missed: {item}")
    if seen != len(ids) or report.unprocessed:
        found.wrong.append(f"not done: {report}")


def strikes_of(chance: random.Random) -> list[Strike]:
    """What befalls the runs of a random world."""
    strikes: list[Strike] = []
    for _ in range(chance.choice((2, 4, 8, 16))):
        after = 1 + int(chance.random() * chance.choice((100, 300, 1000)))
        what = chance.choices(("kill", "before", "after", "stop"), (5, 2, 2, 1))[0]
        strikes.append(Strike(after, what, chance.uniform(1.0, _LONGEST_STOP)))
    return strikes


def random_world(seed: int) -> Found:
    """A world by its seed."""
    chance = random.Random(seed)
    found = run_world(
        chance.choice(list(DEEDS)),
        strikes_of(chance),
        items=chance.choice((5, 20, 50)),
        seed=seed,
        faults=chance.random() < 0.7,
        concurrency=chance.choice((1, 4, 16)),
    )
    found.wrong = [f"world {seed}: {each}" for each in found.wrong]
    return found
