"""What the page of a job shows, read from its journal by SQL."""

from __future__ import annotations

import sqlite3
from collections import Counter
from typing import Any

import attrs

from fusebill_async.bulk.journal import JobFacts
from fusebill_async.bulk.kinds import kind_of
from fusebill_async.converting import decode_json

_MOST_BUCKETS = 240
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400)
"""Seconds for which items are counted together."""
_ENDED = (
    "SELECT CAST((ended - ?) / ? AS INTEGER) AS stretch, sum(tally = 'applied'), count(*) FROM outcomes "
    "WHERE run > 0 AND tally IN ('applied', 'rejected', 'not_applied') GROUP BY stretch"
)


@attrs.frozen(kw_only=True)
class RunFacts:
    """One run of a job.

    Attributes:
        number: from 1.
        began: in epoch seconds.
        ended: the same; of a run that was killed, when it was last seen at work.
        ended_as: "done", why it stopped, "killed", or "running".
        machine, pid, version, options: where and how it ran.
        per_minute: calls that it could make in a minute; None if that was not told, or not kept to.
    """

    number: int
    began: float
    ended: float
    ended_as: str
    machine: str
    pid: int
    version: str
    options: dict[str, Any]
    per_minute: float | None

    @property
    def was_killed(self) -> bool:
        """Whether it ended without a word."""
        return self.ended_as == "killed"


@attrs.frozen(kw_only=True)
class Span:
    """A time in which a job sent nothing.

    Attributes:
        kind: "paused", "parked" or "away"; see `Hold`.
        began, ended: in epoch seconds.
        reason: in words.
    """

    kind: str
    began: float
    ended: float
    reason: str


@attrs.frozen(kw_only=True)
class Throughput:
    """How many items ended in each stretch of time.

    Attributes:
        began, ended: of the whole, in epoch seconds.
        step: seconds of a stretch.
        counts: by the number of the stretch: those that were applied, and the others that were sent.
        refused: by the number of the stretch: answers with 429.
    """

    began: float
    ended: float
    step: int
    counts: dict[int, tuple[int, int]]
    refused: dict[int, int]


@attrs.frozen(kw_only=True)
class Latency:
    """Seconds that the calls of an item took, without waiting for the quota.

    Attributes:
        count: items.
        median, nine_in_ten, all_but_one_percent, longest: in seconds.
        slowest: the customers of the longest ones, with their seconds.
    """

    count: int
    median: float
    nine_in_ten: float
    all_but_one_percent: float
    longest: float
    slowest: tuple[tuple[int, float], ...]


def runs_in(connection: sqlite3.Connection, now: float | None) -> list[RunFacts]:
    """The runs of a job.

    Args:
        connection: to its journal.
        now: in epoch seconds, if a process runs the job; None if none does.
    """
    last_seen: dict[int, float] = dict(
        connection.execute("SELECT run, max(ended) FROM outcomes GROUP BY run").fetchall()
    )
    for run, at in connection.execute("SELECT run, max(at) FROM events GROUP BY run"):
        last_seen[run] = max(at, last_seen.get(run, 0.0))
    asked = (
        "SELECT number, began, ended, ended_as, machine, pid, version, options, per_minute FROM runs ORDER BY number"
    )
    rows = connection.execute(asked).fetchall()
    return [_run(row, max(row[1], last_seen.get(row[0], 0.0)), now if row is rows[-1] else None) for row in rows]


def _run(row: tuple[Any, ...], last_seen: float, now: float | None) -> RunFacts:
    """A run; `now` if it is under way."""
    number, began, ended, ended_as, machine, pid, version, options, per_minute = row
    if ended is None:
        ended, ended_as = (last_seen, "killed") if now is None else (now, "running")
    return RunFacts(
        number=number,
        began=began,
        ended=ended,
        ended_as=ended_as or "done",
        machine=machine,
        pid=pid,
        version=version,
        options=decode_json(options.encode()),
        per_minute=per_minute,
    )


def spans_in(connection: sqlite3.Connection, runs: list[RunFacts]) -> list[Span]:
    """The times in which a job sent nothing, though it ran."""
    ends = {run.number: run.ended for run in runs}
    spans = list[Span]()
    began: tuple[int, float, str, str] | None = None
    asked = "SELECT run, at, kind, coalesce(note, '') FROM events WHERE kind <> 'refused' ORDER BY rowid"
    for run, at, kind, note in [*connection.execute(asked).fetchall(), (0, 0.0, "went_on", "")]:
        if began is not None:
            since, kind_then, reason = began[1:]
            until = at if run == began[0] else ends.get(began[0], since)
            spans.append(Span(kind=kind_then, began=since, ended=max(since, until), reason=reason))
        began = None if kind == "went_on" else (run, at, kind, note)
    return spans


def throughput_in(connection: sqlite3.Connection, runs: list[RunFacts]) -> Throughput | None:
    """How many items ended when; None if the job has not run."""
    if not runs:
        return None
    began, ended = runs[0].began, max(run.ended for run in runs)
    step = next((each for each in _STEPS if (ended - began) / each <= _MOST_BUCKETS), _STEPS[-1])
    counts: dict[int, tuple[int, int]] = {}
    for stretch, applied, count in connection.execute(_ENDED, (began, step)):
        counts[max(0, stretch)] = applied, count - applied
    refused = Counter[int]()
    for at, count in connection.execute("SELECT at, count FROM events WHERE kind = 'refused'"):
        refused[max(0, int((at - began) / step))] += count
    return Throughput(began=began, ended=ended, step=step, counts=counts, refused=dict(refused))


def latency_in(connection: sqlite3.Connection) -> Latency | None:
    """How long the calls took; None if there were none."""
    seconds: list[float] = [
        each for (each,) in connection.execute("SELECT seconds FROM outcomes WHERE seconds > 0 ORDER BY seconds")
    ]
    if not seconds:
        return None
    slowest = connection.execute(
        "SELECT customer_id, seconds FROM outcomes JOIN items ON number = item WHERE seconds >= ? "
        "ORDER BY seconds DESC LIMIT 3",
        (seconds[-3:][0],),
    ).fetchall()

    def at(part: float) -> float:
        return seconds[min(len(seconds) - 1, int(part * len(seconds)))]

    return Latency(
        count=len(seconds),
        median=at(0.5),
        nine_in_ten=at(0.9),
        all_but_one_percent=at(0.99),
        longest=seconds[-1],
        slowest=tuple(slowest),
    )


def calls_of_an_item(facts: JobFacts, *, wiped: bool) -> int | None:
    """How many calls an item takes; None if the journal does not tell any more."""
    return None if wiped else kind_of(facts.operation, facts.options).requests
