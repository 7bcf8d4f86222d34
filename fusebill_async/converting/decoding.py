"""The service's answers to models."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from fusebill_async.converting.configuring import own_converter, own_reader
from fusebill_async.converting.encoding import encode
from fusebill_async.converting.json_text import UnreadableAnswer, check_utf8, raw_items, text_fields
from fusebill_async.converting.reading import FieldReader
from fusebill_async.errors import InvalidResponseError
from fusebill_async.models import Activation, Customer, InvoicePreview, Overview
from fusebill_async.models.view import revive

_customer_reader = FieldReader(Customer, own_converter, own_reader)

_MOST_DIGITS = 19
"""An id with fewer digits than this is in the range of ids, whatever they are."""


def decode_customer(body: bytes) -> Customer:
    """Take a body for a customer: a JSON object in UTF-8 with an `id` and a `status`.

    The rest is decoded when it is read. Raises `UnreadableAnswer`.
    """
    return _identified(body, text_fields(body))


def split_array(body: bytes) -> list[bytes]:
    """Split a body into the texts of an array's items, which are checked as JSON. Raises `UnreadableAnswer`."""
    try:
        check_utf8(body)
        return [bytes(item) for item in raw_items(body)]
    except (ValueError, RecursionError) as error:
        raise _unreadable(error) from None


def decode_item(text: bytes) -> Customer | None:
    """Take an item of a list for a customer, None for what is no object.

    A list gives an odd customer too: what cannot be read of it raises when it is looked at.
    """
    return _customer_reader.view(text) if text.startswith(b"{") else None


def decode_activation(body: bytes) -> Activation:
    """Take a body for the answer of an activation: a customer, with invoices of a preview among its keys.

    The preview is not the customer's, and does not go back in a PUT. Raises `UnreadableAnswer`.
    """
    own = text_fields(body)
    preview, additional = own.pop("invoicePreview", None), own.pop("additionalInvoicesForPreview", None)
    wire = body if preview is None and additional is None else encode(own)
    customer = _identified(wire, own)
    try:
        others = [] if additional is None or _is_null(additional) else raw_items(additional)
        return Activation(
            customer=customer,
            invoice_preview=None if preview is None or _is_null(preview) else _preview(preview),
            additional_invoices_for_preview=tuple(map(_preview, others)),
            extra=customer.extra,
            wire=body,
        )
    except ValueError as error:
        raise _unreadable(error) from None


def decode_overview(body: bytes) -> Overview:
    """Take a body for a customer's overview, which is any JSON object. Raises `UnreadableAnswer`."""
    text_fields(body)
    return own_reader(Overview).view(body)


def _identified(wire: bytes, fields: Mapping[str, msgspec.Raw]) -> Customer:
    """Make a customer of its keys and their texts, and check that it says who it is, and in which status."""
    digits = bytes(fields.get("id", b""))
    if digits.isdigit() and len(digits) < _MOST_DIGITS:
        customer = revive(Customer, wire, _customer_reader, {"id": int(digits)}, set())
    else:
        customer = _customer_reader.view(wire)
        try:
            _ = customer.id
        except InvalidResponseError as error:
            raise UnreadableAnswer(error.message) from None
    if not bytes(fields.get("status", b"")).startswith(b'"'):
        raise UnreadableAnswer("a customer without a status")
    return customer


def _preview(raw: msgspec.Raw) -> InvoicePreview:
    text_fields(bytes(raw))
    return own_reader(InvoicePreview).view(bytes(raw))


def _is_null(raw: msgspec.Raw) -> bool:
    return bytes(raw) == b"null"


def _unreadable(error: Exception) -> UnreadableAnswer:
    if isinstance(error, RecursionError):
        return UnreadableAnswer("the JSON is nested too deeply")
    if isinstance(error, UnicodeDecodeError):
        return UnreadableAnswer("the body is not UTF-8")
    return UnreadableAnswer(str(error))
