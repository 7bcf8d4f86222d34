"""Bytes to models and back.

`own_converter` gives a cattrs converter that knows the service's quirks; `make_converter` makes another one and
`configure_converter` teaches one that exists. The functions are what the client calls.
"""

from fusebill_async.converting.configuring import configure_converter, make_converter, own_converter
from fusebill_async.converting.decoding import (
    decode_activation,
    decode_customer,
    decode_item,
    decode_overview,
    split_array,
)
from fusebill_async.converting.encoding import canonical, encode, to_wire
from fusebill_async.converting.json_text import (
    BYTE_ORDER_MARK,
    NO_OBJECT,
    UnreadableAnswer,
    WireObject,
    decode_json,
    read_object,
    wire_fields,
)

__all__ = [
    "BYTE_ORDER_MARK",
    "NO_OBJECT",
    "UnreadableAnswer",
    "WireObject",
    "canonical",
    "configure_converter",
    "decode_activation",
    "decode_customer",
    "decode_item",
    "decode_json",
    "decode_overview",
    "encode",
    "make_converter",
    "own_converter",
    "read_object",
    "split_array",
    "to_wire",
    "wire_fields",
]
