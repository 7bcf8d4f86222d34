"""Whether two JSON texts hold the same, with numbers compared as they are written."""

import json


class Number(str):
    """The text of a number; never equal to the same characters in quotes."""

    __slots__ = ()

    def __eq__(self, other):
        return isinstance(other, Number) and str.__eq__(self, other)

    __hash__ = str.__hash__


def literal_values(text: bytes):
    return json.loads(text, parse_int=Number, parse_float=Number, parse_constant=Number)


def same_json(one: bytes, other: bytes) -> bool:
    return literal_values(one) == literal_values(other)
