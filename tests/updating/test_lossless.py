"""What nobody named goes back as it came: same keys, same order, same literals."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from fusebill_async import (
    BadRequestError,
    FieldsNotTakenError,
    FusebillClient,
    WouldEraseError,
)
from fusebill_async.converting import decode_json, read_object, wire_fields
from fusebill_async.models import CustomerAcquisition, CustomerReference, wire_key
from fusebill_async.testing import FusebillSimulator
from fusebill_async.updating import guarding, merging
from fusebill_async.updating.changes import wire_changes
from fusebill_async.updating.merging import Change, frozen
from tests.updating.update_wires import CHANGES, LITERALS, WRITABLE, as_arguments, customers, join, literal_pairs

KEY = "MDpub3QtYS1yZWFsLWtleQ"


def merge(wire: bytes, changes: dict[str, Any]) -> bytes:
    return merging.merge(read_object(wire), frozen(changes))


def differences(before: bytes, after: bytes) -> tuple[Change, ...]:
    return merging.differences(read_object(before), read_object(after))


def same_key(key: str, name: str) -> bool:
    return key.lower() == wire_key(name).lower()


def assert_only(before: Any, after: Any, path: tuple[str, ...], value: Any) -> None:
    """`after` is `before` with nothing else than the named field changed, in place or at the end."""
    at = [index for index, (key, _) in enumerate(before) if same_key(key, path[0])]
    kept = [pair for pair in before if not same_key(pair[0], path[0])]
    assert [pair for pair in after if not same_key(pair[0], path[0])] == kept
    if not at:
        assert after[: len(before)] == before
        assert len(after) <= len(before) + 1
        assert len(after) > len(before) or value is None
        return
    assert [key for key, _ in after] == [key for key, _ in before]
    for index in at:
        old, new = before[index][1], after[index][1]
        if len(path) == 2 and isinstance(old, list):
            assert_only(old, new, path[1:], value)
        elif len(path) == 1:
            assert says(new, value, old), (new, value, old)


def says(shown: Any, value: Any, old: Any) -> bool:
    """Whether a value stands there as it was given, or as the text that said the same before."""
    if shown == old:
        return (
            str(shown) == str(value)
            or (not shown and not value)
            or (type(value) is int and float(shown) == value)
            or (isinstance(value, list) and codes(shown) == [(code["type"], code["code"]) for code in value])
        )
    if isinstance(value, list):
        return codes(shown) == [(code["type"], code["code"]) for code in value]
    return shown == value or (isinstance(value, int) and str(shown) == str(value))


def codes(shown: Any) -> list[tuple[str, str]]:
    return [(dict(code)["type"], dict(code)["code"]) for code in shown]


@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(customers(), CHANGES)
def test_merging_one_field_changes_nothing_else(wire: bytes, change: tuple[tuple[str, ...], Any]) -> None:
    path, value = change
    changes = wire_changes(as_arguments(path, value))
    body = merge(wire, changes)

    assert_only(literal_pairs(wire), literal_pairs(body), path, value)
    # What is shown as different is the named field, and laying the same over it again changes nothing.
    named = ".".join(path)
    assert all(change.field == named or change.field.startswith(f"{named}.") for change in differences(wire, body))
    assert merge(body, changes) == body


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(customers())
def test_merging_nothing_gives_the_same_json(wire: bytes) -> None:
    assert literal_pairs(merge(wire, {})) == literal_pairs(wire)
    assert differences(wire, merge(wire, {})) == ()


@pytest.mark.parametrize("path", WRITABLE, ids=".".join)
def test_every_writable_field_can_be_named_and_erased(path: tuple[str, ...]) -> None:
    wire = b'{"id":1,"status":"Active","customerReference":{"id":9,"x":-0},"customerAcquisition":null,"odd":1E+2}'
    value: Any = [{"type": "T", "code": "C"}] if path[-1] == "sales_tracking_codes" else "Mr"
    body = merge(wire, wire_changes(as_arguments(path, value)))

    assert_only(literal_pairs(wire), literal_pairs(body), path, value)
    assert [change.field for change in differences(wire, body)] == [".".join(path)]
    again = merge(body, wire_changes(as_arguments(path, None)))
    assert [change.after for change in differences(body, again)] == [None]


def test_a_value_that_is_there_already_keeps_its_text() -> None:
    """A number where the page documents a text, a text in another spelling, codes with more keys."""
    wire = (
        b'{"primaryPhone":6135550101,"companyName":"\\u0041","title":"","monthlyRecurringRevenue":25.9800,'
        b'"customerReference":{"salesTrackingCodes":[{"type":"T","code":"C","name":"N","id":1e2}]}}'
    )
    same = {
        "primaryPhone": "6135550101",
        "companyName": "A",
        "title": None,
        "customerReference": {"salesTrackingCodes": [{"type": "T", "code": "C"}]},
    }

    assert merge(wire, same) == wire


@pytest.mark.parametrize(
    ("wire", "value", "expected"),
    [
        (b'{"flag":true}', 1, b'{"flag":1}'),
        (b'{"flag":1}', True, b'{"flag":true}'),
        (b'{"flag":false}', 0, b'{"flag":0}'),
        (b'{"flag":null}', False, b'{"flag":false}'),
    ],
)
def test_true_is_not_one(wire: bytes, value: Any, expected: bytes) -> None:
    assert merge(wire, {"flag": value}) == expected


@pytest.mark.parametrize(
    "key",
    [
        "id", "uri", "modifiedTimestamp", "createdTimestamp", "monthlyRecurringRevenue", "netMonthlyRecurringRevenue",
        "customerAccountStatus", "canChangeCurrency", "isParent", "requiresProjectedInvoiceGeneration",
        "requiresFinancialCalendarGeneration",
    ],
)  # fmt: skip
def test_what_the_service_works_out_itself_is_nobodys_change(key: str) -> None:
    """It may change while an update is under way, and the PUT cannot undo it."""
    before, after = (msgspec.json.encode({key: value, "companyName": "Grok"}) for value in (1, 2))
    assert guarding.changed_by_others(differences(before, after), {}) == ()
    assert merging.expected(read_object(before), frozen({key: 3, "companyName": "New"})) == {"companyName": "New"}


def test_a_change_goes_under_every_spelling_that_is_there() -> None:
    wire = b'{"CompanyName":"Old","id":1,"companyName":"Old","CUSTOMERREFERENCE":{"Reference1":"x","reference2":1e2}}'
    body = merge(wire, {"companyName": "New", "customerReference": {"reference1": "y"}})

    assert body == (
        b'{"CompanyName":"New","id":1,"companyName":"New","CUSTOMERREFERENCE":{"Reference1":"y","reference2":1e2}}'
    )


@pytest.mark.parametrize("wire", [b"{}", b'{"customerReference":null}'])
def test_erasing_what_is_absent_or_null_adds_nothing(wire: bytes) -> None:
    assert merge(wire, {"customerReference": {"reference1": None}, "geotabId": None}) == wire
    assert merge(wire, {"customerReference": {}}) == wire
    assert merge(wire, {"customerReference": None}) == wire


# -- through the client and the service ---------------------------------------------------------------------


def test_what_arrives_at_the_service_is_what_came_but_for_the_named_field() -> None:
    """The oracle is the body that the service received, beside what it had sent."""

    async def update_all() -> int:
        examples: list[tuple[bytes, tuple[tuple[str, ...], Any]]] = []

        @settings(max_examples=400, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
        @given(customers(), CHANGES)
        def gather(wire: bytes, change: Any) -> None:
            examples.append((wire, change))

        gather()
        sent = 0
        async with FusebillSimulator() as fusebill, FusebillClient(KEY, base_url=fusebill.base_url) as client:
            for number, (wire, (path, value)) in enumerate(examples, 1):
                fields = {key: bytes(raw) for key, raw in wire_fields(wire).items()}
                fields |= {"id": str(number).encode()}
                fusebill.add_customer(id=number)
                stored = fusebill._stored(number)
                stored.fields, stored._body = fields, None
                before = stored.body
                try:
                    await client.customers.update(number, **as_arguments(path, value), validate=False)
                except client_refusals():
                    continue
                puts = [r for r in fusebill.requests if r.method == "PUT" and r.customer_id == number]
                for put in puts:
                    assert_only(literal_pairs(before), literal_pairs(put.body), path, value)
                sent += len(puts)
        return sent

    assert asyncio.run(update_all()) > 100


def client_refusals() -> tuple[type[Exception], ...]:
    """What the simulator refuses or does not take, and a made-up object in the place of a text, which None erases."""
    return BadRequestError, FieldsNotTakenError, WouldEraseError


async def test_odd_literals_survive_at_every_level(fusebill: FusebillSimulator, client: FusebillClient) -> None:
    odd = {f"odd{number}": literal for number, literal in enumerate(LITERALS)}
    reference = {"reference1": b'"x"', "reference2": b'"y"', "salesTrackingCodes": b"[]", "id": b"1", **odd}
    fusebill.add_customer(id=1, raw={**odd, "customerReference": join(reference), "deep": join({"deeper": join(odd)})})
    before = fusebill.customer_bytes(1)

    await client.customers.update(1, customer_reference={"reference1": "z"})

    body = fusebill.requests[-1].body
    assert fusebill.requests[-1].method == "PUT"
    assert body == before.replace(b'"reference1":"x"', b'"reference1":"z"')
    after = {key: value for key, value in wire_fields(fusebill.customer_bytes(1)).items() if key != "modifiedTimestamp"}
    for key, value in after.items():
        if key != "customerReference":
            assert bytes(value) == bytes(wire_fields(before)[key]), key


@pytest.mark.parametrize("literal", [b"123456789" * 40, b"[" * 200 + b"]" * 200, b'"\\ud83d"', b'["\\ude00"]'])
async def test_what_python_cannot_hold_goes_back_as_it_came(
    fusebill: FusebillSimulator, client: FusebillClient, literal: bytes
) -> None:
    fusebill.add_customer(id=1, raw={"odd": literal})

    await client.customers.update(1, company_name="Grok Ltd")

    assert b'"odd":' + literal in fusebill.requests[-1].body
    assert fusebill.effects("update", 1) == 1


@pytest.mark.parametrize(
    ("name", "model"), [("customer_reference", CustomerReference), ("customer_acquisition", CustomerAcquisition)]
)
@pytest.mark.parametrize("raw", [None, b"null"])
async def test_a_nested_object_that_is_absent_or_null_is_made(
    fusebill: FusebillSimulator, client: FusebillClient, name: str, model: Any, raw: bytes | None
) -> None:
    fusebill.add_customer(id=1)
    stored = fusebill._stored(1)
    del stored.fields[wire_key(name)]
    if raw is not None:
        stored.set({wire_key(name): raw})
    stored._body = None
    field = "reference1" if model is CustomerReference else "campaign"

    customer = await client.customers.update(1, **{name: {field: "A-1"}})

    assert getattr(getattr(customer, name), field) == "A-1"
    assert decode_json(fusebill.requests[-1].body)[wire_key(name)] == {field: "A-1"}


def test_changes_are_not_read_again_from_the_callers_objects() -> None:
    """A list that the caller alters while the update waits has no influence."""
    codes: list[Any] = [{"type": "T", "code": "C"}]
    kept = frozen({"customerReference": {"salesTrackingCodes": codes}})
    codes.append({"type": "U", "code": "D"})

    assert (
        merging.merge(read_object(b"{}"), kept)
        == b'{"customerReference":{"salesTrackingCodes":[{"type":"T","code":"C"}]}}'
    )
