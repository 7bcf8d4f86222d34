"""The times of leases, checked."""

from __future__ import annotations

from typing import Any

from fusebill_async.errors import ConfigurationError


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
