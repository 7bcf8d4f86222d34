"""What two readings and the time of the send prove: whose work it is, and whether the customer stands as before.

`LONG_AGO` and `BEFORE` are certainly before the send, `PERHAPS` may be, `SINCE` is certainly after it.
"""

import json
from datetime import UTC, datetime, timedelta

import pytest

from fusebill_async import Attribution
from fusebill_async.converting import decode_customer
from fusebill_async.operations import BY_TITLE
from fusebill_async.settling.evidence import SendTime, attribute, untouched
from fusebill_async.settling.intent import Before, Reading

SENT_AT = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
SENT = SendTime(earliest=SENT_AT.timestamp(), latest=SENT_AT.timestamp() + 1.0)
LONG_AGO, BEFORE, AT, PERHAPS, SINCE = (
    (SENT_AT + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%f7Z") for seconds in (-3600, -5, 0, 0.5, 5)
)
OURS, ALREADY, UNPROVEN = Attribution.OURS, Attribution.ALREADY, Attribution.UNPROVEN
NOBODY = Reading(status=None, modified=None)


def wire_of(status, modified, **fields):
    return json.dumps({"id": 1, "status": status, "modifiedTimestamp": modified, **fields}).encode()


def read(status, modified, **fields):
    return Reading.of(decode_customer(wire_of(status, modified, **fields)))


def seen(status, modified, **fields):
    return Before(wire=wire_of(status, modified, **fields))


@pytest.mark.parametrize(
    ("verb", "before", "after", "sent", "expected"),
    [
        # Nothing was known of the customer.
        ("hold", None, read("Hold", SINCE), SENT, OURS),
        ("hold", None, read("Hold", PERHAPS), SENT, OURS),
        ("hold", None, read("Hold", BEFORE), SENT, ALREADY),
        ("hold", None, read("Hold", BEFORE), None, OURS),
        ("activate", None, read("Active", SINCE), SENT, UNPROVEN),
        ("activate", None, read("Active", BEFORE), SENT, ALREADY),
        # It was not so when it was seen.
        ("hold", seen("Active", LONG_AGO), read("Hold", SINCE), SENT, OURS),
        ("hold", seen("Active", LONG_AGO), read("Hold", BEFORE), SENT, ALREADY),
        ("activate", seen("Draft", LONG_AGO), read("Active", SINCE), SENT, UNPROVEN),
        # The service does not bump the timestamp with this operation: then the times are no evidence.
        ("hold", seen("Active", LONG_AGO), read("Hold", LONG_AGO), SENT, OURS),
        ("activate", seen("Draft", LONG_AGO), read("Active", LONG_AGO), SENT, UNPROVEN),
        # It was so when it was seen.
        ("hold", seen("Hold", LONG_AGO), read("Hold", LONG_AGO), SENT, ALREADY),
        ("hold", seen("Hold", LONG_AGO), read("Hold", LONG_AGO), None, ALREADY),
        ("hold", seen("Hold", LONG_AGO), read("Hold", BEFORE), SENT, ALREADY),
        ("hold", seen("Hold", LONG_AGO), read("Hold", SINCE), SENT, UNPROVEN),
        ("activate", seen("Active", LONG_AGO), read("Active", LONG_AGO), SENT, ALREADY),
    ],
)
def test_whose_work_it_is(verb, before, after, sent, expected):
    assert attribute(BY_TITLE[f"customers.{verb}"], {}, before, after, sent) is expected


@pytest.mark.parametrize("modified", [AT[:-2] + "0Z", AT])
def test_a_customer_that_was_modified_at_the_earliest_moment_of_the_send_may_be_our_work(modified):
    assert attribute(BY_TITLE["customers.hold"], {}, None, read("Hold", modified), SENT) is OURS


@pytest.mark.parametrize(
    ("verb", "before", "after", "sent", "expected"),
    [
        # Nothing was known of the customer.
        ("hold", None, read("Active", BEFORE), SENT, True),
        ("hold", None, read("Active", PERHAPS), SENT, False),
        ("hold", None, read("Active", SINCE), SENT, False),
        ("hold", None, read("Active", BEFORE), None, False),
        ("hold", None, read("Active", None), SENT, False),
        ("hold", None, read("Cancelled", BEFORE), SENT, False),
        ("hubspot.unlatch", None, read("Cancelled", BEFORE), SENT, True),
        # It was seen before.
        ("hold", seen("Active", LONG_AGO), read("Active", LONG_AGO), SENT, True),
        ("hold", seen("Active", LONG_AGO), read("Active", LONG_AGO), None, True),
        ("hold", seen("Active", PERHAPS), read("Active", PERHAPS), SENT, True),
        ("hold", seen("Active", LONG_AGO), read("Active", BEFORE), SENT, True),
        ("hold", seen("Active", LONG_AGO), read("Active", SINCE), SENT, False),
        ("hold", seen("Active", None), read("Active", None), SENT, False),
        ("hold", seen("Active", LONG_AGO), read("Cancelled", BEFORE), SENT, False),
        ("hold", seen("Active", LONG_AGO), read("Cancelled", LONG_AGO), SENT, False),
        # What stood in the way of the operation when it was seen stands there still.
        ("hold", seen("Cancelled", LONG_AGO), read("Cancelled", LONG_AGO), SENT, True),
        # There is no such customer.
        ("hold", None, NOBODY, SENT, True),
        ("hold", seen("Active", LONG_AGO), NOBODY, SENT, False),
    ],
)
def test_whether_it_stands_as_before(verb, before, after, sent, expected):
    operation = BY_TITLE[verb if "." in verb else f"customers.{verb}"]
    assert untouched(operation, {}, before, after, sent) is expected


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ({"companyName": "Old Ltd"}, True),
        ({"companyName": "Old Ltd", "title": "Dr"}, True),
        ({"companyName": " Old Ltd "}, False),
        ({"companyName": "Somebody Else's Ltd"}, False),
        ({"companyName": None}, False),
    ],
)
def test_a_put_looks_at_what_was_named(after, expected):
    before = seen("Active", LONG_AGO, companyName="Old Ltd", title="Mr")
    reading = read("Active", LONG_AGO, **{"title": "Mr", **after})
    assert untouched(BY_TITLE["customers.update"], {"companyName": "New Ltd"}, before, reading, SENT) is expected
