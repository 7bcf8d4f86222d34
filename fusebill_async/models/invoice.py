"""The invoice that a preview shows, with its charges, discounts and taxes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import attrs

from fusebill_async.models.view import UNSET, WireView


@attrs.define(kw_only=True, eq=False, repr=False, getstate_setstate=False)
class DraftDiscount(WireView):
    """A discount on a draft charge.

    Attributes:
        draft_charge_id: the charge.
        configured_discount_amount: the amount or percentage that was set up.
        amount: what is taken off.
        discount_type: how it is worked out.
        effective_timestamp: in UTC.
        description: as the invoice shows it.
        extra: keys that are not known here.
    """

    draft_charge_id: int | None = UNSET
    configured_discount_amount: Decimal | None = UNSET
    amount: Decimal | None = UNSET
    discount_type: str | None = UNSET
    effective_timestamp: datetime | None = UNSET
    description: str | None = UNSET
    extra: Mapping[str, Any] = UNSET


@attrs.define(kw_only=True, eq=False, repr=False, getstate_setstate=False)
class DraftTax(WireView):
    """A tax on a draft invoice.

    Attributes:
        name: of the tax.
        registration_code: of the seller.
        percent: the rate.
        total: the amount.
        extra: keys that are not known here.
    """

    name: str | None = UNSET
    registration_code: str | None = UNSET
    percent: Decimal | None = UNSET
    total: Decimal | None = UNSET
    extra: Mapping[str, Any] = UNSET


@attrs.define(kw_only=True, eq=False, repr=False, getstate_setstate=False)
class DraftCharge(WireView):
    """A charge on a draft invoice.

    Attributes:
        transaction_id: the id of the charge.
        charge_type_id, transaction_type: its kind.
        quantity, unit_price, amount, taxable_amount: decimals, with the digits that came.
        subscription_period_id: the period that it is for.
        draft_invoice_id: the invoice that it is on.
        name, description: as the invoice shows them.
        effective_timestamp: in UTC.
        prorated_unit_price: the price for a part of a period.
        start_service_date, end_service_date: the time that it covers, in UTC.
        range_quantity: the quantity that chose the price.
        draft_discount, draft_discounts: what is taken off.
        status: of the charge.
        extra: keys that are not known here.
    """

    transaction_id: int | None = UNSET
    charge_type_id: str | None = UNSET
    transaction_type: str | None = UNSET
    quantity: Decimal | None = UNSET
    unit_price: Decimal | None = UNSET
    amount: Decimal | None = UNSET
    taxable_amount: Decimal | None = UNSET
    subscription_period_id: int | None = UNSET
    draft_invoice_id: int | None = UNSET
    name: str | None = UNSET
    description: str | None = UNSET
    effective_timestamp: datetime | None = UNSET
    prorated_unit_price: Decimal | None = UNSET
    start_service_date: datetime | None = UNSET
    end_service_date: datetime | None = UNSET
    range_quantity: Decimal | None = UNSET
    draft_discount: DraftDiscount | None = UNSET
    draft_discounts: tuple[DraftDiscount, ...] | None = UNSET
    status: str | None = UNSET
    extra: Mapping[str, Any] = UNSET


@attrs.define(kw_only=True, eq=False, repr=False, getstate_setstate=False)
class DraftChargeGroup(WireView):
    """Charges that belong together.

    Attributes:
        name, description, reference: as the invoice shows them.
        draft_charges: the charges of the group.
        extra: keys that are not known here.
    """

    name: str | None = UNSET
    description: str | None = UNSET
    reference: str | None = UNSET
    draft_charges: tuple[DraftCharge, ...] | None = UNSET
    extra: Mapping[str, Any] = UNSET


@attrs.define(kw_only=True, eq=False, repr=False, getstate_setstate=False)
class InvoicePreview(WireView):
    """The invoice that an activation would make.

    Attributes:
        draft_charges, draft_charge_groups: what is charged.
        subtotal, total: money, with the digits that came.
        draft_taxes: the taxes one by one.
        tax: an object by the vendor's own client, or a sum.
        total_taxes: the sum of the taxes.
        po_number: the customer's purchase order.
        effective_timestamp: in UTC.
        status: of the invoice.
        notes, shipping_instructions: as the invoice shows them.
        extra: keys that are not known here.
    """

    draft_charges: tuple[DraftCharge, ...] | None = UNSET
    draft_charge_groups: tuple[DraftChargeGroup, ...] | None = UNSET
    subtotal: Decimal | None = UNSET
    total: Decimal | None = UNSET
    draft_taxes: tuple[DraftTax, ...] | None = UNSET
    tax: DraftTax | Decimal | None = UNSET
    total_taxes: Decimal | None = UNSET
    po_number: str | None = UNSET
    effective_timestamp: datetime | None = UNSET
    status: str | None = UNSET
    notes: str | None = UNSET
    shipping_instructions: str | None = UNSET
    extra: Mapping[str, Any] = UNSET
