"""What the update page says of each field: its length, its choices, and whether it can be written at all."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

import attrs

from fusebill_async.errors import ValidationError, shown
from fusebill_async.models import Customer, CustomerAcquisition, CustomerReference, SalesTrackingCode, wire_keys
from fusebill_async.models.enums import QuickbooksLatchType, Title
from fusebill_async.wire.checks import is_array, is_object
from fusebill_async.wire.request import LARGEST_ID

MOST_TRACKING_CODES = 5

_CURRENCY = re.compile(r"[A-Z]{3}")
_SEPARATOR = re.compile("[;,]")
_INVISIBLE = frozenset({"Cc", "Cf"})
_ADDRESS = re.compile(r"[^@\s;,]+@[^@\s;,]+")


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Rule:
    """How one key of the wire may be written.

    Attributes:
        length: characters at most, for a text.
        choices: the texts allowed.
        kind: what else is checked.
    """

    length: int | None = None
    choices: tuple[str, ...] = ()
    kind: str = "text"


_SHORT, _LONG = Rule(length=50), Rule(length=255)
_EMAILS = Rule(length=255, kind="emails")
_NUMBER = Rule(kind="id")

REFERENCE_RULES: Mapping[str, Rule] = {
    "reference1": _LONG,
    "reference2": _LONG,
    "reference3": _LONG,
    "salesTrackingCodes": Rule(kind="codes"),
}
ACQUISITION_RULES: Mapping[str, Rule] = dict.fromkeys(
    ("adContent", "campaign", "keyword", "landingPage", "medium", "source"), _LONG
)
CODE_RULES: Mapping[str, Rule] = {"type": _LONG, "code": _LONG, "name": _LONG}

CUSTOMER_RULES: Mapping[str, Rule] = {
    "firstName": _SHORT,
    "middleName": _SHORT,
    "lastName": _SHORT,
    "companyName": _LONG,
    "suffix": _SHORT,
    "primaryEmail": _EMAILS,
    "primaryPhone": _SHORT,
    "secondaryEmail": _EMAILS,
    "secondaryPhone": _SHORT,
    "title": Rule(choices=tuple(Title)),
    "reference": _LONG,
    "currency": Rule(kind="currency"),
    "parentId": _NUMBER,
    "quickBooksLatchType": Rule(choices=tuple(QuickbooksLatchType)),
    "quickBooksId": _NUMBER,
    "portalUserName": _LONG,
    "geotabId": _LONG,
}
"""Keys whose values are checked. Other keys go to the service as they are.

The API pages give `companyName` 50 characters and the vendor's import pages 255: 51 to 255 are left to the service."""

NESTED_RULES: Mapping[str, Mapping[str, Rule]] = {
    "customerReference": REFERENCE_RULES,
    "customerAcquisition": ACQUISITION_RULES,
}

READ_ONLY = frozenset({
    "id", "uri", "modifiedTimestamp", "createdTimestamp", "monthlyRecurringRevenue", "netMonthlyRecurringRevenue",
    "customerAccountStatus", "canChangeCurrency", "isParent", "requiresProjectedInvoiceGeneration",
    "requiresFinancialCalendarGeneration",
})  # fmt: skip
"""What the service works out itself. It goes back as it came, but nobody can change it by a PUT."""

EMPTY_WHEN_UNSET = frozenset({"title", "netsuiteCustomerType"})
"""Keys that read as "" where nothing was ever set: to erase them then changes nothing."""


def check_changes(changes: Mapping[str, Any]) -> None:
    """Check what is to be written against the update page.

    Args:
        changes: by keys of the wire, with dicts for nested objects.

    Raises:
        ValidationError: naming the field, the limit and what was given.
    """
    for key, value in changes.items():
        nested = NESTED_RULES.get(key)
        if nested is None:
            _check(key, value, CUSTOMER_RULES.get(key))
        elif is_object(value):
            for inner, item in value.items():
                _check(f"{key}.{inner}", item, nested.get(inner))
        elif value is not None:
            raise ValidationError(f"{_name(key)} must be a dict, not {shown(value)}", field=_name(key))


def _check(key: str, value: Any, rule: Rule | None) -> None:
    if rule is None or value is None:
        return
    match rule.kind:
        case "id":
            if type(value) is not int or not 1 <= value <= LARGEST_ID:
                _refuse(key, f"must be an int from 1 to 2**63 - 1, not {shown(value)}")
        case "codes":
            _check_codes(key, value)
        case _ if not isinstance(value, str):
            _refuse(key, f"must be a str, not {type(value).__name__} {shown(value)}")
        case _ if rule.choices:
            if value and value not in rule.choices:
                _refuse(key, f"must be one of {', '.join(rule.choices)}, not {shown(value)}")
        case "currency":
            if not _CURRENCY.fullmatch(value):
                _refuse(key, f"must be an ISO code of three capital letters, not {shown(value)}")
        case kind:
            if rule.length is not None and len(value) > rule.length:
                _refuse(key, f"holds {rule.length} characters at most, and was given {len(value)}")
            if kind == "emails" and value:
                _check_addresses(key, value)


def _check_addresses(key: str, value: str) -> None:
    """Check a list of addresses, of which the vendor's pages join some with a comma, and end some with a separator."""
    *addresses, last = _SEPARATOR.split(value)
    for address in [*addresses, last] if last.strip(" ") else addresses:
        text = address.strip(" ")
        # What cannot be seen makes an address that nobody can find again.
        if not _ADDRESS.fullmatch(text) or any(unicodedata.category(one) in _INVISIBLE for one in text):
            _refuse(key, f'must be addresses joined with "; " or ", ", and {text!a} is none')


def _check_codes(key: str, value: Any) -> None:
    if not is_array(value):
        _refuse(key, f"must be a list, not {type(value).__name__}")
    if len(value) > MOST_TRACKING_CODES:
        _refuse(key, f"holds {MOST_TRACKING_CODES} codes at most, and was given {len(value)}")
    for number, code in enumerate(value):
        if not is_object(code):
            _refuse(f"{key}[{number}]", f"must be a dict with type and code, not {shown(code)}")
        for inner, item in code.items():
            if not isinstance(item, (str, type(None))):
                continue  # the text of a code that came from the service
            _check(f"{key}[{number}].{inner}", item, CODE_RULES.get(inner))


def _refuse(key: str, what: str) -> None:
    name = _name(key)
    raise ValidationError(f"{name} {what}", field=name)


def _name(key: str) -> str:
    return ".".join(python_name(part) for part in key.split("."))


_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

_NAMES: Mapping[str, str] = {
    key.lower(): name
    for model in (SalesTrackingCode, CustomerReference, CustomerAcquisition, Customer)
    for name, key in wire_keys(model).items()
}
_KEYS: Mapping[str, str] = {key.lower(): key for key in wire_keys(Customer).values()}


def python_name(key: str) -> str:
    """The Python name of a key in any case: `companyName` is `company_name`, `hubSpotId` is `hubspot_id`."""
    return _NAMES.get(key.lower()) or _WORD.sub("_", key).lower()


READ_ONLY_NAMES = frozenset(map(python_name, READ_ONLY)) | {
    f"{nested}.{name}" for nested in ("customer_reference", "customer_acquisition") for name in ("id", "uri")
}
"""The Python names of what the service works out itself."""


def known_key(key: str) -> str | None:
    """The customer's own key that the service takes this one for, whatever its case; None if it knows none."""
    return _KEYS.get(key.lower())
