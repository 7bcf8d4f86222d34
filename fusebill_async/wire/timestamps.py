"""`modifiedTimestamp` as text: which of two is the older one, and how finely one can tell. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)?", re.ASCII)
_DIGITS = 7
"""Digits of a fraction as the service writes it; one with fewer is filled up."""


def is_older(timestamp: str | None, than: str | None) -> bool:
    """Whether a timestamp of the service is certainly older than another one.

    Equal texts are equal. Others are compared to the seventh digit, which a `datetime` would lose. Without a zone they
    are in UTC. What cannot be read is not older.
    """
    if timestamp is None or than is None or timestamp == than:
        return False
    one, other = _comparable(timestamp), _comparable(than)
    return one is not None and other is not None and one < other


def tick_of(timestamp: str) -> float | None:
    """The seconds within which two moments get this same text, by the digits that it has; None if it cannot be read."""
    found = _TIMESTAMP.fullmatch(timestamp)
    return None if found is None else 10.0 ** -len(found[2] or "")


def _comparable(timestamp: str) -> tuple[str, str] | None:
    """The time in UTC and the fraction of its second, each a text that sorts as it passes."""
    found = _TIMESTAMP.fullmatch(timestamp)
    if found is None:
        return None
    moment, fraction, zone = found.groups("")
    try:
        # Also without a zone: that there is such a moment.
        read = datetime.fromisoformat(moment + (zone or "Z"))
        moment = read.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    except (ValueError, OverflowError):
        return None
    return moment, fraction.ljust(_DIGITS, "0")
