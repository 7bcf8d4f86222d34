"""Tables for a terminal, and a bar chart as an SVG that reads on light and on dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import attrs

_STYLE = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328; }
  .title { font-size: 15px; font-weight: 600; }
  .foot { font-size: 11px; fill: #6e7781; }
  .value { font-variant-numeric: tabular-nums; }
  .ours { font-weight: 600; }
  .bar { fill: #8c959f; }
  .bar.ours { fill: #1a7f6b; }
  .spread { stroke: #57606a; stroke-width: 1.5; }
  .reference { stroke: #57606a; stroke-dasharray: 3 3; }
  .break { stroke: #ffffff; stroke-width: 3; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .foot { fill: #9198a1; }
    .bar { fill: #6e7681; }
    .bar.ours { fill: #2ea88f; }
    .spread, .reference { stroke: #9198a1; }
    .break { stroke: #0d1117; }
  }
"""

_LABELS, _BARS, _VALUES = 310, 380, 80
_STEP, _THICK = 26, 16
_CUT = 2.5
"""Bars longer than this are broken, so that the differences around 1 can be seen."""


@attrs.frozen
class Bar:
    """One bar: its value, the middle half of the rounds, and whether it is to stand out."""

    label: str
    value: float
    low: float
    high: float
    ours: bool = False


def bar_chart(title: str, bars: Sequence[Bar], *, foot: str = "") -> str:
    """Draw horizontal bars from 0, with a line at 1."""
    width = _LABELS + _BARS + _VALUES
    top = 44
    height = top + _STEP * len(bars) + (34 if foot else 14)
    scale = _BARS / min(_CUT, max(bar.value for bar in bars) * 1.05)
    parts = [
        _open(width, height, title),
        f"<style>{_STYLE}</style>",
        f'<text class="title" x="12" y="24">{escape(title)}</text>',
    ]
    for number, bar in enumerate(bars):
        parts.extend(_bar(bar, top + number * _STEP, scale))
    one = _LABELS + scale
    parts.append(
        f'<line class="reference" x1="{one:.1f}" x2="{one:.1f}" y1="{top - 6}" y2="{top + _STEP * len(bars)}"/>'
    )
    if foot:
        parts.append(f'<text class="foot" x="12" y="{height - 12}">{escape(foot)}</text>')
    parts.append("</svg>\n")
    return "\n".join(parts)


def _open(width: int, height: int, title: str) -> str:
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(title)}">'


def _bar(bar: Bar, y: float, scale: float) -> list[str]:
    ours = " ours" if bar.ours else ""
    label = escape(bar.label)
    length = min(bar.value * scale, _BARS)
    middle = y + _THICK / 2
    parts = [
        f'<text class="{ours.strip()}" x="{_LABELS - 10}" y="{middle + 4.5}" text-anchor="end">{label}</text>',
        f'<rect class="bar{ours}" x="{_LABELS}" y="{y}" width="{length:.1f}" height="{_THICK}" rx="2"/>',
    ]
    if bar.value * scale > _BARS:
        x = _LABELS + _BARS - 22
        parts.append(f'<path class="break" fill="none" d="M{x} {y + _THICK + 2} L{x + 8} {y - 2}"/>')
    elif bar.high * scale <= _BARS:
        low, high = _LABELS + bar.low * scale, _LABELS + bar.high * scale
        parts.append(f'<path class="spread" d="M{low:.1f} {middle} H{high:.1f}"/>')
        length = max(length, bar.high * scale)
    parts.append(f'<text class="value{ours}" x="{_LABELS + length + 8:.1f}" y="{middle + 4.5}">{bar.value:.2f}</text>')
    return parts


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out columns, the first to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [head, ["-" * width for width in widths], *rows]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
