"""The `X-Rate-Limit-*` headers, `Date` and `Retry-After`.

The service does not document the form of its reset timestamps, so ISO 8601, RFC 1123 and seconds or
milliseconds since 1970 are read alike. (https://developer.staxbill.com/reference/rate-limits)
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from math import inf, nan

from fusebill_async.outcome import QuotaSeen, Window

_EARLIEST, _LATEST = 1e9, 4.1e9
"""Seconds since 1970 (2001 to 2099) between which a bare number can be a timestamp."""

_DAY = 86_400.0
_LONGEST = 64
"""Characters of the longest text that is looked at."""


def read_quota(headers: Mapping[str, str]) -> QuotaSeen:
    """The quota headers of an answer.

    A window whose limit or remaining part is missing or garbled is None; one whose reset is, has no `resets_at`.

    Args:
        headers: of the answer; names in any case if the mapping ignores case.
    """
    return QuotaSeen(
        minute=_window(headers, "Minute"), day=_window(headers, "Day"), date=_moment(headers.get("Date", ""))
    )


def tells_quota(headers: Mapping[str, str]) -> bool:
    """Whether an answer has the service's quota headers: nobody else writes them."""
    seen = read_quota(headers)
    return bool(seen.minute or seen.day)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that `Retry-After` asks to wait, None if it is missing, garbled, or more than a day.

    One that is a date is relative to the answer's own `Date`.
    """
    text = headers.get("Retry-After", "")
    try:
        seconds = float(text)
    except ValueError:
        seconds = inf
    if seconds >= _EARLIEST:
        until, date = _moment(text), _moment(headers.get("Date", ""))
        if until is None or date is None:
            return None
        seconds = max(0.0, (until - date).total_seconds())
    # Nobody means more than a day: that is a mistake, or a date that was misread.
    return seconds if 0 <= seconds <= _DAY else None


def _window(headers: Mapping[str, str], window: str) -> Window | None:
    try:
        limit = int(headers.get(f"X-Rate-Limit-Limit-{window}", ""))
        remaining = int(headers.get(f"X-Rate-Limit-Remaining-{window}", ""))
    except ValueError:
        return None
    if limit <= 0:
        return None
    # A service that has let too much through may well say that less than 0 remains.
    resets_at = _moment(headers.get(f"X-Rate-Limit-Reset-{window}", ""))
    return Window(limit=limit, remaining=max(0, remaining), resets_at=resets_at)


@lru_cache(maxsize=64)
def _moment(text: str) -> datetime | None:
    """The moment that a text names, in UTC; None if it cannot be read, or lies outside of this century."""
    text = text.strip()
    if not text or len(text) > _LONGEST:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = nan
    if seconds >= _EARLIEST * 1e3:
        seconds /= 1e3
    if not _EARLIEST <= seconds <= _LATEST:
        seconds = _calendar(text)
    return datetime.fromtimestamp(seconds, UTC) if _EARLIEST <= seconds <= _LATEST else None


def _calendar(text: str) -> float:
    """A date in letters or without separators, in seconds since 1970; not a number if it is none."""
    try:
        try:
            moment = datetime.fromisoformat(text.upper())
        except ValueError:
            moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, IndexError, TypeError, OverflowError):
        return nan
