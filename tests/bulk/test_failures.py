"""Failures are grouped by what was said, and each group can be chosen by its text."""

from __future__ import annotations

from fusebill_async.bulk import Tally
from fusebill_async.bulk.failures import grouped


def item(number, message, tally=Tally.REJECTED):
    return tally, message, number


def test_groups():
    items = [item(each, f"400: No NetSuite customer {each}, Name {each + 1}") for each in range(1, 6)]
    items += [item(9, "404: gone"), item(10, "x", Tally.UNKNOWN)]
    first, second, third = grouped(items)
    assert (first.tally, first.count) == (Tally.UNKNOWN, 1)
    assert (second.message, second.count, second.customer_ids) == ("400: No NetSuite customer N, Name N", 5, [1, 2, 3])
    # It stands in the message of each of them, letters N included.
    assert second.part == "400: No NetSuite customer"
    assert all(second.part in message for _, message, _ in items[:5])
    assert third.count == 1
