"""Customers as the service keeps them: every value as the JSON text that came, so nothing is rewritten."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, TypeVar

import attrs
import msgspec

from fusebill_async.converting import decode_json
from fusebill_async.models.enums import Status, Title
from fusebill_async.testing.messages import NotAnObjectError, raw_fields
from fusebill_async.testing.refusals import SUSPENDING, RefusedError, api_error, refuse
from fusebill_async.wire.checks import is_array, is_object

NULL: Final = b"null"

_Choice = TypeVar("_Choice", bound=StrEnum)

# The order of a live answer (FACTS 6), so that new keys take their place between the old ones.
ORDER: Final = (
    "firstName", "middleName", "lastName", "companyName", "suffix", "primaryEmail", "primaryPhone",
    "secondaryEmail", "secondaryPhone", "title", "reference", "status", "customerAccountStatus", "currency",
    "canChangeCurrency", "customerReference", "customerAcquisition", "monthlyRecurringRevenue",
    "netMonthlyRecurringRevenue", "salesforceId", "salesforceAccountType", "salesforceSynchStatus",
    "netsuiteId", "netsuiteSynchStatus", "netsuiteCustomerType", "portalUserName", "parentId", "isParent",
    "quickBooksLatchType", "quickBooksId", "quickBooksSyncToken", "hubSpotId", "hubSpotCompanyId", "geotabId",
    "digitalRiverId", "modifiedTimestamp", "createdTimestamp", "requiresProjectedInvoiceGeneration",
    "requiresFinancialCalendarGeneration", "id", "uri",
)  # fmt: skip
REFERENCE_ORDER: Final = ("reference1", "reference2", "reference3", "salesTrackingCodes", "id", "uri")
ACQUISITION_ORDER: Final = (
    "adContent", "campaign", "keyword", "landingPage", "medium", "source", "id", "uri",
)  # fmt: skip
NESTED: Final = {"customerReference": REFERENCE_ORDER, "customerAcquisition": ACQUISITION_ORDER}

# What the service keeps itself: a PUT neither sets nor erases it.
READ_ONLY: Final = frozenset({
    "id", "uri", "status", "modifiedTimestamp", "createdTimestamp", "monthlyRecurringRevenue",
    "netMonthlyRecurringRevenue", "customerAccountStatus", "canChangeCurrency", "isParent",
    "quickBooksSyncToken", "requiresProjectedInvoiceGeneration", "requiresFinancialCalendarGeneration",
})  # fmt: skip

_SHORT = ("firstName", "middleName", "lastName", "companyName", "suffix", "primaryPhone", "secondaryPhone")
_LONG = ("primaryEmail", "secondaryEmail", "reference")
_LENGTHS: Final = {**dict.fromkeys(_SHORT, 50), **dict.fromkeys((*_LONG, "portalUserName", "geotabId"), 255)}
_NESTED_LENGTH: Final = 255
_TRACKING_CODES: Final = 5
_EMPTY_WHEN_UNSET: Final = frozenset({"title", "netsuiteCustomerType"})
"""Enums that read back as "" and not as null when they are not set (FACTS 6)."""

_CURRENCY: Final = re.compile(r"[A-Za-z]{3}", re.ASCII)

_KNOWN: Final = {key.lower(): key for key in (*ORDER, *REFERENCE_ORDER, *ACQUISITION_ORDER)}
_PLACES: Final = {key: place for place, key in enumerate(ORDER)}
_QUOTED: Final = {key: msgspec.json.encode(key) + b":" for key in (*ORDER, *REFERENCE_ORDER, *ACQUISITION_ORDER)}

_FIRST = ("Avery", "Blake", "Casey", "Devon", "Ellis", "Finley", "Harper", "Jordan", "Morgan", "Quinn")
_LAST = ("Ashdown", "Birchfield", "Cloverley", "Dunmore", "Elmhurst", "Fernwick", "Glenrose", "Hazelby")
# Weighted, so that every operation finds customers to work on.
_STATUSES = (
    Status.ACTIVE, Status.DRAFT, Status.ACTIVE, Status.HOLD, Status.ACTIVE, Status.DRAFT, Status.SUSPENDED,
    Status.ACTIVE, Status.DRAFT, Status.CANCELLED,
)  # fmt: skip


def wire_key(name: str) -> str:
    """Return the key of the API for a Python name: "company_name" and "companyName" are "companyName".

    A name that the API does not know becomes camelCase.
    """
    known = _KNOWN.get(name.replace("_", "").lower())
    if known is not None:
        return known
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def check_names(fields: Mapping[str, Any]) -> None:
    """Refuse what a test has misspelt.

    Raises:
        ValueError: a field that no customer has, or a status that there is not.
    """
    _check_keys(fields, _PLACES, "customer")
    for key, order in NESTED.items():
        inner = next((value for name, value in fields.items() if wire_key(name) == key), None)
        if isinstance(inner, Mapping):
            _check_keys(inner, order, key)  # pyright: ignore[reportUnknownArgumentType]  # a Mapping of anything
    status = fields.get("status")
    if "status" in fields and status not in tuple(Status):
        raise ValueError(f"no customer has the status {status!r}; there are {', '.join(Status)}")


def _check_keys(names: Iterable[Any], known: Iterable[str], owner: str) -> None:
    for name in names:
        if wire_key(str(name)) not in known:
            near = difflib.get_close_matches(wire_key(str(name)), known, n=1)
            hint = f": did you mean {near[0]}?" if near else ""
            raise ValueError(f"no {owner} has the field {name!r}{hint} What the API does not know goes in raw=")


def choice(kind: type[_Choice], text: str) -> _Choice | None:
    """Return the member of an enum with this name, in any case: the service does not tell the cases apart."""
    return next((member for member in kind if member.lower() == text.lower()), None)


def literal(value: Any) -> bytes:
    """Return the JSON text of a value; a Decimal keeps its digits, a datetime gets the service's seven."""
    if isinstance(value, Decimal):
        return str(value).encode()
    if isinstance(value, datetime):
        return f'"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}0Z"'.encode()
    if isinstance(value, Mapping):
        return splice({wire_key(str(key)): literal(item) for key, item in value.items()})  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType]  # a Mapping of anything
    if isinstance(value, list | tuple):
        return b"[" + b",".join(literal(item) for item in value) + b"]"  # pyright: ignore[reportUnknownVariableType]  # a list of anything
    return msgspec.json.encode(value)


