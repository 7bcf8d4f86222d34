"""Every row of the table of operations has a command, and every command acts as its row says."""

from __future__ import annotations

import inspect

import pytest

from fusebill_async.cli.app import make_app
from fusebill_async.cli.options import Money, Writing, command_name
from fusebill_async.operations import OPERATIONS

DRAFT, ACTIVE, HOLD, CANCELLED = 1, 2, 3, 4

# What each row needs beside its name: arguments, and the status that the service then shows.
CALLS = {
    "customers.get": (["2"], "Active"),
    "customers.list": ([], None),
    "customers.overview": (["2"], "Active"),
    "customers.create": (["company_name=New Ltd", "reference=R-1"], "Draft"),
    "customers.update": (["2", "company_name=Grok Ltd"], "Active"),
    "customers.replace": (["FILE"], "Active"),
    "customers.activate": (["1", "--all-subscriptions", "--no-all-draft-purchases", "--disable-auto-post"], "Active"),
    "customers.preview_activation": (["1"], "Draft"),
    "customers.activate_items": (["2", "--subscription-id", "7", "--subscription-id", "8"], "Active"),
    "customers.preview_activate_items": (
        ["2", "--purchase-id", "7", "--invoice-collect-options", '{"paymentMethod": "UseDefaultPaymentMethod"}'],
        "Active",
    ),
    "customers.hold": (["2"], "Hold"),
    "customers.release_hold": (["3", "--service-start-option", "NoChargesForMissedPeriods"], "Active"),
    "customers.preview_release_hold": (["3", "--service-start-option", "NoChargesForMissedPeriods"], "Hold"),
    "customers.cancel": (["2", "--cancellation-option", "None"], "Cancelled"),
    "customers.uncancel": (["4"], "Active"),
    "hubspot.latch": (["2", "--hubspot-id", "7"], "Active"),
    "hubspot.unlatch": (["2"], "Active"),
    "salesforce.latch": (["2", "--salesforce-id", "S-1", "--force-latch"], "Active"),
    "netsuite.latch": (["2", "--netsuite-id", "N-1"], "Active"),
    "netsuite.unlatch": (["2", "--netsuite-id", "1744205"], "Active"),
    "netsuite.enable_sync": (["2"], "Active"),
    "netsuite.disable_sync": (["2"], "Active"),
    "geotab.latch": (["2", "--geotab-id", "G-1"], "Active"),
    "geotab.unlatch": (["2"], "Active"),
}


@pytest.fixture
def customers(fusebill):
    for customer_id, status in ((DRAFT, "Draft"), (ACTIVE, "Active"), (HOLD, "Hold"), (CANCELLED, "Cancelled")):
        fusebill.add_customer(id=customer_id, status=status)


def words(operation):
    group = [] if operation.resource == "customers" else [operation.resource]
    return [*group, command_name(operation)]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.title)
async def test_a_row_has_a_command_that_works(operation, cli, fusebill, customers, tmp_path):
    arguments, status = CALLS[operation.title]
    if "FILE" in arguments:
        whole = tmp_path / "customer.json"
        whole.write_bytes(fusebill.customer_bytes(ACTIVE).replace(b'"Lee"', b'"Leo"'))
        arguments = [str(whole)]
    before = len(fusebill.effects_log)

    ran = await cli(*words(operation), *arguments, "--json")

    assert (ran.code, ran.err) == (0, "")
    assert len(fusebill.effects_log) - before == operation.writes
    if operation.writes:
        assert ran.object["outcome"] == "applied"
        assert ran.object["operation"] == operation.title
        assert ran.object["customer"]["status"] == status
    elif status is not None:
        assert ran.object["status"] == status


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.title)
async def test_a_row_can_be_shown_to_people_in_80_columns(operation, cli, fusebill, customers, tmp_path):
    arguments, _ = CALLS[operation.title]
    if "FILE" in arguments:
        whole = tmp_path / "customer.json"
        whole.write_bytes(fusebill.customer_bytes(ACTIVE))
        arguments = [str(whole)]
    ran = await cli(*words(operation), *arguments)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.strip()
    assert max(map(len, ran.out.splitlines())) <= 80


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.title)
def test_a_command_takes_the_parameters_of_its_row(operation):
    app = make_app()
    for word in words(operation):
        app = app[word]
    if operation.title in {"customers.list", "customers.create", "customers.update", "customers.replace"}:
        return
    options = inspect.signature(app.default_command).parameters
    wanted = {parameter.name for parameter in operation.parameters} - {"customer_id"}
    assert set(options) - {"id", "common", "null", "every"} == wanted
    common = options["common"].default
    assert isinstance(common, Writing) == operation.writes
    assert isinstance(common, Money) == operation.moves_money
    for parameter in operation.parameters:
        if parameter.name != "customer_id" and parameter.required:
            assert options[parameter.name].default is inspect.Parameter.empty
