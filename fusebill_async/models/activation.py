"""What activating a customer, or previewing it, answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from fusebill_async.models.customer import Customer
from fusebill_async.models.invoice import InvoicePreview
from fusebill_async.record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Activation(Record):
    """The answer of https://developer.staxbill.com/reference/activate-customer.

    Attributes:
        customer: as it is after the activation, or as it would be.
        invoice_preview: the invoice that the activation would make; None unless it was a preview.
        additional_invoices_for_preview: further invoices of a preview.
        extra: every other key. With `side_effects` the invoice is here: its key is not documented.
        wire: the JSON text, as it came.
    """

    customer: Customer
    invoice_preview: InvoicePreview | None = None
    additional_invoices_for_preview: tuple[InvoicePreview, ...] = ()
    extra: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    wire: bytes | None = attrs.field(default=None, repr=False, eq=False)
