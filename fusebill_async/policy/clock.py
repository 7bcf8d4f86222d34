"""What a clock of the service shows, as far as its answers tell."""

from __future__ import annotations

from math import inf

_DRIFT = 2e-4
"""How fast two honest clocks may part, in seconds for each second. Slewing by NTP reaches 5e-4, and rarely."""


class ServiceClock:
    """Bounds on how far a clock of the service is ahead of the local monotonic one, in seconds.

    Each answer narrows the bounds. They widen slowly as time passes, since clocks drift. An answer that contradicts
    them starts them anew: then a clock was set.
    """

    def __init__(self) -> None:
        self._low, self._high = -inf, inf
        self._at = 0.0

    def observe(self, date: float, sent: float, received: float) -> None:
        """Learn from the `Date` of an answer. It shows whole seconds, cut off.

        Args:
            date: seconds since 1970.
            sent: local time at which the request was sent, in seconds.
            received: local time at which the answer came, in seconds.
        """
        self.narrow(date - received, date + 1.0 - sent, received)

    def narrow(self, low: float, high: float, now: float) -> None:
        """Learn that the clock is at least `low`, and less than `high`, seconds ahead at the local time `now`."""
        if low >= self._high or high <= self._low:
            self._low, self._high, self._at = low, high, now
        elif low > self._low or high < self._high or now > self._at + 1.0:
            known_low, known_high = self._bounds(now)
            self._low, self._high = max(low, known_low), min(high, known_high)
            self._at = max(now, self._at)

    def service_time(self, now: float) -> tuple[float, float] | None:
        """The earliest and the latest that the clock may show at a local time.

        Args:
            now: local time in seconds.

        Returns:
            Two times in seconds since 1970, or None before the first answer.
        """
        low, high = self._bounds(now)
        return None if low == -inf or high == inf else (now + low, now + high)

    def local(self, epoch: float) -> float:
        """The local time by which the clock certainly shows `epoch` (seconds since 1970); infinite if unknown."""
        low, _ = self._bounds(epoch - self._low)
        return epoch - low

    def _bounds(self, now: float) -> tuple[float, float]:
        drift = max(0.0, now - self._at) * _DRIFT
        return self._low - drift, self._high + drift
