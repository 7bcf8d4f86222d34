"""Every row of the table is a coroutine, a route of the simulator, a goal and a line of the documentation."""

import inspect

import attrs
import pytest

from fusebill_async import (
    ConflictError,
    NotAppliedError,
    OutcomeUnknownError,
    Response,
)
from fusebill_async import operations as table
from fusebill_async.models import Customer, Status, wire_keys
from fusebill_async.operations import (
    OPERATIONS,
    FieldsAre,
    FieldsAreNull,
    FoundByReference,
    Safety,
    StatusIs,
)
from fusebill_async.settling.evidence import Verdict, judge
from fusebill_async.testing import Fault
from fusebill_async.wire.request import named_in_body
from tests.docs.operations_shown import operations_table, states_diagram
from tests.lifecycle.lifecycle_calls import (
    add_customer_for,
    arguments_of,
    client_left_unsettled,
    perform,
    quick,
    verb_of,
)

ROWS = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.title)
WRITES = [operation for operation in OPERATIONS if operation.writes]
GOALS = [operation for operation in WRITES if operation.goal is not None]
BY_STATUS = [operation for operation in OPERATIONS if operation.allowed_from is not None]


def by_title(operation):
    return operation.title


@ROWS
def test_a_row_declares_what_others_rest_on(operation):
    assert operation.page.startswith("https://developer.staxbill.com/reference/")
    assert operation.summary.endswith(".")
    assert ("{id}" in operation.path) == any(one.place == "path" for one in operation.parameters)
    assert all(parameter.about for parameter in operation.parameters)
    assert (operation.goal is None) == (operation in {*OPERATIONS} - {*WRITES} or operation is table.ACTIVATE_ITEMS)
    if isinstance(operation.goal, StatusIs) and operation.leads_to is not None:
        assert operation.leads_to in operation.goal.statuses
    if operation.leads_to is not None and operation.allowed_from is not None:
        assert operation.leads_to not in operation.allowed_from
    if isinstance(operation.goal, FieldsAre):
        keys = {parameter.key for parameter in operation.parameters}
        assert all(sent in keys for _, sent in operation.goal.keys)


@ROWS
def test_the_coroutine_takes_what_the_row_declares(client, operation):
    plain, full = verb_of(client, operation), verb_of(client.with_response, operation)
    assert inspect.signature(plain) == inspect.signature(full)
    assert operation.page in full.__doc__
    parameters = inspect.signature(full).parameters
    if operation in {table.LIST, table.REPLACE}:
        return
    if any(one.kind == "fields" for one in operation.parameters):
        assert [one for one in parameters.values() if one.kind is one.VAR_KEYWORD]
        return
    assert next(iter(parameters)) in {"customer", "customer_id"}
    declared = [one for one in operation.parameters if one.name != "customer_id"]
    taken = [name for name in parameters if name in {one.name for one in declared}]
    assert set(taken) == {one.name for one in declared}
    for one in declared:
        assert (parameters[one.name].default is inspect.Parameter.empty) == one.required, one.name
    offers = "resend" in parameters
    assert offers == (operation.moves_money and operation.goal is not None)


@ROWS
async def test_the_simulator_answers_it_and_its_goal_is_met(fusebill, client, operation):
    customer_id = add_customer_for(fusebill, operation)
    before = fusebill.customer(customer_id)
    value = await perform(client, operation, customer_id)
    request = fusebill.requests[-1]
    # The service cannot tell a `replace` from an `update`.
    wanted = table.UPDATE if operation is table.REPLACE else operation
    assert request.operation == wanted.title
    assert fusebill.effects(operation.title) == int(operation.writes)
    after = fusebill.customer(customer_id)
    assert after["status"] == (
        before["status"] if operation is table.CREATE else operation.leads_to or before["status"]
    )
    if operation.goal is None:
        return
    assert value is not None
    if isinstance(operation.goal, FoundByReference):
        assert [one.id for one in await client.customers.find(reference=value.reference)] == [value.id]
        return
    named = named_in_body(operation, arguments_of(operation)) or {"companyName": "Grok Ltd"}
    assert judge(operation.goal, after, named) is Verdict.MET
    assert judge(operation.goal, before, named) is Verdict.MISSED


@ROWS
async def test_with_response_tells_what_the_value_rests_on(fusebill, client, operation):
    customer_id = add_customer_for(fusebill, operation)
    response = await perform(client.with_response, operation, customer_id)
    if operation is table.LIST:
        response = response.response
    assert isinstance(response, Response)
    assert (response.status, response.confirmed_by, response.attribution) == (200, "response", "ours")
    assert response.attempts[-1].status == 200
    assert response.quota.minute is not None


