"""The service's answers to models."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import msgspec

from fusebill_async.converting.configuring import own_converter
from fusebill_async.converting.encoding import encode
from fusebill_async.converting.json_text import UnreadableAnswer, check_utf8, decode_json, wire_fields
from fusebill_async.converting.reading import FieldReader, reader_of
from fusebill_async.models import Activation, Customer, ErrorBody, Status
from fusebill_async.models.view import WireView

if TYPE_CHECKING:
    from fusebill_async.models import InvoicePreview, Overview

_ABSENT = msgspec.Raw()
_NOTHING = frozenset({b"", b"null"})
_MADE_OF = {"activation": "fusebill_async.models.invoice", "overview": "fusebill_async.models.overview"}
"""Models that are imported with their first use, by the kind of answer."""


class _Arrival(msgspec.Struct, gc=False):
    """What every customer must have. Decoding it checks the syntax of the whole text."""

    id: int
    status: str


class _ActivationArrival(_Arrival, gc=False):
    invoicePreview: msgspec.Raw = _ABSENT  # noqa: N815 - the key on the wire
    additionalInvoicesForPreview: msgspec.Raw = _ABSENT  # noqa: N815 - as above


class _AnyObject(msgspec.Struct, gc=False):
    pass


_arrival = msgspec.json.Decoder(_Arrival)
_activation_arrival = msgspec.json.Decoder(_ActivationArrival)
_any_object = msgspec.json.Decoder(_AnyObject)
_items = msgspec.json.Decoder(list[msgspec.Raw])

_customer_reader = FieldReader(Customer, own_converter)
_statuses: dict[str, Status | str] = {status.value: status for status in Status}

# The slots' own setters: two fields are at hand already, and nobody named them.
_new_customer = Customer.__new__
_set_wire: Any = WireView.__dict__["_wire"].__set__
_set_reader: Any = WireView.__dict__["_reader"].__set__
_set_id: Any = Customer.__dict__["id"].__set__
_set_status: Any = Customer.__dict__["status"].__set__


def get_ready(answer: str) -> None:
    """Import the models that a kind of answer is made of, as `Operation` names it.

    Most programs never see an invoice or an overview. A call that may does this before it is sent, so that no file
    has to be read between the answer and its caller.
    """
    if answer in _MADE_OF:
        import_module(_MADE_OF[answer])


def decode_customer(body: bytes) -> Customer:
    """Take a body for a customer: a JSON object in UTF-8 with an `id` and a `status`.

    The rest is decoded when it is read. Raises `UnreadableAnswer`.
    """
    try:
        check_utf8(body)
        arrival = _arrival.decode(body)
    except (ValueError, RecursionError) as error:
        raise _unreadable(error) from None
    return _customer(body, arrival)


def decode_customers(body: bytes) -> list[Customer]:
    """Take a body for an array of customers. Each keeps its own part of the text.

    Raises `UnreadableAnswer`.
    """
    try:
        check_utf8(body)
        texts = [bytes(item) for item in _items.decode(body)]
        return [_customer(text, _arrival.decode(text)) for text in texts]
    except (ValueError, RecursionError) as error:
        raise _unreadable(error) from None


def decode_activation(body: bytes) -> Activation:
    """Take a body for the answer of an activation: a customer, with invoices of a preview among its keys.

    The preview is not the customer's, and does not go back in a PUT. Raises `UnreadableAnswer`.
    """
    try:
        check_utf8(body)
        arrival = _activation_arrival.decode(body)
        wire = body
        preview, additional = arrival.invoicePreview, arrival.additionalInvoicesForPreview
        if preview is not _ABSENT or additional is not _ABSENT:
            own = wire_fields(body)
            own.pop("invoicePreview", None)
            own.pop("additionalInvoicesForPreview", None)
            wire = encode(own)
        invoice = None if bytes(preview) in _NOTHING else _preview(preview)
        others = () if bytes(additional) in _NOTHING else _items.decode(additional)
        previews = [_preview(raw) for raw in others]
    except (ValueError, RecursionError) as error:
        raise _unreadable(error) from None
    customer = _customer(wire, arrival)
    return Activation(
        customer=customer,
        invoice_preview=invoice,
        additional_invoices_for_preview=tuple(previews),
        extra=customer.extra,
        wire=body,
    )


def decode_overview(body: bytes) -> Overview:
    """Take a body for a customer's overview, which is any JSON object. Raises `UnreadableAnswer`."""
    from fusebill_async.models import Overview

    try:
        check_utf8(body)
        _any_object.decode(body)
    except (ValueError, RecursionError) as error:
        raise _unreadable(error) from None
    return reader_of(own_converter(), Overview).view(body)


def decode_error(body: bytes) -> ErrorBody | None:
    """Take a body for a refusal, in any of the shapes that the service has; None for anything else.

    Never raises.
    """
    try:
        check_utf8(body)
        answer = decode_json(body)
    except ValueError:
        return None
    if not isinstance(answer, dict):
        return None
    found = cast("dict[str, Any]", answer)
    errors = _error_pairs(found.get("Errors"))
    text = found.get("Message", found.get("message"))
    if not errors and not isinstance(text, str) and not isinstance(found.get("ErrorId"), int):
        return None
    return ErrorBody(
        error_id=_whole_number(found.get("ErrorId")),
        http_status_code=_whole_number(found.get("HttpStatusCode")),
        errors=errors,
        message=", ".join(value for _, value in errors) or (text if isinstance(text, str) else ""),
    )


def _customer(wire: bytes, arrival: _Arrival) -> Customer:
    customer = _new_customer(Customer)
    _set_wire(customer, wire)
    _set_reader(customer, _customer_reader)
    _set_id(customer, arrival.id)
    status = arrival.status
    _set_status(customer, _statuses.get(status, status))
    return customer


def _preview(raw: msgspec.Raw) -> InvoicePreview:
    from fusebill_async.models import InvoicePreview

    _any_object.decode(raw)
    return reader_of(own_converter(), InvoicePreview).view(bytes(raw))


def _unreadable(error: Exception) -> UnreadableAnswer:
    if isinstance(error, RecursionError):
        return UnreadableAnswer("the JSON is nested too deeply")
    if isinstance(error, UnicodeDecodeError):
        return UnreadableAnswer("the body is not UTF-8")
    return UnreadableAnswer(str(error))


def _error_pairs(entries: Any) -> tuple[tuple[str, str], ...]:
    pairs: list[tuple[str, str]] = []
    for entry in _list(entries):
        if isinstance(entry, dict):
            pair = cast("dict[str, Any]", entry)
            pairs.append((_text(pair.get("Key")), _text(pair.get("Value"))))
        elif isinstance(entry, str):
            pairs.append(("", entry))
    return tuple(pairs)


def _list(value: Any) -> list[Any]:
    # Any to mypy, a list of unknown things to pyright.
    return list(cast("Iterable[Any]", value)) if isinstance(value, list) else []


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _whole_number(value: Any) -> int | None:
    return value if type(value) is int else None
