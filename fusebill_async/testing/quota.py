"""The rate limits of the service: fixed windows, refusals and the headers that tell of them."""

from __future__ import annotations

import math
from collections import deque
from typing import Literal, Self, TypeAlias

import attrs

from fusebill_async.testing.clock import epoch, http_date, iso

WindowName: TypeAlias = Literal["minute", "day"]
ResetFormat: TypeAlias = Literal["iso", "rfc1123", "epoch"]

_FORMATS = {"iso": iso, "rfc1123": http_date, "epoch": epoch}


@attrs.define
class Window:
    """What was used of one window. Times are seconds since 1970."""

    name: WindowName
    limit: int
    starts_at: float
    ends_at: float
    used: int = 0
    refused: int = 0

    @property
    def remaining(self) -> int:
        """How many requests are left."""
        return max(0, self.limit - self.used)

    @property
    def utilisation(self) -> float:
        """The share of the window that was used, 0 to 1."""
        return self.used / self.limit if self.limit else 0.0


@attrs.frozen
class Refusal:
    """A request that was answered with 429."""

    at: float
    window: WindowName
    method: str
    path: str


@attrs.define(eq=False)
class SimulatorQuota:
    """The limits of one account, https://developer.staxbill.com/reference/rate-limits.

    The windows are fixed and aligned to the clock: a minute of 60 s begins with the minute.

    Attributes:
        per_minute: requests in one short window.
        per_day: requests in one long window.
        minute_seconds: length of the short window; a test need not wait for a real minute.
        day_seconds: length of the long window.
        enforce: whether a request over the limit is refused with 429; if not it is only counted.
        reset_format: how the reset headers are written; the documentation does not say.
        refusals: how many requests were refused.
        refused_requests: the last of them, at most 10,000.
        windows: every window that was used, the present ones included.
    """

    per_minute: int = 1000
    per_day: int = 180_000
    minute_seconds: float = attrs.field(default=60.0, validator=attrs.validators.gt(0))
    day_seconds: float = attrs.field(default=86400.0, validator=attrs.validators.gt(0))
    enforce: bool = True
    reset_format: ResetFormat = attrs.field(default="iso", validator=attrs.validators.in_(list(_FORMATS)))
    refusals: int = attrs.field(default=0, init=False)
    refused_requests: deque[Refusal] = attrs.field(factory=lambda: deque(maxlen=10_000), init=False)
    windows: list[Window] = attrs.field(factory=list[Window], init=False)
    _minute: Window = attrs.field(
        default=attrs.Factory(lambda self: Window("minute", self.per_minute, 0.0, 0.0), takes_self=True),
        init=False,
    )
    _day: Window = attrs.field(
        default=attrs.Factory(lambda self: Window("day", self.per_day, 0.0, 0.0), takes_self=True), init=False
    )
    _head: bytes = attrs.field(default=b"", init=False)
    _head_from: float = attrs.field(default=0.0, init=False)
    _head_until: float = attrs.field(default=0.0, init=False)

    @classmethod
    def live(cls) -> Self:
        """Return the documented limits of a live account."""
        return cls(1000, 180_000)

    @classmethod
    def sandbox(cls) -> Self:
        """Return the documented limits of a sandbox."""
        return cls(50, 5_000)

    @classmethod
    def test_drive(cls) -> Self:
        """Return the documented limits of a TestDrive account."""
        return cls(10, 500)

    def take(self, now: float, method: str = "", path: str = "") -> WindowName | None:
        """Count a request; return the window that refuses it, None if it may pass."""
        self._roll(now)
        full = self._full()
        if full is not None and self.enforce:
            full.refused += 1
            self.refusals += 1
            self.refused_requests.append(Refusal(now, full.name, method, path))
            return full.name
        self._minute.used += 1
        self._day.used += 1
        return None

    def use(self, now: float, minute: int = 0, day: int = 0) -> None:
        """Count requests of somebody else who shares the account."""
        self._roll(now)
        self._minute.used += minute
        self._day.used += day

    def resets_in(self, name: WindowName, now: float) -> float:
        """Return the seconds until a window ends."""
        self._roll(now)
        return (self._minute if name == "minute" else self._day).ends_at - now

    def header_lines(self, now: float, date: float | None = None) -> bytes:
        """Return the Date header and the six quota headers, each line with its end.

        Args:
            now: the limiter's time.
            date: the time that the Date header shows; None is the limiter's.
        """
        if not self._head_from <= now < self._head_until:
            self._write_head(now, now if date is None else date)
        return b"%bX-Rate-Limit-Remaining-Minute: %d\r\nX-Rate-Limit-Remaining-Day: %d\r\n" % (
            self._head,
            self._minute.remaining,
            self._day.remaining,
        )

    def date_line(self, now: float) -> bytes:
        """Return the Date header alone, for an answer that tells nothing of the quota."""
        return f"Date: {http_date(math.floor(now))}\r\n".encode()

    def _full(self) -> Window | None:
        for window in (self._day, self._minute):
            if window.used >= window.limit:
                return window
        return None

    def _roll(self, now: float) -> None:
        # Not only forward: a test may hand in a clock that it sets back.
        if not self._minute.starts_at <= now < self._minute.ends_at:
            self._minute = self._open("minute", self.per_minute, self.minute_seconds, now)
        if not self._day.starts_at <= now < self._day.ends_at:
            self._day = self._open("day", self.per_day, self.day_seconds, now)

    def _open(self, name: WindowName, limit: int, length: float, now: float) -> Window:
        number = math.floor(now / length)
        window = Window(name, limit, number * length, (number + 1) * length)
        self.windows.append(window)
        self._head_until = 0.0
        return window

    def _write_head(self, now: float, date: float) -> None:
        # Once a second, not once a request: writing a date costs more than all the rest of a plain answer.
        self._roll(now)
        second = math.floor(date)
        write = _FORMATS[self.reset_format]
        self._head = (
            f"Date: {http_date(second)}\r\n"
            f"X-Rate-Limit-Limit-Minute: {self.per_minute}\r\n"
            f"X-Rate-Limit-Reset-Minute: {write(self._minute.ends_at)}\r\n"
            f"X-Rate-Limit-Limit-Day: {self.per_day}\r\n"
            f"X-Rate-Limit-Reset-Day: {write(self._day.ends_at)}\r\n"
        ).encode()
        begins = now - (date - second)
        self._head_from = max(begins, self._minute.starts_at, self._day.starts_at)
        self._head_until = min(begins + 1.0, self._minute.ends_at, self._day.ends_at)
