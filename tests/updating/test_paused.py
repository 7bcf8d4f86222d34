"""A 429 pauses every call, also the PUT whose read was sent before."""

from __future__ import annotations

import asyncio
import contextlib

from fusebill_async import FusebillClient, RateLimitError, Timeouts
from fusebill_async.testing import Fault, FusebillSimulator, run_simulated


def test_a_put_waits_out_a_429_that_came_after_its_read():
    async def main():
        async with FusebillSimulator() as fusebill:
            for each in (1, 2):
                fusebill.add_customer(id=each, status="Active")
            fusebill.inject(Fault.delay(0.5, operation="get", customer_id=1))
            fusebill.inject(Fault.status(429, operation="get", customer_id=2))
            async with FusebillClient("key", base_url=fusebill.base_url) as client:
                update = asyncio.create_task(client.customers.update(1, company_name="Grok"))
                await asyncio.sleep(0.1)
                impatient = client.with_options(timeouts=Timeouts(queue=0.01))
                with contextlib.suppress(RateLimitError):
                    await impatient.customers.get(2)
                refused_at = asyncio.get_running_loop().time()
                await update
                assert asyncio.get_running_loop().time() - refused_at >= 1.0
            assert fusebill.received("get", 1) == 2
            assert fusebill.effects("update", 1) == 1

    run_simulated(main)
