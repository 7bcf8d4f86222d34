"""The hours of the day in which a job may send, by the clock on the wall of a time zone."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import attrs

from fusebill_async.errors import ConfigurationError, shown

_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", re.ASCII)
_MINUTE = 60
_LONGEST = 3 * 24 * 60
"""Minutes that are looked through: a clock that is set forward may leave out the hours of one day."""


@attrs.frozen
class Window:
    """The hours in which a job may send.

    A time counts as the clock on the wall shows it. Where the clock is set back, hours that come twice count twice.
    Where it is set forward, hours that do not come are left out.

    Attributes:
        begins, ends: the hours, such as 22:00 and 06:00; where the end is earlier, it is on the next day.
        zone: of the clock; None is the zone of this machine.
    """

    begins: time
    ends: time
    zone: ZoneInfo | None = None

    def __str__(self) -> str:
        return self.hours if self.zone is None else f"{self.hours} {self.zone.key}"

    @property
    def hours(self) -> str:
        """Such as "22:00-06:00"."""
        return f"{self.begins:%H:%M}-{self.ends:%H:%M}"

    @classmethod
    def of(cls, hours: str, zone: str | None = None) -> Window:
        """Read a window.

        Args:
            hours: such as "22:00-06:00".
            zone: a name of the time zone database, such as "Europe/Berlin"; None is the zone of this machine.

        Raises:
            ConfigurationError: it is none.
        """
        given: Any = hours
        found = _HOURS.fullmatch(hours) if isinstance(given, str) else None
        if found is None or found[1] + found[2] == found[3] + found[4]:
            raise ConfigurationError(f'window= must be two times of a day, such as "22:00-06:00", not {shown(given)}')
        begin_hour, begin_minute, end_hour, end_minute = map(int, found.groups())
        return cls(time(begin_hour, begin_minute), time(end_hour, end_minute), None if zone is None else _zone(zone))

    def holds(self, at: float) -> bool:
        """Whether the job may send.

        Args:
            at: a time in epoch seconds.
        """
        moment = datetime.fromtimestamp(at, UTC).astimezone(self.zone).time()
        if self.begins < self.ends:
            return self.begins <= moment < self.ends
        return moment >= self.begins or moment < self.ends

    def turns_at(self, at: float) -> float:
        """When the window next opens, or closes if it is open, in epoch seconds.

        Args:
            at: a time in epoch seconds.
        """
        # Minute by minute, since that is right on days on which the clock is set, too.
        is_open, minute = self.holds(at), at // _MINUTE
        for ahead in range(1, _LONGEST):
            turn = (minute + ahead) * _MINUTE
            if self.holds(turn) is not is_open:
                return turn
        raise AssertionError(self)


def _zone(name: str) -> ZoneInfo:
    given: Any = name
    try:
        if isinstance(given, str):
            return ZoneInfo(given)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    raise ConfigurationError(
        f'tz= must be a time zone such as "Europe/Berlin", not {shown(given)}. '
        "Where the system has no time zones: pip install tzdata"
    )
