"""The timeline of a job as inline SVG: how many items ended when, against the quota, with what befell the job."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo
from html import escape

from fusebill_async.bulk.page_facts import RunFacts, Span, Throughput

_WIDTH, _HEIGHT = 960, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 40, 36
_INNER_WIDTH, _INNER_HEIGHT = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
_TICKS = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800)
"""Seconds between two marks on the axis of time."""
_MOST_TICKS = 8
_MOST_ABOVE = 6
"""Times the highest throughput, above which the quota is named and not drawn."""
_MOST_NAMED = 12
"""Runs whose beginnings are named; more than that are only marked."""
_SPANS = {"paused": "paused", "parked": "waited", "away": "service out of reach"}

LEGEND = (
    ("applied", "applied"),
    ("other", "refused or not applied"),
    ("quota", "quota"),
    ("paused", "paused"),
    ("parked", "waited for the quota or the window"),
    ("away", "service out of reach"),
    ("kill", "killed"),
    ("resume", "resumed"),
    ("refused", "429"),
)


class Timeline:
    """The chart.

    Args:
        throughput: of the job.
        runs: of the job.
        spans: in which it sent nothing.
        calls: that an item takes; None if that is not known, so that no quota is drawn.
        zone: of the times that are shown; None is that of this machine.
    """

    def __init__(
        self,
        throughput: Throughput,
        runs: Sequence[RunFacts],
        spans: Sequence[Span],
        *,
        calls: int | None,
        zone: tzinfo | None,
    ) -> None:
        self._throughput = throughput
        self._runs = runs
        self._spans = spans
        self._calls = calls
        self._zone = zone
        self._began = throughput.began
        self._seconds = max(throughput.ended - throughput.began, float(throughput.step))
        self._per_minute = 60 / throughput.step
        highest = max((sum(counts) * self._per_minute for counts in throughput.counts.values()), default=0.0)
        # A quota that is far above all that was sent would leave a flat line of the rest.
        lines = [line for _, _, line in self._quota_lines() if line <= _MOST_ABOVE * highest]
        self._highest = _nice(max(1.0, highest, *lines))

    def svg(self) -> str:
        """As one element."""
        parts = [
            f'<svg class="timeline" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-labelledby="timeline-title">',
            '<title id="timeline-title">Items a minute, the quota, pauses, kills, resumes and 429s over time</title>',
            *self._span_marks(),
            *self._grid(),
            *self._bars(),
            *self._quota(),
            *self._refused(),
            *self._run_marks(),
            "</svg>",
        ]
        return "\n".join(parts)

    # --- places

    def _x(self, at: float) -> float:
        part = (at - self._began) / self._seconds
        return round(_LEFT + _INNER_WIDTH * min(1.0, max(0.0, part)), 1)

    def _y(self, per_minute: float) -> float:
        return round(_TOP + _INNER_HEIGHT * (1 - per_minute / self._highest), 1)

    def _told(self, at: float, form: str = "%d %b %H:%M:%S") -> str:
        return datetime.fromtimestamp(at).astimezone(self._zone).strftime(form)

    # --- what is drawn

    def _grid(self) -> Iterator[str]:
        bottom = _TOP + _INNER_HEIGHT
        for quarter in range(5):
            value = self._highest * quarter / 4
            y = self._y(value)
            yield f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>'
            yield f'<text class="axis" text-anchor="end" x="{_LEFT - 8}" y="{y + 4}">{_number(value)}</text>'
        yield f'<text class="axis" x="{_LEFT}" y="{_TOP - 22}">items a minute</text>'
        step = next((each for each in _TICKS if self._seconds / each <= _MOST_TICKS), _TICKS[-1])
        form = "%H:%M:%S" if step < 60 else "%H:%M" if step < 86_400 else "%d %b"
        day = ""
        offset = datetime.fromtimestamp(self._began).astimezone(self._zone).utcoffset()
        aside = 0.0 if offset is None else offset.total_seconds()
        tick = (self._began + aside) // step * step + step - aside
        while tick <= self._began + self._seconds:
            x = self._x(tick)
            yield f'<line class="tick" x1="{x}" x2="{x}" y1="{bottom}" y2="{bottom + 5}"/>'
            yield f'<text class="axis" text-anchor="middle" x="{x}" y="{bottom + 18}">{self._told(tick, form)}</text>'
            if step < 86_400 and self._told(tick, "%d %b") != day:
                day = self._told(tick, "%d %b")
                yield f'<text class="axis" text-anchor="middle" x="{x}" y="{bottom + 31}">{day}</text>'
            tick += step

    def _bars(self) -> Iterator[str]:
        step, applied, others = self._throughput.step, list[str](), list[str]()
        for stretch, (done, failed) in sorted(self._throughput.counts.items()):
            x = self._x(self._began + stretch * step)
            width = max(1.0, round(self._x(self._began + (stretch + 1) * step) - x, 1))
            top, middle = self._y((done + failed) * self._per_minute), self._y(failed * self._per_minute)
            if failed:
                others.append(f"M{x} {_TOP + _INNER_HEIGHT}V{middle}h{width}V{_TOP + _INNER_HEIGHT}z")
            if done:
                applied.append(f"M{x} {middle}V{top}h{width}V{middle}z")
        yield f'<path class="applied" d="{"".join(applied)}"/>'
        yield f'<path class="other" d="{"".join(others)}"/>'

    def _quota_lines(self) -> Iterator[tuple[float, float, float]]:
        """Where the quota stood: from, until, and items a minute."""
        if self._calls is None:
            return
        for run in self._runs:
            if run.per_minute is not None:
                yield run.began, run.ended, run.per_minute / self._calls

    def _quota(self) -> Iterator[str]:
        told = set[str]()
        for began, ended, line in self._quota_lines():
            if line <= self._highest:
                y = self._y(line)
                yield f'<line class="quota" x1="{self._x(began)}" x2="{self._x(ended)}" y1="{y}" y2="{y}"/>'
            told.add(_number(line * (self._calls or 1)))
        if told:
            each = "" if self._calls == 1 else f", {self._calls} calls an item"
            text = f"quota: {' and '.join(sorted(told)[:3])} calls a minute{each}"
            yield f'<text class="axis" text-anchor="end" x="{_WIDTH - _RIGHT}" y="{_TOP - 22}">{text}</text>'

    def _span_marks(self) -> Iterator[str]:
        for span in self._spans:
            x = self._x(span.began)
            width = max(1.0, round(self._x(span.ended) - x, 1))
            when = f"{self._told(span.began)} to {self._told(span.ended)}"
            told = f"{_SPANS.get(span.kind, span.kind)}: {span.reason}, {when}"
            yield (
                f'<rect class="{escape(span.kind)}" x="{x}" width="{width}" y="{_TOP}" height="{_INNER_HEIGHT}">'
                f"<title>{escape(told)}</title></rect>"
            )

    def _refused(self) -> Iterator[str]:
        for stretch, count in sorted(self._throughput.refused.items()):
            x = self._x(self._began + (stretch + 0.5) * self._throughput.step)
            told = f"{count:,} answered with 429, {self._told(self._began + stretch * self._throughput.step)}"
            yield f'<path class="refused" d="M{x - 4} {_TOP}h8l-4 9z"><title>{told}</title></path>'

    def _run_marks(self) -> Iterator[str]:
        bottom, named = _TOP + _INNER_HEIGHT, len(self._runs) <= _MOST_NAMED
        for run in self._runs:
            if run.number > 1:
                x = self._x(run.began)
                yield f'<line class="resume" x1="{x}" x2="{x}" y1="{_TOP - 8}" y2="{bottom}">'
                yield f"<title>run {run.number} began, {self._told(run.began)}</title></line>"
                if named:
                    yield f'<text class="axis" x="{x + 3}" y="{_TOP - 8}">run {run.number}</text>'
            if run.was_killed:
                x = self._x(run.ended)
                yield f'<path class="kill" d="M{x - 5} {bottom - 5}l10 10m0 -10l-10 10"><title>'
                yield f"run {run.number} was killed; last seen at work {self._told(run.ended)}</title></path>"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2g}"


def _nice(value: float) -> float:
    """The next number with one or two leading digits, for an axis."""
    size = 1.0
    while size * 10 <= value:
        size *= 10
    return next(size * step for step in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 5, 6, 8, 10) if size * step >= value)
