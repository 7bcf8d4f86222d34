"""Lists of a service that leaves out headers, repeats itself, loses customers, or has odd ones among them."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from fusebill_async import FusebillClient, InvalidResponseError
from fusebill_async.testing import Fault, FusebillSimulator
from tests.lifecycle.lifecycle_calls import KEY, client_of


@asynccontextmanager
async def client_of_pages(page_of, headers_of=lambda number: {}):
    """A client of a service that answers each page with these customers and headers; `.asked` has the numbers."""
    asked = []

    async def answer(request):
        number = int(request.query["pageNumber"])
        asked.append(number)
        items = [{"id": one, "status": "Active"} if isinstance(one, int) else one for one in page_of(number)]
        return web.Response(text=json.dumps(items), headers=headers_of(number), content_type="application/json")

    app = web.Application()
    app.router.add_get("/v1/customers", answer)
    async with (
        TestServer(app) as server,
        FusebillClient(KEY, base_url=str(server.make_url("/v1"))) as client,
    ):
        client.asked = asked
        yield client


async def read(customers):
    """What a list gives, and the error that it ends with."""
    given = []
    try:
        async for customer in customers:
            given.append(customer)  # noqa: PERF401 (what came before an error counts)
    except InvalidResponseError as error:
        return given, error
    return given, None


def ids_of(customers):
    return [customer.id for customer in customers]


@pytest.mark.parametrize("prefetch", [True, False])
@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        (sizes, told)
        for sizes in ([10, 10, 5], [10, 10], [3], [10, 3, 10, 2], [])
        for told in ("nothing", "count", "next", "count and next")
        # Without a header nothing tells that a short page is not the last one.
        if told != "nothing" or sizes != [10, 3, 10, 2]
    ],
    ids=str,
)
async def test_every_customer_is_given_whatever_the_headers_leave_out(sizes, told, prefetch):
    def page_of(number):
        first = 1 + sum(sizes[:number])
        return range(first, first + sum(sizes[number : number + 1]))

    def headers_of(number):
        following = number + 1 if number + 1 < len(sizes) else -1
        headers = {"X-Count": str(sum(sizes)), "X-NextPage": str(following)}
        return {name: text for name, text in headers.items() if name[2:].lower().removesuffix("page") in told}

    async with client_of_pages(page_of, headers_of) as client:
        given, error = await read(client.customers.list(page_size=10, prefetch=prefetch))
        assert ids_of(given) == list(range(1, sum(sizes) + 1))
        assert error is None
        assert len(client.asked) <= len(sizes) + 1


@pytest.mark.parametrize("prefetch", [True, False])
@pytest.mark.parametrize("sort", ["id", "company_name"])
async def test_a_list_that_lacks_counted_customers_ends_with_an_error(sort, prefetch):
    pages = [range(1, 11), range(11, 21)]
    async with client_of_pages(
        lambda number: pages[number] if number < 2 else [], lambda number: {"X-Count": "25", "X-NextPage": "-1"}
    ) as client:
        given, error = await read(client.customers.list(page_size=10, sort=sort, prefetch=prefetch))
        assert ids_of(given) == list(range(1, 21))
        assert "after 20 customers" in str(error)
        assert "counts 5 more" in str(error)
        assert ("sort by id" in str(error)) is (sort != "id")
        assert error.operation == "customers.list"
        # Whoever wants no more than came is given it.
        given, error = await read(client.customers.list(page_size=10, sort=sort, prefetch=prefetch, limit=20))
        assert (len(given), error) == (20, None)


async def test_a_service_that_gives_the_same_page_for_ever_ends_the_list_with_an_error():
    async with client_of_pages(lambda number: range(1, 11), lambda number: {"X-NextPage": str(number + 1)}) as client:
        async with asyncio.timeout(5):
            given, error = await read(client.customers.list(page_size=10))
        assert ids_of(given) == list(range(1, 11))
        assert "pageNumber" in str(error)
        assert len(client.asked) < 20


@pytest.mark.parametrize(
    ("odd", "field"),
    [
        ({"id": 3, "status": None}, None),
        ({"id": "3", "status": "Active"}, None),
        ({"id": 3.0, "status": "Active"}, None),
        ({"id": 3, "status": "Active", "firstName": "\ud83d"}, None),
        ({"id": 3, "status": "Active", "firstName": {}}, "first_name"),
        ({"id": "three", "status": "Active"}, "id"),
        ({"id": None, "status": "Active"}, "id"),
        ({"status": "Active"}, "id"),
    ],
    ids=str,
)
async def test_one_odd_customer_costs_no_more_than_its_odd_field(odd, field):
    async with client_of_pages(lambda number: [1, 2, odd, 4, 5], lambda number: {"X-Count": "5"}) as client:
        given, error = await read(client.customers.list())
    assert error is None
    assert ids_of([*given[:2], *given[3:]]) == [1, 2, 4, 5]
    customer = given[2]
    assert json.loads(customer.wire) == odd
    assert customer.company_name is None
    if field != "id":
        assert customer.id == 3
    if field is not None:
        with pytest.raises(InvalidResponseError, match=field):
            getattr(customer, field)


async def test_what_is_no_customer_is_told_once_the_others_were_given():
    pages = [[1, "two"], [None, 4]]
    async with client_of_pages(pages.__getitem__, lambda number: {"X-Count": "4"}) as client:
        given, error = await read(client.customers.list(page_size=2))
    assert ids_of(given) == [1, 4]
    assert "item 1 of page 0, item 0 of page 1 is no customer" in str(error)


async def test_find_goes_past_an_odd_customer():
    odd = {"id": 1, "status": "Active", "reference": {}}
    good = {"id": 2, "status": "Active", "reference": "A-1"}
    async with client_of_pages(lambda number: [odd, good], lambda number: {"X-Count": "2"}) as client:
        assert ids_of(await client.customers.find(reference="A-1")) == [2]


# --- a list whose members leave it while the next page is on its way


@asynccontextmanager
async def sixteenth_left():
    """A list of a hundred active customers, of whom five leave once the second page is on its way."""
    async with FusebillSimulator(customers=100, customers_status="Active") as fusebill, client_of(fusebill) as client:

        async def walk():
            seen = []
            async for customer in client.customers.list({"status": "Active"}, page_size=10):
                seen.append(customer.id)
                if customer.id == 15:
                    # The third page has been asked for by now, and is answered as of before.
                    await asyncio.sleep(0.05)
                    for number in range(1, 6):
                        fusebill.change(number, status="Hold")
                if customer.id % 10 == 5:
                    await asyncio.sleep(0.05)
            return seen

        yield fusebill, walk


async def test_a_page_that_was_fetched_ahead_is_used_only_if_it_is_the_one_to_come():
    async with sixteenth_left() as (_, walk):
        assert await walk() == list(range(1, 101))


async def test_a_page_that_was_fetched_ahead_in_vain_is_dropped():
    async with sixteenth_left() as (fusebill, walk):
        before = asyncio.all_tasks()
        # The page that was fetched ahead never comes, and another one is the next.
        fusebill.inject(Fault.hang_before_effect(operation="list", skip=4))
        async with asyncio.timeout(5):
            assert await walk() == list(range(1, 101))
        assert asyncio.all_tasks() == before
