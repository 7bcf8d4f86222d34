"""What the service answers besides customers: an activation or its preview, and a customer's short form."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from fusebill_async.models.customer import Customer
from fusebill_async.models.enums import Status, Title
from fusebill_async.models.invoice import InvoicePreview
from fusebill_async.models.view import UNSET, WireView


@attrs.frozen(kw_only=True)
class Activation:
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
    extra: Mapping[str, Any] = attrs.field(factory=dict[str, Any], repr=False)
    wire: bytes | None = attrs.field(default=None, repr=False, eq=False)


@attrs.define(kw_only=True, eq=False, repr=False, getstate_setstate=False)
class Overview(WireView):
    """A customer's overview, https://developer.staxbill.com/reference/read-customer-overview-1.

    Attributes:
        title, first_name, middle_name, last_name, suffix: of the person.
        primary_email, primary_phone: where the person is reached.
        company_name: of the customer.
        reference: a free field, often the id in another system.
        created_timestamp: in UTC.
        status: of the service.
        extra: every other key, the balances among them.
    """

    title: Title | str | None = UNSET
    first_name: str | None = UNSET
    middle_name: str | None = UNSET
    last_name: str | None = UNSET
    suffix: str | None = UNSET
    primary_email: str | None = UNSET
    primary_phone: str | None = UNSET
    company_name: str | None = UNSET
    reference: str | None = UNSET
    created_timestamp: datetime | None = UNSET
    status: Status | str | None = UNSET
    extra: Mapping[str, Any] = UNSET
