"""aiohttp sends a GET, a PUT and others a second time by itself when a connection drops. Not through this client."""

import pytest

from fusebill_async import FusebillError, PoolSettings, RetryPolicy, SettlingPolicy
from fusebill_async.testing import Fault
from tests.outcomes.outcome_cases import VERBS, cuts, keep_connections, make_client

ENDINGS = [
    *cuts("none")[:2],
    *(getattr(Fault, f"{end}_in_headers")(of="answer") for end in ("reset", "close")),
    Fault.cut_body(),
    Fault.empty(),
]


@pytest.mark.parametrize("fault", ENDINGS, ids=repr)
@pytest.mark.parametrize("connection", ["fresh", "kept"])
@pytest.mark.parametrize("name", ["get", "update", "hold"])
async def test_one_attempt_is_one_copy_at_the_server(fusebill, name, connection, fault):
    verb = VERBS[name]
    fusebill.add_customer(id=1, status=verb.status)
    fusebill.add_customer(id=2)
    async with make_client(
        fusebill,
        pool=PoolSettings(fresh_connections="writes" if connection == "fresh" else "never"),
        retry=RetryPolicy(max_attempts=1),
        settling=SettlingPolicy(quiet_period=0.01, first_read=0.001),
    ) as client:
        if connection == "kept":
            await keep_connections(client, 2)
        fusebill.inject(fault.scoped(operation=verb.title, times=None, effect="none"))
        with pytest.raises(FusebillError) as raised:
            await verb.call(client.with_response, 1)
        fusebill.clear_faults()
    copies = fusebill.received(verb.title, 1)
    sent = [attempt for attempt in raised.value.attempts if not attempt.phase.nothing_sent]
    # What settles a hold or an update is a GET of its own, so only the verb's own copies count.
    assert copies == len(sent) == 1


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST"])
async def test_any_other_endpoint_is_sent_once_too(fusebill, method):
    fusebill.add_route(method, "/things/1", {"id": 1})
    async with make_client(fusebill) as client:
        fusebill.inject(Fault.close_before_effect(times=None))
        with pytest.raises(FusebillError), pytest.warns(RuntimeWarning, match=r"client\.request"):
            async with client:
                await client.request(method, "/things/1", body={})
    assert [request.method for request in fusebill.requests] == [method]


async def test_a_read_that_is_sent_again_is_a_second_attempt_that_is_told(fusebill):
    fusebill.add_customer(id=1)
    fusebill.inject(Fault.close_before_effect(operation="get", times=2))
    async with make_client(fusebill) as client:
        response = await client.with_response.customers.get(1)
    assert fusebill.received("get", 1) == len(response.attempts) == 3
