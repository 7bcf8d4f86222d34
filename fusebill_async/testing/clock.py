"""The service's wall clock, and the ways in which it writes a time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime

import attrs

_MICROSECONDS = 1_000_000


@attrs.frozen(kw_only=True)
class ClockSkew:
    """How far the clocks of the service are apart, in seconds: what is above 0 is ahead of the service's true time.

    Attributes:
        date: of the `Date` header, which a web server or a proxy writes; None leaves the header out.
        database: of `modifiedTimestamp` and `createdTimestamp`.
        limiter: of the quota windows and their reset headers.
    """

    date: float | None = 0.0
    database: float = 0.0
    limiter: float = 0.0


class Clock:
    """A wall clock; `source` stands in for the computer's own. The stamps of the database may be some seconds ahead."""

    def __init__(self, source: Callable[[], datetime] | None = None, database_ahead: float = 0.0) -> None:
        self._source = source
        self._database_ahead = database_ahead
        self._second = -1
        self._prefix = ""
        self._digit = 0

    def seconds(self) -> float:
        """Return the seconds since 1970."""
        return time.time() if self._source is None else self._source().timestamp()

    def now(self) -> datetime:
        """Return the time in UTC."""
        return datetime.fromtimestamp(self.seconds(), UTC)

    def stamp(self) -> bytes:
        """Return the time as the service writes it into JSON: seven digits of fraction and a Z.

        The seventh digit is never 0, so that a client which cuts a timestamp down to microseconds is seen.
        """
        second, micro = divmod(round((self.seconds() + self._database_ahead) * _MICROSECONDS), _MICROSECONDS)
        if second != self._second:
            self._second = second
            self._prefix = f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}"
        self._digit = self._digit % 9 + 1
        return f'"{self._prefix}.{micro:06d}{self._digit}Z"'.encode()


def http_date(seconds: float) -> str:
    """Return a time as RFC 1123 has it, rounded up to a whole second."""
    return format_datetime(datetime.fromtimestamp(math.ceil(seconds), UTC), usegmt=True)


def iso(seconds: float) -> str:
    """Return a time as ISO 8601 in UTC; a fraction is written only where there is one."""
    moment = datetime.fromtimestamp(seconds, UTC)
    fraction = f".{moment.microsecond:06d}" if moment.microsecond else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def epoch(seconds: float) -> str:
    """Return a time as whole seconds since 1970, rounded up."""
    return str(math.ceil(seconds))