def splice(fields: Mapping[str, bytes]) -> bytes:
    """Put a JSON object together from the text of its values."""
    parts = [(_QUOTED.get(key) or msgspec.json.encode(key) + b":") + value for key, value in fields.items()]
    return b"{" + b",".join(parts) + b"}"


@attrs.frozen(kw_only=True)
class Template:
    """How a made-up customer looks. All data is invented: example.com, and the 555-01xx numbers of fiction.

    Attributes:
        bare_integers: phones, reference and account ids are numbers, as in the samples; else strings.
        relative_uri: `uri` is "/customers/1", as in the HubSpot sample; else absolute.
        leave_out: keys that are absent, as some are in the older samples.
        pretty: answers are indented, as in the samples; else compact.
    """

    bare_integers: bool = True
    relative_uri: bool = False
    leave_out: frozenset[str] = attrs.field(default=frozenset(), converter=frozenset)
    pretty: bool = False

    def uri(self, customer_id: int) -> bytes:
        """Return the JSON text of a customer's address."""
        host = "" if self.relative_uri else "https://secure.fusebill.com/v1"
        return b'"%b/customers/%d"' % (host.encode(), customer_id)

    def fields(self, customer_id: int) -> dict[str, bytes]:
        """Return the fields of a made-up customer; the same for the same id."""
        first, last = _FIRST[customer_id % len(_FIRST)], _LAST[customer_id % len(_LAST)]
        uri = self.uri(customer_id)
        fields = {
            "firstName": f'"{first}"'.encode(),
            "middleName": b'"Lee"',
            "lastName": f'"{last}"'.encode(),
            "companyName": b'"Example Company %d"' % customer_id,
            "suffix": b'"Jr."',
            "primaryEmail": b'"billing%d@example.com"' % customer_id,
            "primaryPhone": self._number(6135550100 + customer_id % 50),
            "secondaryEmail": b'"office%d@example.com"' % customer_id,
            "secondaryPhone": self._number(6135550150 + customer_id % 50),
            "title": b'"Dr"',
            "reference": self._number(100000 + customer_id),
            "status": b'"Active"',
            "customerAccountStatus": b'"Good"',
            "currency": b'"USD"',
            "customerReference": _reference(customer_id, uri),
            "customerAcquisition": _acquisition(customer_id, uri),
            "monthlyRecurringRevenue": b"25.9800",
            "netMonthlyRecurringRevenue": b"22.0000",
            "salesforceId": self._number(12345678 + customer_id),
            "salesforceAccountType": NULL,
            "salesforceSynchStatus": b'"Enabled"',
            "netsuiteId": self._number(1744203 + customer_id),
            "netsuiteSynchStatus": b'"Enabled"',
            "netsuiteCustomerType": b'"Individual"',
            "portalUserName": b'"customer%d"' % customer_id,
            "parentId": NULL,
            "quickBooksLatchType": NULL,
            "quickBooksId": NULL,
            "quickBooksSyncToken": NULL,
            "hubSpotId": b"%d" % (100000 + customer_id),
            "hubSpotCompanyId": b"%d" % (200000 + customer_id),
            "geotabId": b'"%d"' % (7000 + customer_id),
            "modifiedTimestamp": b'"2019-11-07T15:51:11.1915461Z"',
            "createdTimestamp": b'"2018-01-01T03:33:33.02"',
            "id": b"%d" % customer_id,
            "uri": uri,
        }
        for key in self.leave_out:
            fields.pop(key, None)
        return fields

    def blank(self, customer_id: int) -> dict[str, bytes]:
        """Return the fields of a customer that was just created with nothing given."""
        fields = dict.fromkeys(self.fields(customer_id), NULL)
        uri = self.uri(customer_id)
        # An unset title and NetSuite type read back as "" (FACTS 6).
        fields |= {
            "title": b'""', "netsuiteCustomerType": b'""', "status": b'"Draft"',
            "customerAccountStatus": b'"Good"', "currency": b'"USD"',
            "monthlyRecurringRevenue": b"0", "netMonthlyRecurringRevenue": b"0",
            "customerReference": _reference(customer_id, uri, NULL),
            "customerAcquisition": _acquisition(customer_id, uri, NULL),
            "id": b"%d" % customer_id, "uri": uri,
        }  # fmt: skip
        for key in self.leave_out:
            fields.pop(key, None)
        return fields

    def _number(self, value: int) -> bytes:
        return b"%d" % value if self.bare_integers else b'"%d"' % value


