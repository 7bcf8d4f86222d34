"""Intents as text, for stores that write them down."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, cast

import attrs
import msgspec

from fusebill_async.converting import decode_json, encode, read_object
from fusebill_async.outcome import Attribution, Outcome
from fusebill_async.settling.intent import Intent
from fusebill_async.settling.keys import CallKey, Recorded
from fusebill_async.settling.seen import Before


def encode_intent(intent: Intent) -> bytes:
    """Write an intent as JSON that `decode_intent` turns back into equal values of the same types.

    Raises:
        ValidationError: it holds what JSON does not have.
    """
    key, before = intent.key, _plain_before(intent.before)
    return msgspec.json.encode(
        {
            "id": intent.id,
            "operation": intent.operation,
            "customer_id": intent.customer_id,
            # These hold what callers and the service have named, and that need not be JSON.
            "named": msgspec.Raw(encode(_exact(intent.named)) if intent.named else b"{}"),
            "opened_at": intent.opened_at,
            "before": None if before is None else msgspec.Raw(encode(before)),
            "key": None if key is None else {"id": key.id, "digest": key.digest, "began": key.began},
        }
    )


def encode_before(before: Before | None) -> str | None:
    """Write down what was known of a customer before."""
    return None if before is None else encode(_plain_before(before)).decode()


def decode_intent(text: bytes) -> Intent:
    """Read what `encode_intent` wrote."""
    fields = decode_json(text)
    return Intent(
        id=fields["id"],
        operation=fields["operation"],
        customer_id=fields["customer_id"],
        named=fields["named"],
        opened_at=float(fields["opened_at"]),
        before=_decode_before(fields["before"], text),
        # Absent in what the first edition wrote.
        key=_decode_key(fields.get("key")),
    )


def encode_recorded(recorded: Recorded) -> bytes:
    """Write down what is kept of a call with a key."""
    return encode(attrs.asdict(recorded))


def decode_recorded(text: bytes) -> Recorded:
    """Read what `encode_recorded` wrote."""
    fields = decode_json(text)
    fields["outcome"] = Outcome(fields["outcome"])
    fields["attribution"] = None if fields["attribution"] is None else Attribution(fields["attribution"])
    for name in ("began", "ended"):
        fields[name] = None if fields[name] is None else float(fields[name])
    return Recorded(**fields)


def _decode_key(fields: dict[str, Any] | None) -> CallKey | None:
    return None if fields is None else CallKey(id=fields["id"], digest=fields["digest"], began=float(fields["began"]))


def _plain_before(before: Before | None) -> dict[str, Any] | None:
    """What was known of a customer before, as JSON has it."""
    if before is None:
        return None
    return {
        "status": before.status,
        "modified": before.modified,
        "fields": {key: before.texts.get(key, _exact(value)) for key, value in before.fields.items()},
        "recent": before.recent,
    }


def _decode_before(fields: dict[str, Any] | None, text: bytes) -> Before | None:
    """Turn back what `_plain_before` made, within the text of an intent."""
    if fields is None:
        return None
    came = read_object(text).inner["before"].inner["fields"].texts
    return Before(**fields, texts=came)


def _exact(value: Any) -> Any:
    if isinstance(value, Decimal) and value.is_finite() and not set(str(value)) & set(".E"):
        # `5` would come back as an int; this comes back as a Decimal with the same digits and exponent.
        return msgspec.Raw(f"{value}E0".encode())
    if isinstance(value, Mapping):
        fields = cast("Mapping[Any, Any]", value)  # type: ignore[redundant-cast]
        return {key: _exact(inner) for key, inner in fields.items()}
    if isinstance(value, (list, tuple)):
        return [_exact(item) for item in cast("list[Any]", value)]
    return value
