"""Whether a customer that a search has found is the one that a lost create would have made."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from fusebill_async.converting import decode_customer
from fusebill_async.settling.searching import weigh

SENT_AT = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
SENT = SENT_AT.timestamp()
NAMED = {"reference": "A-1", "companyName": "Grok Ltd"}


def made(number=7, *, after=5.0, **fields):
    created = (SENT_AT + timedelta(seconds=after)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return decode_customer(
        json.dumps({"id": number, "status": "Draft", "createdTimestamp": created, **NAMED, **fields}).encode()
    )


def without(customer, key):
    fields = json.loads(customer.wire)
    del fields[key]
    return decode_customer(json.dumps(fields).encode())


def found(*customers, created_after=SENT, others=()):
    return weigh(customers, NAMED, created_after, others)


@pytest.mark.parametrize(
    "customers",
    [(made(),), (made(after=0.0),), (made(), made(6, after=-61.0)), (made(), made(8, reference="A-10"))],
    ids=["made since", "at the earliest moment", "beside an older one", "beside one with another reference"],
)
def test_it_is(customers):
    assert found(*customers).customer.id == 7


@pytest.mark.parametrize(
    ("customers", "others"),
    [((), ()), ((made(after=-61.0),), ()), ((made(reference="A-10"),), ()), ((made(),), (7,))],
    ids=["nobody", "made before", "another reference", "known as the work of another create"],
)
def test_there_is_none(customers, others):
    seen = found(*customers, others=others)
    assert (seen.customer, seen.doubt) == (None, "")


@pytest.mark.parametrize(
    ("customers", "doubt"),
    [
        ((made(), made(8)), "2 customers with this reference were made since"),
        ((made(after=-1.0),), "may have been made before"),
        ((made(after=-59.0),), "may have been made before"),
        ((without(made(), "createdTimestamp"),), "may have been made before"),
        ((made(companyName="Somebody Else's Ltd"),), "other fields"),
        ((without(made(), "companyName"),), "other fields"),
    ],
    ids=[
        "two",
        "a moment before",
        "as far before as two clocks may be apart",
        "no time",
        "another field",
        "a field that is not shown",
    ],
)
def test_it_cannot_be_told(customers, doubt):
    seen = found(*customers)
    assert seen.customer is None
    assert doubt in seen.doubt


def test_without_the_time_of_the_send_it_cannot_be_told_either():
    assert "may have been made before" in found(made(), created_after=None).doubt