def _reference(customer_id: int, uri: bytes, value: bytes = b'"customValue"') -> bytes:
    return (
        b'{"reference1":null,"reference2":%b,"reference3":null,"salesTrackingCodes":[],"id":%d,"uri":%b}'
        % (value, customer_id, uri)
    )  # fmt: skip


def _acquisition(customer_id: int, uri: bytes, value: bytes = b'"newsletter"') -> bytes:
    return (
        b'{"adContent":null,"campaign":%b,"keyword":null,"landingPage":null,"medium":null,"source":null,'
        b'"id":%d,"uri":%b}' % (value, customer_id, uri)
    )


def generated_status(customer_id: int) -> Status:
    """Return the status of a generated customer: a fixed mix, so that a test can tell who is what."""
    return _STATUSES[(customer_id - 1) % len(_STATUSES)]


class StoredCustomer:
    """One customer: key to JSON text, in the order in which it is served."""

    __slots__ = ("_body", "fields", "id")

    def __init__(self, customer_id: int, fields: dict[str, bytes]) -> None:
        self.id = customer_id
        self.fields = fields
        self._body: bytes | None = None

    @property
    def status(self) -> str:
        """The service status."""
        return self.fields["status"][1:-1].decode()

    @property
    def body(self) -> bytes:
        """The customer as it is served."""
        if self._body is None:
            self._body = splice(self.fields)
        return self._body

    def set(self, changes: Mapping[str, bytes]) -> None:
        """Set fields by their key, in the service's order where it is known."""
        new = changes.keys() - self.fields.keys()
        self.fields.update(changes)
        if new:
            self.fields = dict(sorted(self.fields.items(), key=_place))
        self._body = None

    def change(self, changes: Mapping[str, Any]) -> None:
        """Set fields from Python values; an object merges into the one that is there."""
        raw: dict[str, bytes] = {}
        for name, value in changes.items():
            key = wire_key(name)
            raw[key] = literal(value)
            if key in NESTED and isinstance(value, Mapping):
                raw[key] = splice(_object(self.fields.get(key, NULL), key) | _object(raw[key], key))
        self.set(raw)

    def replace(self, sent: Mapping[str, bytes], default_currency: str) -> None:
        """Do what a PUT does: what is left out becomes null (see `pages/update-customer.txt`).

        `sent` has its keys in lower case. A currency that is left out becomes the account's default, as the
        page says. A key that the service does not know is ignored unless the customer had it before.
        """
        fields = dict(self.fields)
        for key, present in self.fields.items():
            if key in READ_ONLY:
                continue
            given = sent.get(key.lower(), NULL)
            if key in NESTED:
                given = _replaced_object(key, present, given)
            elif key == "currency":
                given = msgspec.json.encode((text_of(given) or default_currency).upper())
            elif key in _EMPTY_WHEN_UNSET and given == NULL:
                given = b'""'
            elif key == "title":
                given = msgspec.json.encode(choice(Title, text_of(given)) or "")
            fields[key] = given
        for name, given in sent.items():
            known = _KNOWN.get(name)
            if known in _PLACES and known not in READ_ONLY and known not in fields:
                fields[known] = _replaced_object(known, NULL, given) if known in NESTED else given
        if "status" in sent:
            fields["status"] = msgspec.json.encode(choice(Status, text_of(sent["status"])))
        self.fields = dict(sorted(fields.items(), key=_place)) if len(fields) > len(self.fields) else fields
        self._body = None


