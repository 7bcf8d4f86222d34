"""Under aioresponses, which hands out no connection: outcomes stay true, since what was not seen counts as sent."""

import aiohttp
import pytest

from fusebill_async import ConflictError, FusebillClient, Outcome, SettlingPolicy

BASE = "https://secure.fusebill.com/v1"
ACTIVE, HELD = (
    {"id": 1, "status": status, "modifiedTimestamp": f"2026-01-01T00:00:0{second}.0000000Z"}
    for status, second in (("Active", 1), ("Hold", 2))
)
REFUSAL = {"ErrorId": 0, "Errors": [{"Key": "Api Error", "Value": "since the service status is Hold"}]}


@pytest.fixture
async def client(mocked):
    async with FusebillClient("key", settling=SettlingPolicy(first_read=0.0, quiet_period=0.01)) as made:
        yield made


async def test_a_hold(mocked, client):
    mocked.post(f"{BASE}/CustomerHold/1", payload=HELD)
    response = await client.with_response.customers.hold(1)
    assert (response.value.status, response.confirmed_by, len(response.attempts)) == ("Hold", "response", 1)


async def test_a_refusal(mocked, client):
    mocked.post(f"{BASE}/CustomerHold/1", status=400, payload=REFUSAL)
    with pytest.raises(ConflictError) as refused:
        await client.customers.hold(1)
    assert (refused.value.outcome, refused.value.customer_status) == (Outcome.REJECTED, "Hold")


async def test_a_lost_answer(mocked, client):
    mocked.post(f"{BASE}/CustomerHold/1", exception=aiohttp.ServerDisconnectedError())
    mocked.get(f"{BASE}/customers/1", payload=HELD)
    response = await client.with_response.customers.hold(1)
    assert (response.value.status, response.confirmed_by) == ("Hold", "read")
    assert [attempt.phase for attempt in response.attempts] == ["sent"]


async def test_an_error_of_a_connection_proves_nothing_here(mocked, client):
    """With a stand-in even this may come after the request went out."""
    mocked.post(f"{BASE}/CustomerHold/1", exception=aiohttp.ClientConnectionError("no connection"))
    mocked.get(f"{BASE}/customers/1", payload=ACTIVE, repeat=True)
    mocked.post(f"{BASE}/CustomerHold/1", payload=HELD)
    await client.customers.get(1)
    response = await client.with_response.customers.hold(1)
    assert [attempt.followed for attempt in response.attempts] == ["settled by reading", "returned"]
