"""Who goes first when calls wait for quota or for a place in the pool."""

from __future__ import annotations

from enum import IntEnum


class Priority(IntEnum):
    """The lower the number, the sooner it goes. A lower class is served now and then all the same."""

    SETTLING = 0
    """A read that settles an unknown outcome. It alone may use the reserve of the day."""
    INTERACTIVE = 1
    """A call that somebody awaits."""
    BULK = 2
    """A call of a batch job, which can wait for the next window or the next day."""