def _place(item: tuple[str, bytes]) -> int:
    return _PLACES.get(item[0], len(ORDER))


def _object(text: bytes, key: str) -> dict[str, bytes]:
    if text == NULL:
        return {}
    try:
        return raw_fields(text)
    except NotAnObjectError as error:
        raise RefusedError(api_error(400, (key, f"{key} is not an object."))) from error


def _replaced_object(key: str, present: bytes, given: bytes) -> bytes:
    """Return a nested object after a PUT: what is left out inside becomes null, a list becomes empty."""
    before = _object(present, key)
    sent = {name.lower(): value for name, value in _object(given, key).items()}
    after: dict[str, bytes] = {}
    for name in (*before, *(name for name in NESTED[key] if name not in before)):
        if name in {"id", "uri"}:
            if name in before:
                after[name] = before[name]
        elif name in before or name.lower() in sent:
            after[name] = sent.get(name.lower(), NULL)
    if after.get("salesTrackingCodes") == NULL:
        after["salesTrackingCodes"] = b"[]"
    return splice(after)


def check_put(customer: StoredCustomer, sent: Mapping[str, bytes]) -> None:
    """Refuse what the update page does not allow.

    Raises:
        RefusedError: status missing, unknown, Suspended or back to Draft; a field too long; an unknown title.
    """
    status = sent.get("status", NULL)
    if status == NULL:
        raise refuse(400, "Status is required.")
    name = choice(Status, text_of(status))
    if name is None:
        raise refuse(400, f"Status {text_of(status)} is not valid.")
    if name != customer.status and name == Status.SUSPENDED:
        raise refuse(400, SUSPENDING)
    if name != customer.status and name == Status.DRAFT:
        raise refuse(400, "Cannot change the status of a customer back to Draft.")
    check_fields(sent)
    currency = text_of(sent.get("currency", NULL)).upper()
    present = text_of(customer.fields.get("currency", NULL)).upper()
    if currency not in {"", present} and customer.status != Status.DRAFT:
        raise refuse(400, f"The currency cannot be changed from {present} to {currency}.")


def check_fields(sent: Mapping[str, bytes]) -> None:
    """Refuse what the update page does not allow in a field, wherever it stands; all of it at once."""
    errors = [
        (key, f"{key} can be at most {longest} characters.")
        for key, longest in _LENGTHS.items()
        if len(text_of(sent.get(key.lower(), NULL))) > longest
    ]
    for key in NESTED:
        inner = _object(sent.get(key.lower(), NULL), key)
        errors += [
            (name, f"{name} can be at most {_NESTED_LENGTH} characters.")
            for name, value in inner.items()
            if len(text_of(value)) > _NESTED_LENGTH and name.lower() != "salestrackingcodes"
        ]
        errors += _code_errors({name.lower(): value for name, value in inner.items()}.get("salestrackingcodes", NULL))
    title = text_of(sent.get("title", NULL))
    if title and choice(Title, title) is None:
        errors.append(("title", f"{title} is not a valid title."))
    currency = text_of(sent.get("currency", NULL))
    if currency and not _CURRENCY.fullmatch(currency):
        errors.append(("currency", f"{currency} is not a valid currency."))
    if errors:
        raise RefusedError(api_error(400, *errors))


def _code_errors(text: bytes) -> list[tuple[str, str]]:
    """Say what is wrong with a list of sales tracking codes."""
    codes: Any = decode_json(text)
    key = "salesTrackingCodes"
    if codes is None:
        return []
    if not is_array(codes):
        return [(key, f"{key} is not a list.")]
    kinds: list[str] = []
    for code in codes:
        given = {name.lower(): value for name, value in code.items()} if is_object(code) else {}
        if not all(given.get(name) and isinstance(given[name], str) for name in ("type", "code")):
            return [(key, f"each of {key} needs a type and a code.")]
        if len(given["code"]) > _NESTED_LENGTH:
            return [(key, f"code can be at most {_NESTED_LENGTH} characters.")]
        kinds.append(given["type"].lower())
    if len(kinds) > _TRACKING_CODES or len(kinds) != len(set(kinds)):
        return [(key, f"{key} can hold one of each of {_TRACKING_CODES} types.")]
    return []


def text_of(raw: bytes) -> str:
    """Return the text of a JSON value; "" for null, the literal for a number."""
    if raw == NULL:
        return ""
    return str(decode_json(raw)) if raw.startswith(b'"') else raw.decode()
