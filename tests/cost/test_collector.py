"""What many calls at once make and have not yet dropped, which is what CPython's cycle collector goes by.

It looks through the young objects whenever 700 more were made than dropped (2,000 from Python 3.13 on). Fifty calls at
once stay below that, because each drops what an earlier one left (`Line.spent`); before, there was a collection in
every turn of fifty calls. Counted, not timed; the service is another process, so that what it makes is not counted.
"""

import asyncio
import gc

import pytest

from benchmarks.server import running
from fusebill_async import FusebillClient, PoolSettings
from fusebill_async.session.manager import SessionManager

AT_ONCE = 50
CEILING = 780
"""About 640 are counted, and 960 without `Line.spent`."""


def counts_of(monkeypatch, calls):
    """The collector's count at the beginning of each call and at each answer, after a warm start."""
    counts = []
    answered = SessionManager._answer

    def answer(*arguments):
        counts.append(gc.get_count()[0])
        return answered(*arguments)

    async def hold(url):
        async with FusebillClient("key", base_url=url, pool=PoolSettings(connections=AT_ONCE)) as client:
            await client.customers.hold(1)
            numbers = iter(range(1, calls))

            async def work():
                for number in numbers:
                    counts.append(gc.get_count()[0])
                    await client.customers.hold(number)

            await asyncio.gather(*(work() for _ in range(AT_ONCE)))

    monkeypatch.setattr(SessionManager, "_answer", answer)
    gc.collect()
    gc.disable()
    try:
        with running() as url, asyncio.Runner(debug=False) as runner:
            runner.run(hold(url))
    finally:
        gc.enable()
    return sorted(counts[len(counts) // 2 :])


@pytest.mark.filterwarnings("ignore")
def test_calls_at_once_do_not_call_for_the_collector(monkeypatch):
    counts = counts_of(monkeypatch, 4_000)
    low, high = counts[len(counts) // 50], counts[-len(counts) // 50]
    assert high - low < CEILING
