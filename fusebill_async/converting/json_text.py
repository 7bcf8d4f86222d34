"""JSON text to Python values, with nothing lost: the text of a number is its digits."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any, TypeVar, cast

import attrs
import msgspec

T = TypeVar("T")

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""Some web servers write one, and RFC 8259 lets a parser skip it."""

_ESCAPE = re.compile(rb"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|u[dD][89a-fA-F]..|.)", re.DOTALL)
_HALF = len(b"\\ud83d")
_SPACE = re.compile(r"[ \t\n\r]*")


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
_raw_list = msgspec.json.Decoder(list[msgspec.Raw])
_reference = json.JSONDecoder()


def whole(decode: Callable[[bytes], T], text: bytes) -> T:
    r"""Decode a text, with U+FFFD in place of each half of a surrogate pair.

    A cut in the middle of an emoji leaves `"\ud83d"`. That is JSON, but not to msgspec, and no text that could be
    printed or sent on.
    """
    try:
        return decode(text)
    except msgspec.DecodeError:
        paired = _ESCAPE.sub(lambda found: rb"\ufffd" if len(found[0]) == _HALF else found[0], text)
        if paired == text:
            raise
        return decode(paired)


def check_utf8(body: bytes) -> None:
    """Raise `UnicodeDecodeError` for a body that is not UTF-8: msgspec does not look into what it skips."""
    if not body.isascii():
        body.decode()


def decode_json(body: bytes | msgspec.Raw) -> Any:
    """Decode any JSON text: numbers with a point or an exponent as `Decimal`, others as `int` of any size.

    Raises `UnreadableAnswer` for what is not JSON.
    """
    try:
        return whole(_decode_any, bytes(body))
    except RecursionError:
        raise UnreadableAnswer("the JSON is nested too deeply") from None
    except ValueError as error:
        raise UnreadableAnswer(str(error)) from None


def _decode_any(text: bytes) -> Any:
    try:
        return _any.decode(text)
    except ArithmeticError:
        return _any_number.decode(text)


def wire_fields(wire: bytes | msgspec.Raw) -> dict[str, msgspec.Raw]:
    """Give the keys of a JSON object with the text of each value. Works for a nested object's text, too.

    Raises `UnreadableAnswer` for what is not a JSON object.
    """
    try:
        return _raw_fields.decode(wire)
    except RecursionError:
        raise UnreadableAnswer("the JSON is nested too deeply") from None
    except ValueError as error:
        try:
            whole(_raw_fields.decode, bytes(wire))
        except ValueError:
            raise UnreadableAnswer(str(error)) from None
        return {_whole_text(key): value for key, value in _members(bytes(wire).decode())}


@attrs.define(eq=False, repr=False)
class WireObject:
    """A JSON object as it came.

    Attributes:
        texts: each key with the text of its value, in the order of the wire.
        values: each key with its value, as JSON has it. A text that Python cannot hold stays a text.
        inner: each key that holds an object.
    """

    texts: Mapping[str, msgspec.Raw]
    values: Mapping[str, Any]
    inner: Mapping[str, WireObject]


NO_OBJECT = WireObject({}, {}, {})
"""What stands in for an object that is null or absent."""


def read_object(wire: bytes | msgspec.Raw) -> WireObject:
    """Read a JSON object with the objects in it. Raises `UnreadableAnswer` for what is none."""
    texts = wire_fields(wire)
    try:
        values: dict[str, Any] = decode_json(wire)
    except UnreadableAnswer:
        values = {key: _value_or_text(text) for key, text in texts.items()}
    try:
        inner = {key: read_object(texts[key]) for key, value in values.items() if isinstance(value, dict)}
    except RecursionError:
        raise UnreadableAnswer("the JSON is nested too deeply") from None
    return WireObject(texts, values, inner)


def _value_or_text(text: msgspec.Raw) -> Any:
    try:
        return decode_json(text)
    except UnreadableAnswer:
        return bytes(text).decode()


def text_fields(body: bytes) -> dict[str, msgspec.Raw]:
    """Give the keys of a body that is a JSON object, as `wire_fields` does, and check that all of it is UTF-8."""
    try:
        check_utf8(body)
    except UnicodeDecodeError:
        raise UnreadableAnswer("the body is not UTF-8") from None
    return wire_fields(body)


def raw_items(wire: bytes | msgspec.Raw) -> list[msgspec.Raw]:
    """Split the text of an array into the texts of its items. Raises ValueError for what is not an array."""
    try:
        return _raw_list.decode(wire)
    except msgspec.DecodeError:
        whole(_raw_list.decode, bytes(wire))
        return [value for _, value in _members(bytes(wire).decode())]


def _members(text: str) -> Iterator[tuple[str, msgspec.Raw]]:
    """The members of an object or the items of an array, each with its own text.

    The slow way, for a text in which msgspec does not find its way; its syntax has been checked.
    """
    place = _past_space(text, _past_space(text, 0) + 1)
    keyed = text.lstrip()[0] == "{"
    while text[place] not in "}]":
        key = ""
        if keyed:
            key, place = cast("tuple[str, int]", _reference.raw_decode(text, place))
            place = _past_space(text, _past_space(text, place) + 1)
        _, end = _reference.raw_decode(text, place)
        yield key, msgspec.Raw(text[place:end].encode())
        place = _past_space(text, end)
        if text[place] == ",":
            place = _past_space(text, place + 1)


def _past_space(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    return place if found is None else found.end()


def _whole_text(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def plain_value(raw: msgspec.Raw) -> Any:
    """Decode a scalar, a number as its text; an object or an array is given back as it is."""
    text = bytes(raw)
    first = text[:1]
    if first == b'"':
        return whole(_text.decode, text)
    if first in b"tfn":
        return {b"true": True, b"false": False, b"null": None}[text]
    return raw if first in b"{[" else NumberText(text.decode("ascii"))
