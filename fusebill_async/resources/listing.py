"""Lists of customers, read page by page, with the next page fetched ahead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, TypeAlias

import attrs

from fusebill_async.converting import decode_item
from fusebill_async.errors import InvalidResponseError, ValidationError, shown
from fusebill_async.models import Customer
from fusebill_async.operations import LIST
from fusebill_async.resources.core import ClientCore
from fusebill_async.session.call import Answer, Call
from fusebill_async.settling.response import Response, response_of
from fusebill_async.wire.checks import check_filter_text
from fusebill_async.wire.paging import LARGEST_PAGE, PageFacts, Pager, Sort, page_request, read_facts
from fusebill_async.wire.query import build_query, sort_of

Query: TypeAlias = Mapping[str, Any] | str | None

_AT_ONCE = 100
"""Customers given or decoded before others have their turn in the event loop: a fifth of a millisecond of ours."""

_ODD_NAMED = 10
"""Items that are no customers, named in an error at most."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CustomerPage(PageFacts):
    """One page of a list of customers, and what its headers say (https://developer.staxbill.com/reference/pagination).

    Attributes:
        number: of the page as it was asked for, from 0.
        customers: those of the page that were not given before, up to the list's limit.
        response: what `with_response` gives: headers, attempts, quota.
    """

    number: int
    customers: tuple[Customer, ...] = attrs.field(repr=False)
    response: Response[tuple[Customer, ...]] = attrs.field(repr=False)

    def __len__(self) -> int:
        return len(self.customers)


class CustomerList:
    """Customers of a list, one by one: `async for customer in client.customers.list(...)`.

    Nothing is sent before the iteration begins, and each iteration reads the list anew. At most two pages are
    held: the one that is given, and the next one.
    """

    def __init__(
        self,
        core: ClientCore,
        *,
        query: Query = None,
        page_size: int = LARGEST_PAGE,
        sort: str = "id",
        limit: int | None = None,
        prefetch: bool = True,
    ) -> None:
        self._core = core
        self._query = build_query(query)
        self._sort = sort_of(sort)
        self._limit = None if limit is None else _count(limit, "limit", None)
        self._page_size = _count(page_size, "page_size", LARGEST_PAGE)
        if self._limit is not None:
            self._page_size = min(self._page_size, self._limit)
        self._prefetch = prefetch

    def __repr__(self) -> str:
        # A query may name a person, or an address.
        query = None if self._query is None else "..."
        return f"CustomerList(query={query}, page_size={self._page_size}, sort={self._sort!r})"

    async def __aiter__(self) -> AsyncGenerator[Customer, None]:
        """Give the customers one by one."""
        pages = self.pages()
        try:
            async for page in pages:
                for place, customer in enumerate(page.customers):
                    if place % _AT_ONCE == 0:
                        # Whoever works without awaiting would otherwise keep the next page from being fetched.
                        await asyncio.sleep(0)
                    yield customer
                del page
        finally:
            await pages.aclose()

    async def pages(self) -> AsyncGenerator[CustomerPage, None]:
        """Give the pages, each with what its headers say.

        With `prefetch` the next page is asked for while this one is looked at. An iteration that ends early drops
        that request; `await pages.aclose()` does it at once.
        """
        walk = _Walk(self._core, self._query, self._sort, self._page_size, self._limit, prefetch=self._prefetch)
        try:
            while True:
                page = await walk.following()
                if page is None:
                    return
                yield page
                # A page is let go before the one after the next is fetched, so that no more than two are held.
                del page
        finally:
            await walk.aclose()


async def find_customers(core: ClientCore, reference: Any) -> Response[list[Customer]]:
    """Find the customers with exactly this reference."""
    if not isinstance(reference, str):
        raise ValidationError(f"reference must be a str, not {shown(reference)}", field="reference")
    query = f"reference:{check_filter_text(reference, field='reference', wildcard=False)}"
    customers: list[Customer] = []
    response: Response[Any] | None = None
    async for page in CustomerList(core, query=query).pages():
        response = page.response
        customers += [customer for customer in page.customers if _has_reference(customer, reference)]
    assert response is not None
    response.value = customers
    return response


def _has_reference(customer: Customer, reference: str) -> bool:
    try:
        return customer.reference == reference
    except InvalidResponseError:
        return False


