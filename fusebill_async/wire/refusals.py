"""What a refusal says, in each of the forms that it comes in, and the error that it means.

The one place that knows the service's texts. The forms (FACTS of the API, and of ASP.NET under it):

- `{"ErrorId": 0, "HttpStatusCode": 400, "Errors": [{"Key": "Api Error", "Value": "..."}]}`, the documented one;
- `{"Message": "...", "ModelState": {"customer.primaryEmail": ["..."]}}`, for a route or a value that is unknown;
- `{"message": "..."}`, as gateways write it;
- a short text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeAlias

import attrs

from fusebill_async.converting import BYTE_ORDER_MARK, UnreadableAnswer, decode_json
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
from fusebill_async.wire.checks import is_array, is_object
from fusebill_async.wire.quota_headers import tells_quota
from fusebill_async.wire.redact import redact, redact_bytes

BODY_KEPT = 65_536
"""Bytes of an answer that an error keeps: enough to see what it was, not enough to fill a log."""

_LONGEST_TEXT = 500
"""Characters of a plain text that is taken for a reason: more is a page."""

_MALFORMED_KEY = "authorization key is not in the correct format"
_STATE_CONFLICT = re.compile(r"service status is (\w+)", re.IGNORECASE)
_NOT_FOUND = re.compile(r"customer with id (\d{1,19}) not found", re.IGNORECASE)

_BY_STATUS: dict[int, type[APIError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    422: BadRequestError,
    429: RateLimitError,
}

_ALWAYS_BELIEVED = frozenset({401, 407})
"""Who lets nobody in has not acted, whoever it is."""

Speaker: TypeAlias = Literal["service", "gateway", "unknown"]


class UnrelatedAnswer(UnreadableAnswer):
    """An answer to somebody else's question."""


@attrs.frozen(kw_only=True)
class Refusal:
    """What the body of a refusal says.

    Attributes:
        speaker: whose form it has: "service" for `Errors`, `ErrorId` or `Message`, "gateway" for a lower-case
            `message`, "unknown" for anything else, a plain text included.
        reason: in words, "" if there are none.
        errors: (key, value) pairs of `Errors` and `ModelState`; the key is "Api Error" for business rules.
        error_id: `ErrorId`; None where there was none.
    """

    speaker: Speaker = "unknown"
    reason: str = ""
    errors: tuple[tuple[str, str], ...] = ()
    error_id: int | None = None


def refusal_in(body: bytes) -> Refusal:
    """What a body says as a refusal, whatever the status it came with. Never raises."""
    body = body.removeprefix(BYTE_ORDER_MARK)
    try:
        found = decode_json(body)
    except UnreadableAnswer:
        return Refusal(reason=_short_text(body.decode(errors="replace")))
    if isinstance(found, str):
        return Refusal(reason=_short_text(found))
    return _told(found) if is_object(found) else Refusal()


def _told(found: Any) -> Refusal:
    errors = tuple(_listed(found.get("Errors")))
    fields = tuple(_of_fields(found.get("ModelState")))
    message = found.get("Message")
    error_id = found.get("ErrorId")
    reasons = [text for _, text in errors] or ([message] if isinstance(message, str) else [])
    by_service = bool(errors) or type(error_id) is int or isinstance(message, str)
    if not by_service and isinstance(found.get("message"), str):
        return Refusal(speaker="gateway", reason=found["message"])
    return Refusal(
        speaker="service" if by_service else "unknown",
        reason=" ".join(filter(None, [", ".join(reasons), ", ".join(f"{name}: {text}" for name, text in fields)])),
        errors=errors + fields,
        error_id=error_id if type(error_id) is int else None,
    )


def _listed(errors: Any) -> Iterator[tuple[str, str]]:
    """The pairs of `Errors`; some clients met bare texts in it."""
    for error in errors if is_array(errors) else ():
        if is_object(error):
            yield _text(error.get("Key")), _text(error.get("Value"))
        elif isinstance(error, str):
            yield "", error


def _of_fields(state: Any) -> Iterator[tuple[str, str]]:
    """The pairs of `ModelState`, which has a list of texts for each field."""
    for name, texts in state.items() if is_object(state) else ():
        for text in texts if is_array(texts) else [texts]:
            yield name, _text(text)


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _short_text(text: str) -> str:
    """A text in one line; "" for a page, for HTML, and for what is no text."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_TEXT and line.isprintable() and not line.startswith("<") else ""


def is_believed(status: int, headers: Mapping[str, str], body: bytes, *, gateways: bool) -> bool:
    """Whether a refusal is the service's own word that it did not act.

    Filters, proxies and gateways refuse in other words, and may do so after the service has acted.

    Args:
        status: from 400 to 499.
        headers: of the answer; a 429 with the service's quota headers is its own, whatever its words.
        body: of the answer.
        gateways: believe a gateway's lower-case `message` too.
    """
    if status in _ALWAYS_BELIEVED:
        return True
    if status == 429 and tells_quota(headers):
        return True
    speaker = refusal_in(body).speaker
    return speaker == "service" or (gateways and speaker == "gateway")


def names_customer(customer_id: int, body: bytes) -> bool:
    """Whether a refusal says that this customer was not found; it may name nobody.

    Raises:
        UnrelatedAnswer: it says that another customer was not found.
    """
    found = _NOT_FOUND.search(refusal_in(body).reason)
    if found and int(found[1]) != customer_id:
        raise UnrelatedAnswer(f"the refusal is about customer {found[1]}, the question was about {customer_id}")
    return found is not None


def read_refusal(status: int, body: bytes, key: str) -> APIError:
    """The error that an answer with a status of 400 or above means."""
    told = refusal_in(body)
    # It is judged as it was said: a key may be a word of it, and is blotted out of what is kept.
    named = _STATE_CONFLICT.search(told.reason)
    kind = _kind(status, told.reason, conflict=named is not None)
    reason = redact(told.reason, key)
    error = kind(
        f"{status}: {reason}" if reason else f"{status} without a reason that could be read",
        status=status,
        error_id=told.error_id,
        errors=tuple((redact(name, key), redact(text, key)) for name, text in told.errors),
        body=redact_bytes(body, key)[:BODY_KEPT],
    )
    if isinstance(error, ConflictError):
        error.customer_status = named[1] if named else None
    return error


def _kind(status: int, reason: str, *, conflict: bool) -> type[APIError]:
    if status == 400:
        # The pages give a 400 for what the errors page calls a 401 and a 409.
        if _MALFORMED_KEY in reason.lower():
            return AuthenticationError
        if conflict:
            return ConflictError
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return ServerError if status >= 500 else BadRequestError


def explain_conflict(operation: Operation, customer_id: int | None, error: APIError) -> str:
    """The second sentence of a refusal for the status: what the customer is, and where the operation works from.

    Empty for a refusal for anything else.
    """
    status = error.customer_status if isinstance(error, ConflictError) else None
    allowed = operation.allowed_from
    if status is None or allowed is None or status in allowed:
        return ""
    return f"customer {customer_id} is {status}; {operation.name} works from {names_of(allowed)}"
