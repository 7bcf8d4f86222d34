"""From Python values to the one `query` parameter of a list.

https://developer.staxbill.com/reference/list-customers has the names, /string-filtering and /date-filtering the
forms. No way to escape a character is documented, so a value that holds one of the query's own is refused.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, TypeAlias, cast

import attrs

from fusebill_async.converting.quirks import in_utc
from fusebill_async.errors import ValidationError, shown
from fusebill_async.models.enums import (
    AccountStatus,
    QuickbooksLatchType,
    SalesforceAccountType,
    Status,
    SynchStatus,
    Title,
)
from fusebill_async.wire.checks import EMPTY, check_filter_text, plain_text
from fusebill_async.wire.paging import Sort

Kind: TypeAlias = Literal["text", "choice", "id", "date", "decimal"]

_RANGES = frozenset({"date", "decimal"})
_SETS = frozenset({"choice", "id"})
_DECIMAL = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)


@attrs.frozen(eq=False, repr=False)
class Filter:
    """One name that a query may hold.

    Attributes:
        name: as the API page has it.
        kind: what its values are. A choice or an id takes several values, a date or a decimal a range.
        choices: the values of a choice.
    """

    name: str
    kind: Kind = "text"
    choices: tuple[str, ...] = ()


def _filters() -> Iterator[Filter]:
    for name in (
        "CompanyName", "FirstName", "LastName", "MiddleName", "NetSuiteId", "PrimaryEmail", "PrimaryPhone", "Reference",
        "SalesforceId", "SecondaryEmail", "SecondaryPhone", "Suffix",
    ):  # fmt: skip
        yield Filter(name)
    for field in ("AdContent", "Campaign", "LandingPage", "Medium", "Source"):
        yield Filter(f"CustomerAcquisition.{field}")
    for number in range(1, 4):
        yield Filter(f"CustomerReference.Reference{number}")
    for number in range(1, 6):
        yield Filter(f"CustomerReference.SalesTrackingCode{number}.Code")
        yield Filter(f"CustomerReference.SalesTrackingCode{number}.Name")
    for name in ("id", "ParentId", "QuickBooksId", "QuickBooksSyncToken"):
        yield Filter(name, "id")
    for name in ("CreatedTimestamp", "ModifiedTimestamp"):
        yield Filter(name, "date")
    for name in ("Arbalance", "CurrentMrr", "CurrentNetMrr", "MonthlyRecurringRevenue", "NetMRR"):
        yield Filter(name, "decimal")
    yield Filter("AccountStatus", "choice", tuple(AccountStatus))
    yield Filter("CurrencyId", "choice", tuple(str(number) for number in range(1, 25)))
    yield Filter("NetsuiteEntityType", "choice", ("1", "2"))
    yield Filter("NetSuiteSynchStatusId", "choice", tuple(SynchStatus))
    yield Filter("QuickBooksLatchTypeId", "choice", tuple(QuickbooksLatchType))
    yield Filter("SalesforceAccountType", "choice", tuple(SalesforceAccountType))
    yield Filter("SalesforceSynchStatus", "choice", tuple(SynchStatus))
    yield Filter("Status", "choice", tuple(Status))
    yield Filter("Title", "choice", tuple(Title))


_LARGEST_EXPONENT = 40
"""Of the numbers that a query may hold; each power of ten is a digit of the address."""


def _folded(name: str) -> str:
    return name.replace("_", "").lower()


FILTERS: Mapping[str, Filter] = {_folded(one.name): one for one in _filters()}
"""Every name by its letters alone: `company_name`, `companyName` and `CompanyName` are the same."""


def find_filter(name: Any, field: str) -> Filter:
    """The filter of a name, in any case or in snake_case.

    Raises:
        ValidationError: there is none; the message names the nearest.
    """
    if isinstance(name, str):
        found = FILTERS.get(_folded(name))
        if found is not None:
            return found
        near = difflib.get_close_matches(_folded(name), FILTERS, n=1)
        hint = f": did you mean {FILTERS[near[0]].name}?" if near else ""
        raise ValidationError(
            f"{shown(name)} is no name that customers can be filtered or sorted by{hint}", field=field
        )
    raise ValidationError(f"a name in {field} must be a str, not {shown(name)}", field=field)


def sort_of(text: Any) -> Sort:
    """The order that a text such as "id" or "-created_timestamp" means; "-" is descending.

    Raises:
        ValidationError: a name that customers cannot be sorted by.
    """
    if isinstance(text, Sort):
        return text
    if not isinstance(text, str):
        raise ValidationError(
            f'sort must be a text such as "id" or "-created_timestamp", not {shown(text)}', field="sort"
        )
    name = text.removeprefix("-")
    return Sort(find_filter(name, "sort").name, "Descending" if text.startswith("-") else "Ascending")


def build_query(query: Any) -> str | None:
    """The text of the `query` parameter.

    Args:
        query: names and values, all of which must hold. A value is one of:

            - a text, in which `*` stands for any characters (in names, addresses and the like), or in the API's own
              form: "Active,Hold" for a choice, "1,2" for ids, "2004-01-01|2007-01-01" for a range;
            - a list or a set: any of these values (for a choice such as the status, and for ids);
            - a tuple of two: from the first up to, not including, the second (for dates and decimals); None is open;
            - a datetime (without a zone it is UTC), a date, an int, a `Decimal`, a bool;
            - None: null or empty.

            A text in place of the mapping is sent as it is.

    Raises:
        ValidationError: an unknown name, or a value that cannot be sent; `.field` is "query.<name>".
    """
    if query is None:
        return None
    if isinstance(query, str):
        return query or None
    if not isinstance(query, Mapping):
        raise ValidationError(f"query must be a dict or a text, not {shown(query)}", field="query")
    parts: dict[str, str] = {}
    for name, value in _flat(cast("Mapping[Any, Any]", query)):  # type: ignore[redundant-cast]
        found = find_filter(name, "query")
        if found.name in parts:
            raise ValidationError(f"query holds {found.name} twice", field=f"query.{name}")
        parts[found.name] = f"{found.name}:{_condition(found, value, f'query.{name}')}"
    return ";".join(parts.values()) or None


def _flat(query: Mapping[Any, Any]) -> Iterator[tuple[Any, Any]]:
    """Names and values; a dict in a dict, as an update has it, becomes names with a point."""
    for name, value in query.items():
        if isinstance(value, Mapping) and isinstance(name, str):
            for inner, held in cast("Mapping[Any, Any]", value).items():  # type: ignore[redundant-cast]
                yield f"{name}.{inner}" if isinstance(inner, str) else inner, held
        else:
            yield name, value


def _condition(wanted: Filter, value: Any, field: str) -> str:
    if value is None:
        return EMPTY
    if isinstance(value, tuple):
        return _range(wanted, cast("tuple[Any, ...]", value), field)  # type: ignore[redundant-cast]
    if isinstance(value, str) and wanted.kind in _RANGES and "|" in value:
        lower, _, upper = value.partition("|")
        return _range(wanted, (lower or None, upper or None), field)
    if isinstance(value, str) and wanted.kind in _SETS and "," in value:
        return _any_of(wanted, value.split(","), field)
    if isinstance(value, (list, set, frozenset)):
        return _any_of(wanted, cast("Iterable[Any]", value), field)
    return _text(wanted, value, field)


def _range(wanted: Filter, bounds: tuple[Any, ...], field: str) -> str:
    if wanted.kind not in _RANGES:
        raise ValidationError(
            f"{field} is a tuple, which means a range, and {wanted.name} has none: use a list for several values",
            field=field,
        )
    if len(bounds) != 2 or bounds == (None, None):
        raise ValidationError(
            f"{field} must be a pair (from, to) with at least one of them, not {shown(bounds)}", field=field
        )
    lower, upper = bounds
    low = "" if lower is None else _text(wanted, lower, field)
    # The query has whole seconds, and the upper bound does not belong to the range: round it up.
    high = "" if upper is None else _text(wanted, upper, field, round_up=True)
    return f"{low}|{high}"


def _any_of(wanted: Filter, values: Iterable[Any], field: str) -> str:
    if wanted.kind not in _SETS:
        raise ValidationError(f"{field} takes one value: only choices and ids take several", field=field)
    texts = [_text(wanted, value, field) for value in values]
    if not texts:
        raise ValidationError(f"{field} is empty: no customer could match", field=field)
    return ",".join(sorted(texts) if isinstance(values, (set, frozenset)) else texts)


def _text(wanted: Filter, value: Any, field: str, *, round_up: bool = False) -> str:
    match wanted.kind:
        case "date":
            return _moment(value, field, round_up=round_up)
        case "decimal":
            return number_text(_decimal(value), field)
        case "choice":
            return _choice(wanted, value, field)
        case "id":
            return _whole(value, field)
        case _:
            return _plain(value, field)


def _plain(value: Any, field: str) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, Decimal)):
        return number_text(value, field)
    if not isinstance(value, str):
        raise ValidationError(f"{field} cannot be {type(value).__name__} {shown(value)}", field=field)
    return check_filter_text(plain_text(value), field=field)


def _whole(value: Any, field: str) -> str:
    """An id, as a number or as its digits: a set of them takes no wildcard."""
    if isinstance(value, str) and value.strip().isdecimal() and value.isascii():
        return value.strip()
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return number_text(value, field)
    raise ValidationError(f"{field} must be a whole number, without wildcards, not {shown(value)}", field=field)


def _decimal(value: Any) -> Any:
    """The number that a text in the API's own form is."""
    if not isinstance(value, str):
        return value
    return Decimal(value.strip()) if _DECIMAL.fullmatch(value.strip()) else value


