"""Lists: paging headers, filters and sorting of FACTS 4."""

import pytest

from fusebill_async.testing import FusebillSimulator, Paging
from tests.simulator.plain_wire import ask


async def ids(fusebill, query: str) -> list[int]:
    answer = await ask(fusebill, "GET", "/v1/customers?" + query)
    assert answer.status == 200, answer.body
    return [customer["id"] for customer in answer.json]


async def test_pages():
    async with FusebillSimulator(customers=25) as fusebill:
        seen = []
        for page in range(3):
            path = f"/v1/customers/?pageNumber={page}&pageSize=10&sortOrder=Ascending&sortExpression=id"
            answer = await ask(fusebill, "GET", path)
            seen += [customer["id"] for customer in answer.json]
            assert answer.header("X-Count") == answer.header("X-MaxCount") == "25"
            assert answer.header("X-CurrentPage") == str(page)
            assert answer.header("X-PreviousPage") == str(page - 1)
            assert answer.header("X-NextPage") == ("-1" if page == 2 else str(page + 1))
            assert (answer.header("X-PageSize"), answer.header("X-MaxPageIndex")) == ("10", "2")
            assert (answer.header("X-SortOrder"), answer.header("X-SortExpression")) == ("Ascending", "id")
        assert seen == list(range(1, 26))
        assert await ids(fusebill, "pageNumber=3&pageSize=10") == []
        # Without a sort the newest come first.
        assert await ids(fusebill, "pageSize=2") == [25, 24]


async def test_the_page_size_is_capped_and_the_open_readings_can_be_chosen():
    paging = Paging(max_page_size=10, max_page_index="count", last_next_page="absent")
    async with FusebillSimulator(customers=15, paging=paging) as fusebill:
        answer = await ask(fusebill, "GET", "/v1/customers?pageNumber=1&pageSize=5000")
        assert (len(answer.json), answer.header("X-MaxPageIndex"), answer.header("X-NextPage")) == (
            5,
            "2",
            None,
        )


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("status:Hold", [2]),
        ("Status:hold,Draft", [2, 3]),
        ("id:1,3", [1, 3]),
        ("companyName:Gro*", [1, 2]),
        ("companyName:*b;status:Hold", [2]),
        ("companyName:[empty]", [3]),
        ("reference:A-1", [1]),
        ("customerReference.reference1:x", [2]),
        ("customerReference.salesTrackingCode1.code:abc", [3]),
        ("monthlyRecurringRevenue:10|20", [1]),
        ("monthlyRecurringRevenue:20|", [2, 3]),
        ("monthlyRecurringRevenue:|20.0", [1]),
        ("createdTimestamp:2020-01-02|2020-01-03", [2]),
        ("createdTimestamp:|2020-01-02T00:00:00", [1]),
        ("accountStatus:Collection", [3]),
    ],
)
async def test_filters(fusebill, query, found):
    fusebill.add_customer(
        id=1,
        company_name="Groka",
        reference="A-1",
        monthly_recurring_revenue=10,
        created_timestamp="2020-01-01T23:59:59",
    )
    fusebill.add_customer(
        id=2, company_name="Grokb", status="Hold", customer_reference={"reference1": "x"},
        monthly_recurring_revenue=20, created_timestamp="2020-01-02T00:00:00",
    )  # fmt: skip
    codes = [{"type": "Sales Tracking Code 1", "code": "abc", "name": "n"}]
    fusebill.add_customer(
        id=3,
        company_name=None,
        status="Draft",
        customer_reference={"salesTrackingCodes": codes},
        monthly_recurring_revenue=30,
        created_timestamp="2020-01-03T00:00:00",
        customer_account_status="Collection",
    )
    assert await ids(fusebill, f"query={query}&sortOrder=Ascending&sortExpression=id") == found


async def test_sorting_puts_nulls_first(fusebill):
    for customer_id, name in ((1, "b"), (2, None), (3, "A")):
        fusebill.add_customer(id=customer_id, company_name=name)
    assert await ids(fusebill, "sortOrder=ascending&sortExpression=CompanyName") == [2, 3, 1]
    assert await ids(fusebill, "sortOrder=Descending&sortExpression=CompanyName") == [1, 3, 2]


async def test_quick_search(fusebill):
    fusebill.add_customer(id=1, company_name="Needle Ltd")
    fusebill.add_customer(id=2)
    assert await ids(fusebill, "quickSearch=needle") == [1]


@pytest.mark.parametrize(
    "query", ["query=nonsense:1", "query=status", "pageSize=0", "pageNumber=-1", "query=createdTimestamp:x|"]
)
async def test_what_cannot_be_read_is_refused(fusebill, query):
    assert (await ask(fusebill, "GET", "/v1/customers?" + query)).status == 400


async def test_a_hundred_thousand_are_there_at_once():
    async with FusebillSimulator(customers=100_000) as fusebill:
        assert len(await ids(fusebill, "pageSize=1000&pageNumber=50")) == 1000
