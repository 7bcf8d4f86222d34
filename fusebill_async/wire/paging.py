"""A list, page by page: the request of a page, what its headers say, and which page comes next.

https://developer.staxbill.com/reference/pagination and /sorting
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
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


@attrs.frozen(kw_only=True)
class PageFacts:
    """What the headers of a page say. None is a header that did not come, or that is no whole number.

    Attributes:
        count: customers that match the filter (`X-Count`).
        max_count: `X-MaxCount`.
        current, previous, next: numbers of pages, from 0; the service writes -1 for none.
        page_size: customers on a page, as the service has it.
        max_page_index: the index of the last page by one reading of the documentation, the number of pages by
            another; nothing here rests on it.
        sort_order, sort_expression: as the service has them.
    """

    count: int | None = None
    max_count: int | None = None
    current: int | None = None
    previous: int | None = None
    next: int | None = None
    page_size: int | None = None
    max_page_index: int | None = None
    sort_order: str | None = None
    sort_expression: str | None = None


def read_facts(headers: Mapping[str, str]) -> PageFacts:
    """The paging headers of an answer."""
    return PageFacts(
        count=_whole(headers.get("X-Count")),
        max_count=_whole(headers.get("X-MaxCount")),
        current=_whole(headers.get("X-CurrentPage")),
        previous=_whole(headers.get("X-PreviousPage")),
        next=_whole(headers.get("X-NextPage")),
        page_size=_whole(headers.get("X-PageSize")),
        max_page_index=_whole(headers.get("X-MaxPageIndex")),
        sort_order=headers.get("X-SortOrder"),
        sort_expression=headers.get("X-SortExpression"),
    )


def _whole(text: str | None) -> int | None:
    try:
        return None if text is None or len(text) > 20 else int(text)
    except ValueError:
        return None


_IN_VAIN = 10
"""Full pages with nobody new, one after the other, that end a list: the service ignores which page is asked for."""


class Pager:
    """Decides which customers of a page are new, and which page comes next.

    The list may change while it is read. Customers that join before the place where we are push others on to the
    next page again: those are not given twice. Customers that leave pull others back to a page that was read
    already; in the order of ids that can be seen and mended: the count falls, and the page that then holds the
    first customer who was not given is read again.

    In another order, and from a service that does not keep to the order asked for, the ids that were given are
    remembered: where several customers are equal in that order, each page may sort them anew.

    Attributes:
        number: the page to ask for next; None when there is none.
        given: how many customers were new so far.
        missing: customers whom the service counts and did not give, once the list has ended.
        stuck: the list was ended because page after page was full of customers who were given already.
    """

    def __init__(self, size: int, sort: Sort) -> None:
        self.number: int | None = 0
        self.given = 0
        self.missing = 0
        self.stuck = False
        self._asked = size
        self._sign = 1 if sort.order == "Ascending" else -1
        self._by_id = sort.expression == "id"
        self._seen: set[int] = set()
        """Ids that were given: those of the page before in the order of ids, else all."""
        self._last: int | None = None
        self._count: int | None = None
        self._fewest: int | None = None
        """The lowest count that was told."""
        self._received: list[int] = []
        """How many customers stood on each page when it was last read."""
        self._first_new = 0
        """The lowest place in the list at which a customer who was not given may stand."""
        self._repeated = False
        """A page held nobody new although nobody had joined."""
        self._in_vain = 0
        """Full pages in a row with nobody new on them."""
        self._looked_again = False

    def take(self, ids: Sequence[int | None], facts: PageFacts) -> list[int]:
        """Take a page, and return the places on it of the customers who are new.

        Args:
            ids: of the customers on the page, in their order; None is one that does not tell, and counts as new.
            facts: what its headers say.
        """
        number = self.number
        assert number is not None
        size = self._size(facts)
        told = [one for one in ids if one is not None]
        ordered = self._in_order(told)
        if ordered and self._skipped(number * size, told, facts):
            self.number = self._first_new // size
            return []
        new = [place for place, one in enumerate(ids) if one is None or self._is_new(one, ordered=ordered)]
        self.given += len(new)
        if ids and not new:
            self._repeated = self._repeated or (facts.count or 0) <= (self._count or 0)
        self._in_vain = self._in_vain + 1 if len(ids) >= size and not new else 0
        if ordered and told:
            reached = told[-1] * self._sign
            self._last = reached if self._last is None else max(self._last, reached)
        self._seen = set(told) if ordered else self._seen.union(told)
        self._received[number:] = [len(ids)]
        self._first_new = (number + 1) * size
        if facts.count is not None:
            self._count = facts.count
            self._fewest = facts.count if self._fewest is None else min(self._fewest, facts.count)
        self.number = self._following(number, len(ids), facts)
        self._end(size, facts.count, ordered=ordered)
        return new

    def expected(self, received: int, facts: PageFacts) -> int | None:
        """The page that most likely comes next, told by the headers alone: before `take` has seen who is on it."""
        assert self.number is not None
        return self._following(self.number, received, facts)

    def _size(self, facts: PageFacts) -> int:
        """The service may cap a page below what was asked: a page is short by its own measure."""
        told = facts.page_size
        return told if told is not None and 0 < told < self._asked else self._asked

    def _following(self, number: int, received: int, facts: PageFacts) -> int | None:
        """The page behind this one, None at the end.

        No header comes for certain, X-MaxPageIndex has two readings, and the last X-NextPage is not documented. So
        the count decides if there is one; without it a full page goes on, and a short one if a header tells of more.
        """
        full = received >= self._size(facts)
        told = facts.next is not None and facts.next > number
        if facts.count is not None:
            more = facts.count > sum(self._received[:number]) + received or (full and told)
        elif facts.next is not None:
            more = told
        else:
            more = full or (facts.max_page_index or 0) > number
        return number + 1 if received and more else None

    def _end(self, size: int, count: int | None, *, ordered: bool) -> None:
        """End the list where it makes no headway, and find out who is missing where it has ended."""
        if self._in_vain >= _IN_VAIN:
            self.number, self.stuck = None, True
        if self.number is not None or self.stuck:
            return
        stood = sum(self._received)
        # Places tell it, where there is an order: who joined before our place is counted, and need not be given.
        self.missing = max(0, (count or 0) - stood)
        if self._repeated or not ordered:
            self.missing = max(self.missing, (self._fewest or 0) - self.given)
        if self.missing and not self._looked_again:
            # Who joined between the service's counting and its reading stands on a page that we took for the last.
            self._looked_again = True
            self.number = stood // size

    def _is_new(self, one: int, *, ordered: bool) -> bool:
        if ordered:
            return self._last is None or one * self._sign > self._last
        return one not in self._seen

    def _in_order(self, ids: Sequence[int]) -> bool:
        """Whether the page is in the order of ids. Once one was not, or could not show it, places prove nothing."""
        if not self._by_id:
            return False
        first_page = self._last is None
        signed = [one * self._sign for one in ids]
        if any(one >= other for one, other in pairwise(signed)) or (first_page and len(ids) < 2):
            self._by_id = False
        return self._by_id

    def _skipped(self, start: int, ids: Sequence[int], facts: PageFacts) -> bool:
        """Whether customers who were not given may have moved to before this page."""
        if self._count is None or facts.count is None or self._last is None:
            return False
        if ids and ids[0] * self._sign <= self._last:
            # The page begins with one who was given: whoever stands before it was given too.
            return False
        left = self._count - facts.count
        if left <= 0:
            return False
        self._first_new = max(0, self._first_new - left)
        self._count = facts.count
        return self._first_new < start
