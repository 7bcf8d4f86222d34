"""The service's quirks: one small hook for each, with the sample that forces it.

A hook takes a decoded JSON value. Where a number is not what the API page documents it comes as `NumberText`,
its literal text; nested objects and arrays come as `msgspec.Raw`, their text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, cast, get_args

import msgspec

from fusebill_async.converting.json_text import NumberText, raw_items
from fusebill_async.errors import ValidationError

_WHOLE = re.compile(r"\s*([+-]?\d+)(?:\.0*)?\s*", re.ASCII)
_EMPTY_DATE = datetime(1, 1, 1, tzinfo=UTC)


def text_from_number(value: Any, _: Any) -> str:
    """Take a number for a text: `"primaryPhone": 9594952713` (customer_hold_200, as `reference`).

    The text is the number as it was written. The overview has one for a company name
    (customer_overview_200_partial).
    """
    if type(value) is str:
        return value
    if type(value) in {NumberText, int, Decimal}:
        return str(value)
    raise TypeError("a text or a number is wanted")


def int_from_text(value: Any, _: Any) -> int | None:
    """Take a numeric text for an int: `reference` comes both ways (hubspot_unlatch_200, customer_put_200).

    So does a number with zeros behind its point, and "" where nothing was ever set, as for `title`.
    """
    if type(value) is int:
        return value
    if value == "":
        return None
    whole = _WHOLE.fullmatch(str(value)) if isinstance(value, (str, Decimal)) else None
    if whole is None:
        raise TypeError("a whole number is wanted")
    return int(whole[1])


def flag(value: Any, _: Any) -> bool:
    """Take a boolean, and nothing that Python calls true."""
    if type(value) is bool:
        return value
    raise TypeError("a boolean is wanted")


def exact_decimal(value: Any, _: Any) -> Decimal:
    """Keep the digits of money: `25.9800` (hubspot_unlatch_200), `250` (customer_put_200)."""
    if type(value) is Decimal:
        number = value
    elif type(value) is int or isinstance(value, str):
        number = Decimal(value)
    else:
        raise TypeError("a number is wanted")
    if not number.is_finite():
        raise ValueError("a finite number is wanted")
    return number


def moment_in_utc(value: Any, _: Any) -> datetime | None:
    """Read a timestamp, of which the samples have four forms.

    - `2019-11-07T15:51:11.1915461Z`: seven digits, of which a datetime holds six; the rest is cut
      (customer_put_200);
    - `2018-01-01T03:33:33.02`: without a zone it is UTC (customer_put_200; customer_overview_200_partial has
      no fraction);
    - `2025-05-21T08:23:32.3437534+00:00` (help_invoice_preview_partial);
    - `0001-01-01T00:00:00`: .NET's empty date, which means that there is none (FACTS section 7): None.
    """
    if type(value) is datetime:
        moment = value
    elif type(value) is str:
        moment = datetime.fromisoformat(value)
    else:
        raise TypeError("a timestamp is wanted")
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return None if moment == _EMPTY_DATE else moment


def open_enum(kind: Any) -> Callable[[Any, Any], Any]:
    """Make the hook of `SomeEnum | str`: a value unknown to us is kept as the text that came.

    So is `""`, which is what an unset title reads as (FACTS section 6; hubspot_unlatch_200 has it for
    `netsuiteCustomerType`).
    """
    members: dict[str, Enum] = {
        str(member.value): member
        for one in get_args(kind)
        if isinstance(one, type) and issubclass(one, Enum)
        for member in one
    }

    def hook(value: Any, _: Any) -> Any:
        if isinstance(value, str):
            return members.get(value) or str(value)
        raise TypeError("a text is wanted")

    return hook


def items_of(value: Any) -> list[msgspec.Raw]:
    """Split the text of an array into the texts of its items."""
    if isinstance(value, list):
        return cast("list[msgspec.Raw]", value)
    if isinstance(value, msgspec.Raw):
        return raw_items(value)
    raise TypeError("an array is wanted")


def iso_in_utc(moment: datetime, field: str = "a time") -> str:
    """Write a timestamp as the service does, in UTC with `Z`; one without a zone is UTC.

    Raises:
        ValidationError: see `in_utc`.
    """
    return in_utc(moment, field=field).isoformat().replace("+00:00", "Z")


def in_utc(moment: datetime, *, field: str) -> datetime:
    """A timestamp in UTC; one without a zone is UTC.

    Raises:
        ValidationError: it lies outside the years 1 to 9999 there.
    """
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValidationError(f"{field} lies outside the years 1 to 9999 in UTC: {moment}", field=field) from None
