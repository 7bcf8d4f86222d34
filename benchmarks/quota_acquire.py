"""What the quota costs a call that does not have to wait.

    python benchmarks/quota_acquire.py

Prints microseconds for a whole call: permit, hand-out, headers of the answer, leaving. The best of several rounds.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from multidict import CIMultiDict

from fusebill_async.policy.clock import ServiceClock
from fusebill_async.policy.priority import Priority
from fusebill_async.session.admission import Admission
from fusebill_async.session.effects import Effects
from fusebill_async.settings import QuotaPolicy

CALLS, ROUNDS, LIMIT = 20_000, 7, 10**9


async def measure() -> float:
    now = datetime.now(UTC)
    headers = CIMultiDict(
        {
            "Date": format_datetime(now, usegmt=True),
            "X-Rate-Limit-Limit-Minute": str(LIMIT),
            "X-Rate-Limit-Reset-Minute": (now + timedelta(seconds=30)).isoformat(),
            "X-Rate-Limit-Limit-Day": str(LIMIT),
            "X-Rate-Limit-Reset-Day": (now + timedelta(hours=20)).isoformat(),
        }
    )
    policy = QuotaPolicy(per_minute=LIMIT, per_day=LIMIT, burst=1.0)
    admission = Admission(places=1, policy=policy, effects=Effects(), clock=ServiceClock())
    started = time.process_time()
    for number in range(CALLS):
        headers["X-Rate-Limit-Remaining-Minute"] = headers["X-Rate-Limit-Remaining-Day"] = str(LIMIT - number - 1)
        with await admission.enter(Priority.INTERACTIVE) as permit:
            sent_at = time.monotonic()
            permit.sent()
            permit.answered(200, headers, sent_at, sent_at + 0.01)
    return (time.process_time() - started) / CALLS * 1e6


if __name__ == "__main__":
    print(f"{min(asyncio.run(measure()) for _ in range(ROUNDS)):.1f} us a call")
