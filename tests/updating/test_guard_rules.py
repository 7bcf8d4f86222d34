"""What counts as erased, as changed by others, as a conflict, and as not taken: the rules themselves."""

from __future__ import annotations

from typing import Any

import pytest

from fusebill_async import ConcurrentModificationError
from fusebill_async.converting import read_object
from fusebill_async.updating.guarding import changed_by_others, check_conflicts, erased, not_taken
from fusebill_async.updating.merging import Change, differences, frozen, leaves

HELD = b'{"companyName":"Grok Ltd","customerReference":{"reference1":"A","reference2":"B"}}'


def changed(before: bytes, after: bytes) -> tuple[Change, ...]:
    return differences(read_object(before), read_object(after))


def named(changes: dict[str, Any]) -> dict[str, Any]:
    return dict(leaves(frozen(changes)))


@pytest.mark.parametrize(
    ("present", "body", "fields"),
    [
        (HELD, HELD, []),
        (HELD, b'{"companyName":null,"customerReference":{"reference1":"A","reference2":"B"}}', ["company_name"]),
        (HELD, b'{"companyName":"","customerReference":{"reference1":"A","reference2":"B"}}', ["company_name"]),
        (HELD, b'{"customerReference":{"reference1":"A","reference2":"B"}}', ["company_name"]),
        (HELD, b'{"companyName":"Grok Ltd","customerReference":{"reference1":"A"}}', ["customer_reference.reference2"]),
        (
            HELD,
            b'{"companyName":"Grok Ltd","customerReference":null}',
            ["customer_reference.reference1", "customer_reference.reference2"],
        ),
        # The same key in another spelling is the same field.
        (b'{"companyName":"Grok Ltd"}', b'{"CompanyName":"Grok Ltd"}', []),
        (b'{"companyName":"Grok Ltd"}', b'{"CompanyName":null}', ["company_name"]),
        # What holds nothing loses nothing, however it is written.
        (b'{"a":null,"b":"","c":[],"d":[ ],"e":{}}', b"{}", []),
        (b'{"a":0,"b":false,"c":[0]}', b"{}", ["a", "b", "c"]),
    ],
)
def test_what_is_erased(present: bytes, body: bytes, fields: list[str]) -> None:
    assert erased(changed(present, body), ()) == fields
    assert erased(changed(present, body), fields) == []


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"{}", []),
        (b'{"customerReference":{"reference2":"B"}}', []),
        (b'{"customerReference":{"reference1":null,"reference2":"B"}}', ["customer_reference.reference1"]),
        (b'{"customerReference":null}', ["customer_reference.reference1", "customer_reference.reference2"]),
    ],
)
def test_what_is_shown_to_be_erased(body: bytes, fields: list[str]) -> None:
    assert erased([change for change in changed(HELD, body) if not change.absent], ()) == fields


@pytest.mark.parametrize(
    ("present", "changes", "conflicts"),
    [
        (HELD, {"companyName": "New Ltd"}, set()),
        (HELD.replace(b"Grok", b"Other"), {"companyName": "New Ltd"}, {"company_name"}),
        (HELD.replace(b"Grok", b"New"), {"companyName": "New Ltd"}, set()),
        (HELD.replace(b"Grok", b"Other"), {"title": "Dr"}, set()),
        (HELD.replace(b'"A"', b'"Z"'), {"customerReference": {"reference2": "C"}}, set()),
        (HELD.replace(b'"A"', b'"Z"'), {"customerReference": {"reference1": "C"}}, {"customer_reference.reference1"}),
        # Whoever erases an object writes over all that is in it.
        (HELD.replace(b'"A"', b'"Z"'), {"customerReference": None}, {"customer_reference.reference1"}),
        # Whoever erased the object wrote over the field that is named in it.
        (
            b'{"companyName":"Grok Ltd","customerReference":null}',
            {"customerReference": {"reference1": "C"}},
            {"customer_reference.reference1"},
        ),
        (
            b'{"companyName":"Grok Ltd","customerReference":"no object any more"}',
            {"customerReference": {"reference1": "C"}},
            {"customer_reference"},
        ),
    ],
)
def test_what_is_a_conflict(present: bytes, changes: dict[str, Any], conflicts: set[str]) -> None:
    if not conflicts:
        check_conflicts(changed(HELD, present), named(changes))
        return
    with pytest.raises(ConcurrentModificationError) as caught:
        check_conflicts(changed(HELD, present), named(changes))
    assert set(caught.value.conflicts) == conflicts


@pytest.mark.parametrize(
    ("present", "changes", "fields"),
    [
        (HELD, {"companyName": "New Ltd"}, []),
        (HELD.replace(b"Grok", b"New"), {"companyName": "New Ltd"}, []),
        (HELD.replace(b"Grok", b"Other"), {"companyName": "New Ltd"}, ["company_name"]),
        (HELD.replace(b'"A"', b'"Z"'), {"companyName": "New Ltd"}, ["customer_reference.reference1"]),
        (b'{"companyName":"Grok Ltd"}', {"companyName": "New Ltd"}, []),
    ],
)
def test_what_others_changed(present: bytes, changes: dict[str, Any], fields: list[str]) -> None:
    assert [change.field for change in changed_by_others(changed(HELD, present), named(changes))] == fields


@pytest.mark.parametrize(
    ("expected", "answer", "fields"),
    [
        ({"companyName": "Grok Ltd"}, HELD, {}),
        ({"companyName": "New Ltd"}, HELD, {"company_name": ("New Ltd", "Grok Ltd")}),
        ({"customerReference": {"reference1": "C"}}, HELD, {"customer_reference.reference1": ("C", "A")}),
        (
            {"customerReference": {"reference1": "C", "reference2": None}},
            b'{"customerReference":null}',
            {"customer_reference.reference1": ("C", None)},
        ),
        ({"customerReference": {"reference1": "C"}}, b"{}", {"customer_reference.reference1": ("C", None)}),
    ],
)
def test_what_was_not_taken(expected: dict[str, Any], answer: bytes, fields: dict[str, Any]) -> None:
    assert not_taken(expected, read_object(answer)) == fields
