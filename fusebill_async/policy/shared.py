"""One budget for many processes: what a process reports, and what it is granted."""

from __future__ import annotations

from typing import Protocol

import attrs


@attrs.frozen(kw_only=True)
class WindowFacts:
    """What is known of one window.

    Attributes:
        reset: the limiter's time at which it ends, in seconds since 1970; 0 if unknown.
        limit: of the whole account; 0 if no answer has told it.
        used: the most that answers said is used of it.
        own: the calls that our processes had counted in it. In a report: since the last report.
        age: in an answer, the seconds since it was first known.
    """

    reset: float
    limit: int
    used: int
    own: int
    age: float = 0.0


@attrs.frozen(kw_only=True)
class QuotaReport:
    """What one process tells.

    Attributes:
        want: how many calls it would like to send.
        probe: nothing is left as far as it knows, and one call may go to see whether a new window has begun.
        held: its calls that are granted, waiting or under way.
        minute, day: the present windows.
        length: seconds of a minute window.
        day_reserve: how many calls of the day are kept from it.
        pause: seconds for which a 429 keeps everybody waiting.
    """

    want: int
    probe: bool
    held: int
    minute: WindowFacts
    day: WindowFacts
    length: float
    day_reserve: int
    pause: float


@attrs.frozen(kw_only=True)
class QuotaGrant:
    """What a process may send, and what the others know.

    Attributes:
        granted: calls that it may send besides those that it held.
        elsewhere: calls that other processes hold.
        processes: how many processes are calling, this one included.
        minute, day: the present windows.
        pause: seconds for which a 429 of any process keeps everybody waiting.
    """

    granted: int
    elsewhere: int
    processes: int
    minute: WindowFacts
    day: WindowFacts
    pause: float


class SharedQuota(Protocol):
    """A budget that lies outside this process."""

    async def exchange(self, report: QuotaReport) -> QuotaGrant:
        """Tell what is held and known, and take what is granted, in one step that nothing can come between.

        Raises:
            Exception: any, if the budget cannot be reached now; the process then keeps to its own part.
        """
        ...
