"""Invoices that an activation or the end of a hold makes or would make, in the shape of FACTS 6."""

from __future__ import annotations

from fusebill_async.testing.clock import Clock

_CHARGE = (
    b'{"transactionId":%d,"chargeTypeId":null,"transactionType":"Charge","quantity":1.0000,"unitPrice":%b,'
    b'"amount":%b,"taxableAmount":%b,"subscriptionPeriodId":%d,"draftInvoiceId":%d,"name":"%b",'
    b'"description":"made by the simulator","effectiveTimestamp":%b,"proratedUnitPrice":null,'
    b'"startServiceDate":%b,"endServiceDate":%b,"rangeQuantity":null,"draftDiscount":null,"draftDiscounts":[],'
    b'"status":"Active"}'
)


def _charge(number: int, name: bytes, amount: bytes, stamp: bytes) -> bytes:
    return _CHARGE % (number, amount, amount, amount, number, number, name, stamp, stamp, stamp)


def invoice_preview(customer_id: int, clock: Clock, *, zero_dollar: bool) -> bytes:
    """Return the JSON of an invoice preview; a charge of nothing is in it only when it was asked for."""
    stamp = clock.stamp()
    charges = [_charge(customer_id, b"Monthly plan", b"25.9800", stamp)]
    if zero_dollar:
        charges.append(_charge(customer_id + 1, b"Free add-on", b"0.0000", stamp))
    return (
        b'{"draftCharges":[%b],"subtotal":25.9800,"total":29.3574,"draftTaxes":[{"name":"Tax","registrationCode":null,'
        b'"percent":13.000000,"total":3.3774}],"tax":3.3774,"totalTaxes":3.3774,"poNumber":null,'
        b'"effectiveTimestamp":%b,"status":"Ready","draftChargeGroups":[],"notes":null,"shippingInstructions":null}'
        % (b",".join(charges), stamp)
    )


def posted_invoice(number: int, customer_id: int, clock: Clock) -> bytes:
    """Return the JSON of an invoice that was made."""
    stamp = clock.stamp()
    return (
        b'{"invoiceNumber":%d,"invoiceSignature":null,"poNumber":null,"effectiveTimestamp":%b,"postedTimestamp":%b,'
        b'"charges":[],"subtotal":25.9800,"invoiceAmount":29.3574,"totalPayments":0.0000,'
        b'"outstandingBalance":29.3574,"terms":"Net0","customerId":%d,"id":%d,"uri":"/invoices/%d"}'
        % (number, stamp, stamp, customer_id, number, number)
    )
