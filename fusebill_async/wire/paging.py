"""A page of a list: its request, and the customers on it.

https://developer.staxbill.com/reference/pagination and /sorting
"""

from __future__ import annotations

from typing import Literal
from urllib.parse import quote, urlencode

import attrs
import msgspec

from fusebill_async.converting import UnreadableAnswer
from fusebill_async.converting.json_text import check_utf8
from fusebill_async.converting.quirks import raw_items
from fusebill_async.operations import LIST
from fusebill_async.record import Record
from fusebill_async.wire.request import Request

LARGEST_PAGE = 1000
"""Customers on one page, at most: what every account allows."""


@attrs.frozen(eq=False, repr=False)
class Sort(Record):
    """The order of a list: the name of a query parameter, and the direction."""

    expression: str = "id"
    order: Literal["Ascending", "Descending"] = "Ascending"


def page_request(query: str | None, number: int, size: int, sort: Sort) -> Request:
    """The request of one page.

    Args:
        query: the text of the `query` parameter, None for all customers.
        number: of the page, from 0.
        size: customers on a page, 1 to 1,000.
        sort: both parts are always sent, since one alone sorts nothing.
    """
    options = {
        "pageNumber": number,
        "pageSize": size,
        "sortExpression": sort.expression,
        "sortOrder": sort.order,
    }
    if query is not None:
        options = {"query": query, **options}
    return Request(LIST.method, f"{LIST.path}?{urlencode(options, safe=':,*', quote_via=quote)}")


def split_page(body: bytes) -> list[bytes]:
    """The texts of the customers on a page, each checked as JSON and decoded later: a page may hold 1,000.

    Raises:
        UnreadableAnswer: the body is not a JSON array.
    """
    try:
        check_utf8(body)
        return [bytes(item) for item in raw_items(msgspec.Raw(body))]
    except RecursionError:
        raise UnreadableAnswer("the JSON is nested too deeply") from None
    except ValueError as error:
        raise UnreadableAnswer(str(error)) from None
