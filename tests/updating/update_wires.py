"""Customers of every shape, as the text in which the service sends them, and a comparison that forgives nothing."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from fusebill_async.models import Customer, CustomerAcquisition, CustomerReference, wire_keys
from fusebill_async.updating.rules import READ_ONLY


class Number(str):
    """The text of a number; never equal to the same characters in quotes."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Number) and str.__eq__(self, other)

    __hash__ = str.__hash__


def literal_pairs(text: bytes) -> Any:
    """JSON with numbers as their text, and objects as lists of pairs: order, doubles and literals count."""
    return json.loads(
        text, parse_int=Number, parse_float=Number, parse_constant=Number, object_pairs_hook=lambda pairs: pairs
    )


LITERALS = (
    b"10.000000", b"25.9800", b"1E+2", b"1e2", b"-0", b"-0.0", b"0.000000000000000000001", b"9007199254740993",
    b"123456789012345678901234567890", b"-9223372036854775809", b"1.7976931348623157e309", b"true", b"false", b"null",
    b'""', b'" "', b'"0001-01-01T00:00:00"', b'"2019-11-07T15:51:11.1915461Z"', b'"\\u00e9\\n\\/\\ud83d\\ude00"',
    b"[]", b"{}", b'"a\\tb"', b"[1.10,1.1,[null]]", b'{"rate":10.000000,"Rate":{"x":-0}}',
)  # fmt: skip

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)


def as_json(text: str) -> bytes:
    return json.dumps(text, ensure_ascii=False).encode()


@st.composite
def spelled(draw: Any, text: str) -> bytes:
    """A text in one of the ways in which JSON may write it."""
    return json.dumps(text).encode() if draw(st.booleans()) else as_json(text)


def join(fields: dict[str, bytes]) -> bytes:
    return b"{" + b",".join(as_json(key) + b":" + value for key, value in fields.items()) + b"}"


SCALARS = st.one_of(st.sampled_from(LITERALS), TEXTS.flatmap(spelled))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: b"[" + b",".join(items) + b"]"),
        st.dictionaries(TEXTS, inner, max_size=3).map(join),
    ),
    max_leaves=6,
)


_REFERENCE = [*wire_keys(CustomerReference).values()]
_ACQUISITION = [*wire_keys(CustomerAcquisition).values()]
_CUSTOMER = [key for key in wire_keys(Customer).values() if key not in {"id", "status"}]
_FORMER = {key.lower() for key in (*_REFERENCE, *_ACQUISITION, *_CUSTOMER, "id", "status")}
UNKNOWN = TEXTS.filter(lambda key: key.lower() not in _FORMER)


@st.composite
def keys_in_any_case(draw: Any, keys: list[str]) -> list[str]:
    chosen = draw(st.lists(st.sampled_from(keys), unique=True))
    return [key[:1].upper() + key[1:] if draw(st.integers(0, 5)) == 0 else key for key in chosen]


@st.composite
def nested(draw: Any, keys: list[str]) -> bytes:
    fields = {key: draw(SCALARS) for key in draw(keys_in_any_case(keys))}
    fields |= draw(st.dictionaries(UNKNOWN, VALUES, max_size=2))
    codes = next((key for key in fields if key.lower() == "salestrackingcodes"), None)
    if codes:
        fields[codes] = draw(st.sampled_from([b"[]", b"null", b'[{"type":"T","code":"C","name":"N","rate":1E+2}]']))
    return join(fields)


@st.composite
def customers(draw: Any, customer_id: int = 1, status: str = "Active") -> bytes:
    """A customer's JSON: any keys, any literals, any order, unknown fields at every level."""
    fields = {key: draw(SCALARS) for key in draw(keys_in_any_case(_CUSTOMER))}
    fields |= draw(st.dictionaries(UNKNOWN, VALUES, max_size=4))
    for name, keys in (("customerReference", _REFERENCE), ("customerAcquisition", _ACQUISITION)):
        for key in [key for key in fields if key.lower() == name.lower()]:
            fields[key] = draw(st.one_of(nested(keys), nested(keys), st.just(b"null")))
    fields |= {"id": str(customer_id).encode(), "status": as_json(status)}
    order = draw(st.permutations(list(fields)))
    return join({key: fields[key] for key in order})


WRITABLE = [
    (name,) for name, key in wire_keys(Customer).items()
    if key not in READ_ONLY and name not in {"status", "customer_reference", "customer_acquisition"}
] + [
    (outer, name)
    for outer, model in (("customer_reference", CustomerReference), ("customer_acquisition", CustomerAcquisition))
    for name in wire_keys(model)
    if name not in {"id", "uri"}
]  # fmt: skip
"""The Python names of every field that an update can name."""


def valid_value(path: tuple[str, ...]) -> st.SearchStrategy[Any]:
    """A value that the update page allows for a field; None erases."""
    name = path[-1]
    if name in {"primary_email", "secondary_email"}:
        given = st.sampled_from(["a@example.com", "a@example.com; b@example.com"])
    elif name == "title":
        given = st.sampled_from(["Mr", "Mrs", "Ms", "Miss", "Dr"])
    elif name == "currency":
        given = st.sampled_from(["USD", "CAD"])
    elif name == "quickbooks_latch_type":
        given = st.sampled_from(["CreateNew", "LatchExisting", "DoNothing"])
    elif name in {
        "parent_id", "quickbooks_id", "quickbooks_sync_token", "hubspot_id", "hubspot_company_id", "classic_id"
    }:  # fmt: skip
        given = st.integers(1, 2**63 - 1)
    elif name == "sales_tracking_codes":
        code = st.fixed_dictionaries({"type": TEXTS, "code": TEXTS})
        given = st.lists(code, max_size=5)
    else:
        given = TEXTS
    return st.one_of(given, given, given, st.none())


CHANGES = st.sampled_from(WRITABLE).flatmap(lambda path: st.tuples(st.just(path), valid_value(path)))


def as_arguments(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """The keyword arguments of `update` for one field."""
    return {path[0]: value} if len(path) == 1 else {path[0]: {path[1]: value}}
