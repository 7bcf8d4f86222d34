"""How a job goes on, on stderr: a display at a terminal, a line a minute without one, or JSON lines."""

from __future__ import annotations

import time
from collections import Counter, deque
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from fusebill_async.bulk import BulkItem, Tally
from fusebill_async.cli.terminal import messages
from fusebill_async.client import FusebillClient
from fusebill_async.converting import encode

Kind: TypeAlias = Literal["auto", "json", "none"]

_EVERY = {"terminal": 0.2, "plain": 60.0, "json": 1.0}
"""Seconds between two looks."""
_RECENT = 30.0
"""Seconds over which the rate is taken."""
_STYLES = {Tally.APPLIED: "green", Tally.REJECTED: "red", Tally.NOT_APPLIED: "yellow", Tally.UNKNOWN: "bold yellow"}


class JobProgress:
    """Tells how a job goes on. Use it with `with`.

    Args:
        client: whose quota is shown.
        name: of the operation.
        total: items to do.
        kind: "auto" is a display at a terminal, and a line a minute without one.
    """

    def __init__(self, client: FusebillClient, name: str, total: int, kind: Kind) -> None:
        self._client = client
        self._name = name
        self._total = total
        self._console: Console = messages()
        self._form = kind if kind != "auto" else ("terminal" if self._console.is_terminal else "plain")
        self._counts: Counter[Tally] = Counter()
        self._ended: deque[tuple[float, int]] = deque()
        self._done = 0
        self._shown_at = self._started = time.monotonic()
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if self._form == "terminal":
            self._live = Live(self._display(), console=self._console, refresh_per_second=5, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
        elif self._form == "json":
            self._print_json()

    def note(self, item: BulkItem) -> None:
        """An item has ended."""
        now = time.monotonic()
        self._done += 1
        self._counts[item.tally] += 1
        if self._form == "none" or now - self._shown_at < _EVERY[self._form]:
            return
        self._shown_at = now
        self._ended.append((now, self._done))
        while now - self._ended[0][0] > _RECENT:
            self._ended.popleft()
        if self._live is not None:
            self._live.update(self._display())
        elif self._form == "json":
            self._print_json()
        else:
            self._console.print(self._line(), markup=False)

    # --- what is shown

    @property
    def _rate(self) -> float:
        """Items a second, lately."""
        since, done = self._ended[0] if len(self._ended) > 1 else (self._started, 0)
        return (self._done - done) / max(time.monotonic() - since, 0.001)

    @property
    def _seconds_left(self) -> float:
        return (self._total - self._done) / max(self._rate, 0.001)

    def _line(self) -> str:
        return (
            f"{self._name}: {self._done:,} of {self._total:,}; {self._pace()}; {self._tallies().plain}; {self._quota()}"
        )

    def _pace(self) -> str:
        if not self._done:
            return "waiting for the first answer"
        left = timedelta(seconds=round(self._seconds_left))
        until = datetime.now().astimezone() + left
        return f"{self._rate:.1f} a second, {left} left, until {until:%H:%M}"

    def _tallies(self) -> Text:
        text = Text()
        for tally in (Tally.APPLIED, Tally.REJECTED, Tally.NOT_APPLIED, Tally.UNKNOWN):
            if self._counts[tally] or tally in {Tally.APPLIED, Tally.REJECTED, Tally.UNKNOWN}:
                text.append(", " if text else "")
                style = _STYLES[tally] if self._counts[tally] else "dim"
                text.append(f"{tally.value.replace('_', ' ')} {self._counts[tally]:,}", style)
        return text

    def _quota(self) -> str:
        quota = self._client.quota
        if quota.minute is None or quota.day is None:
            return "quota not told yet"
        minute = max(0, quota.minute.limit - quota.used_minute)
        return f"quota left: {minute:,} this minute, {max(0, quota.day.limit - quota.used_day):,} today"

    def _display(self) -> Group:
        head = Table.grid(padding=(0, 2, 0, 0), expand=False)
        share = f"{self._done / self._total:.0%}" if self._total else ""
        bar = ProgressBar(total=max(1, self._total), completed=self._done, width=24)
        head.add_row(Text(self._name, style="bold"), bar, f"{self._done:,} of {self._total:,}", share)
        return Group(head, Text(self._pace()), self._tallies(), Text(self._quota(), style="dim"))

    def _print_json(self) -> None:
        quota = self._client.quota
        shown: dict[str, Any] = {
            "done": self._done,
            "total": self._total,
            **{tally.value: self._counts[tally] for tally in _STYLES},
            "per_second": round(self._rate, 2),
            "seconds_left": round(self._seconds_left) if self._done else None,
            "minute_left": None if quota.minute is None else max(0, quota.minute.limit - quota.used_minute),
            "day_left": None if quota.day is None else max(0, quota.day.limit - quota.used_day),
        }
        self._console.file.write(encode(shown).decode() + "\n")
        self._console.file.flush()
