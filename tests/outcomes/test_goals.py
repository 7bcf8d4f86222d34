"""Whether a read shows that an operation has happened."""

from decimal import Decimal

import pytest

from fusebill_async.operations import FieldIs, FieldsAre, FieldsAreNull, FieldsAsNamed, FoundByReference, StatusIs
from fusebill_async.settling.goals import Verdict, judge, same_value

MET, MISSED, UNDECIDED = Verdict.MET, Verdict.MISSED, Verdict.UNDECIDED
BOTH_NULL = FieldsAreNull(("one", "other"))


@pytest.mark.parametrize(
    ("goal", "named", "shown", "verdict"),
    [
        (StatusIs(frozenset({"Hold"})), {}, {"status": "Hold"}, MET),
        (StatusIs(frozenset({"Hold"})), {}, {"status": "Active"}, MISSED),
        (StatusIs(frozenset({"Hold"})), {}, {"status": None}, MISSED),
        (StatusIs(frozenset({"Hold"})), {}, {}, UNDECIDED),
        (BOTH_NULL, {}, {"one": None, "other": ""}, MET),
        (BOTH_NULL, {}, {"one": None, "other": 7}, MISSED),
        (BOTH_NULL, {}, {"one": 7, "other": 0}, MISSED),
        (BOTH_NULL, {}, {"one": None}, UNDECIDED),
        (BOTH_NULL, {}, {"one": 7}, UNDECIDED),
        (BOTH_NULL, {}, {}, UNDECIDED),
        (FieldIs("state", "NotLatched"), {}, {"state": "NotLatched"}, MET),
        (FieldIs("state", "NotLatched"), {}, {"state": "Latched"}, MISSED),
        (FieldIs("state", "NotLatched"), {}, {}, UNDECIDED),
        (FieldsAre((("shownId", "sentId"),)), {"sentId": 7}, {"shownId": "7"}, MET),
        (FieldsAre((("shownId", "sentId"),)), {"sentId": 7}, {"shownId": 8, "sentId": 7}, MISSED),
        (FieldsAre((("shownId", "sentId"),)), {"sentId": 7}, {"sentId": 7}, UNDECIDED),
        (FieldsAre((("shownId", "sentId"),)), {}, {"shownId": 7}, UNDECIDED),
        (FieldsAsNamed(), {"a": "x", "b": 1}, {"a": "x", "b": 1, "c": 2}, MET),
        (FieldsAsNamed(), {"a": "x", "b": 1}, {"a": "x", "b": 2}, MISSED),
        (FieldsAsNamed(), {"a": "x", "b": 1}, {"a": "x"}, UNDECIDED),
        (FieldsAsNamed(), {"a": "x", "b": 1}, {"a": "y"}, MISSED),
        (FieldsAsNamed(), {"a": "x", "b": None}, {"a": "x"}, MET),
        (FieldsAsNamed(), {}, {"a": "x"}, UNDECIDED),
        (FoundByReference(), {"reference": "A"}, {"reference": "A"}, UNDECIDED),
        (None, {}, {"status": "Hold"}, UNDECIDED),
    ],
)
def test_a_goal_is_met_missed_or_left_open(goal, named, shown, verdict):
    assert judge(goal, shown, named) is verdict


CODE = {"type": "Sales Tracking Code 1", "code": "A", "name": "Alpha"}
OTHER = {"type": "Sales Tracking Code 2", "code": "B", "name": "Beta"}


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        (None, ""), ("", None), ("  ", None), ([], None), (None, []),
        ("Grok", " Grok "), (5, "5"), ("5", 5), (Decimal("25.9800"), 25.98), ("25.98", Decimal("25.9800")), (5, "5.0"),
        (True, True), (False, False),
        ({"a": 1}, {"a": "1", "b": 2}), ({"a": None}, {}),
        ([CODE, OTHER], [OTHER, CODE]), ([CODE], [{"type": CODE["type"], "code": "A"}]), ([1, 2], ["1", "2"]),
    ],
)  # fmt: skip
def test_the_same_in_the_services_words(sent, shown):
    assert same_value(sent, shown)


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        (None, 0), (None, False), ("", 0), (0, None), (0, ""), ("Grok", "grok"), ("Grok", None), (5, "five"), (5, 6),
        (True, 1), (1, True), (0, False), (False, None), (True, "true"), ("NaN", "Grok"), ("5", "5.0"),
        ({"a": 1}, {"a": 2}), ({"a": 1}, {}), ({"a": 1}, None), ({"a": 1}, "a"),
        ([CODE], [OTHER]), ([CODE], [CODE, OTHER]), ([CODE, OTHER], [CODE]), ([1, 2], [2, 1]),
        ([CODE], [{**CODE, "code": "B"}]), ([CODE], None), ([1], "1"),
    ],
)  # fmt: skip
def test_not_the_same(sent, shown):
    assert not same_value(sent, shown)
