"""Lists of customers: filter, sort and page (FACTS 4)."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, TypeAlias

import attrs

from fusebill_async.converting import UnreadableAnswer, decode_json
from fusebill_async.testing.customers import StoredCustomer
from fusebill_async.testing.messages import Reply
from fusebill_async.testing.refusals import refuse
from fusebill_async.testing.store import CustomerStore
from fusebill_async.wire.checks import is_array, is_object

Kind: TypeAlias = Literal["text", "set", "date", "decimal", "currency"]
Test: TypeAlias = Callable[[Mapping[str, Any]], bool]

_CURRENCIES = (
    "USD", "CAD", "EUR", "GBP", "AUD", "NZD", "CHF", "DKK", "NOK", "SEK", "JPY", "HKD",
    "SGD", "ZAR", "MXN", "BRL", "INR", "PLN", "CZK", "HUF", "ILS", "THB", "PHP", "AED",
)  # fmt: skip
"""The currencies of CurrencyId 1 to 24. The page gives the numbers and not what they stand for: this order is ours."""
_NO_BALANCE = Decimal(0)
"""What customers owe: the simulator keeps no balance."""
_LONGEST_NUMBER = 18

_TRACKING_CODES = range(1, 6)


@attrs.frozen
class _Filter:
    """One name that a query may hold: where its value stands in a customer, and how it is compared."""

    path: tuple[str, ...]
    kind: Kind = "text"


def _filters() -> dict[str, _Filter]:
    plain = (
        "companyName", "firstName", "lastName", "middleName", "primaryEmail", "primaryPhone", "reference",
        "secondaryEmail", "secondaryPhone", "suffix", "netsuiteId", "salesforceId", "geotabId",
    )  # fmt: skip
    sets = (
        "id", "status", "title", "parentId", "quickBooksId", "quickBooksSyncToken", "salesforceAccountType",
        "salesforceSynchStatus", "hubSpotId", "hubSpotCompanyId", "currency",
    )  # fmt: skip
    known = {key.lower(): _Filter((key,)) for key in plain}
    known |= {key.lower(): _Filter((key,), "set") for key in sets}
    known |= {key.lower(): _Filter((key,), "date") for key in ("createdTimestamp", "modifiedTimestamp")}
    # The filter and the field differ in name.
    known |= {
        "currencyid": _Filter(("currency",), "currency"),
        "accountstatus": _Filter(("customerAccountStatus",), "set"),
        "netsuiteentitytype": _Filter(("netsuiteCustomerType",), "set"),
        "netsuitesynchstatusid": _Filter(("netsuiteSynchStatus",), "set"),
        "quickbookslatchtypeid": _Filter(("quickBooksLatchType",), "set"),
        "arbalance": _Filter(("arBalance",), "decimal"),
        "monthlyrecurringrevenue": _Filter(("monthlyRecurringRevenue",), "decimal"),
        "currentmrr": _Filter(("monthlyRecurringRevenue",), "decimal"),
        "netmrr": _Filter(("netMonthlyRecurringRevenue",), "decimal"),
        "currentnetmrr": _Filter(("netMonthlyRecurringRevenue",), "decimal"),
    }
    for field in ("adContent", "campaign", "keyword", "landingPage", "medium", "source"):
        known[f"customeracquisition.{field.lower()}"] = _Filter(("customerAcquisition", field))
    for number in (1, 2, 3):
        known[f"customerreference.reference{number}"] = _Filter(("customerReference", f"reference{number}"))
    for number in _TRACKING_CODES:
        for part in ("code", "name"):
            path = ("customerReference", "salesTrackingCodes", str(number), part)
            known[f"customerreference.salestrackingcode{number}.{part}"] = _Filter(path)
    return known


_FILTERS = _filters()
_QUICK = ("firstName", "lastName", "companyName", "primaryEmail", "reference", "id")


@attrs.frozen(kw_only=True)
class Paging:
    """How the service pages; the options are the readings that the documentation leaves open.

    Attributes:
        max_page_size: the cap; never under 1,000, says the page.
        max_page_index: X-MaxPageIndex is the index of the last page, or the number of pages.
        last_next_page: X-NextPage on the last page: -1, absent, or the page after it all the same.
    """

    max_page_size: int = 1000
    max_page_index: Literal["index", "count"] = "index"
    last_next_page: Literal["-1", "absent", "next"] = "-1"


class Listing:
    """Answers `GET /customers`."""

    def __init__(self, store: CustomerStore, paging: Paging) -> None:
        self._store = store
        self._paging = paging
        self._found: tuple[tuple[object, ...], list[int]] = ((), [])

    def answer(self, options: Mapping[str, str]) -> Reply:
        """Return one page. `options` are the query parameters with names in lower case."""
        page = _whole_number(options, "pagenumber", 0, least=0)
        size = min(_whole_number(options, "pagesize", 100, least=1), self._paging.max_page_size)
        order, expression = _sorting(options)
        ids = self._ids(options.get("query", ""), options.get("quicksearch", ""), order, expression)
        chosen = ids[page * size : (page + 1) * size]
        body = b"[" + b",".join(self._store.peek(customer_id).body for customer_id in chosen) + b"]"
        return Reply(200, body, self._headers(len(ids), page, size, order, expression))

    def _headers(self, count: int, page: int, size: int, order: str, expression: str) -> bytes:
        last = max(0, (count - 1) // size)
        following = str(page + 1) if page < last else self._paging.last_next_page.replace("next", str(page + 1))
        headers = {
            "X-Count": count,
            "X-MaxCount": count,
            "X-CurrentPage": page,
            "X-PreviousPage": page - 1,
            "X-NextPage": following,
            "X-PageSize": size,
            "X-MaxPageIndex": last if self._paging.max_page_index == "index" else last + 1,
            "X-SortOrder": order,
            "X-SortExpression": expression,
        }
        if following == "absent":
            del headers["X-NextPage"]
        return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()

    def _ids(self, query: str, quick: str, order: str, expression: str) -> list[int]:
        # Kept for the next page: a hundred pages must not filter a hundred times.
        question = (self._store.version, query, quick, order, expression.lower())
        if self._found[0] != question:
            self._found = (question, self._search(query, quick, order, expression))
        return self._found[1]

    def _search(self, query: str, quick: str, order: str, expression: str) -> list[int]:
        tests = _tests(query)
        if quick:
            tests.append(_quick_test(quick))
        if not tests and expression.lower() == "id":
            found = self._store.ids()
            return found if order == "Ascending" else found[::-1]
        by = _filter_of(expression)
        keyed = self._matching(tests, by, self._candidates(query))
        keyed.sort(reverse=order == "Descending")
        return [customer_id for _, customer_id in keyed]

    def _candidates(self, query: str) -> Iterator[StoredCustomer]:
        """The customers that may match: a set of ids does not take a look at all of them."""
        for part in query.split(";"):
            name, _, wanted = part.partition(":")
            ids = [value.strip() for value in wanted.split(",")]
            # One with more digits is no id, and is looked for as any other value.
            if name.strip().lower() == "id" and all(
                value.isascii() and value.isdigit() and len(value) < 20 for value in ids
            ):
                return filter(None, map(self._store.get, sorted({int(value) for value in ids})))
        return self._store.scan()

    def _matching(
        self, tests: list[Test], by: _Filter, candidates: Iterator[StoredCustomer]
    ) -> list[tuple[tuple[int, Any], int]]:
        found: list[tuple[tuple[int, Any], int]] = []
        for customer in candidates:
            document = _document(customer)
            if all(test(document) for test in tests):
                found.append((_sort_key(_value(document, by.path), by.kind), customer.id))
        return found


def _document(customer: StoredCustomer) -> dict[str, Any]:
    try:
        document: dict[str, Any] = decode_json(customer.body)
    except UnreadableAnswer:
        # One odd value, such as a number of 5,000 digits, must not end every list.
        document = {key: _decoded(value) for key, value in customer.fields.items()}
    document.setdefault("arBalance", _NO_BALANCE)
    return document


def _decoded(value: bytes) -> Any:
    try:
        return decode_json(value)
    except UnreadableAnswer:
        return value.decode()


def _sorting(options: Mapping[str, str]) -> tuple[str, str]:
    order, expression = options.get("sortorder"), options.get("sortexpression")
    if order is None or expression is None:
        # Both are required; one alone sorts nothing (FACTS 4).
        return "Descending", "id"
    if order.title() not in {"Ascending", "Descending"}:
        raise refuse(400, f"sortOrder {order} is not valid.")
    return order.title(), expression


def _whole_number(options: Mapping[str, str], name: str, usual: int, *, least: int) -> int:
    text = options.get(name)
    if not text:
        return usual
    if not text.isascii() or not text.isdigit() or len(text) > _LONGEST_NUMBER or int(text) < least:
        raise refuse(400, f"{name} {text} is not valid.")
    return int(text)


def _filter_of(name: str) -> _Filter:
    found = _FILTERS.get(name.strip().lower())
    if found is None:
        raise refuse(400, f"{name} is not a valid filter.")
    return found


def _value(document: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    first, *rest = path
    value = document.get(first)
    for step in rest:
        value = _inside(value, step)
    return value


def _inside(value: object, step: str) -> Any:
    if is_object(value):
        return value.get(step)
    if is_array(value):
        # salesTrackingCodes: the one of the type with this number.
        codes = (code for code in value if is_object(code))
        return next((code for code in codes if str(code.get("type", "")).endswith(step)), None)
    return None


def _tests(query: str) -> list[Test]:
    tests: list[Test] = []
    for part in filter(None, (part.strip() for part in query.split(";"))):
        name, colon, wanted = part.partition(":")
        if not colon:
            raise refuse(400, f"{part} is not a valid query.")
        tests.append(_test(_filter_of(name), wanted.strip()))
    return tests


def _test(by: _Filter, wanted: str) -> Test:
    if wanted.lower() == "[empty]":
        return lambda document: _value(document, by.path) in (None, "")
    if by.kind in {"date", "decimal"}:
        return _range_test(by, wanted)
    if by.kind == "currency":
        names = {_currency(number.strip()) for number in wanted.split(",")}
        return lambda document: _text(_value(document, by.path)).upper() in names
    if by.kind == "set":
        values = {value.strip().lower() for value in wanted.split(",")}
        return lambda document: _text(_value(document, by.path)).lower() in values
    # The service's only wildcard is *; the others of fnmatch are plain characters here.
    pattern = re.compile(fnmatch.translate(re.sub(r"([\[?])", r"[\1]", wanted)), re.IGNORECASE)
    return lambda document: pattern.match(_text(_value(document, by.path))) is not None


def _currency(number: str) -> str:
    if not (number.isascii() and number.isdigit() and len(number) < 3) or not 1 <= int(number) <= len(_CURRENCIES):
        raise refuse(400, f"{number} is not a valid value for CurrencyId.")
    return _CURRENCIES[int(number) - 1]


def _range_test(by: _Filter, wanted: str) -> Test:
    lower, bar, upper = wanted.partition("|")
    low, high = _bound(by.kind, lower), _bound(by.kind, upper)

    def test(document: Mapping[str, Any]) -> bool:
        value = _comparable(_value(document, by.path), by.kind)
        if value is None:
            return False
        if not bar:
            return bool(value == low)
        # The lower bound belongs to the range, the upper one does not.
        return (low is None or value >= low) and (high is None or value < high)

    return test


def _bound(kind: Kind, text: str) -> Any:
    if not text:
        return None
    bound = _comparable(text, kind)
    if bound is None:
        raise refuse(400, f"{text} is not a valid value.")
    return bound


def _comparable(value: Any, kind: Kind) -> Any:
    try:
        if kind == "date":
            moment = datetime.fromisoformat(str(value))
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        number = Decimal(str(value))
        return number if number.is_finite() else None
    except (ValueError, InvalidOperation):
        return None


def _sort_key(value: Any, kind: Kind) -> tuple[int, Any]:
    # Nulls come first; numbers are compared as such, everything else as text.
    if value is None:
        return (0, 0)
    if kind in {"date", "decimal"}:
        comparable = _comparable(value, kind)
        return (0, 0) if comparable is None else (1, comparable)
    return (1, value) if isinstance(value, int) else (2, _text(value).lower())


def _quick_test(text: str) -> Test:
    wanted = text.lower()
    return lambda document: any(wanted in _text(document.get(key)).lower() for key in _QUICK)


def _text(value: Any) -> str:
    return "" if value is None else str(value)
