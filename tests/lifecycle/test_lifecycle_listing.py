"""Lists of customers, through a socket."""

import asyncio
import gc
import time
import tracemalloc

import pytest

from fusebill_async import Customer, InvalidResponseError, NotFoundError, ServerError, Timeouts, ValidationError
from fusebill_async.converting import split_array
from fusebill_async.testing import Fault, FusebillSimulator, Paging, Template
from tests.lifecycle.lifecycle_calls import client_of


async def listed(customers):
    return [customer.id async for customer in customers]


async def until(reached):
    async with asyncio.timeout(5):
        while not reached():  # noqa: ASYNC110 (what it waits for has no event)
            await asyncio.sleep(0.001)


def pages_asked(fusebill):
    return [int(request.query["pageNumber"]) for request in fusebill.requests if "pageNumber" in request.query]


@pytest.fixture
async def crowd():
    """A service with 2,500 customers."""
    async with FusebillSimulator(customers=2500) as simulator:
        yield simulator


@pytest.fixture
async def client(crowd):
    async with client_of(crowd) as client:
        yield client


@pytest.mark.parametrize("prefetch", [True, False])
@pytest.mark.parametrize("size", [1000, 999, 500, 625])
async def test_every_customer_comes_once_and_in_order(crowd, client, size, prefetch):
    assert await listed(client.customers.list(page_size=size, prefetch=prefetch)) == list(range(1, 2501))
    assert pages_asked(crowd) == list(range(-(-2500 // size)))
    first = crowd.requests[0].query
    assert (first["pageSize"], first["sortExpression"], first["sortOrder"]) == (str(size), "id", "Ascending")
    assert "query" not in first


@pytest.mark.parametrize(
    "paging",
    [
        Paging(max_page_index=index, last_next_page=following)
        for index in ("index", "count")
        for following in ("-1", "absent", "next")
    ],
    ids=lambda paging: f"{paging.max_page_index}-{paging.last_next_page}",
)
@pytest.mark.parametrize("count", [0, 1, 4, 5])
async def test_every_reading_of_the_documentation_is_survived(paging, count):
    async with FusebillSimulator(customers=count, paging=paging) as fusebill, client_of(fusebill) as client:
        assert await listed(client.customers.list(page_size=2)) == list(range(1, count + 1))


async def test_a_cap_of_the_service_is_followed():
    async with (
        FusebillSimulator(customers=10, paging=Paging(max_page_size=4)) as fusebill,
        client_of(fusebill) as client,
    ):
        assert await listed(client.customers.list()) == list(range(1, 11))


async def test_pages_have_their_headers_as_data(crowd, client):
    pages = [page async for page in client.customers.list(page_size=1000).pages()]
    assert [(page.number, page.current, page.previous, page.next, len(page)) for page in pages] == [
        (0, 0, -1, 1, 1000),
        (1, 1, 0, 2, 1000),
        (2, 2, 1, -1, 500),
    ]
    page = pages[0]
    assert (page.count, page.max_count, page.page_size, page.max_page_index) == (2500, 2500, 1000, 2)
    assert (page.sort_expression, page.sort_order) == ("id", "Ascending")
    assert page.response.headers["X-Count"] == "2500"
    assert page.response.attempts[0].status == 200
    assert isinstance(page.customers[0], Customer)
    assert page.customers[0].wire == crowd.customer_bytes(1)


async def test_with_response_gives_the_same_list(client):
    pages = [page async for page in client.with_response.customers.list(limit=3).pages()]
    assert [customer.id for customer in pages[0].customers] == [1, 2, 3]


async def test_an_empty_list_is_one_empty_page(client):
    pages = [page async for page in client.customers.list({"company_name": "Nobody"}).pages()]
    assert [(len(page), page.count) for page in pages] == [(0, 0)]
    assert await listed(client.customers.list({"company_name": "Nobody"})) == []


@pytest.mark.parametrize(
    ("limit", "size", "asked"),
    [
        (1, 1000, [(0, 1)]),
        (5, 1000, [(0, 5)]),
        (1500, 1000, [(0, 1000), (1, 1000)]),
        (4000, 2000 // 2, [(n, 1000) for n in range(3)]),
    ],
)
async def test_a_limit_asks_for_no_more_than_it_needs(crowd, client, limit, size, asked):
    assert await listed(client.customers.list(limit=limit, page_size=size)) == list(range(1, 2501))[:limit]
    assert [(int(r.query["pageNumber"]), int(r.query["pageSize"])) for r in crowd.requests] == asked


async def test_a_sort_goes_to_the_service(crowd, client):
    assert await listed(client.customers.list(sort="-id", limit=3)) == [2500, 2499, 2498]
    by_name = [customer.company_name async for customer in client.customers.list(sort="company_name")]
    assert by_name == sorted(by_name, key=str.lower)
    assert len(set(by_name)) == 2500


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"page_size": 0}, "page_size"),
        ({"page_size": 1001}, "page_size"),
        ({"page_size": True}, "page_size"),
        ({"limit": 0}, "limit"),
        ({"limit": "7"}, "limit"),
        ({"sort": "nobody"}, "sort"),
        ({"query": {"nobody": 1}}, "query"),
    ],
)
async def test_what_cannot_be_asked_is_refused_at_once(client, options, field):
    with pytest.raises(ValidationError) as caught:
        client.customers.list(**options)
    assert caught.value.field == field


