"""Which page comes next, and which of its customers are new. Pure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusebill_async import ValidationError
from fusebill_async.wire.pager import PageFacts, Pager, read_facts
from fusebill_async.wire.paging import Sort
from fusebill_async.wire.query import sort_of


def pages_of(ids, size, *, sort="id", facts=lambda number, last: PageFacts(next=number + 1 if number < last else -1)):
    """Walk through a set that stands still: the numbers of the pages asked for, and the ids given."""
    pager, asked, given_ids = Pager(size, sort_of(sort)), [], []
    while pager.number is not None:
        number = pager.number
        page = ids[number * size : (number + 1) * size]
        asked.append(number)
        last = max(0, (len(ids) - 1) // size)
        given_ids += [page[place] for place in pager.take(page, facts(number, last))]
        assert len(asked) < 100
    return asked, given_ids


READINGS = {
    "-1 on the last page": lambda n, last: PageFacts(next=n + 1 if n < last else -1, max_page_index=last),
    "absent on the last page": lambda n, last: PageFacts(next=n + 1 if n < last else None, max_page_index=last + 1),
    "one more on the last page": lambda n, last: PageFacts(next=n + 1, max_page_index=last),
    "itself on the last page": lambda n, last: PageFacts(next=min(n + 1, last)),
    "the first again": lambda n, last: PageFacts(next=n + 1 if n < last else 0),
    "an index that says nothing": lambda n, last: PageFacts(next=n + 1 if n < last else -1, max_page_index=0),
}


@pytest.mark.parametrize("reading", READINGS.values(), ids=READINGS)
@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 6, 7])
def test_every_reading_of_the_headers_gives_every_customer_once(reading, count):
    ids = list(range(1, count + 1))
    asked, given_ids = pages_of(ids, 3, facts=reading)
    assert given_ids == ids
    assert asked == list(range(len(asked)))
    assert len(asked) <= count // 3 + 1


def test_without_a_next_page_the_list_ends():
    assert pages_of(list(range(1, 10)), 3, facts=lambda number, last: PageFacts()) == ([0], [1, 2, 3])


def test_a_page_is_short_by_the_measure_of_the_service():
    pager = Pager(1000, Sort())
    facts = PageFacts(next=1, page_size=2)
    assert pager.take([1, 2], facts) == [0, 1]
    assert pager.number == 1
    assert pager.take([3], PageFacts(next=2, page_size=2)) == [0]
    assert pager.number is None


class Moving:
    """A list that changes between its pages."""

    def __init__(self, ids, size, sort="id"):
        self.ids, self.size = list(ids), size
        self.pager = Pager(size, sort_of(sort))
        self.given, self.asked = [], []

    def step(self):
        number = self.pager.number
        self.asked.append(number)
        page = self.ids[number * self.size : (number + 1) * self.size]
        facts = PageFacts(next=number + 1, count=len(self.ids))
        self.given += [page[place] for place in self.pager.take(page, facts)]

    def finish(self):
        while self.pager.number is not None:
            self.step()
            assert len(self.asked) < 1000


def test_who_joins_before_our_place_makes_nobody_come_twice():
    moving = Moving([10, 20, 30, 40, 50, 60], 2)
    moving.step()
    moving.ids[0:0] = [1, 2]
    moving.finish()
    assert moving.given == [10, 20, 30, 40, 50, 60]


def test_who_leaves_before_our_place_makes_nobody_be_skipped():
    moving = Moving(range(1, 11), 3)
    moving.step()
    del moving.ids[:2]
    moving.finish()
    assert moving.given == list(range(1, 11))
    assert moving.asked[:3] == [0, 1, 0]


def test_a_list_whose_members_are_taken_out_as_they_come():
    moving = Moving(range(1, 31), 5)
    while moving.pager.number is not None:
        moving.step()
        moving.ids = [one for one in moving.ids if one not in moving.given]
    assert moving.given == list(range(1, 31))


def test_descending_is_the_same_from_the_other_end():
    moving = Moving(range(20, 0, -1), 3, "-id")
    moving.step()
    moving.ids[0:0] = [25, 24]
    moving.step()
    del moving.ids[:4]
    moving.finish()
    assert moving.given == list(range(20, 0, -1))


def test_in_another_order_a_page_does_not_repeat_the_one_before():
    moving = Moving([7, 3, 9, 1, 8], 2, "company_name")
    moving.step()
    moving.ids[0:0] = [100]
    moving.finish()
    assert moving.given == [7, 3, 9, 1, 8]


def test_a_service_that_ignores_the_order_loses_nobody():
    assert pages_of([9, 7, 8, 2, 5, 1], 2)[1] == [9, 7, 8, 2, 5, 1]
    assert pages_of([3, 2, 1], 1)[1] == [3, 2, 1]


@given(st.data())
def test_whoever_stays_in_the_list_comes_exactly_once(data):
    count = data.draw(st.integers(2, 40))
    moving = Moving([10 * one for one in range(1, count + 1)], data.draw(st.integers(2, 7)))
    stayed = set(moving.ids)
    for _ in range(data.draw(st.integers(0, 12))):
        if moving.pager.number is None:
            break
        moving.step()
        # Either some leave or some join, anywhere: both at once would hide each other in the count.
        if data.draw(st.booleans()):
            leaving = set(data.draw(st.lists(st.sampled_from(moving.ids or [0]), max_size=5)))
            stayed -= leaving
            moving.ids = [one for one in moving.ids if one not in leaving]
        else:
            joining = data.draw(st.lists(st.integers(1, 400), max_size=3))
            moving.ids = sorted({*moving.ids, *joining})
    moving.finish()
    assert len(moving.given) == len(set(moving.given))
    assert stayed <= set(moving.given)


@pytest.mark.parametrize(
    ("text", "expression", "order"),
    [
        ("id", "id", "Ascending"),
        ("-ID", "id", "Descending"),
        ("created_timestamp", "CreatedTimestamp", "Ascending"),
        ("-CompanyName", "CompanyName", "Descending"),
    ],
)
def test_a_sort_is_a_name_and_a_direction(text, expression, order):
    assert sort_of(text) == Sort(expression, order)


@pytest.mark.parametrize("text", ["", "-", "nobody", 7, None])
def test_what_nobody_can_be_sorted_by_is_refused(text):
    with pytest.raises(ValidationError) as caught:
        sort_of(text)
    assert caught.value.field == "sort"


def test_headers_that_are_no_numbers_are_none():
    facts = read_facts({"X-Count": "many", "X-NextPage": "", "X-PageSize": "9" * 30, "X-CurrentPage": "0"})
    assert (facts.count, facts.next, facts.page_size, facts.current) == (None, None, None, 0)
