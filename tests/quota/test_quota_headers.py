from __future__ import annotations

from datetime import UTC, datetime

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from fusebill_async.outcome import QuotaSeen, Window
from fusebill_async.wire.quota_headers import read_quota, retry_after

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
EPOCH = NOON.timestamp()


def headers(**changes):
    plain = {
        "date": "Sat, 21 Nov 2026 11:59:31 GMT",
        "x-rate-limit-limit-minute": "1000",
        "x-rate-limit-remaining-minute": "932",
        "x-rate-limit-reset-minute": "2026-11-21T12:00:00Z",
        "X-RATE-LIMIT-LIMIT-DAY": "180000",
        "X-RATE-LIMIT-REMAINING-DAY": "170000",
        "X-RATE-LIMIT-RESET-DAY": "2026-11-22T00:00:00Z",
    }
    result = CIMultiDict(plain)
    for name, value in changes.items():
        name = name.replace("_", "-")  # noqa: PLW2901
        if value is None:
            del result[name]
        else:
            result[name] = value
    return CIMultiDictProxy(result)


def test_reads_both_windows_and_the_date():
    assert read_quota(headers()) == QuotaSeen(
        minute=Window(limit=1000, remaining=932, resets_at=NOON),
        day=Window(limit=180_000, remaining=170_000, resets_at=datetime(2026, 11, 22, tzinfo=UTC)),
        date=datetime(2026, 11, 21, 11, 59, 31, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21T12:00:00Z",
        "2026-11-21t12:00:00z",
        "2026-11-21T12:00:00.0000000Z",
        "2026-11-21T12:00:00",
        "2026-11-21 12:00:00",
        "2026-11-21T07:00:00-05:00",
        "20261121T120000Z",
        "Sat, 21 Nov 2026 12:00:00 GMT",
        "Sat, 21 Nov 2026 07:00:00 -0500",
        f"{EPOCH:.0f}",
        f"{EPOCH:.1f}",
        f"{EPOCH * 1000:.0f}",
        f"  {EPOCH:.0f} ",
    ],
)
def test_every_form_of_a_reset(text):
    assert read_quota(headers(x_rate_limit_reset_minute=text)).minute.resets_at == NOON


@pytest.mark.parametrize(
    "text",
    [
        "", "soon", "42", "-1", "nan", "inf", "1e400", "9" * 5000, "2026-13-45T99:00:00Z",
        "\u0661\u0662", "Sat, 99",
        "0001-01-01T00:00:00+14:00",
    ],
)  # fmt: skip
def test_a_garbled_reset_leaves_the_window_without_one(text):
    assert read_quota(headers(x_rate_limit_reset_minute=text)).minute == Window(limit=1000, remaining=932)


@pytest.mark.parametrize("name", ["x_rate_limit_limit_minute", "x_rate_limit_remaining_minute"])
@pytest.mark.parametrize("text", [None, "", "many", "1.5", "9" * 5000])
def test_a_garbled_window_is_none_and_the_other_stays(name, text):
    seen = read_quota(headers(**{name: text}))
    assert seen.minute is None
    assert seen.day.limit == 180_000


def test_less_than_nothing_is_nothing_left():
    assert read_quota(headers(x_rate_limit_remaining_minute="-3")).minute.remaining == 0


def test_no_headers_at_all():
    assert read_quota({}) == QuotaSeen()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0), ("0", 0.0), ("1.5", 1.5), ("Sat, 21 Nov 2026 12:00:05 GMT", 5.0),
        ("2026-11-21T12:00:05Z", 5.0),
        ("Sat, 21 Nov 2026 11:00:00 GMT", 0.0), (f"{EPOCH + 5:.0f}", 5.0), ("-3", None), ("soon", None),
        ("nan", None), ("inf", None), ("86400", 86_400.0), ("86401", None), ("999999999", None),
        ("Mon, 23 Nov 2026 12:00:00 GMT", None), ("", None), ("9" * 5000, None),
    ],
)  # fmt: skip
def test_retry_after(text, seconds):
    assert retry_after({"Retry-After": text, "Date": "Sat, 21 Nov 2026 12:00:00 GMT"}) == seconds


def test_retry_after_absent():
    assert retry_after({}) is None


@pytest.mark.parametrize("window", ["minute", "day"])
@pytest.mark.parametrize("part", ["limit", "remaining"])
def test_a_header_that_is_missing_is_not_read_as_none_left(window, part):
    seen = read_quota(headers(**{f"x_rate_limit_{part}_{window}": None}))
    assert getattr(seen, window) is None
    assert getattr(seen, "day" if window == "minute" else "minute") is not None
