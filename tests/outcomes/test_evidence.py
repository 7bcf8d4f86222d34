"""What two readings and the time of the send prove: whether the write caused the effect, and what stands as before.

By the clock of `Date`, `LONG_AGO` and `BEFORE` are before the send, `PERHAPS` may be, `SINCE` is after it. Only
`LONG_AGO` is so by any clock: the one of the customer's timestamps may be seconds off.
"""

import json
from datetime import UTC, datetime, timedelta

import attrs
import pytest

from fusebill_async import Attribution
from fusebill_async.converting import decode_customer
from fusebill_async.operations import BY_TITLE
from fusebill_async.settling.evidence import SendTime, attribute, is_evidence, untouched
from fusebill_async.settling.seen import Before, Reading

SENT_AT = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
SENT = SendTime(earliest=SENT_AT.timestamp(), latest=SENT_AT.timestamp() + 1.0)
LONG_AGO, BEFORE, AT, PERHAPS, SINCE = (
    (SENT_AT + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%f7Z") for seconds in (-3600, -5, 0, 0.5, 5)
)
OURS, ALREADY, UNPROVEN = Attribution.OURS, Attribution.ALREADY, Attribution.UNPROVEN
NOBODY = Reading(customer=None)


def wire_of(status, modified, **fields):
    return json.dumps({"id": 1, "status": status, "modifiedTimestamp": modified, **fields}).encode()


def read(status, modified, **fields):
    return Reading.of(decode_customer(wire_of(status, modified, **fields)))


def seen(status, modified, **fields):
    return Before.of(read(status, modified, **fields), {"status", "companyName", "hubSpotId"}, recent=True)


@pytest.mark.parametrize(
    ("verb", "before", "after", "sent", "expected"),
    [
        # Nothing was known of the customer.
        ("hold", None, read("Hold", SINCE), SENT, OURS),
        ("hold", None, read("Hold", PERHAPS), SENT, OURS),
        ("hold", None, read("Hold", BEFORE), SENT, UNPROVEN),
        ("hold", None, read("Hold", LONG_AGO), SENT, UNPROVEN),
        ("hold", None, read("Hold", SINCE), None, UNPROVEN),
        ("activate", None, read("Active", SINCE), SENT, UNPROVEN),
        ("activate", None, read("Active", BEFORE), SENT, UNPROVEN),
        # It was not so when it was seen.
        ("hold", seen("Active", LONG_AGO), read("Hold", SINCE), SENT, OURS),
        ("hold", seen("Active", LONG_AGO), read("Hold", BEFORE), SENT, UNPROVEN),
        ("activate", seen("Draft", LONG_AGO), read("Active", SINCE), SENT, UNPROVEN),
        # However far the clocks are apart: it was a draft, so it is not "already" so.
        ("activate", seen("Draft", LONG_AGO), read("Active", BEFORE), SENT, UNPROVEN),
        # The service does not bump the timestamp with this operation: then the times are no evidence.
        ("hold", seen("Active", LONG_AGO), read("Hold", LONG_AGO), SENT, OURS),
        ("activate", seen("Draft", LONG_AGO), read("Active", LONG_AGO), SENT, UNPROVEN),
        # It was so when it was seen.
        ("hold", seen("Hold", LONG_AGO), read("Hold", LONG_AGO), SENT, ALREADY),
        ("hold", seen("Hold", LONG_AGO), read("Hold", LONG_AGO), None, ALREADY),
        ("hold", seen("Hold", LONG_AGO), read("Hold", BEFORE), SENT, UNPROVEN),
        ("hold", seen("Hold", LONG_AGO), read("Hold", SINCE), SENT, UNPROVEN),
        ("activate", seen("Active", LONG_AGO), read("Active", LONG_AGO), SENT, ALREADY),
        ("activate", seen("Active", LONG_AGO), read("Active", BEFORE), SENT, UNPROVEN),
    ],
)
def test_whose_work_it_is(verb, before, after, sent, expected):
    assert attribute(BY_TITLE[f"customers.{verb}"], {}, before, after, sent) is expected


def test_a_write_that_waited_for_another_one_is_not_taken_for_what_that_one_did():
    known, stands = seen("Active", LONG_AGO), read("Hold", LONG_AGO)
    assert attribute(BY_TITLE["customers.hold"], {}, known, stands, SENT) is OURS
    assert attribute(BY_TITLE["customers.hold"], {}, known, stands, SENT, waited=0.5) is UNPROVEN
    within = attrs.evolve(SENT, latest=SENT.latest + 10.0)
    assert attribute(BY_TITLE["customers.hold"], {}, known, read("Hold", SINCE), within) is OURS
    assert attribute(BY_TITLE["customers.hold"], {}, known, read("Hold", SINCE), within, waited=0.5) is UNPROVEN


@pytest.mark.parametrize("modified", [AT[:-2] + "0Z", AT])
def test_a_customer_that_was_modified_at_the_earliest_moment_of_the_send_may_be_our_work(modified):
    assert attribute(BY_TITLE["customers.hold"], {}, None, read("Hold", modified), SENT) is OURS


@pytest.mark.parametrize(
    ("verb", "before", "after", "sent", "expected"),
    [
        # Nothing was known of the customer: it stands as before if it was modified long before the send.
        ("hold", None, read("Active", LONG_AGO), SENT, True),
        ("hold", None, read("Active", BEFORE), SENT, False),
        ("hold", None, read("Active", PERHAPS), SENT, False),
        ("hold", None, read("Active", SINCE), SENT, False),
        ("hold", None, read("Active", LONG_AGO), None, False),
        ("hold", None, read("Active", None), SENT, False),
        ("hold", None, read("Cancelled", LONG_AGO), SENT, False),
        ("hubspot.unlatch", None, read("Cancelled", LONG_AGO), SENT, True),
        # It was seen before: then it is the timestamp that tells, and not the time.
        ("hold", seen("Active", LONG_AGO), read("Active", LONG_AGO), SENT, True),
        ("hold", seen("Active", LONG_AGO), read("Active", LONG_AGO), None, True),
        ("hold", seen("Active", PERHAPS), read("Active", PERHAPS), SENT, True),
        ("hold", seen("Active", LONG_AGO), read("Active", BEFORE), SENT, False),
        ("hold", seen("Active", LONG_AGO), read("Active", SINCE), SENT, False),
        ("hold", seen("Active", None), read("Active", None), SENT, False),
        ("hold", seen("Active", None), read("Active", LONG_AGO), SENT, False),
        ("hold", seen("Active", "soon"), read("Active", "soon"), SENT, False),
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


@pytest.mark.parametrize(
    ("modified", "sent", "expected"),
    [
        ("2026-05-04T03:02:00.1234567Z", SENT, True),
        ("2026-05-04T03:02:00.123Z", SENT, True),
        # A second, or a tenth of it, holds an edit, a read, a lost write and somebody who undoes it.
        ("2026-05-04T03:02:00Z", SENT, False),
        ("2026-05-04T03:02:00.1Z", SENT, False),
        ("2026-05-04T03:02:00.12", SENT, False),
        # Unless the write was sent long after it, by whatever clock.
        ("2026-05-04T03:01:05Z", SENT, False),
        ("2026-05-04T03:00:59Z", SENT, True),
        ("2026-05-04T02:02:00Z", SENT, True),
        ("2026-05-04T02:02:00Z", None, False),
    ],
)
def test_an_equal_timestamp_proves_nothing_within_what_it_can_tell_apart(modified, sent, expected):
    before, after = seen("Active", modified), read("Active", modified)
    assert untouched(BY_TITLE["customers.hold"], {}, before, after, sent) is expected
    held = seen("Hold", modified), read("Hold", modified)
    assert (attribute(BY_TITLE["customers.hold"], {}, *held, sent) is ALREADY) is expected


@pytest.mark.parametrize(
    ("after", "before", "newest", "expected"),
    [
        (BEFORE, None, None, True),
        (BEFORE, BEFORE, None, True),
        (BEFORE, LONG_AGO, LONG_AGO, True),
        (LONG_AGO, BEFORE, None, False),
        (LONG_AGO, None, BEFORE, False),
        (BEFORE, LONG_AGO, SINCE, False),
        # What shows no time, or none that can be read, is not known to lag behind.
        (None, BEFORE, BEFORE, True),
        ("soon", BEFORE, BEFORE, True),
        (LONG_AGO, None, None, True),
    ],
)
def test_a_read_that_is_older_than_what_was_seen_is_no_evidence(after, before, newest, expected):
    known = None if before is None else seen("Active", before)
    assert is_evidence(read("Active", after), known, newest) is expected
