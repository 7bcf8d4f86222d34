"""Which of two `modifiedTimestamp`s is the older one, by their texts."""

import pytest

from fusebill_async.settling.seen import is_older, tick_of

EARLIER_THAN = [
    ("2026-05-04T03:02:01.1234567Z", "2026-05-04T03:02:01.1234568Z"),
    ("2026-05-04T03:02:01.1234567Z", "2026-05-04T03:02:02.0000000Z"),
    ("2026-05-04T03:02:01.999Z", "2026-05-04T03:02:02Z"),
    ("2026-05-04T03:02:01Z", "2026-05-04T03:02:01.0000001Z"),
    ("2026-05-04T03:02:01.5", "2026-05-04T03:02:01.51Z"),
    ("2025-12-31T23:59:59.9999999Z", "2026-01-01T00:00:00Z"),
    ("2026-05-04T05:02:01+02:00", "2026-05-04T03:02:02Z"),
    ("0001-01-01T00:00:00", "2026-05-04T03:02:01Z"),
]
NO_EARLIER_THAN = [
    ("2026-05-04T03:02:01.5Z", "2026-05-04T03:02:01.5000000Z"),
    ("2026-05-04T03:02:01Z", "2026-05-04T03:02:01.0000000"),
    ("2026-05-04T03:02:01+00:00", "2026-05-04T03:02:01Z"),
    ("2026-05-04T05:02:01+02:00", "2026-05-04T03:02:01Z"),
    ("the same", "the same"),
    ("soon", "2026-05-04T03:02:01Z"),
    ("2026-13-04T03:02:01Z", "2026-05-04T03:02:01Z"),
    ("9999-12-31T23:59:59-23:00", "2026-05-04T03:02:01Z"),
    (None, "2026-05-04T03:02:01Z"),
    (None, None),
]


@pytest.mark.parametrize(("one", "other"), EARLIER_THAN)
def test_the_older_one(one, other):
    assert is_older(one, other)
    assert not is_older(other, one)


@pytest.mark.parametrize(("one", "other"), NO_EARLIER_THAN)
def test_what_is_the_same_time_or_cannot_be_read_is_not_older(one, other):
    assert not is_older(one, other)
    assert not is_older(other, one)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-05-04T03:02:01.1234567Z", 1e-7),
        ("2026-05-04T03:02:01.02", 1e-2),
        ("2026-05-04T03:02:01Z", 1.0),
        ("yesterday", None),
    ],
)
def test_how_finely_a_timestamp_tells(text, expected):
    assert tick_of(text) == (None if expected is None else pytest.approx(expected))
