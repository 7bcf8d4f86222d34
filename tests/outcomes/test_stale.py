"""When the timestamp of an answer shows that it is older than the write that it came to."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from fusebill_async.converting import decode_customer
from fusebill_async.operations import ACTIVATE, HOLD
from fusebill_async.session.call import Call
from fusebill_async.settling.evidence import SendTime
from fusebill_async.settling.stale import StaleAnswers
from fusebill_async.settling.write import Write

SENT_AT = datetime(2026, 5, 4, 3, 2, 58, tzinfo=UTC)


class Answers:
    """Answers of a service whose clock shows `SENT_AT` when this one shows 1,000 seconds."""

    def __init__(self, *, clock_known=True):
        self._stale = StaleAnswers(self._send_time)
        self._clock_known = clock_known

    def _send_time(self, write):
        earliest = SENT_AT.timestamp() + write.call.first_sent_at - 1000.0
        return SendTime(earliest=earliest, latest=earliest + 0.5) if self._clock_known else None

    def is_stale(self, modified, operation=HOLD, *, later=0.0):
        """Whether a write sent `later` is older than a customer modified so many seconds after `SENT_AT`."""
        call = Call(operation, 1, None, None)
        call.first_sent_at = 1000.0 + later
        fields = {"id": 1, "status": "Hold"}
        if modified is not None:
            stamp = SENT_AT + timedelta(seconds=modified)
            fields["modifiedTimestamp"] = stamp.strftime("%Y-%m-%dT%H:%M:%S.%f7Z")
        wire = json.dumps(fields, separators=(",", ":")).encode()
        return self._stale.is_stale(Write(call, {}, resend=False), decode_customer(wire))


@pytest.fixture
def answers():
    """Of a service that was seen to move the timestamp with a hold."""
    made = Answers()
    assert not made.is_stale(0.1)
    return made


@pytest.mark.parametrize(
    ("modified", "expected"),
    [
        (0.1, False),
        (0.0, False),
        (-1.0, False),
        (-59.0, False),
        (-61.0, True),
        (-1e8, True),
        (3.0, False),
        (None, False),
    ],
)
def test_long_before_the_send(answers, modified, expected):
    assert answers.is_stale(modified) is expected


def test_what_one_operation_does_tells_nothing_of_another(answers):
    assert not answers.is_stale(-1e8, ACTIVATE)
    assert answers.is_stale(-1e8, HOLD)


@pytest.mark.parametrize("later", [70.0, 1e4])
def test_it_is_seen_minutes_and_hours_later_too(answers, later):
    # An answer of the minute in which the last one came is old by then.
    assert answers.is_stale(0.1, later=later)
    assert not answers.is_stale(later + 0.1, later=later)
    assert answers.is_stale(later - 61.0, later=later)


def test_an_operation_that_has_never_moved_the_timestamp_is_believed():
    answers = Answers()
    assert not any(answers.is_stale(-1e8) for _ in range(100))
    # And it is not looked at any more: somebody else's change does not turn it.
    assert not answers.is_stale(0.1)
    assert not answers.is_stale(-1e8)


def test_old_answers_in_a_row_show_that_somebody_else_had_moved_the_timestamp(answers):
    told = [answers.is_stale(-1e8) for _ in range(100)]
    assert told == [True] * 3 + [False] * 97


@pytest.mark.parametrize("later", [0.0, 70.0], ids=["the same minute", "another minute"])
def test_old_answers_now_and_then_do_not(answers, later):
    for _ in range(100):
        assert answers.is_stale(-1e8, later=later)
        assert not answers.is_stale(later + 0.1, later=later)


def test_nothing_is_said_as_long_as_the_time_of_the_service_is_not_known():
    answers = Answers(clock_known=False)
    assert not answers.is_stale(0.1)
    assert not answers.is_stale(-1e8)
