"""From the bytes of a good answer to its value."""

from __future__ import annotations

from typing import Any

from fusebill_async.converting import (
    UnreadableAnswer,
    decode_activation,
    decode_customer,
    decode_json,
    decode_overview,
    split_array,
    without_mark,
)
from fusebill_async.operations import Operation
from fusebill_async.wire.refusals import UnrelatedAnswer, refusal_in


def read_value(operation: Operation, customer_id: int | None, body: bytes) -> Any:
    """The value that a good answer holds.

    Raises:
        UnreadableAnswer: the body is not what this operation answers with, or is about another customer.
    """
    body = without_mark(body)
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
        case "json":
            return decode_json(body) if body else None


def _overview(body: bytes, customer_id: int | None) -> Any:
    """An overview. Any object could be one, so the forms of a refusal are told apart; it may name no customer."""
    overview = decode_overview(body)
    told = refusal_in(body)
    if told.speaker == "service":
        raise UnreadableAnswer(f"the answer says that it is an error: {told.reason}")
    _check_about(overview.extra.get("id", customer_id), customer_id)
    return overview


def _check_about(shown: Any, asked: int | None) -> None:
    if asked is not None and shown != asked:
        raise UnrelatedAnswer(f"the answer is about customer {shown}, the question was about customer {asked}")
