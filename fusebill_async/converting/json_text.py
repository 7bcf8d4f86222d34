"""JSON text to Python values, with nothing lost: the text of a number is its digits."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec


class UnreadableAnswer(ValueError):  # noqa: N818 - a finding, which becomes an error of the tree
    """A body that is not the answer that was expected.

    Attributes:
        reason: why, in words that quote nothing of the body.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NumberText(str):
    """A JSON number, as its text."""

    __slots__ = ()


_any = msgspec.json.Decoder(float_hook=Decimal)
_text = msgspec.json.Decoder(str)
_raw_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _number(text: str) -> Decimal | NumberText:
    """A number with an exponent that no `Decimal` has stays the text that it is."""
    try:
        return Decimal(text)
    except ArithmeticError:
        return NumberText(text)


_any_number = msgspec.json.Decoder(float_hook=_number)


def check_utf8(body: bytes) -> None:
    """Raise `UnicodeDecodeError` for a body that is not UTF-8: msgspec does not look into what it skips."""
    if not body.isascii():
        body.decode()


def decode_json(body: bytes | msgspec.Raw) -> Any:
    """Decode any JSON text: numbers with a point or an exponent as `Decimal`, others as `int` of any size.

    Raises `UnreadableAnswer` for what is not JSON.
    """
    try:
        return _any.decode(body)
    except RecursionError:
        raise UnreadableAnswer("the JSON is nested too deeply") from None
    except ArithmeticError:
        return _any_number.decode(body)
    except ValueError as error:
        raise UnreadableAnswer(str(error)) from None


def wire_fields(wire: bytes | msgspec.Raw) -> dict[str, msgspec.Raw]:
    """Give the keys of a JSON object with the text of each value. Works for a nested object's text, too.

    Raises `UnreadableAnswer` for what is not a JSON object.
    """
    try:
        return _raw_fields.decode(wire)
    except RecursionError:
        raise UnreadableAnswer("the JSON is nested too deeply") from None
    except ValueError as error:
        raise UnreadableAnswer(str(error)) from None


def plain_value(raw: msgspec.Raw) -> Any:
    """Decode a scalar, a number as its text; an object or an array is given back as it is."""
    text = bytes(raw)
    first = text[:1]
    if first == b'"':
        return _text.decode(text)
    if first in b"tfn":
        return {b"true": True, b"false": False, b"null": None}[text]
    return raw if first in b"{[" else NumberText(text.decode("ascii"))
