"""The way through a list: what the headers of a page say, and which page comes next.

https://developer.staxbill.com/reference/pagination
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import attrs

from fusebill_async.record import Record
from fusebill_async.wire.paging import Sort


@attrs.frozen(kw_only=True, eq=False, repr=False)
class PageFacts(Record):
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


class Pager:
    """Decides which customers of a page are new, and which page comes next.

    The list may change while it is read. Customers that join before the place where we are push others on to the
    next page again: those are not given twice. Customers that leave pull others back to a page that was read
    already; in the order of ids that can be seen and mended: the count falls, and the page that then holds the
    first customer who was not given is read again.

    Attributes:
        number: the page to ask for next; None when there is none.
    """

    def __init__(self, size: int, sort: Sort) -> None:
        self.number: int | None = 0
        self._asked = size
        self._sign = 1 if sort.order == "Ascending" else -1
        self._by_id = sort.expression == "id"
        self._given = frozenset[int]()
        self._last: int | None = None
        self._count: int | None = None
        self._first_new = 0
        """The lowest place in the list at which a customer who was not given may stand."""

    def take(self, ids: Sequence[int], facts: PageFacts) -> list[int]:
        """Take a page, and return the places on it of the customers who are new.

        Args:
            ids: of the customers on the page, in their order.
            facts: what its headers say.
        """
        number = self.number
        assert number is not None
        size = self._size(facts)
        ordered = self._in_order(ids)
        if ordered and self._skipped(number * size, ids, facts):
            self.number = self._first_new // size
            return []
        last = self._last
        if ordered and last is not None:
            new = [place for place, one in enumerate(ids) if one * self._sign > last]
        else:
            new = [place for place, one in enumerate(ids) if one not in self._given]
        self._given = frozenset(ids)
        if ordered and ids:
            self._last = ids[-1] * self._sign if last is None else max(last, ids[-1] * self._sign)
        self._first_new = number * size + len(ids)
        self._count = facts.count
        self.number = self._following(number, len(ids), size, facts)
        return new

    def expected(self, received: int, facts: PageFacts) -> int | None:
        """The page that most likely comes next, told by the headers alone: before `take` has seen who is on it."""
        assert self.number is not None
        return self._following(self.number, received, self._size(facts), facts)

    def _size(self, facts: PageFacts) -> int:
        """The service may cap a page below what was asked: a page is short by its own measure."""
        told = facts.page_size
        return told if told is not None and 0 < told < self._asked else self._asked

    def _following(self, number: int, received: int, size: int, facts: PageFacts) -> int | None:
        # X-MaxPageIndex has two readings, and the last X-NextPage is not documented: neither is relied on alone.
        if received < size or facts.next is None or facts.next <= number:
            return None
        return number + 1

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
        self._first_new = max(0, self._first_new - max(0, self._count - facts.count))
        self._count = facts.count
        return self._first_new < start
