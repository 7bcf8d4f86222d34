"""What the service sent, as text: with its own digits, and with nothing that could act on a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from fusebill_async.converting import decode_json, wire_fields
from fusebill_async.models import wire_key
from fusebill_async.models.view import WireView

_STRING_OR_SPACE = re.compile(rb'"(?:[^"\\]|\\.)*"|\s+')


def wire_of(view: WireView) -> bytes:
    """The bytes that an object came as."""
    assert view.wire is not None
    return view.wire


def raw(view: WireView | None) -> msgspec.Raw | None:
    """The bytes that an object came as, to be put into other JSON."""
    return None if view is None or view.wire is None else msgspec.Raw(view.wire)


def one_line(wire: bytes) -> bytes:
    """JSON on one line; every literal stays as it is."""
    return _STRING_OR_SPACE.sub(lambda found: found[0] if found[0].startswith(b'"') else b"", wire)


def cell(wire: bytes, name: str) -> str:
    """The text of one field, "" if it is null or absent.

    Args:
        wire: a JSON object.
        name: such as "company_name", "companyName" or "customer_reference.reference1".
    """
    first, _, rest = name.partition(".")
    fields = wire_fields(wire)
    value = fields.get(first)
    if value is None:
        value = fields.get(wire_key(first))
    if value is None:
        return ""
    text = bytes(value)
    if rest:
        return cell(text, rest) if text.startswith(b"{") else ""
    return literal_text(text)


def leaves(wire: bytes, within: str = "") -> Iterator[tuple[str, str]]:
    """The keys of a JSON object that hold something, those of nested objects with a point, and their texts."""
    for key, value in wire_fields(wire).items():
        text = bytes(value)
        if text.startswith(b"{"):
            yield from leaves(text, f"{within}{key}.")
        elif text not in {b"null", b'""', b"[]"}:
            yield within + key, literal_text(text)


def literal_text(value: bytes) -> str:
    """The text of a JSON value: a string without its quotes, null as "", anything else as it stands."""
    text = value.strip()
    if text == b"null":
        return ""
    return str(decode_json(text)) if text.startswith(b'"') else text.decode()


def printable(text: str) -> str:
    """A text whose control characters cannot act on a terminal: they are shown as escapes."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
