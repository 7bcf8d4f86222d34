"""Which page comes next, and which of its customers are new. Pure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusebill_async import ValidationError
from fusebill_async.wire.paging import PageFacts, Pager, Sort, read_facts
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
    # One request more than there are pages, where the headers leave the end open.
    assert len(asked) <= -(-count // 3) + 1


@pytest.mark.parametrize("count", [0, 1, 6, 7])
def test_with_a_count_nothing_is_asked_for_behind_the_end(count):
    ids = list(range(1, count + 1))
    for following in (None, -1):
        asked, given_ids = pages_of(
            ids, 3, facts=lambda number, last, told=following: PageFacts(next=told, count=count)
        )
        assert given_ids == ids
        assert len(asked) == max(1, -(-count // 3))


@pytest.mark.parametrize(
    ("facts", "asked"),
    [
        (lambda number, last: PageFacts(), 4),
        (lambda number, last: PageFacts(max_page_index=last), 4),
        (lambda number, last: PageFacts(max_page_index=last + 1), 4),
        (lambda number, last: PageFacts(current=number), 4),
    ],
)
def test_without_a_next_page_a_full_page_goes_on(facts, asked):
    assert pages_of(list(range(1, 10)), 3, facts=facts) == (list(range(asked)), list(range(1, 10)))


def walk(pages, facts, *, size=3, sort="id"):
    """Walk through pages that are given by their numbers; behind them is nobody."""
    pager, given_ids, asked = Pager(size, sort_of(sort)), [], []
    while pager.number is not None:
        number = pager.number
        page = pages[number] if number < len(pages) else []
        given_ids += [page[place] for place in pager.take(page, facts(number))]
        asked.append(number)
        assert len(asked) < 100
    return pager, given_ids, asked


@pytest.mark.parametrize(
    "facts",
    [
        lambda number: PageFacts(count=7),
        lambda number: PageFacts(next=number + 1 if number < 3 else -1),
        lambda number: PageFacts(max_page_index=3),
    ],
    ids=["count", "next", "last index"],
)
def test_a_short_page_goes_on_where_a_header_tells_of_more(facts):
    pager, given_ids, asked = walk([[1, 2, 3], [4], [5, 6], [7]], facts)
    assert given_ids == list(range(1, 8))
    assert asked == [0, 1, 2, 3]
    assert pager.missing == 0


@pytest.mark.parametrize("sort", ["id", "company_name"])
@pytest.mark.parametrize(
    ("pages", "missing"),
    [([[1, 2, 3]], 5), ([[1, 2, 3], [4, 5]], 3), ([[1, 2, 3], [4, 5, 6]], 2), ([[]], 8), ([[1]], 7)],
)
def test_who_is_counted_and_never_came_is_missing(pages, missing, sort):
    pager, given_ids, asked = walk(pages, lambda number: PageFacts(count=8, next=-1), sort=sort)
    assert (pager.missing, pager.given) == (missing, len(given_ids))
    assert len(asked) <= len(pages) + 3


def test_who_joins_while_the_last_page_is_read_is_found_on_it():
    pages = [[1, 2, 3], [4]]

    def facts(number):
        if number == 1:
            pages[1] = [4, 5]
        return PageFacts(count=5)

    pager, given_ids, asked = walk(pages, facts)
    assert (given_ids, asked, pager.missing) == ([1, 2, 3, 4, 5], [0, 1, 2, 1], 0)


def test_equal_customers_who_are_sorted_anew_on_each_page_come_once_and_are_missed():
    pages = [[1, 2, 3], [3, 1, 4], [2, 5, 1], [6]]
    pager, given_ids, _ = walk(pages, lambda number: PageFacts(count=10), sort="last_name")
    assert given_ids == [1, 2, 3, 4, 5, 6]
    assert pager.missing == 4


def test_a_measure_that_changes_does_not_lead_back_and_forth():
    pager, given_ids, asked = walk(
        [[1, 2], [3, 4, 5], [6]], lambda number: PageFacts(count=6, page_size=3 if number else 2), size=3
    )
    assert (given_ids, asked, pager.missing) == ([1, 2, 3, 4, 5, 6], [0, 1, 2], 0)


@pytest.mark.parametrize(
    "facts",
    [
        lambda number: PageFacts(next=number + 1, count=9),
        lambda number: PageFacts(next=number + 1),
        lambda number: PageFacts(),
        lambda number: PageFacts(count=1_000_000),
    ],
)
@pytest.mark.parametrize("sort", ["id", "-id", "company_name"])
def test_a_service_that_ignores_the_number_of_the_page_is_not_asked_for_ever(facts, sort):
    page = [3, 2, 1] if sort == "-id" else [1, 2, 3]
    pager, given_ids, asked = walk([page] * 100, facts, sort=sort)
    assert given_ids == page
    assert pager.stuck
    assert len(asked) < 20


def test_a_service_that_ignores_the_number_of_the_page_and_tells_no_next_lacks_the_rest():
    pager, given_ids, _ = walk([[1, 2, 3]] * 100, lambda number: PageFacts(count=8))
    assert (given_ids, pager.missing) == ([1, 2, 3], 5)


def test_many_who_join_at_once_do_not_end_the_list():
    moving = Moving(range(101, 131), 3)
    moving.step()
    moving.ids[0:0] = range(1, 25)
    moving.finish()
    assert moving.given == list(range(101, 131))
    assert (moving.pager.stuck, moving.pager.missing) == (False, 0)


def test_an_id_that_cannot_be_read_counts_as_new():
    pager = Pager(3, Sort())
    assert pager.take([1, None, 3], PageFacts(count=4)) == [0, 1, 2]
    assert pager.take([4], PageFacts(count=4)) == [0]
    assert pager.missing == 0


def test_a_page_is_short_by_the_measure_of_the_service():
    pager = Pager(1000, Sort())
    facts = PageFacts(next=1, page_size=2)
    assert pager.take([1, 2], facts) == [0, 1]
    assert pager.number == 1
    assert pager.take([3], PageFacts(page_size=2)) == [0]
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
    stayed, left, joined = set(moving.ids), False, False
    for _ in range(data.draw(st.integers(0, 12))):
        if moving.pager.number is None:
            break
        moving.step()
        # Either some leave or some join, anywhere: both at once would hide each other in the count.
        if data.draw(st.booleans()):
            leaving = set(data.draw(st.lists(st.sampled_from(moving.ids or [0]), max_size=5)))
            stayed -= leaving
            left = left or bool(leaving)
            moving.ids = [one for one in moving.ids if one not in leaving]
        else:
            joining = data.draw(st.lists(st.integers(1, 400), max_size=3))
            moving.ids = sorted({*moving.ids, *joining})
            joined = joined or bool(joining)
    moving.finish()
    assert len(moving.given) == len(set(moving.given))
    assert stayed <= set(moving.given)
    assert not moving.pager.stuck
    # Who joins takes the place of who left in the count, so that a list may be told to lack somebody.
    assert moving.pager.missing == 0 or (left and joined)


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
