"""A call that fails leaves no reference cycles: its frames and bodies go with its error, and need no collector."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from types import CoroutineType, FrameType, TracebackType

import pytest

from fusebill_async import (
    BadRequestError,
    ConflictError,
    ConnectError,
    NotAppliedError,
    NotFoundError,
    OutcomeUnknownError,
    QuotaPolicy,
    RequestTimeoutError,
    RetryPolicy,
    ServerError,
    SettlingPolicy,
    Timeouts,
    ValidationError,
    WouldEraseError,
)
from fusebill_async.testing import Fault, FusebillSimulator
from tests.outcomes.outcome_cases import make_client

CALLS = 40
MOST = 30
"""Objects a call that may be left to the collector. A connection that ends leaves 14, counting both ends."""


async def replace_with_less(client):
    customer = await client.customers.get(2)
    await client.customers.replace(type(customer)(id=2, company_name="x"))


CASES = {
    "get of nobody": (NotFoundError, None, lambda c: c.customers.get(404)),
    "hold of nobody": (NotFoundError, None, lambda c: c.customers.hold(404)),
    "update of nobody": (NotFoundError, None, lambda c: c.customers.update(404, company_name="x")),
    "activate of nobody": (NotFoundError, None, lambda c: c.customers.activate(404, True, True, False)),
    "unlatch of nobody": (NotFoundError, None, lambda c: c.hubspot.unlatch(404)),
    "hold in another state": (ConflictError, None, lambda c: c.customers.hold(1)),
    "an update that is refused": (
        BadRequestError, Fault.status(400, operation="update"), lambda c: c.customers.update(2, company_name="x"),
    ),
    "a create that is refused": (
        BadRequestError, Fault.status(400, operation="create"), lambda c: c.customers.create(company_name="x"),
    ),
    "a request that is refused": (
        NotFoundError, Fault.status(404), lambda c: c.request("POST", "/customernotes", body={"note": "x"}),
    ),
    "an argument that is refused": (ValidationError, None, lambda c: c.customers.update(2, title="Sir")),
    "an erasing replace": (WouldEraseError, None, replace_with_less),
    "a read that fails": (ServerError, Fault.status(503, operation="get"), lambda c: c.customers.get(1)),
    "a read that times out": (
        RequestTimeoutError, Fault.hang_before_effect(operation="get"), lambda c: c.customers.get(1),
    ),
    "a write that finds nobody": (ConnectError, Fault.refuse(), lambda c: c.customers.hold(2)),
    "a read that finds nobody": (ConnectError, Fault.refuse(), lambda c: c.customers.get(2)),
    "an unlatch that is lost": (
        None, Fault.reset_after_effect(operation="hubspot.unlatch"), lambda c: c.hubspot.unlatch(2),
    ),
    "an activation that is lost": (
        NotAppliedError, Fault.reset_before_effect(operation="activate"),
        lambda c: c.customers.activate(3, True, True, False),
    ),
    "a request that is lost": (
        OutcomeUnknownError, Fault.reset_before_effect(),
        lambda c: c.request("POST", "/customernotes", body={"note": "x"}),
    ),
    "an update without a change": (None, None, lambda c: c.customers.update(2, company_name="same")),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore::fusebill_async.UnresolvedWritesWarning")
async def test_a_failing_call_leaves_nothing_to_the_collector(name):
    # In debug mode asyncio keeps the stack in which each of its objects was made.
    asyncio.get_running_loop().set_debug(False)
    kind, fault, call = CASES[name]
    async with FusebillSimulator(record_requests=False, log_size=10) as fusebill:
        fusebill.add_customer(id=1, status="Hold")
        fusebill.add_customer(id=2, status="Active", company_name="same")
        fusebill.add_customer(id=3, status="Draft")
        client = make_client(
            fusebill,
            quota=QuotaPolicy.off(),
            timeouts=Timeouts(read=0.02, connect=0.5),
            retry=RetryPolicy(max_attempts=1),
            settling=SettlingPolicy(first_read=0, quiet_period=0, close_wait=0),
        )
        async with client:
            for count in (5, CALLS):
                # The first few fill caches.
                gc.collect()
                gc.disable()
                gc.set_debug(gc.DEBUG_SAVEALL)
                try:
                    for number in range(count):
                        # A fault that lasts is set once.
                        if fault is not None and (fault.times is not None or number == 0):
                            fusebill.inject(fault)
                        await ends_with(kind, call(client))
                    gc.collect()
                    left = Counter(type(one) for one in gc.garbage)
                finally:
                    gc.set_debug(0)
                    gc.garbage.clear()
                    gc.enable()
    assert left[FrameType] + left[TracebackType] + left[CoroutineType] < CALLS, left
    assert [one for one in left if one.__module__.startswith(("fusebill_async", "aiohttp"))] == []
    assert left.total() / CALLS <= MOST, left


async def ends_with(kind, call):
    """Not `pytest.raises`, which keeps the error in a cycle of its own."""
    try:
        await call
    except Exception as error:
        if kind is None or not isinstance(error, kind):
            raise
    else:
        assert kind is None