async def test_nothing_is_sent_before_the_iteration_and_each_one_reads_anew(crowd, client):
    customers = client.customers.list(page_size=1000)
    assert not crowd.requests
    for _ in range(2):
        assert len(await listed(customers)) == 2500
    assert pages_asked(crowd) == [0, 1, 2] * 2


async def test_the_next_page_is_asked_for_while_this_one_is_worked_on(crowd, client):
    pages = client.customers.list().pages()
    await anext(pages)
    await until(lambda: len(crowd.requests) == 2)
    await asyncio.sleep(0.05)
    assert pages_asked(crowd) == [0, 1]
    await pages.aclose()


async def test_without_prefetch_it_is_not(crowd, client):
    pages = client.customers.list(prefetch=False).pages()
    await anext(pages)
    await asyncio.sleep(0.05)
    assert pages_asked(crowd) == [0]
    await pages.aclose()


async def test_an_iteration_that_ends_early_leaves_nothing_behind(crowd, client):
    before = asyncio.all_tasks()
    crowd.inject(Fault.delay(30, operation="customers.list", skip=1))
    async for customer in client.customers.list():
        if customer.id == 5:
            break
    gc.collect()
    await until(lambda: asyncio.all_tasks() == before)
    assert await client.customers.get(1)


async def test_closing_the_iterator_ends_the_request_at_once(crowd, client):
    before = asyncio.all_tasks()
    crowd.inject(Fault.hang_before_effect(operation="customers.list", skip=1))
    customers = aiter(client.customers.list())
    await anext(customers)
    await customers.aclose()
    assert asyncio.all_tasks() == before


async def test_a_cancelled_iteration_leaves_nothing_behind(crowd, client):
    crowd.inject(Fault.hang_before_effect(operation="customers.list", skip=1))
    task = asyncio.create_task(listed(client.customers.list()))
    await until(lambda: len(crowd.requests) == 2)
    before = asyncio.all_tasks() - {task}
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(asyncio.all_tasks()) <= len(before)


async def test_a_page_that_fails_is_asked_for_again(crowd, client):
    crowd.inject(
        Fault.reset_after_effect(operation="customers.list"),
        Fault.status(503, operation="customers.list", skip=1),
        Fault.cut_body(operation="customers.list", skip=2),
    )
    assert await listed(client.customers.list()) == list(range(1, 2501))
    assert pages_asked(crowd) == [0, 0, 1, 1, 2, 2]


async def test_an_error_comes_after_the_pages_before_it(crowd, client):
    crowd.inject(Fault.status(500, operation="customers.list", skip=1, times=None))
    customers = aiter(client.customers.list())
    assert [(await anext(customers)).id for _ in range(1000)] == list(range(1, 1001))
    with pytest.raises(ServerError):
        await anext(customers)


@pytest.mark.parametrize("body", ['{"id":1}', "[1]", "null", "[", "<html>"])
async def test_what_is_no_page_is_an_error(crowd, client, body):
    crowd.inject(Fault.status(200, body=body, operation="customers.list", times=None))
    with pytest.raises(InvalidResponseError):
        await listed(client.customers.list())


async def test_a_refusal_is_an_error(crowd, client):
    crowd.inject(Fault.status(404, operation="customers.list"))
    with pytest.raises(NotFoundError):
        await listed(client.customers.list())


async def test_options_of_a_handle_hold_for_its_lists(crowd, client):
    crowd.inject(Fault.hang_before_effect(operation="customers.list", times=None))
    with pytest.raises(TimeoutError):
        await listed(client.with_options(timeouts=Timeouts(read=0.05, total=0.1)).customers.list())


# --- a set that moves


async def test_who_is_held_while_listed_makes_nobody_be_skipped():
    async with (
        FusebillSimulator(customers=60, customers_status="Active") as fusebill,
        client_of(fusebill) as client,
    ):
        held = []
        async for customer in client.customers.list({"status": "Active"}, page_size=10):
            await client.customers.hold(customer)
            held.append(customer.id)
        assert held == list(range(1, 61))
        assert fusebill.effects("hold") == 60


@pytest.mark.parametrize("prefetch", [True, False])
async def test_who_is_created_while_listed_makes_nobody_come_twice(prefetch):
    async with FusebillSimulator(customers=30) as fusebill, client_of(fusebill) as client:
        seen = []
        async for customer in client.customers.list(page_size=5, sort="-id", prefetch=prefetch):
            seen.append(customer.id)
            if len(seen) % 2:
                fusebill.add_customer()
        assert seen == list(range(30, 0, -1))


# --- what it costs


async def test_a_page_of_a_thousand_does_not_hold_up_the_loop():
    async with FusebillSimulator(customers=1000) as fusebill:
        body = b"[" + b",".join(fusebill.customer_bytes(number) for number in range(1, 1001)) + b"]"
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        texts = split_array(body)
        best = min(best, time.perf_counter() - started)
    assert len(texts) == 1000
    # What is split at once is decoded a hundred at a time, and a field when it is looked at.
    assert best < 0.010


async def test_ten_thousand_customers_take_no_more_memory_than_three_thousand():
    asyncio.get_running_loop().set_debug(False)
    async with (
        FusebillSimulator(customers=10_000, record_requests=False, template=Template()) as fusebill,
        client_of(fusebill) as client,
    ):
        few, many = await _peak(client, 3_000), await _peak(client, 10_000)
        assert many < few * 1.15


async def _peak(client, count):
    gc.collect()
    tracemalloc.start()
    try:
        seen = 0
        async for customer in client.customers.list(limit=count):
            seen += customer.status != ""
        assert seen == count
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
