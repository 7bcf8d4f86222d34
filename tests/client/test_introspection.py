"""What programs that look at the client's class find there: mocks and `help`."""

from __future__ import annotations

import pydoc
from inspect import iscoroutinefunction
from unittest.mock import create_autospec

import pytest

from fusebill_async import FusebillClient
from fusebill_async.operations import OPERATIONS

WRITES = [operation for operation in OPERATIONS if operation.name != "list"]


@pytest.fixture(params=["instance", "class"])
def mock(request):
    if request.param == "instance":
        return create_autospec(FusebillClient, instance=True)
    return create_autospec(FusebillClient)("key")


@pytest.mark.parametrize("view", [None, "with_response"])
@pytest.mark.parametrize("operation", WRITES, ids=lambda operation: operation.title)
async def test_a_mock_has_every_verb_of_the_table(mock, operation, view):
    client = mock if view is None else getattr(mock, view)
    verb = getattr(getattr(client, operation.resource), operation.name)
    assert iscoroutinefunction(verb) or hasattr(verb, "assert_awaited")


async def test_a_mock_refuses_what_the_client_has_not(mock):
    mock.customers.hold.return_value = "held"
    assert await mock.customers.hold(7) == "held"
    mock.customers.hold.assert_awaited_once_with(7)
    with pytest.raises(AttributeError):
        _ = mock.customers.holt
    with pytest.raises(AttributeError):
        _ = mock.custmers
    with pytest.raises(TypeError):
        await mock.customers.hold(7, bogus=1)
    with pytest.raises(TypeError):
        await mock.customers.release_hold(7)
    await mock.with_response.hubspot.unlatch(7)


@pytest.mark.parametrize("resource", ["customers", "hubspot", "salesforce", "netsuite", "geotab", "with_response"])
def test_help_lists_the_resources(resource):
    shown = pydoc.plain(pydoc.render_doc(FusebillClient))
    assert f"{resource} = <class" in shown
    assert getattr(FusebillClient, resource).__doc__


async def test_a_resource_is_made_once(client):
    assert client.customers is client.customers
    assert client.hubspot is client.hubspot
    other = client.with_options()
    assert other.customers is not client.customers
