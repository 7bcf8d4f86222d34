"""A PUT that would erase what nobody named is refused, and nothing is sent."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from fusebill_async import BadRequestError, FusebillClient, Outcome, ValidationError, WouldEraseError
from fusebill_async.converting import decode_json
from fusebill_async.models import Customer, CustomerReference, SalesTrackingCode
from fusebill_async.testing import FusebillSimulator


def puts(fusebill: FusebillSimulator) -> list[Any]:
    return [decode_json(request.body) for request in fusebill.requests if request.method == "PUT"]


# -- refused -------------------------------------------------------------------------------------------------


async def test_erasing_an_object_is_not_naming_what_is_in_it(
    fusebill: FusebillSimulator, client: FusebillClient
) -> None:
    fusebill.add_customer(
        id=1, customer_reference={"reference2": "B", "salesTrackingCodes": [{"type": "T", "code": "C"}]}
    )

    with pytest.raises(WouldEraseError) as caught:
        await client.customers.update(1, customer_reference=None)

    error = caught.value
    assert error.fields == ("customer_reference.reference2", "customer_reference.sales_tracking_codes")
    assert (error.outcome, error.operation, error.customer_id) == (Outcome.NOT_SENT, "customers.update", 1)
    assert fusebill.received("update") == 0


async def test_an_object_with_nothing_in_it_may_be_erased(fusebill: FusebillSimulator, client: FusebillClient) -> None:
    fusebill.add_customer(id=1, customer_reference={"reference2": None})

    await client.customers.update(1, customer_reference=None)

    assert puts(fusebill)[0]["customerReference"] is None


@pytest.mark.parametrize(
    "allowed",
    [{"customer_reference"}, {"customer_reference.reference2"}, ["customer_reference.reference2", "company_name"]],
)
async def test_allow_erase_names_a_field_or_all_that_is_in_an_object(
    fusebill: FusebillSimulator, client: FusebillClient, allowed: Any
) -> None:
    fusebill.add_customer(id=1)

    customer = await client.customers.update(1, customer_reference=None, allow_erase=allowed)

    assert customer.customer_reference is not None
    assert customer.customer_reference.reference2 is None
    assert fusebill.effects("update", 1) == 1


async def test_a_text_is_no_set_of_names(fusebill: FusebillSimulator, client: FusebillClient) -> None:
    with pytest.raises(ValidationError, match="allow_erase must be a set"):
        await client.customers.update(1, middle_name="x", allow_erase="middle_name")
    with pytest.raises(ValidationError, match="allow_erase must be a set"):
        await client.customers.replace(Customer(id=1), allow_erase="middle_name")
    assert not fusebill.requests


async def test_a_customer_built_by_hand_erases_nothing_that_it_does_not_name(
    fusebill: FusebillSimulator, client: FusebillClient
) -> None:
    fusebill.add_customer(id=1, raw={"newField": b"1E+2", "newObject": b'{"id":5,"deep":{"x":0}}', "empty": b"[]"})

    with pytest.raises(WouldEraseError) as caught:
        await client.customers.replace(Customer(id=1, company_name="Grok Ltd", middle_name=None))

    fields = set(caught.value.fields)
    assert {"first_name", "primary_email", "hubspot_id", "customer_reference.reference2", "currency"} <= fields
    assert {"new_field", "new_object.id", "new_object.deep.x"} <= fields
    # What was named, what holds nothing and what the service keeps itself is no loss.
    assert not fields & {"company_name", "middle_name", "empty", "parent_id", "uri", "modified_timestamp", "status"}
    assert [request.method for request in fusebill.requests] == ["GET"]


async def test_a_key_that_no_model_knows_is_guarded_by_its_own_name(
    fusebill: FusebillSimulator, client: FusebillClient
) -> None:
    fusebill.add_customer(id=1, raw={"newField": b"10.000000"})
    customer = await client.customers.get(1)
    by_hand = Customer(id=1, **{name: getattr(customer, name) for name in named_by_hand()})

    with pytest.raises(WouldEraseError) as caught:
        await client.customers.replace(by_hand)
    assert caught.value.fields == ("new_field",)

    await client.customers.replace(by_hand, allow_erase={"new_field"})
    assert fusebill.customer(1)["newField"] is None
    assert fusebill.customer(1)["firstName"] == customer.first_name


def named_by_hand() -> list[str]:
    return [field.name for field in attrs.fields(Customer) if field.name not in {"id", "extra"}]


async def test_evolve_names_what_it_changes_and_keeps_the_rest(
    fusebill: FusebillSimulator, client: FusebillClient
) -> None:
    fusebill.add_customer(id=1, raw={"newField": b"10.000000"})
    customer = await client.customers.get(1)

    await client.customers.update(attrs.evolve(customer, company_name="Grok Ltd", middle_name=None))
    with pytest.raises(WouldEraseError, match="customer_reference"):
        await client.customers.update(attrs.evolve(await client.customers.get(1), customer_reference=None))

    [body] = puts(fusebill)
    assert (body["companyName"], body["middleName"], body["newField"]) == ("Grok Ltd", None, 10)


async def test_none_that_is_assigned_is_named(fusebill: FusebillSimulator, client: FusebillClient) -> None:
    fusebill.add_customer(id=1)
    customer = await client.customers.get(1)
    assert customer.customer_reference is not None
    customer.middle_name = None
    customer.customer_reference.reference2 = None

    await client.customers.update(customer)

    assert fusebill.customer(1)["middleName"] is None
    assert fusebill.customer(1)["customerReference"]["reference2"] is None
    assert fusebill.customer(1)["firstName"] == customer.first_name


# -- nested ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [{"reference1": "A-1"}, CustomerReference(reference1="A-1")],
    ids=["dict", "model"],
)
async def test_nested_fields_are_merged(fusebill: FusebillSimulator, client: FusebillClient, given: Any) -> None:
    fusebill.add_customer(id=1, customer_reference={"reference2": "B", "reference3": "C"})

    await client.customers.update(1, customer_reference=given)

    reference = fusebill.customer(1)["customerReference"]
    assert [reference[f"reference{n}"] for n in (1, 2, 3)] == ["A-1", "B", "C"]


async def test_what_is_set_on_the_customer_and_what_is_named_both_count(
    fusebill: FusebillSimulator, client: FusebillClient
) -> None:
    fusebill.add_customer(id=1)
    customer = await client.customers.get(1)
    assert customer.customer_reference is not None
    customer.customer_reference.reference1 = "set"
    customer.company_name = "set"

    await client.customers.update(customer, company_name="named", customer_reference={"reference3": "named"})

    [body] = puts(fusebill)
    assert body["companyName"] == "named"
    assert (body["customerReference"]["reference1"], body["customerReference"]["reference3"]) == ("set", "named")


@pytest.mark.parametrize("how", ["dict", "model"])
async def test_a_nested_object_assigned_to_a_customer_is_merged(
    fusebill: FusebillSimulator, client: FusebillClient, how: str
) -> None:
    fusebill.add_customer(id=1)
    customer: Any = await client.customers.get(1)
    codes = [{"type": "T", "code": "C"}]
    customer.customer_reference = (
        {"reference1": "A", "sales_tracking_codes": codes}
        if how == "dict"
        else CustomerReference(reference1="A", sales_tracking_codes=(SalesTrackingCode(type="T", code="C"),))
    )

    await client.customers.update(customer)

    reference = fusebill.customer(1)["customerReference"]
    assert (reference["reference1"], reference["reference2"]) == ("A", "customValue")
    assert reference["salesTrackingCodes"] == codes


async def test_a_nested_object_of_another_customer_brings_its_fields_and_not_its_ids(
    fusebill: FusebillSimulator, client: FusebillClient
) -> None:
    fusebill.add_customer(id=1, customer_reference={"reference1": "of one"})
    fusebill.add_customer(id=2)
    one, two = await client.customers.get(1), await client.customers.get(2)
    two.customer_reference = one.customer_reference

    await client.customers.update(two)

    reference = puts(fusebill)[0]["customerReference"]
    assert (reference["reference1"], reference["id"]) == ("of one", 2)
    assert reference["uri"].endswith("/2")
    # Given by itself, what counts of it is what was set, and that is nothing: told, not silently left undone.
    with pytest.raises(ValidationError, match="nothing was set on the CustomerReference"):
        await client.customers.update(2, customer_reference=one.customer_reference)


# -- sales tracking codes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        [{"type": "T2", "code": "X"}],
        ({"type": "T2", "code": "X"},),
        [SalesTrackingCode(type="T2", code="X")],
    ],
    ids=["dicts", "tuple", "models"],
)
async def test_codes_are_replaced_as_a_list(fusebill: FusebillSimulator, client: FusebillClient, given: Any) -> None:
    fusebill.add_customer(
        id=1, customer_reference={"salesTrackingCodes": [{"type": "T1", "code": "A"}, {"type": "T2", "code": "B"}]}
    )

    customer = await client.customers.update(1, customer_reference={"sales_tracking_codes": given})

    assert fusebill.customer(1)["customerReference"]["salesTrackingCodes"] == [{"type": "T2", "code": "X"}]
    assert customer.customer_reference is not None
    assert customer.customer_reference.sales_tracking_codes == (SalesTrackingCode(type="T2", code="X"),)
    assert fusebill.customer(1)["customerReference"]["reference2"] == "customValue"


async def test_a_code_is_added_to_those_that_came_which_go_back_as_they_are(
    fusebill: FusebillSimulator, client: FusebillClient
) -> None:
    came = b'{"type":"T1","code":"A","name":"N","rate":10.000000,"odd":1e2}'
    reference = b'{"reference1":"x","salesTrackingCodes":[' + came + b'],"id":1}'
    fusebill.add_customer(id=1, raw={"customerReference": reference})
    async with client.customers.edit(1) as draft:
        assert draft.customer_reference is not None
        codes = draft.customer_reference.sales_tracking_codes or ()
        draft.customer_reference.sales_tracking_codes = (*codes, SalesTrackingCode(type="T2", code="B"))

    assert b'"salesTrackingCodes":[' + came + b',{"type":"T2","code":"B"}]' in fusebill.requests[-1].body
    assert len(draft.result.customer_reference.sales_tracking_codes) == 2  # type: ignore[union-attr,arg-type]


@pytest.mark.parametrize("nothing", [None, [], ()])
async def test_codes_are_erased_by_none_and_by_an_empty_list(
    fusebill: FusebillSimulator, client: FusebillClient, nothing: Any
) -> None:
    fusebill.add_customer(id=1, customer_reference={"salesTrackingCodes": [{"type": "T1", "code": "A"}]})

    await client.customers.update(1, customer_reference={"sales_tracking_codes": nothing})

    assert fusebill.customer(1)["customerReference"]["salesTrackingCodes"] == []
    fusebill.clear_records()
    await client.customers.update(1, customer_reference={"sales_tracking_codes": nothing})
    assert fusebill.received("update") == 0


# -- before anything is sent -----------------------------------------------------------------------------------------


async def test_the_longest_is_allowed_and_validate_leaves_it_to_the_service(
    fusebill: FusebillSimulator, client: FusebillClient
) -> None:
    fusebill.add_customer(id=1)
    await client.customers.update(1, first_name="é" * 50, customer_reference={"reference1": "x" * 255})
    await client.customers.update(1, title="")
    assert fusebill.effects("update", 1) == 2

    with pytest.raises(BadRequestError, match="at most 50"):
        await client.customers.update(1, first_name="x" * 51, validate=False)


async def test_a_value_that_the_customer_has_already_is_older_than_the_rules(
    fusebill: FusebillSimulator, client: FusebillClient
) -> None:
    """A form that posts every field of a customer must not fail over one that nobody touched."""
    fusebill.add_customer(id=1, primary_email="nobody", title="Prof")
    customer = await client.customers.get(1)
    customer.primary_email = "nobody"

    plan = await client.customers.plan_update(customer, title="Prof", company_name="Grok Ltd")

    assert [change.field for change in plan.changes] == ["company_name"]


@pytest.mark.parametrize("field", ["modified_timestamp", "is_parent", "uri", "customer_account_status"])
async def test_what_the_service_sets_cannot_be_set_on_a_customer(
    fusebill: FusebillSimulator, client: FusebillClient, field: str
) -> None:
    fusebill.add_customer(id=1)
    customer = await client.customers.get(1)
    setattr(customer, field, "x")

    for verb in (client.customers.update, client.customers.replace):
        with pytest.raises(ValidationError) as caught:
            await verb(customer)
        assert caught.value.field == field
    assert fusebill.received("update") == 0


async def test_an_id_that_was_set_does_not_turn_a_customer_into_another(
    fusebill: FusebillSimulator, client: FusebillClient
) -> None:
    fusebill.add_customer(id=1)
    fusebill.add_customer(id=2)
    customer = await client.customers.get(1)

    for verb in (client.customers.update, client.customers.replace):
        with pytest.raises(ValidationError, match="id is set by the service"):
            await verb(attrs.evolve(customer, id=2, company_name="x"))
    assert fusebill.received("update") == 0


# -- unknown keys ----------------------------------------------------------------------------------------------------


async def test_an_unknown_key_can_be_set_through_extra(fusebill: FusebillSimulator, client: FusebillClient) -> None:
    fusebill.add_customer(id=1, raw={"newField": b"10.000000", "other": b"1E+2"})
    customer = await client.customers.get(1)
    customer.extra = {**customer.extra, "newField": 11}

    await client.customers.update(customer)

    assert b'"newField":11' in fusebill.requests[-1].body
    assert b'"other":1E+2' in fusebill.requests[-1].body


@pytest.mark.parametrize("key", ["Status", "ID", "CompanyName", "MODIFIEDTIMESTAMP"])
async def test_extra_is_no_way_around_the_checks(fusebill: FusebillSimulator, client: FusebillClient, key: str) -> None:
    """The service takes keys in any case, so `Status` in extra would be a change of the status."""
    fusebill.add_customer(id=1)
    customer = await client.customers.get(1)
    customer.extra = {key: "Hold"}

    with pytest.raises(ValidationError, match="the service takes for"):
        await client.customers.update(customer)
    assert fusebill.received("update") == 0


# -- status -----------------------------------------------------------------------------------------------------------


async def test_a_suspended_customer_is_updated_like_any_other(
    fusebill: FusebillSimulator, client: FusebillClient
) -> None:
    fusebill.add_customer(id=1, status="Suspended")

    customer = await client.customers.update(1, company_name="Grok Ltd", status="Suspended")

    assert (customer.status, customer.company_name) == ("Suspended", "Grok Ltd")
    assert puts(fusebill)[0]["status"] == "Suspended"


@pytest.mark.parametrize("allowed", [False, True])
async def test_nobody_is_suspended_by_hand(fusebill: FusebillSimulator, client: FusebillClient, allowed: bool) -> None:
    fusebill.add_customer(id=1)

    with pytest.raises(ValidationError, match="Cannot manually suspend") as caught:
        await client.customers.update(1, status="Suspended", allow_status_change=allowed)
    assert (caught.value.field, caught.value.operation, caught.value.customer_id) == ("status", "customers.update", 1)
    assert fusebill.received("update") == 0


async def test_a_status_is_changed_only_if_that_is_allowed(fusebill: FusebillSimulator, client: FusebillClient) -> None:
    fusebill.add_customer(id=1)
    with pytest.raises(ValidationError, match="allow_status_change"):
        await client.customers.update(1, status="Hold")
    with pytest.raises(ValidationError, match="cannot be erased"):
        await client.customers.update(1, status=None, allow_status_change=True)
    assert fusebill.received("update") == 0

    # The status that stands is no change.
    await client.customers.update(1, status="Active")
    assert fusebill.received("update") == 0
    customer = await client.customers.update(1, status="Hold", allow_status_change=True)
    assert customer.status == fusebill.customer(1)["status"] == "Hold"