_Fetched: TypeAlias = tuple[Call, Answer]


class _Walk:
    """One iteration over a list. A page that is fetched ahead is decoded when it is its turn."""

    def __init__(
        self, core: ClientCore, query: str | None, sort: Sort, size: int, limit: int | None, *, prefetch: bool
    ) -> None:
        self._core = core
        self._query = query
        self._sort = sort
        self._size = size
        self._left = limit
        self._prefetch = prefetch
        self._pager = Pager(size, sort)
        self._odd: list[str] = []
        self._facts: dict[str, Any] = {}
        self._begun = False
        self._ahead: asyncio.Task[_Fetched] | None = None
        self._ahead_number = 0

    async def following(self) -> CustomerPage | None:
        """The next page with anything new on it, the first one in any case; None at the end.

        Raises:
            InvalidResponseError: at the end of a list that did not give all that it should.
        """
        while (number := self._pager.number) is not None and self._left != 0:
            page = await self._page(number)
            if page.customers or not self._begun:
                self._begun = True
                return page
        self._check_end()
        return None

    async def aclose(self) -> None:
        """Cancel the request for the next page."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            ahead.cancel()
            await asyncio.gather(ahead, return_exceptions=True)

    async def _page(self, number: int) -> CustomerPage:
        call, answer = await self._fetched(number)
        facts = read_facts(answer.headers)
        texts: list[bytes] = answer.value
        following = self._pager.expected(len(texts), facts)
        if self._prefetch and following is not None and (self._left is None or self._left > len(texts)):
            self._ahead_number = following
            self._ahead = asyncio.get_running_loop().create_task(self._fetch(following))
            # Its request is to be on its way before anybody looks at this page.
            await asyncio.sleep(0)
        customers = await self._decode(number, texts)
        places = self._pager.take([_id_of(customer) for customer in customers], facts)
        new = [customer for place in places if (customer := customers[place]) is not None][: self._left]
        if self._left is not None:
            self._left -= len(new)
        answer = attrs.evolve(answer, value=tuple(new))
        self._facts = call.facts
        return CustomerPage(number=number, customers=answer.value, response=response_of(answer), **attrs.asdict(facts))

    async def _fetched(self, number: int) -> _Fetched:
        if self._ahead is None or self._ahead_number != number:
            await self.aclose()
            return await self._fetch(number)
        fetched = await self._ahead
        self._ahead = None
        return fetched

    async def _fetch(self, number: int) -> _Fetched:
        call = Call(LIST, None, page_request(self._query, number, self._size, self._sort), self._core.options)
        return call, await self._core.session.read(call)

    async def _decode(self, number: int, texts: Sequence[bytes]) -> list[Customer | None]:
        """Decode the customers of a page, yielding to the event loop every so many."""
        customers: list[Customer | None] = []
        for place, text in enumerate(texts):
            if place % _AT_ONCE == 0:
                await asyncio.sleep(0)
            customer = decode_item(text)
            if customer is None:
                self._odd.append(f"item {place} of page {number}")
            customers.append(customer)
        return customers

    def _check_end(self) -> None:
        """Raise if the list ended before all customers that the service counts were given."""
        pager, faults = self._pager, list[str]()
        if self._left == 0:
            return
        if self._odd:
            faults.append(f"{', '.join(self._odd[:_ODD_NAMED])} is no customer")
        if pager.stuck:
            faults.append("full pages went on and on with nobody new, so the service does not heed pageNumber")
        if pager.missing:
            faults.append(f"the service counts {pager.missing} more")
            if self._sort.expression != "id":
                faults.append(
                    f"in the order of {self._sort.expression} equal customers may be repeated and left out: sort by id"
                )
        if faults:
            raise InvalidResponseError(
                f"{LIST.title} ended after {pager.given - len(self._odd)} customers, and not all: {'; '.join(faults)}",
                **self._facts,
            )


def _id_of(customer: Customer | None) -> int | None:
    try:
        return None if customer is None else customer.id
    except InvalidResponseError:
        return None


def _count(value: Any, field: str, most: int | None) -> int:
    if type(value) is int and value >= 1 and (most is None or value <= most):
        return value
    limits = "at least 1" if most is None else f"from 1 to {most:,}"
    raise ValidationError(f"{field} must be an int, {limits}, not {shown(value)}", field=field)
