"""Reads many customers with few calls: by sets of ids in the filter of the list.

https://developer.staxbill.com/reference/string-filtering (example F) and /list-customers
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import attrs

from fusebill_async.converting import UnreadableAnswer, decode_item
from fusebill_async.errors import APIError, InvalidResponseError, NotFoundError
from fusebill_async.models import Customer
from fusebill_async.operations import GET, LIST
from fusebill_async.resources.core import ClientCore
from fusebill_async.session.call import Call
from fusebill_async.settling.seen import Reading
from fusebill_async.wire.paging import Sort, page_request

MOST_IDS = 200
"""Ids in one set."""
_LONGEST = 1_850
"""Characters of the ids in an address: with the rest of it they stay under the 2,000 that any server takes."""
_REFUSALS = frozenset({400, 403, 404, 405, 409, 414, 422, 501})
"""Statuses by which a service may say that it does not know the filter, or that the address is too long."""


class FilterRefusedError(Exception):
    """The service does not filter by ids. It is caught by whoever wanted to read by them."""


@attrs.frozen(eq=False)
class IdSets:
    """Reads customers by sets of ids.

    Attributes:
        core: of the client.
        single_reads: read customers one by one where the service does not filter by ids.
        concurrency: single reads at once.
        one_by_one: read customers one by one in any case, so that each is seen whole.
    """

    core: ClientCore
    single_reads: bool = False
    concurrency: int = 8
    one_by_one: bool = False

    async def read(self, ids: Sequence[int]) -> dict[int, Reading]:
        """Read customers; those whom the service does not show are left out.

        Raises:
            FilterRefusedError: the service does not filter by ids, and single reads were not asked for.
            FusebillError: a read failed.
        """
        if self.one_by_one:
            return await self._read_singly(ids)
        found: dict[int, Reading] = {}
        try:
            for some in parted(ids):
                found.update(await self._read_set(some))
        except FilterRefusedError:
            if not self.single_reads:
                raise
            found = await self._read_singly(ids)
        return found

    async def read_one(self, customer_id: int) -> Reading | None:
        """Read one customer; None if there is none.

        Raises:
            FusebillError: the read failed.
        """
        sent_at = self.core.session.effects.now()
        try:
            response = await self.core.read(GET, customer_id)
        except NotFoundError:
            return None
        return Reading.of(response.value, sent_at)

    async def _read_set(self, ids: Sequence[int]) -> dict[int, Reading]:
        request = page_request(f"id:{','.join(map(str, ids))}", 0, len(ids), Sort())
        call = Call(LIST, None, request, self.core.options)
        try:
            answer = await self.core.session.read(call)
        except APIError as error:
            if error.status in _REFUSALS:
                raise FilterRefusedError(str(error)) from None
            raise
        asked, found = set(ids), dict[int, Reading]()
        for text in answer.value:
            customer = decode_item(text)
            number = _id_of(customer)
            if customer is None or number not in asked:
                raise FilterRefusedError("the list holds what was not asked for")
            # It may show less than a read of the customer does, so no PUT may rest on it.
            found[number] = Reading(customer=customer, sent_at=answer.sent_at, whole=False)
        if not found and await self.read_one(ids[0]) is not None:
            raise FilterRefusedError(f"the list leaves out customer {ids[0]}, whom a read shows")
        return found

    async def _read_singly(self, ids: Sequence[int]) -> dict[int, Reading]:
        places = asyncio.Semaphore(self.concurrency)

        async def read(customer_id: int) -> Reading | None:
            async with places:
                return await self.read_one(customer_id)

        found: dict[int, Reading] = {}
        for each, reading in zip(ids, await asyncio.gather(*map(read, ids), return_exceptions=True), strict=True):
            if isinstance(reading, BaseException):
                raise reading
            if reading is not None:
                found[each] = reading
        return found


def parted(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    """Sets that fit into one address each."""
    start = length = 0
    for place, each in enumerate(ids):
        characters = len(str(each)) + 1
        if place - start == MOST_IDS or length + characters > _LONGEST:
            yield ids[start:place]
            start, length = place, 0
        length += characters
    if start < len(ids):
        yield ids[start:]


def _id_of(customer: Customer | None) -> int:
    try:
        return 0 if customer is None else customer.id
    except (InvalidResponseError, UnreadableAnswer):
        return 0
