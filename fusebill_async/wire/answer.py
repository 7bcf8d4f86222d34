"""From an answer's status and bytes to a value, or to the error that the service meant.

The one place that knows the service's texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from fusebill_async.converting import (
    UnreadableAnswer,
    decode_activation,
    decode_customer,
    decode_error,
    decode_json,
    decode_overview,
)
from fusebill_async.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
)
from fusebill_async.operations import Operation, names_of
from fusebill_async.wire.paging import split_page
from fusebill_async.wire.redact import redact, redact_bytes

BODY_KEPT = 65_536
"""Bytes of an answer that an error keeps: enough to see what it was, not enough to fill a log."""

_MALFORMED_KEY = "authorization key is not in the correct format"
_STATE_CONFLICT = r"service status is (\w+)"
_NOT_FOUND = r"customer with id (\d{1,19}) not found"

_BY_STATUS: dict[int, type[APIError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    422: BadRequestError,
    429: RateLimitError,
}


def read_value(operation: Operation, customer_id: int | None, body: bytes) -> Any:
    """The value that a good answer holds.

    Raises:
        UnreadableAnswer: the body is not what this operation answers with, or is about another customer.
    """
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
            return decode_overview(body)
        case "customers":
            # A page may hold a thousand: they are decoded a few at a time, by whoever gives them on.
            return split_page(body)
        case "json":
            return decode_json(body) if body else None


def _check_about(shown: int, asked: int | None) -> None:
    if asked is not None and shown != asked:
        raise UnrelatedAnswer(f"the answer is about customer {shown}, the question was about customer {asked}")


class UnrelatedAnswer(UnreadableAnswer):
    """An answer to somebody else's question."""


def names_customer(customer_id: int, body: bytes) -> bool:
    """Whether a refusal says that this customer was not found; it may name nobody.

    Raises:
        UnrelatedAnswer: it says that another customer was not found.
    """
    told = decode_error(body)
    for _, text in told.errors if told else ():
        found = re.search(_NOT_FOUND, text, re.IGNORECASE)
        if found and int(found[1]) != customer_id:
            raise UnrelatedAnswer(f"the refusal is about customer {found[1]}, the question was about {customer_id}")
        if found:
            return True
    return False


def read_refusal(status: int, body: bytes, key: str) -> APIError:
    """The error that an answer with a status of 400 or above means."""
    told = decode_error(body)
    said = told.errors if told else ()
    # It is judged as it was said: a key may be a word of it, and is blotted out of what is kept.
    customer_status = _conflicting_status(text for _, text in said)
    kind = _kind(status, ", ".join(text for _, text in said), conflict=customer_status is not None)
    pairs = tuple((redact(name, key), redact(text, key)) for name, text in said)
    texts = ", ".join(text for _, text in pairs)
    error = kind(
        f"{status}: {texts}" if texts else f"{status} without a reason that could be read",
        status=status,
        error_id=told.error_id if told else None,
        errors=pairs,
        body=redact_bytes(body, key)[:BODY_KEPT],
    )
    if isinstance(error, ConflictError):
        error.customer_status = customer_status
    return error


def _kind(status: int, texts: str, *, conflict: bool) -> type[APIError]:
    if status == 400:
        # The pages give a 400 for what the errors page calls a 401 and a 409.
        if _MALFORMED_KEY in texts.lower():
            return AuthenticationError
        if conflict:
            return ConflictError
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return ServerError if status >= 500 else BadRequestError


def _conflicting_status(texts: Iterable[str]) -> str | None:
    """The service status that a refusal names, None if it names none."""
    for text in texts:
        if found := re.search(_STATE_CONFLICT, text, re.IGNORECASE):
            return found[1]
    return None


def explain_conflict(operation: Operation, customer_id: int | None, error: APIError) -> str:
    """The second sentence of a refusal for the status: what the customer is, and where the operation works from.

    Empty for a refusal for anything else.
    """
    status = error.customer_status if isinstance(error, ConflictError) else None
    allowed = operation.allowed_from
    if status is None or allowed is None or status in allowed:
        return ""
    return f"customer {customer_id} is {status}; {operation.name} works from {names_of(allowed)}"
