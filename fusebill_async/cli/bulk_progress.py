"""How a job goes on, on stderr: a display at a terminal, a line a minute without one, or JSON lines."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from fusebill_async.cli.bulk_performing import Context
from fusebill_async.cli.terminal import messages
from fusebill_async.cli.wire_text import printable
from fusebill_async.converting import encode

Kind: TypeAlias = Literal["auto", "json", "none"]

EVERY = {"terminal": 0.2, "plain": 60.0, "json": 1.0, "none": 60.0}
"""Seconds between two looks, whether anything has ended or not."""
_RECENT = 30.0
"""Seconds over which the rate is taken."""
LONG = 5.0
"""Seconds without an end that are worth a word."""


def _nothing() -> str:
    return ""


class JobProgress:
    """Tells how a job goes on. Use it with `async with`.

    Args:
        context: of the command.
        name: of the job.
        total: tells how many items are to end, as soon as that is known.
        kind: "auto" is a display at a terminal, and a line a minute without one or beside the log.
        styles: the kinds of ends that are counted, each with its style.
        waits_for: why nothing is begun at this moment, in words.
    """

    def __init__(
        self,
        context: Context,
        name: str,
        total: Callable[[], int],
        kind: Kind,
        *,
        styles: Mapping[str, str],
        waits_for: Callable[[], str] = _nothing,
    ) -> None:
        self._context = context
        self._name = name
        self._ask_total = total
        self._total = 0
        self._styles = styles
        self._waits_for = waits_for
        self._console: Console = messages()
        has_display = self._console.is_terminal and not context.verbose
        self._form = kind if kind != "auto" else ("terminal" if has_display else "plain")
        self._counts: Counter[str] = Counter()
        self._done = 0
        now = time.monotonic()
        self._seen: deque[tuple[float, int]] = deque([(now, 0)])
        """How many had ended at some moments of the last seconds."""
        self._shown_at = self._ended_at = now
        self._live: Live | None = None
        self._clock: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._context.waits.quiet = True
        if self._form == "terminal":
            self._live = Live(
                self._display(), console=self._console, auto_refresh=False, transient=True, redirect_stdout=False
            )
            with suppress(OSError):
                self._live.start(refresh=True)
        self._clock = asyncio.create_task(self._tick(), name="fusebill_async: shows how a job goes on")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._clock is not None
        self._clock.cancel()
        with suppress(OSError):
            if self._live is not None:
                self._live.stop()
            elif self._form == "json":
                self._show()
        self._context.waits.quiet = False

    def note(self, end: str) -> None:
        """An item has ended, in one of the ways that have a style."""
        self._done += 1
        self._counts[end] += 1
        self._ended_at = time.monotonic()

    def say(self, text: str) -> None:
        """Say something on stderr, above the display."""
        with suppress(OSError):
            self._console.print(text, style="dim", markup=False)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(min(1.0, EVERY[self._form]))
            now = time.monotonic()
            self._seen.append((now, self._done))
            while now - self._seen[0][0] > _RECENT:
                self._seen.popleft()
            if now - self._shown_at >= EVERY[self._form]:
                self._shown_at = now
                # Whoever does not look any more stops no job.
                with suppress(OSError):
                    self._show()

    def _show(self) -> None:
        self._total = max(self._total, self._ask_total(), self._done)
        if self._live is not None:
            self._live.update(self._display(), refresh=True)
        elif self._form == "json":
            self._print_json()
        elif self._form == "plain":
            parts = (self._pace(), self._tallies().plain, self._quota(), self._waiting())
            told = "; ".join(filter(None, parts))
            self._console.print(f"{self._name}: {self._done:,} of {self._total:,}; {told}", markup=False)

    # --- what is shown

    @property
    def _rate(self) -> float:
        """Items a second, lately."""
        since, done = self._seen[0]
        return (self._done - done) / max(time.monotonic() - since, 0.001)

    @property
    def _seconds_left(self) -> float | None:
        """None if nothing has ended lately, or if the quota of the day ends before."""
        left, day = self._total - self._done, self._left("day")
        if not self._rate or (day is not None and left > day):
            return None
        return left / self._rate

    def _ends_at(self) -> datetime | None:
        seconds = self._seconds_left
        return None if seconds is None else datetime.now().astimezone() + timedelta(seconds=seconds)

    def _pace(self) -> str:
        if not self._done:
            return "nothing has ended yet"
        rate, seconds, until = f"{self._rate:.1f} a second", self._seconds_left, self._ends_at()
        if seconds is not None and until is not None:
            is_today = until.date() == datetime.now().astimezone().date()
            clock = f"{until:%H:%M}" if is_today else f"{until:%a %d %b, %H:%M}"
            return f"{rate}, {timedelta(seconds=round(seconds))} left, until {clock}"
        return f"{rate}, and today's quota ends before the job does" if self._rate else rate

    def _tallies(self) -> Text:
        text = Text()
        for name, style in self._styles.items():
            if self._counts[name] or name in {"applied", "rejected", "unknown"}:
                text.append(", " if text else "")
                text.append(f"{name.replace('_', ' ')} {self._counts[name]:,}", style if self._counts[name] else "dim")
        return text

    def _quota(self) -> str:
        minute, day = self._left("minute"), self._left("day")
        if minute is None or day is None:
            return "quota not told yet"
        return f"quota left: {minute:,} this minute, {day:,} today"

    def _left(self, window: Literal["minute", "day"]) -> int | None:
        quota = self._context.client.quota
        seen, used = (quota.minute, quota.used_minute) if window == "minute" else (quota.day, quota.used_day)
        return None if seen is None else max(0, seen.limit - used)

    def _waiting(self) -> str:
        """What it waits for; "" if all goes well."""
        reason, quiet = printable(self._waits_for()), time.monotonic() - self._ended_at
        if quiet < LONG or self._done >= self._total:
            return f"waiting: {reason}" if reason else ""
        reason = reason or self._context.waits.what()
        return f"nothing has ended for {timedelta(seconds=round(quiet))}{f': {reason}' if reason else ''}"

    def _display(self) -> Group:
        head = Table.grid(padding=(0, 2, 0, 0), expand=False)
        share = f"{self._done / self._total:.0%}" if self._total else ""
        bar = ProgressBar(total=max(1, self._total), completed=self._done, width=24)
        head.add_row(Text(self._name, style="bold"), bar, f"{self._done:,} of {self._total:,}", share)
        lines = [Text(self._pace()), self._tallies(), Text(self._quota(), style="dim")]
        waiting = self._waiting()
        if waiting:
            lines.append(Text(waiting, style="yellow"))
        return Group(head, *lines)

    def _print_json(self) -> None:
        seconds, until = self._seconds_left, self._ends_at()
        shown: dict[str, Any] = {
            "done": self._done,
            "total": self._total,
            **{name: self._counts[name] for name in self._styles},
            "per_second": round(self._rate, 2),
            "seconds_left": None if seconds is None else round(seconds),
            "ends_at": None if until is None else until.isoformat(timespec="seconds"),
            "minute_left": self._left("minute"),
            "day_left": self._left("day"),
            "waiting": self._waiting(),
        }
        self._console.file.write(encode(shown).decode() + "\n")
        self._console.file.flush()
