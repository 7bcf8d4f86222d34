"""A machine that sleeps between the read of an update and its PUT undoes nothing that others did meanwhile."""

import asyncio

import pytest

from fusebill_async import FusebillClient, QuotaPolicy
from fusebill_async.testing import FusebillSimulator


@pytest.mark.fusebill_simulated(seed=1)
async def test_a_machine_that_was_suspended_reads_again_before_its_put():
    """The monotonic clock stands still meanwhile, so the system's clock is asked too."""
    clock = asyncio.get_running_loop().clock  # type: ignore[attr-defined]
    async with FusebillSimulator(latency=0.1) as fusebill:
        fusebill.add_customer(id=1, status="Active")
        async with FusebillClient("key", base_url=fusebill.base_url, quota=QuotaPolicy.off()) as client:
            call = asyncio.ensure_future(client.customers.update(1, company_name="Grok Ltd"))
            while not fusebill.received("get", 1):  # noqa: ASYNC110 (what the service saw is looked at, not awaited)
                await asyncio.sleep(0.01)
            # The answer is made by now, and on its way.
            await asyncio.sleep(0.05)
            clock.suspend(60.0)
            fusebill.change(1, firstName="Bea")
            await call
        assert fusebill.received("get", 1) == 2
        assert (fusebill.customer(1)["firstName"], fusebill.customer(1)["companyName"]) == ("Bea", "Grok Ltd")
