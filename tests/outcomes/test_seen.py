"""The newest that was seen of a customer: a read that lags behind does not displace it."""

import json

import pytest

from fusebill_async.converting import decode_activation, decode_customer
from fusebill_async.settling.seen import LastSeen, Reading, lags_behind
from fusebill_async.testing import Fault
from tests.outcomes.outcome_cases import make_client

OLD, NEW = "2026-05-04T03:02:01.1234567Z", "2026-05-04T03:02:05.1234567Z"


def wire_of(modified, status="Active"):
    return json.dumps({"id": 1, "status": status, "modifiedTimestamp": modified}).encode()


@pytest.fixture
def seen():
    return LastSeen()


def remember(seen, modified, at, status="Active"):
    seen.remember(Reading.of(decode_customer(wire_of(modified, status)), at))


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        ((OLD, 10.0), (NEW, 11.0), NEW),
        ((NEW, 10.0), (OLD, 11.0), NEW),
        # Asked earlier, answered later: its timestamp tells.
        ((OLD, 11.0), (NEW, 10.0), NEW),
        # A minute later an older one is no lag any more, but what the service has now.
        ((NEW, 10.0), (OLD, 70.0), NEW),
        ((NEW, 10.0), (OLD, 70.1), OLD),
        # What shows no time displaces what was asked before it.
        ((NEW, 10.0), (None, 11.0), None),
        ((NEW, 10.0), (None, 9.0), NEW),
    ],
)
def test_the_newest_is_kept(seen, first, second, kept):
    remember(seen, *first)
    remember(seen, *second)
    assert seen.of(1).modified == kept


def test_of_two_with_one_timestamp_the_one_that_was_asked_for_last_is_kept(seen):
    remember(seen, NEW, 10.0, "Hold")
    remember(seen, NEW, 9.0, "Active")
    assert seen.of(1).status == "Hold"
    remember(seen, NEW, 11.0, "Active")
    assert seen.of(1).status == "Active"


def test_what_is_seen_again_is_as_young_as_when_it_was_asked_for_last(seen):
    for at, expected in ((10.0, 10.0), (12.0, 12.0), (11.0, 12.0)):
        remember(seen, NEW, at)
        assert seen.of(1).sent_at == expected


def test_the_newest_time_counts_for_a_minute(seen):
    remember(seen, NEW, 10.0)
    assert seen.newest(1, 70.0) == NEW
    assert seen.newest(1, 70.1) is None
    assert seen.newest(2, 10.0) is None


def test_an_activation_is_seen_too_and_is_no_customer_alone(seen):
    seen.remember(Reading.of(decode_activation(wire_of(NEW)), 10.0))
    assert (seen.newest(1, 11.0), seen.of(1).whole) == (NEW, False)
    remember(seen, NEW, 11.0)
    assert seen.of(1).whole


@pytest.mark.parametrize(
    ("modified", "newest", "expected"),
    [
        (OLD, [NEW], True),
        (OLD, [None, NEW], True),
        (OLD, [OLD, None], False),
        (NEW, [OLD], False),
        (None, [NEW], False),
        (5, [NEW], False),
    ],
)
def test_what_lags_behind(modified, newest, expected):
    reading = Reading.of(decode_customer(wire_of(modified)))
    assert lags_behind(reading.modified, *newest) is expected


def test_customers_are_forgotten_in_the_end(seen):
    for number in range(2000):
        customer = decode_customer(json.dumps({"id": number, "status": "Active"}).encode())
        seen.remember(Reading.of(customer, 1.0))
    assert seen.of(1) is None
    assert seen.of(1999) is not None


async def test_a_preview_is_a_look_at_the_customer(fusebill):
    """So a refusal that says "already active" is read after: a proxy has sent the activation twice."""
    fusebill.add_customer(id=1, status="Draft")
    fusebill.inject(Fault.doubled_request(operation="activate"))
    async with make_client(fusebill) as client:
        await client.customers.preview_activation(1)
        answer = await client.with_response.customers.activate(1, True, True, False)
    assert (answer.confirmed_by, answer.attribution, answer.value.customer.status) == ("read", "unproven", "Active")
    assert fusebill.effects("activate", 1) == 1


async def test_a_customer_that_a_search_has_found_was_seen(fusebill):
    """It was created, and the answer was lost. Then a proxy sends its cancellation twice."""
    fusebill.inject(Fault.reset_after_effect(operation="create"), Fault.doubled_request(operation="cancel"))
    async with make_client(fusebill) as client:
        created = await client.with_response.customers.create(reference="made-1")
        cancelled = await client.with_response.customers.cancel(created.value.id, "None")
    assert (created.confirmed_by, cancelled.confirmed_by, cancelled.attribution) == ("read", "read", "unproven")
    assert fusebill.effects("cancel", created.value.id) == 1
