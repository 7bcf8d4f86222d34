"""Whether a read shows that an operation has happened."""

from decimal import Decimal

import pytest

from fusebill_async.operations import (
    OPERATIONS,
    FieldIs,
    FieldsAre,
    FieldsAreNull,
    FieldsAsNamed,
    FoundByReference,
    StatusIs,
)
from fusebill_async.settling.evidence import Verdict, judge, keys_of
from fusebill_async.wire.comparing import Likeness, likeness, same_value

DIFFERENT, ALIKE, EXACT = Likeness.DIFFERENT, Likeness.ALIKE, Likeness.EXACT
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
        (FieldsAre((("shownId", "sentId"),)), {"sentId": 7}, {"shownId": 7}, MET),
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
    ("sent", "shown", "expected"),
    [
        ("Grok", "Grok", EXACT), (None, None, EXACT), (5, 5, EXACT), (Decimal("25.9800"), 25.98, EXACT),
        (True, True, EXACT), ([1, 2], [1, 2], EXACT), ([], [], EXACT), ({"a": "x"}, {"a": "x", "b": 2}, EXACT),
        ({"a": None}, {}, EXACT), ([CODE, OTHER], [OTHER, {**CODE, "name": "Renamed"}], EXACT),
        ("0042", 42, ALIKE), ("1_000", 1000, ALIKE), ("+16135550101", 16135550101, ALIKE), ("5", 5, ALIKE),
        (5, "5.0", ALIKE), ("Grok", "Grok ", ALIKE), ("Lee", "Lee\u00a0", ALIKE), (None, "", ALIKE), ("", None, ALIKE),
        ([], None, ALIKE), ({"a": "x", "b": "1"}, {"a": "x", "b": 1}, ALIKE),
        ([{**CODE, "code": "1"}], [{**CODE, "code": 1}], ALIKE),
        ("0042", "42", DIFFERENT), ({"a": "x", "b": "1"}, {"a": "y", "b": 1}, DIFFERENT), ("sNaN", 5, DIFFERENT),
        ({"a": 1}, "sNaN", DIFFERENT),
    ],
)  # fmt: skip
def test_how_like_each_other_two_values_are(sent, shown, expected):
    assert likeness(sent, shown) is expected


@pytest.mark.parametrize(
    ("sent", "before", "shown", "verdict"),
    [
        # What stands there as it stood before is no change, however like it is to what was sent.
        ("+16135550101", 16135550101, 16135550101, MISSED),
        ("0042", 42, 42, MISSED),
        ("Acme", "Acme ", "Acme ", MISSED),
        (None, "", "", MISSED),
        ({"reference1": "1"}, {"reference1": 1, "id": 7}, {"reference1": 1, "id": 7}, MISSED),
        # It was not like it before, so it is the form that the service gave it.
        ("0042", 41, 42, MET),
        ("Acme", "Grok", "Acme ", MET),
        (None, "Grok", "", MET),
        ({"reference1": "1"}, {"reference1": "2"}, {"reference1": 1}, MET),
        # It was like it before, and has another form now.
        ("0042", 42, "42.0", MISSED),
        (42, "0042", "42", UNDECIDED),
        ("Acme", "Acme ", " Acme", UNDECIDED),
        # What reads exactly as it was sent is met, whatever was before.
        ("Acme", "Acme ", "Acme", MET),
        ("Acme", "Acme", "Acme", MET),
    ],
)
def test_what_was_only_alike_before_proves_nothing(sent, before, shown, verdict):
    assert judge(FieldsAsNamed(), {"field": shown}, {"field": sent}, {"field": before}) is verdict
    assert judge(FieldsAre((("field", "sent"),)), {"field": shown}, {"sent": sent}, {"field": before}) is verdict


def test_what_is_only_alike_is_left_open_where_nothing_is_known_from_before():
    assert judge(FieldsAsNamed(), {"field": 42}, {"field": "42"}) is UNDECIDED
    assert judge(FieldsAsNamed(), {"field": 42}, {"field": "42"}, {}) is MET
    assert judge(FieldsAsNamed(), {"field": 42, "other": 1}, {"field": "42", "other": 2}) is MISSED


@pytest.mark.parametrize("operation", [one for one in OPERATIONS if one.goal is not None], ids=lambda one: one.title)
def test_the_keys_of_a_goal_are_all_that_it_looks_at(operation):
    named = {"hubSpotId": 7, "netsuiteId": "8", "salesforceId": "a", "geotabId": "b"}
    looked_at = set()

    class Watched(dict):
        def get(self, key, default=None):
            looked_at.add(key)
            return super().get(key, default)

    judge(operation.goal, Watched(), named)
    assert looked_at == set(keys_of(operation.goal, named))


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