@pytest.mark.parametrize("operation", GOALS, ids=by_title)
async def test_a_lost_answer_is_settled(fusebill, client, operation):
    customer_id = add_customer_for(fusebill, operation)
    fusebill.inject(Fault.reset_after_effect(operation=_sent_as(operation)))
    response = await perform(client.with_response, operation, customer_id)
    assert response.confirmed_by == "read"
    assert fusebill.effects(operation.title) == 1
    assert fusebill.writes(operation.title) == 1


@pytest.mark.parametrize("operation", GOALS, ids=by_title)
async def test_a_lost_request_is_sent_again_only_where_nothing_can_happen_twice(fusebill, client, operation):
    customer_id = add_customer_for(fusebill, operation)
    fusebill.inject(Fault.reset_before_effect(operation=_sent_as(operation)))
    if operation.safety in {Safety.REPEATABLE, Safety.REPLACE}:
        await perform(client, operation, customer_id)
        assert fusebill.effects(operation.title) == 1
        return
    with pytest.raises(NotAppliedError, match="resend=True"):
        await perform(client, operation, customer_id)
    assert fusebill.writes(operation.title) == 1
    assert fusebill.effects(operation.title) == 0


async def test_what_no_read_can_tell_stays_unknown(fusebill):
    customer_id = add_customer_for(fusebill, table.ACTIVATE_ITEMS)
    fusebill.inject(Fault.reset_after_effect(operation="activate_items"))
    async with client_left_unsettled(fusebill) as client:
        with pytest.raises(OutcomeUnknownError, match="no read can tell"):
            await client.customers.activate_items(customer_id, subscription_ids=[5])
    assert fusebill.writes("activate_items") == 1


async def test_a_write_without_a_customer_does_not_wait_for_reads_that_cannot_be(fusebill):
    fusebill.add_route("POST", "/customernotes", {"id": 1})
    fusebill.inject(Fault.reset_after_effect())
    async with client_left_unsettled(fusebill, settling=quick(wait=60.0, first_read=30.0)) as client:
        with pytest.raises(OutcomeUnknownError, match="no read can tell"):
            await client.request("POST", "/customernotes", body={"note": "x"})


@pytest.mark.parametrize("conflict_status", [400, 409])
@pytest.mark.parametrize("operation", BY_STATUS, ids=by_title)
async def test_a_refusal_says_where_the_operation_works_from(fusebill, client, operation, conflict_status):
    fusebill.service.behaviour = _with_status(fusebill.service.behaviour, conflict_status)
    for status in set(Status) - operation.allowed_from:
        customer_id = fusebill.add_customer(status=status)
        with pytest.raises(ConflictError) as caught:
            await perform(client, operation, customer_id)
        works_from = table.names_of(operation.allowed_from)
        assert f"customer {customer_id} is {status}; {operation.name} works from {works_from}" in str(caught.value)
        assert caught.value.customer_status == status
        assert fusebill.customer(customer_id)["status"] == status


async def test_a_refusal_for_something_else_stays_as_it_is(fusebill, client):
    with pytest.raises(Exception, match=r"^404: Customer with id 9 not found\.$"):
        await client.customers.hold(9)


def test_the_diagram_shows_every_change_of_status():
    lines = states_diagram().splitlines()
    assert lines[0] == "stateDiagram-v2"
    assert "    Hold --> Active: release_hold" in lines
    assert "    [*] --> Draft: create" in lines
    assert "    Active --> Suspended: by the service" in lines
    shown = {tuple(line.strip().split(": ")) for line in lines[1:]}
    for operation in OPERATIONS:
        if operation.leads_to is not None:
            for status in operation.allowed_from or ["[*]"]:
                assert (f"{status} --> {operation.leads_to}", operation.name) in shown


def test_the_table_has_a_row_for_each_operation():
    lines = operations_table().splitlines()
    assert len(lines) == 2 + len(OPERATIONS)
    assert all(line.count("|") == lines[0].count("|") for line in lines)
    for line, operation in zip(lines[2:], OPERATIONS, strict=True):
        assert f"[`{operation.title}`]({operation.page})" in line


def test_names_of_lists_statuses_in_the_order_of_a_life():
    assert table.names_of({Status.HOLD}) == "Hold"
    assert table.names_of({Status.CANCELLED, Status.DRAFT, Status.ACTIVE}) == "Draft, Active or Cancelled"


def test_the_goal_keys_are_fields_of_a_customer():
    known = set(wire_keys(Customer).values())
    for operation in OPERATIONS:
        if isinstance(operation.goal, (FieldsAreNull, FieldsAre)):
            keys = [key if isinstance(key, str) else key[0] for key in operation.goal.keys]
            assert known.issuperset(keys)


def _sent_as(operation):
    return "update" if operation is table.REPLACE else operation.title


def _with_status(behaviour, status):
    return attrs.evolve(behaviour, conflict_status=status)
