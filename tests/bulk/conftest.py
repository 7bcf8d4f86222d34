"""A job on a service whose effects are counted."""

from __future__ import annotations

import asyncio

import pytest

from fusebill_async import FusebillClient, QuotaPolicy, RetryPolicy, Timeouts
from tests.conftest import KEY, QUICK


@pytest.fixture
async def client(fusebill):
    """A client that nothing holds back."""
    async with FusebillClient(
        KEY,
        base_url=fusebill.base_url,
        settling=QUICK,
        retry=RetryPolicy(backoff=0.001),
        timeouts=Timeouts(read=2.0),
        quota=QuotaPolicy.off(),
    ) as opened:
        yield opened


async def held(fusebill, count):
    """Wait until so many requests are held open."""
    async with asyncio.timeout(20):
        while fusebill.held_open < count:  # noqa: ASYNC110 (nobody tells of it)
            await asyncio.sleep(0.01)


@pytest.fixture
def journal(tmp_path):
    return tmp_path / "job.sqlite"


@pytest.fixture
def customers(fusebill):
    """Ten active customers."""
    for each in range(1, 11):
        fusebill.add_customer(id=each, status="Active", hubSpotId=7, hubSpotCompanyId=8)
    return range(1, 11)
