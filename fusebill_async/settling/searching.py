"""Finds out whether a create happened: searches by `reference`, since a lost answer leaves no id to read."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs

from fusebill_async.converting import decode_json
from fusebill_async.errors import InvalidResponseError, ValidationError
from fusebill_async.models import Customer
from fusebill_async.operations import FieldsAsNamed
from fusebill_async.settling.evidence import CLOCKS_APART, Verdict, judge
from fusebill_async.wire.checks import check_filter_text
from fusebill_async.wire.comparing import same_value
from fusebill_async.wire.paging import LARGEST_PAGE, Sort, page_request
from fusebill_async.wire.request import Request

_NEWEST_FIRST = Sort("id", "Descending")

_CLOCKS_APART = timedelta(seconds=CLOCKS_APART)


@attrs.frozen(kw_only=True)
class Found:
    """What a search shows.

    Attributes:
        customer: the one that the create made; None if there is none, or if that cannot be decided.
        doubt: why that cannot be decided, "" if it can.
    """

    customer: Customer | None = None
    doubt: str = ""


def searchable_reference(named: Mapping[str, Any]) -> str | None:
    """The reference that a create can be searched by; None if it has none, or one that no query can hold."""
    reference = named.get("reference")
    if not isinstance(reference, str) or reference != reference.strip():
        return None
    try:
        return check_filter_text(reference, field="reference", wildcard=False)
    except ValidationError:
        return None


def reference_lock(named: Mapping[str, Any]) -> int | None:
    """The lock that creates with one reference share, None without a reference. Below zero, where no customer is."""
    reference = named.get("reference")
    if not isinstance(reference, str) or not reference:
        return None
    return -1 - int.from_bytes(hashlib.sha256(reference.encode()).digest()[:7])


def search_request(reference: str) -> Request:
    """The request that searches for the newest customers with a reference."""
    return page_request(f"reference:{reference}", 0, LARGEST_PAGE, _NEWEST_FIRST)


def weigh(
    customers: Sequence[Customer], named: Mapping[str, Any], created_after: float | None, others: Collection[int]
) -> Found:
    """Compare what a search found with what a create would have made.

    Args:
        customers: what was found; the service's filter is not trusted to be exact.
        named: the wire keys and values that were sent.
        created_after: the service's time (epoch seconds) before which the create was certainly not sent; None if
            that is not known.
        others: ids of customers that were known before, or are known to be the work of other creates.
    """
    candidates = [
        (customer, when)
        for customer in customers
        if customer.id not in others and same_value(named["reference"], customer.reference)
        for when in [_made(customer, created_after)]
        if when is not False
    ]
    if not candidates:
        return Found()
    if len(candidates) > 1:
        return Found(doubt=f"{len(candidates)} customers with this reference were made since")
    customer, surely_since = candidates[0]
    if not surely_since:
        return Found(doubt=f"customer {customer.id} has this reference, and may have been made before")
    if judge(FieldsAsNamed(), decode_json(customer.wire or b"{}"), named, before={}) is not Verdict.MET:
        return Found(doubt=f"customer {customer.id} was made since with this reference and other fields")
    return Found(customer=customer)


def was_made_by(customer: Customer, named: Mapping[str, Any]) -> bool:
    """Whether the answer to a create is about what it created: there is no id yet by which to tell.

    A service may leave a field out or write it in another way, so one field that reads as it was sent is enough;
    but a customer with a reference of its own is somebody else's.

    Args:
        customer: as the answer shows it.
        named: the wire keys and values that were sent.
    """
    shown = decode_json(customer.wire or b"{}")
    sent, reference = named.get("reference"), shown.get("reference")
    if sent is not None and reference is not None and not same_value(sent, reference):
        return False
    return not named or any(key in shown and same_value(value, shown[key]) for key, value in named.items())


def _made(customer: Customer, created_after: float | None) -> bool | None:
    """Whether a customer was made since: True, False, or None if that cannot be told, since two clocks are compared."""
    try:
        created = customer.created_timestamp
    except InvalidResponseError:
        created = None
    if created is None or created_after is None:
        return None
    earliest = datetime.fromtimestamp(created_after, UTC)
    if created >= earliest:
        return True
    return None if created >= earliest - _CLOCKS_APART else False
