"""The `X-Rate-Limit-*` headers, `Date` and `Retry-After`.

The service does not document the form of its reset timestamps, so ISO 8601, RFC 1123 and seconds or
milliseconds since 1970 are read alike. (https://developer.staxbill.com/reference/rate-limits)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache

from fusebill_async.outcome import QuotaReading, QuotaSeen, Window

_EARLIEST, _LATEST = 1e9, 4.1e9
"""Seconds since 1970 (2001 to 2099) between which a bare number can be a timestamp."""

_DAY = 86_400.0
_LONGEST = 64
"""Characters of the longest text that is looked at."""


@lru_cache(maxsize=64)
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


def read(headers: Mapping[str, str]) -> QuotaReading:
    """The quota headers of an answer as bare numbers.

    Args:
        headers: of the answer; names in any case if the mapping ignores case.
    """
    minute_limit, minute_remaining = _counts(headers, "Minute")
    day_limit, day_remaining = _counts(headers, "Day")
    return QuotaReading(
        minute_limit=minute_limit,
        minute_remaining=minute_remaining,
        minute_reset=_epoch(headers.get("X-Rate-Limit-Reset-Minute", "")),
        day_limit=day_limit,
        day_remaining=day_remaining,
        day_reset=_epoch(headers.get("X-Rate-Limit-Reset-Day", "")),
        date=_epoch(headers.get("Date", "")),
    )


def _counts(headers: Mapping[str, str], window: str) -> tuple[int, int]:
    """The limit and what remains; 0 and 0 if one of them is missing or unreadable."""
    try:
        limit = int(headers.get(f"X-Rate-Limit-Limit-{window}", ""))
        remaining = int(headers.get(f"X-Rate-Limit-Remaining-{window}", ""))
    except ValueError:
        return 0, 0
    # A service that has let too much through may well say that less than 0 remains.
    return (limit, max(0, remaining)) if limit > 0 else (0, 0)


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
        minute=_window(reading.minute_limit, reading.minute_remaining, reading.minute_reset),
        day=_window(reading.day_limit, reading.day_remaining, reading.day_reset),
        date=moment(reading.date),
    )


def _window(limit: int, remaining: int, reset: float | None) -> Window | None:
    return Window(limit=limit, remaining=remaining, resets_at=moment(reset)) if limit else None


def retry_after(headers: Mapping[str, str], date: float | None) -> float | None:
    """The seconds that `Retry-After` asks to wait, None if it is missing, garbled, or more than a day.

    Args:
        headers: of the answer.
        date: the answer's `Date` in seconds since 1970, to which a `Retry-After` that is a date is relative.
    """
    text = headers.get("Retry-After", "").strip()
    if not text or len(text) > _LONGEST:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = _EARLIEST
    if seconds >= _EARLIEST:
        until = _epoch(text)
        seconds = -1.0 if until is None or date is None else max(0.0, until - date)
    # Nobody means more than a day: that is a mistake, or a date that was misread.
    return seconds if 0 <= seconds <= _DAY else None


def moment(epoch: float | None) -> datetime | None:
    """Seconds since 1970 as an aware datetime in UTC."""
    return None if epoch is None else datetime.fromtimestamp(epoch, UTC)
