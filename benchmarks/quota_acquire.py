"""What the quota costs a call that does not have to wait.

    python benchmarks/quota_acquire.py

Prints microseconds for each part, the best of several rounds. The bar is 5 for an uncontended acquire.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from multidict import CIMultiDict, CIMultiDictProxy

from fusebill_async.policy.clock import ServiceClock
from fusebill_async.policy.priority import Priority
from fusebill_async.session.admission import Admission, Permit
from fusebill_async.session.effects import Effects
from fusebill_async.settings import QuotaPolicy

CALLS = 20_000
ROUNDS = 7
LIMIT = 10**9


def headers() -> list[CIMultiDictProxy[str]]:
    """Answers that count down, so that nothing is the same text each time."""
    now = datetime.now(UTC)
    return [
        CIMultiDictProxy(
            CIMultiDict(
                {
                    "Content-Type": "application/json; charset=utf-8",
                    "Date": format_datetime(now, usegmt=True),
                    "X-Rate-Limit-Limit-Minute": str(LIMIT),
                    "X-Rate-Limit-Remaining-Minute": str(LIMIT - number - 1),
                    "X-Rate-Limit-Reset-Minute": (now + timedelta(seconds=3000)).isoformat(),
                    "X-Rate-Limit-Limit-Day": str(LIMIT),
                    "X-Rate-Limit-Remaining-Day": str(LIMIT - number - 1),
                    "X-Rate-Limit-Reset-Day": (now + timedelta(hours=20)).isoformat(),
                }
            )
        )
        for number in range(CALLS)
    ]


def microseconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) / CALLS * 1e6


async def measure() -> dict[str, float]:
    answers = headers()
    admission = Admission(
        places=CALLS + 1,
        policy=QuotaPolicy(per_minute=LIMIT, per_day=LIMIT, burst=1.0),
        effects=Effects(),
        clock=ServiceClock(),
    )
    permits: list[Permit] = []

    def enter() -> None:
        for _ in range(CALLS):
            permit = admission.enter_now(Priority.INTERACTIVE)
            assert permit is not None
            permits.append(permit)

    def sent() -> None:
        for permit in permits:
            admission.sent(permit)

    def answered() -> None:
        now = time.monotonic()
        for permit, answer in zip(permits, answers, strict=True):
            admission.answered(permit, 200, answer, now - 0.01, now)

    def leave() -> None:
        for permit in permits:
            admission.leave(permit)

    parts = {work.__name__: microseconds(work) for work in (enter, sent, answered, leave)}
    permits.clear()
    started = time.perf_counter()
    for _ in range(CALLS):
        admission.leave(await admission.enter(Priority.INTERACTIVE))
    parts["await enter + leave unsent"] = (time.perf_counter() - started) / CALLS * 1e6
    return parts


def main() -> None:
    rounds = [asyncio.run(measure()) for _ in range(ROUNDS)]
    for name in rounds[0]:
        print(f"{name:<28}{min(figures[name] for figures in rounds):>8.2f} us")


if __name__ == "__main__":
    main()
