"""One budget for many processes: what a process claims, and what it is lent."""

from __future__ import annotations

from typing import Protocol

import attrs


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Claim:
    """What one process tells of its present windows. Resets are the service's time in seconds since 1970, 0 if unknown.

    Every figure is a total, not a change (save `day_counted`), so a claim that got lost is mended by the next one.

    Attributes:
        want: how many calls it would like to be lent.
        keep: calls lent before that it has not used and keeps.
        held: calls taken and not answered.
        counted: calls that count in the present minute.
        after: the reset that the present minute came after.
        reset: the present minute's reset.
        limit: of a minute, as the headers said; 0 before the first answer.
        used: the most that the headers said is used of the minute, by whomever.
        length: seconds of a minute window, as far as seen.
        day_after: as `after`, of the day.
        day_reset: as `reset`, of the day.
        day_limit: as `limit`, of the day.
        day_used: as `used`, of the day.
        day_counted: calls that came to count in the present day since the last claim.
        service_time: the earliest and the latest that the service's clock may show, None if unknown.
        lead: how many seconds the slowest answers take.
        pause: seconds for which a 429 keeps everybody waiting.
    """

    want: int
    keep: int
    held: int
    counted: int
    after: float
    reset: float
    limit: int
    used: int
    length: float
    day_after: float
    day_reset: float
    day_limit: int
    day_used: int
    day_counted: int
    service_time: tuple[float, float] | None
    lead: float
    pause: float


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Lease:
    """What a process is lent, and what the others know.

    Attributes:
        granted: calls that it may send, besides those that it kept.
        seconds: how long it may use them; what is left then goes back.
        wait: seconds before which it is no use to ask for more.
        after, reset, limit, used, length: of the minute, as in `Claim`.
        day_after, day_reset, day_limit, day_used: of the day, as in `Claim`.
        elsewhere: calls that other processes hold, which may come to count in the day.
        pause: seconds for which a 429 of any process keeps everybody waiting.
    """

    granted: int
    seconds: float
    wait: float
    after: float
    reset: float
    limit: int
    used: int
    length: float
    day_after: float
    day_reset: float
    day_limit: int
    day_used: int
    elsewhere: int
    pause: float


class SharedQuota(Protocol):
    """A budget that lies outside this process."""

    async def exchange(self, claim: Claim) -> Lease:
        """Tell what is claimed and take what is lent.

        Raises:
            Exception: any, if the budget cannot be reached now; the process then keeps to its own part.
        """
        ...
