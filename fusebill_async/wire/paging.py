"""The request of a page of a list.

https://developer.staxbill.com/reference/pagination and /sorting
"""

from __future__ import annotations

from typing import Literal
from urllib.parse import quote, urlencode

import attrs

from fusebill_async.operations import LIST
from fusebill_async.wire.request import Request

LARGEST_PAGE = 1000
"""Customers on one page, at most: what every account allows."""


@attrs.frozen
class Sort:
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
