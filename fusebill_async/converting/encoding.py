"""Python values to JSON text, exactly."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import Enum
from types import NoneType
from typing import Any, cast

import msgspec

from fusebill_async.converting.json_text import decode_json, wire_fields
from fusebill_async.converting.quirks import iso_in_utc
from fusebill_async.errors import ValidationError
from fusebill_async.models import WireView, named_changes, wire_keys

_encoder = msgspec.json.Encoder(decimal_format="number")
_sorted = msgspec.json.Encoder(decimal_format="number", order="sorted")
_TEXT = frozenset({str})
_READY = frozenset({msgspec.Raw, str, int, bool, NoneType})


def encode(value: Any) -> bytes:
    """Write a value as JSON: a `Decimal` with its digits, a datetime in UTC with `Z`, a `Raw` as it is.

    A model is written as it came, with what was named over it. Raises `ValidationError` for NaN, infinity and
    what JSON does not have.
    """
    try:
        return _encoder.encode(_ready(value, ""))
    except UnicodeEncodeError:
        raise ValidationError("a text holds half of a surrogate pair", field="body") from None
    except RecursionError:
        raise ValidationError("the value is nested too deeply", field="body") from None
    except ValidationError:
        raise
    except ValueError:
        raise ValidationError("an int has more digits than Python writes as text (4,300)", field="body") from None


def canonical(value: Any) -> bytes:
    """Write a value as JSON in which equal values have equal bytes: the keys of each object are sorted."""
    return _sorted.encode(decode_json(encode(value)))


def to_wire(view: WireView) -> dict[str, Any]:
    """Give an object as keys of the wire: what came, as `msgspec.Raw`, with what was named over it."""
    if view.wire is None:
        return named_changes(view)
    known = set(wire_keys(type(view)).values())
    fields: dict[str, Any] = dict(wire_fields(view.wire))
    for key, value in named_changes(view).items():
        fields[key] = _over(fields.get(key), value) if key in known else value
    return fields


def _over(came: Any, value: Any) -> Any:
    # A nested object keeps what nobody named, too.
    if not isinstance(value, dict) or not isinstance(came, msgspec.Raw) or not bytes(came).startswith(b"{"):
        return cast("Any", value)
    fields: dict[str, Any] = dict(wire_fields(came))
    for key, inner in cast("dict[str, Any]", value).items():
        fields[key] = _over(fields.get(key), inner)
    return fields


def _ready(value: Any, field: str) -> Any:
    """Give what the encoder writes exactly: it would write NaN as it stands, and a float NaN as null."""
    if type(value) in _READY:
        return value
    if isinstance(value, dict):
        values = cast("dict[Any, Any]", value)  # type: ignore[redundant-cast]
        # The usual body is raw texts and a few named values: one pass in C tells that nothing is to be done.
        if _TEXT.issuperset(map(type, values)) and _READY.issuperset(map(type, values.values())):
            return values
        return {_key(key, field): _ready(inner, _place(field, key)) for key, inner in values.items()}
    if isinstance(value, (list, tuple)):
        return [_ready(item, field) for item in cast("list[Any]", value)]
    if isinstance(value, WireView):
        return _ready(to_wire(value), field)
    if isinstance(value, Mapping):
        return _ready(dict(cast("Mapping[Any, Any]", value)), field)  # type: ignore[redundant-cast]
    return _scalar(value, field)


def _scalar(value: Any, field: str) -> Any:
    if isinstance(value, Enum):
        return _ready(value.value, field)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, datetime):
        return iso_in_utc(value, field or "body")
    if isinstance(value, (Decimal, float)):
        if math.isfinite(value):
            return value
        raise _not_json(str(value), field)
    if isinstance(value, int):
        return int(value)
    raise _not_json(type(value).__name__, field)


def _not_json(what: str, field: str) -> ValidationError:
    return ValidationError(f"{field or 'the value'} is {what}, which JSON does not have", field=field or "body")


def _key(key: Any, field: str) -> str:
    if isinstance(key, str):
        return str(key)
    raise ValidationError(f"a key of {field or 'the body'} is not a text", field=field or "body")


def _place(field: str, key: Any) -> str:
    return f"{field}.{key}" if field else str(key)
