"""The query of a request to any endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from math import isfinite
from typing import Any, cast
from urllib.parse import urlencode

from fusebill_async.converting.quirks import iso_in_utc
from fusebill_async.errors import ValidationError, shown
from fusebill_async.wire.checks import is_object, is_several, plain_text
from fusebill_async.wire.query import number_text


def encode_query(query: Any) -> str:
    """The text of a query, as `client.request` takes it.

    Args:
        query: names and values, or None. A text goes as it is, True and False as `true` and `false`, a number in
            digits, a time in UTC, several values joined by commas. None is left out.

    Raises:
        ValidationError: anything else.
    """
    if query is None:
        return ""
    if not is_object(query) or any(not isinstance(name, str) for name in cast("Mapping[Any, Any]", query)):
        raise ValidationError(f"query must be a dict with texts as names, not {shown(query)}", field="query")
    given = {name: _value_text(value, f"query.{name}") for name, value in query.items() if value is not None}
    try:
        return urlencode(given)
    except UnicodeEncodeError:
        raise ValidationError("query holds half of a surrogate pair", field="query") from None


def _value_text(value: Any, field: str) -> str:
    if not is_several(value):
        return _item_text(value, field)
    texts = [_item_text(item, field) for item in value]
    if not texts or any(not text or "," in text for text in texts):
        raise ValidationError(
            f"{field} cannot be sent as a set, which holds texts without commas, and one at least: {shown(value)}",
            field=field,
        )
    return ",".join(texts)


def _item_text(value: Any, field: str) -> str:
    match value:
        case bool():
            return str(value).lower()
        case Enum():
            return _item_text(value.value, field)
        case str():
            return plain_text(value)
        case int() | Decimal():
            return number_text(value, field)
        case float() if isfinite(value):
            return str(value)
        case datetime():
            return iso_in_utc(value, field)
        case date():
            return value.isoformat()
        case _:
            raise ValidationError(f"{field} cannot be sent in a query: {shown(value)}", field=field)
