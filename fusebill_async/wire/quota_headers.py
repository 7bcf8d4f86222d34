"""The `X-Rate-Limit-*` headers, `Date` and `Retry-After`.

The service does not document the form of its reset timestamps, so ISO 8601, RFC 1123 and seconds or
milliseconds since 1970 are read alike. (https://developer.staxbill.com/reference/rate-limits)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from multidict import istr

from fusebill_async.outcome import QuotaReading, QuotaSeen, Window

# Lower-cased once here: a lookup of these costs half of a lookup by plain text.
_MINUTE_LIMIT = istr("X-Rate-Limit-Limit-Minute")
_MINUTE_REMAINING = istr("X-Rate-Limit-Remaining-Minute")
_MINUTE_RESET = istr("X-Rate-Limit-Reset-Minute")
_DAY_LIMIT = istr("X-Rate-Limit-Limit-Day")
_DAY_REMAINING = istr("X-Rate-Limit-Remaining-Day")
_DAY_RESET = istr("X-Rate-Limit-Reset-Day")
_DATE = istr("Date")
_RETRY_AFTER = istr("Retry-After")

_EARLIEST, _LATEST = 1e9, 4.1e9
"""Seconds since 1970 (2001 to 2099) between which a bare number can be a timestamp."""

_ABSENT = -(10**12)
"""Stands for a missing header: a service that has let too much through may well say that less than 0
remains."""

_KEPT = 64
"""How many texts are remembered."""
_DAY = 86_400.0
_LONGEST = 64
"""Characters of the longest text that is looked at."""


class _Timestamps(dict[str, float | None]):
    """Timestamps by their text. They change once a second at most, so nearly every look-up is a hit."""

    def __missing__(self, text: str) -> float | None:
        if len(self) >= _KEPT:
            self.clear()
        value = self[text] = _epoch(text)
        return value


def _epoch(text: str) -> float | None:
    text = text.strip()
    if not text or len(text) > _LONGEST:
        return None
    try:
        number = float(text)
    except ValueError:
        return _calendar(text)
    if not math.isfinite(number):
        return None
    if number >= _EARLIEST * 1e3:
        number /= 1e3
    if _EARLIEST <= number <= _LATEST:
        return number
    # Eight digits and the like may still be ISO 8601 without separators.
    return _calendar(text) if len(text) > len("20260101") else None


def _calendar(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, IndexError, TypeError, OverflowError):
            return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        seconds = moment.timestamp()
    except (OverflowError, ValueError):
        return None
    return seconds if _EARLIEST <= seconds <= _LATEST else None


class _Moments(dict[float, datetime]):
    def __missing__(self, epoch: float) -> datetime:
        if len(self) >= _KEPT:
            self.clear()
        value = self[epoch] = datetime.fromtimestamp(epoch, UTC)
        return value


_timestamps = _Timestamps()
_moments = _Moments()


def read(headers: Mapping[str, str]) -> QuotaReading:
    """The quota headers of an answer as bare numbers.

    Args:
        headers: of the answer; names in any case if the mapping ignores case.
    """
    get = headers.get
    try:
        minute_limit = int(get(_MINUTE_LIMIT, 0))
        minute_remaining = int(get(_MINUTE_REMAINING, _ABSENT))
    except ValueError:
        minute_limit = minute_remaining = 0
    if minute_limit <= 0 or minute_remaining == _ABSENT:
        minute_limit = minute_remaining = 0
    elif minute_remaining < 0:
        minute_remaining = 0
    try:
        day_limit = int(get(_DAY_LIMIT, 0))
        day_remaining = int(get(_DAY_REMAINING, _ABSENT))
    except ValueError:
        day_limit = day_remaining = 0
    if day_limit <= 0 or day_remaining == _ABSENT:
        day_limit = day_remaining = 0
    elif day_remaining < 0:
        day_remaining = 0
    return QuotaReading(
        minute_limit,
        minute_remaining,
        _timestamps[get(_MINUTE_RESET, "")],
        day_limit,
        day_remaining,
        _timestamps[get(_DAY_RESET, "")],
        _timestamps[get(_DATE, "")],
    )


def tells_quota(headers: Mapping[str, str]) -> bool:
    """Whether an answer has the service's quota headers: nobody else writes them."""
    reading = read(headers)
    return bool(reading.minute_limit or reading.day_limit)


def read_quota(headers: Mapping[str, str]) -> QuotaSeen:
    """The quota headers of an answer, for people to look at.

    A window whose limit or remaining part is missing or garbled is None; one whose reset is, has no
    `resets_at`.
    """
    reading = read(headers)
    return QuotaSeen(
        minute=Window(
            limit=reading.minute_limit,
            remaining=reading.minute_remaining,
            resets_at=moment(reading.minute_reset),
        )
        if reading.minute_limit
        else None,
        day=Window(limit=reading.day_limit, remaining=reading.day_remaining, resets_at=moment(reading.day_reset))
        if reading.day_limit
        else None,
        date=moment(reading.date),
    )


def retry_after(headers: Mapping[str, str], date: float | None) -> float | None:
    """The seconds that `Retry-After` asks to wait, None if it is missing, garbled, or more than a day.

    Args:
        headers: of the answer.
        date: the answer's `Date` in seconds since 1970, to which a `Retry-After` that is a date is relative.
    """
    text = headers.get(_RETRY_AFTER, "").strip()
    if not text or len(text) > _LONGEST:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = _EARLIEST
    if seconds >= _EARLIEST:
        until = _timestamps[text]
        seconds = -1.0 if until is None or date is None else max(0.0, until - date)
    # Nobody means more than a day: that is a mistake, or a date that was misread.
    return seconds if 0 <= seconds <= _DAY else None


def moment(epoch: float | None) -> datetime | None:
    """Seconds since 1970 as an aware datetime in UTC."""
    return None if epoch is None else _moments[epoch]
