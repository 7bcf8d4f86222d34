"""What the service's clock shows, as far as its answers tell."""

from __future__ import annotations

_DRIFT = 2e-4
"""How fast two honest clocks may part, in seconds for each second. Slewing by NTP reaches 5e-4, and
rarely."""


class ServiceClock:
    """Bounds on the service's time, from the `Date` of its answers and the local monotonic clock.

    `Date` shows whole seconds, cut off, so one answer leaves a second plus its latency of doubt. Each answer
    narrows the bounds, since they come at all fractions of a second. The bounds widen slowly as time passes,
    and when an answer contradicts them (a clock was set), they start anew.
    """

    def __init__(self) -> None:
        self._known = False
        self._low = 0.0
        self._high = 0.0
        self._at = 0.0

    def observe(self, date: float, sent: float, received: float) -> None:
        """Learn from one answer.

        Args:
            date: its `Date`, in seconds since 1970.
            sent: local time at which its request was sent, in seconds.
            received: local time at which it came, in seconds.
        """
        low = date - received
        high = date + 1.0 - sent
        if not self._known or low > self._high or high < self._low:
            self._known = True
            self._low, self._high, self._at = low, high, received
        elif low > self._low or high < self._high or received > self._at + 1.0:
            wider_low, wider_high = self._bounds(received)
            self._low = max(wider_low, low)
            self._high = min(wider_high, high)
            self._at = max(self._at, received)

    def service_time(self, now: float) -> tuple[float, float] | None:
        """The earliest and the latest that the service's clock may show now.

        Args:
            now: local time in seconds.

        Returns:
            Two times in seconds since 1970, or None before the first answer.
        """
        if not self._known:
            return None
        low, high = self._bounds(now)
        return now + low, now + high

    def local(self, epoch: float) -> tuple[float, float] | None:
        """The earliest and the latest local time at which the service's clock shows `epoch`.

        Args:
            epoch: seconds since 1970.

        Returns:
            Two local times in seconds, or None before the first answer.
        """
        if not self._known:
            return None
        low, high = self._bounds(epoch - self._low)
        return epoch - high, epoch - low

    def _bounds(self, now: float) -> tuple[float, float]:
        drift = (now - self._at) * _DRIFT
        if drift <= 0.0:
            return self._low, self._high
        return self._low - drift, self._high + drift