def _choice(wanted: Filter, value: Any, field: str) -> str:
    text = plain_text(value).strip() if isinstance(value, str) else ""
    if isinstance(value, int) and not isinstance(value, bool):
        text = number_text(value, field)
    for choice in wanted.choices:
        if choice.lower() == text.lower():
            return choice
    near = difflib.get_close_matches(text, wanted.choices, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    raise ValidationError(f"{field} must be one of {', '.join(wanted.choices)}, not {shown(value)}{hint}", field=field)


def number_text(value: Any, field: str) -> str:
    """The digits of a number, exactly.

    Raises:
        ValidationError: no number, or one beyond what any amount or id is.
    """
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        raise ValidationError(f"{field} must be a number (an int or a Decimal), not {shown(value)}", field=field)
    number = Decimal(value)
    if not number.is_finite():
        raise ValidationError(f"{field} must be a finite number, not {value}", field=field)
    if abs(number.adjusted()) > _LARGEST_EXPONENT:
        raise ValidationError(f"{field} is beyond what any amount is: {shown(value)}", field=field)
    return format(number, "f")


def _moment(value: Any, field: str, *, round_up: bool) -> str:
    """A time as the query has it: UTC, whole seconds, no zone."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValidationError(
                f"{field} must be a time as ISO 8601 has it, not {shown(value)}", field=field
            ) from None
    if isinstance(value, datetime):
        moment = in_utc(value, field=field)
        if round_up and moment.microsecond:
            # There is no second after the last one of the year 9999, and no customer either.
            with suppress(OverflowError):
                moment += timedelta(seconds=1)
    elif isinstance(value, date):
        moment = datetime(value.year, value.month, value.day, tzinfo=UTC)
    else:
        raise ValidationError(f"{field} must be a datetime or a date, not {shown(value)}", field=field)
    return moment.replace(tzinfo=None).isoformat(timespec="seconds")
