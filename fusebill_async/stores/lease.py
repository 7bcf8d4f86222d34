"""The rules for leases in every store: how long a lease counts as held, and how it is waited for."""

from __future__ import annotations

from typing import Any

import attrs

from fusebill_async.errors import ConfigurationError
from fusebill_async.stores.effects import StoreEffects

MARGIN = 0.2
"""The part of a lease's time that is left to a request that has just been sent."""
POLL = (0.02, 0.05)
"""Seconds between two looks at a lease that another process holds; chance parts those who wait together."""
IMPATIENT_AFTER = 0.25
"""Seconds after which a lease that comes free is kept for us, however often its holder asks for it again."""


@attrs.frozen
class Moment:
    """One moment on both clocks of this machine, in seconds.

    Neither is enough. The monotonic clock may stand still while a machine is suspended. The system's clock may be set.
    """

    monotonic: float
    wall: float

    @classmethod
    def now(cls, effects: StoreEffects) -> Moment:
        """The present moment."""
        return cls(effects.monotonic(), effects.wall())


def surely_held(ttl: float, asked: Moment, now: Moment) -> bool:
    """Whether a lease is certainly ours for a moment yet: by neither clock has too much of its time gone by.

    Args:
        ttl: seconds that it lasts.
        asked: the moment right before it was asked for, or for its renewal. It was given later, so it lasts longer.
        now: the present moment.
    """
    usable = ttl * (1 - MARGIN)
    return now.monotonic - asked.monotonic < usable and now.wall - asked.wall < usable


def check_keeping(keep_outcomes: Any) -> None:
    """Check for how long outcomes are to be kept.

    Raises:
        ConfigurationError: it cannot work.
    """
    if isinstance(keep_outcomes, bool) or not isinstance(keep_outcomes, (int, float)) or not 60 <= keep_outcomes < 1e10:
        raise ConfigurationError(f"keep_outcomes= must be a number of seconds, at least 60, not {keep_outcomes!r}")


def check_times(lease: Any, renew: Any) -> None:
    """Check the times of leases.

    Raises:
        ConfigurationError: they cannot work.
    """
    for name, value in (("lease", lease), ("renew", renew)):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ConfigurationError(f"{name}= must be a number of seconds, not {value!r}")
    if not 0.2 <= lease <= 3600:
        raise ConfigurationError(f"lease= must be 0.2 to 3600 seconds, not {lease!r}")
    if not 0 < renew <= lease / 3:
        raise ConfigurationError(f"renew= must be above 0 and at most a third of lease= ({lease:g}), not {renew!r}")
