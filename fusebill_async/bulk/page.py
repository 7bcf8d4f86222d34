"""The page of a job for the morning after: one HTML file that needs nothing else, made from the journal."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime, timedelta, tzinfo
from html import escape
from importlib.resources import files
from pathlib import Path
from zoneinfo import ZoneInfo

from fusebill_async._version import __version__
from fusebill_async.bulk.control import Standing, standing_in
from fusebill_async.bulk.failures import FailureGroup, failures_in, grouped
from fusebill_async.bulk.journal import JobFacts, awaits_approval, checked_facts
from fusebill_async.bulk.journal_file import open_to_read
from fusebill_async.bulk.next_steps import command, next_steps, retry_of
from fusebill_async.bulk.page_chart import LEGEND, Timeline
from fusebill_async.bulk.page_facts import (
    Latency,
    RunFacts,
    Span,
    calls_of_an_item,
    latency_in,
    runs_in,
    spans_in,
    throughput_in,
)
from fusebill_async.bulk.tallies import Tally, handed_out_in, tallies_in
from fusebill_async.converting import encode

_DONE = {
    "customers.hold": "on hold",
    "customers.release_hold": "released from hold",
    "customers.cancel": "cancelled",
    "customers.uncancel": "uncancelled",
    "customers.activate": "activated",
    "customers.update": "updated",
    "customers.replace": "replaced",
    "hubspot.unlatch": "unlatched",
}
_FAILED = {
    Tally.REJECTED: "refused",
    Tally.NOT_APPLIED: "not applied",
    Tally.UNKNOWN: "not known",
    Tally.SKIPPED: "set aside",
    Tally.UNPROCESSED: "not begun",
}
_MOST_GROUPS = 100
_MOST_RUNS = 200


def write_page(journal: str | Path, file: str | Path) -> None:
    """Write a job as one HTML file for people, with what became of it and what to do now.

    Args:
        journal: the file of the job; another process may be running it.
        file: is written over.

    Raises:
        ConfigurationError: there is no such journal, or it cannot be read.
        OSError: the file cannot be written.
    """
    Path(file).write_text(page_of(Path(journal)), encoding="utf-8")


def page_of(journal: Path) -> str:
    """The page; see `write_page`."""
    now = time.time()
    with closing(open_to_read(journal)) as connection:
        # One look, though the job may go on meanwhile.
        connection.execute("BEGIN")
        facts = checked_facts(connection, journal)
        wiped: float | None = connection.execute("SELECT wiped FROM job").fetchone()[0]
        standing, tallies = standing_in(connection), tallies_in(connection)
        runs = runs_in(connection, now if standing.runs else None)
        spans, throughput = spans_in(connection, runs), throughput_in(connection, runs)
        groups, latency = grouped(failures_in(connection)), latency_in(connection)
        approval = tallies[Tally.UNPROCESSED] > 0 and awaits_approval(connection)
        handed_out = handed_out_in(connection)
    zone = _zone_of(runs)
    steps = next_steps(
        journal,
        standing,
        unprocessed=tallies[Tally.UNPROCESSED],
        unknown=tallies[Tally.UNKNOWN],
        awaits_approval=approval,
        handed_out=handed_out,
    )
    chart = ""
    if throughput is not None:
        calls = calls_of_an_item(facts, wiped=wiped is not None)
        chart = Timeline(throughput, runs, spans, calls=calls, zone=zone).svg() + _legend()
    body = [
        f"<h1>{escape(sentence(facts.operation, tallies))}</h1>",
        _about(facts, runs, standing, now, zone),
        _section("What to do now", _steps(steps, journal, tallies)),
        _section("Timeline", chart or "<p>It has not run yet.</p>"),
        _section("Failures", _failures(groups, journal)),
        _section("Latency", _latency(latency)),
        _section("Provenance", _provenance(facts, journal, wiped, zone) + _runs(runs, zone) + _spans(spans, zone)),
    ]
    template = files("fusebill_async.bulk").joinpath("page.html").read_text(encoding="utf-8")
    title = escape(f"{facts.operation}: {journal.name}")
    return template.replace("<!-- title -->", title).replace("<!-- body -->", "\n".join(body))


def sentence(operation: str, tallies: Mapping[str, int]) -> str:
    """What became of a job, in one sentence."""
    done = _DONE.get(operation, "applied")
    told = [f"{tallies[tally]:,} {words}" for tally, words in _FAILED.items() if tallies[tally]]
    items = sum(tallies.values())
    return "; ".join([f"{tallies[Tally.APPLIED]:,} of {items:,} {done}", *told, "nothing twice"])


# --- the sections


def _section(title: str, content: str) -> str:
    name = title.lower().replace(" ", "-")
    return f'<section id="{name}">\n<h2>{title}</h2>\n{content}\n</section>'


def _about(facts: JobFacts, runs: Sequence[RunFacts], standing: Standing, now: float, zone: tzinfo | None) -> str:
    told = [f"{facts.operation} at {facts.service}"]
    if runs:
        length = timedelta(seconds=round(runs[-1].ended - runs[0].began))
        told.append(f"from {_moment(runs[0].began, zone)} to {_moment(runs[-1].ended, zone)}, {length}")
        told.append(f"{len(runs):,} run" + ("s" if len(runs) > 1 else ""))
    if standing.runs:
        held = f", and sends nothing now: {standing.held_for}" if standing.held_for else ""
        told.append(f"it runs as {standing.owner}{held}")
    elif runs and runs[-1].ended_as not in ("done", "killed"):
        told.append(f"it stopped: {runs[-1].ended_as}")
    told.append(f"as of {_moment(now, zone)}")
    return f'<p class="about">{escape("; ".join(told))}.</p>'


def _steps(steps: Iterable[tuple[str, str]], journal: Path, tallies: Mapping[str, int]) -> str:
    told = [*steps]
    if tallies[Tally.REJECTED] or tallies[Tally.NOT_APPLIED]:
        told.append(
            ("Look at the failures below. Each group has the command that tries it again. Every item", _items(journal))
        )
    if tallies[Tally.APPLIED]:
        told.append(("Prove it: read the customers again", command("verify", journal)))
    if not told:
        return "<p>Nothing.</p>"
    rows = (f"<dt>{escape(why)}:</dt>\n<dd>{_command(text)}</dd>" for why, text in told)
    return "<dl>\n" + "\n".join(rows) + "\n</dl>"


def _items(journal: Path) -> str:
    return command("report", journal, "--format", "csv")


def _legend() -> str:
    entries = (f'<li><i class="{kind}"></i>{escape(words)}</li>' for kind, words in LEGEND)
    return '\n<ul class="legend">' + "".join(entries) + "</ul>"


def _failures(groups: Sequence[FailureGroup], journal: Path) -> str:
    if not groups:
        return "<p>None.</p>"
    told = "\n".join(_failure(group, journal) for group in groups[:_MOST_GROUPS])
    more = len(groups) - _MOST_GROUPS
    if more > 0:
        told += f"\n<p>And {more:,} more kinds of failure. Every item: {_command(_items(journal))}</p>"
    return told


def _failure(group: FailureGroup, journal: Path) -> str:
    ids = ", ".join(map(str, group.customer_ids))
    more = ", ..." if ids and group.count > len(group.customer_ids) else ""
    retry = retry_of(group, journal)
    who = f"<p>customers {ids}{more}</p>" if ids else ""
    return (
        f'<article class="{group.tally}">\n<h3>{group.count:,} {_FAILED[group.tally]}</h3>\n'
        f"<p><q>{escape(group.message) or 'no reason is known'}</q></p>\n{who}\n"
        f"{_command(retry) if retry else '<p>There is nothing to try again.</p>'}\n</article>"
    )


def _latency(latency: Latency | None) -> str:
    if latency is None:
        return "<p>No call was made.</p>"
    named = [
        ("half of them at most", latency.median),
        ("90 % at most", latency.nine_in_ten),
        ("99 % at most", latency.all_but_one_percent),
        ("the longest", latency.longest),
    ]
    slowest = ", ".join(f"{customer_id} ({_seconds(seconds)})" for customer_id, seconds in latency.slowest)
    rows = [(f"{words}", _seconds(seconds)) for words, seconds in named]
    about = f"The calls of {latency.count:,} items, without the time that they waited for the quota."
    return f"<p>{about}</p>\n{_table((), rows)}\n<p>The slowest: customers {slowest}.</p>"


def _provenance(facts: JobFacts, journal: Path, wiped: float | None, zone: tzinfo | None) -> str:
    rows = [
        ("journal", str(journal)),
        ("made", _moment(facts.began, zone)),
        ("input", f"{facts.input_rows or 0:,} rows, {facts.duplicates:,} of them said again"),
        ("fingerprint of the input", facts.fingerprint or "the input was not read to its end"),
        ("options of the operation", encode(facts.options).decode()),
        ("this page", f"fusebill_async {__version__}"),
    ]
    if wiped is not None:
        rows.append(("wiped", f"{_moment(wiped, zone)}: what was asked for and what was read is gone"))
    return _table((), rows)


def _runs(runs: Sequence[RunFacts], zone: tzinfo | None) -> str:
    if not runs:
        return ""
    rows = [
        (
            str(run.number), _moment(run.began, zone), _moment(run.ended, zone), run.ended_as,
            f"{run.machine}, process {run.pid}", run.version, _options(run.options),
        )
        for run in runs[-_MOST_RUNS:]
    ]  # fmt: skip
    left_out = len(runs) - len(rows)
    note = f"<p>The first {left_out:,} runs are left out.</p>" if left_out else ""
    head = ("run", "began", "ended", "how it ended", "host", "version", "options")
    return f"<h3>Runs</h3>\n{note}{_table(head, rows)}"


def _options(options: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in options.items() if value not in (None, False))


def _spans(spans: Sequence[Span], zone: tzinfo | None) -> str:
    if not spans:
        return ""
    rows = [(_moment(span.began, zone), _moment(span.ended, zone), span.reason) for span in spans[-_MOST_RUNS:]]
    return f"<h3>When it sent nothing</h3>\n{_table(('from', 'to', 'why'), rows)}"


# --- words and elements


def _command(text: str) -> str:
    return f"<pre><code>{escape(text)}</code></pre>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    first = "<tr>" + "".join(f"<th>{escape(name)}</th>" for name in head) + "</tr>\n" if head else ""
    return f'<div class="wide"><table>\n{first}{"".join(_rows(rows))}</table></div>'


def _rows(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for row in rows:
        yield "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>\n"


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f} s" if seconds < 10 else f"{seconds:,.1f} s"


def _zone_of(runs: Sequence[RunFacts]) -> tzinfo | None:
    """The zone of the job's window, which is the operators'; else that of this machine."""
    for run in reversed(runs):
        name = run.options.get("tz")
        if isinstance(name, str):
            return ZoneInfo(name)
    return None


def _moment(at: float, zone: tzinfo | None) -> str:
    return f"{datetime.fromtimestamp(at).astimezone(zone):%Y-%m-%d %H:%M:%S %Z}"
