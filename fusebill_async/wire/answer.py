"""From the bytes of a good answer to its value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from fusebill_async.converting import (
    BYTE_ORDER_MARK,
    UnreadableAnswer,
    decode_activation,
    decode_customer,
    decode_json,
    decode_overview,
    split_array,
)
from fusebill_async.operations import Operation
from fusebill_async.wire.refusals import UnrelatedAnswer, refusal_in

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_CHARSET = re.compile(r"charset\s*=\s*\"?([\w.:-]+)", re.IGNORECASE)


def read_value(
    operation: Operation, customer_id: int | None, body: bytes, headers: Mapping[str, str] = _NO_HEADERS
) -> Any:
    """The value that a good answer holds.

    Args:
        operation: what was asked.
        customer_id: whom it was asked about, None for nobody.
        body: of the answer.
        headers: of the answer; they tell of what kind the body is where any kind may come.

    Raises:
        UnreadableAnswer: the body is not what this operation answers with, or is about another customer.
    """
    if operation.answer == "any" or operation.answer == "bytes":  # noqa: PLR1714 (type checkers see no set)
        value = _any_kind(operation, body, headers.get("Content-Type", ""))
        return body if operation.answer == "bytes" else value
    body = body.removeprefix(BYTE_ORDER_MARK)
    match operation.answer:
        case "customer":
            customer = decode_customer(body)
            _check_about(customer.id, customer_id)
            return customer
        case "activation":
            activation = decode_activation(body)
            _check_about(activation.customer.id, customer_id)
            return activation
        case "overview":
            return _overview(body, customer_id)
        case "customers":
            # A page may hold a thousand: they are decoded a few at a time, by whoever gives them on.
            return split_array(body)


def _overview(body: bytes, customer_id: int | None) -> Any:
    """An overview. Any object could be one, so the forms of a refusal are told apart; it may name no customer."""
    overview = decode_overview(body)
    told = refusal_in(body)
    if told.speaker == "service":
        raise UnreadableAnswer(f"the answer says that it is an error: {told.reason}")
    _check_about(overview.extra.get("id", customer_id), customer_id)
    return overview


def _any_kind(operation: Operation, body: bytes, content_type: str) -> Any:
    """Parsed JSON, text for text, and bytes for anything else; None for an empty body."""
    kind = content_type.partition(";")[0].strip().lower()
    if not body:
        return None
    if kind == "text/html" and operation.writes:
        raise UnreadableAnswer("the answer is a page of HTML, as a proxy writes one")
    if kind.startswith("text/") and kind != "text/json":
        charset = _CHARSET.search(content_type)
        try:
            return body.removeprefix(BYTE_ORDER_MARK).decode(charset[1] if charset else "utf-8")
        except (LookupError, UnicodeError):
            return body
    is_json = kind.endswith("json")
    if kind and not is_json:
        return body
    try:
        value = decode_json(body.removeprefix(BYTE_ORDER_MARK))
    except UnreadableAnswer:
        if is_json:
            raise
        return body
    told = refusal_in(body)
    if told.error_id is not None:
        raise UnreadableAnswer(f"the answer says that it is an error: {told.reason}")
    return value


def _check_about(shown: Any, asked: int | None) -> None:
    if asked is not None and shown != asked:
        raise UnrelatedAnswer(f"the answer is about customer {shown}, the question was about customer {asked}")
