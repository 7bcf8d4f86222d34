"""Errors and responses travel: by pickle with all that they know, and errors from their args alone."""

from __future__ import annotations

import copy
import pickle

import pytest

import fusebill_async
from fusebill_async import Customer, FusebillError, Outcome
from fusebill_async.testing import Fault
from tests.outcomes.outcome_cases import make_client

EXPORTED = (getattr(fusebill_async, name) for name in fusebill_async.__all__)
KINDS = [kind for kind in EXPORTED if isinstance(kind, type) and issubclass(kind, FusebillError)]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_can_be_made_from_its_args_alone(kind):
    error = kind("told")
    again = type(error)(*error.args)
    assert again.args == ("told",)
    assert str(again) == again.message == "told"
    assert again.outcome is kind.usual_outcome
    assert vars(again).keys() == vars(error).keys()


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_keeps_what_it_knows(kind):
    error = kind("told", outcome=Outcome.APPLIED, operation="hold", customer_id=7)
    error.add_note("a note")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):  # noqa: S301 (our own)
        assert type(again) is kind
        assert (again.args, vars(again)) == (error.args, vars(error))


@pytest.mark.parametrize("lost", [False, True])
async def test_a_response_travels_with_all_that_it_rests_on(fusebill, lost):
    fusebill.add_customer(id=1, status="Active", company_name="Grok")
    if lost:
        fusebill.inject(Fault.reset_after_effect(operation="hold"))
    async with make_client(fusebill) as client:
        response = await client.with_response.customers.hold(1)
        (page,) = [page async for page in client.customers.list().pages()]
        preview = await client.with_response.customers.get(1)
    for one in (response, page.response, preview):
        again = pickle.loads(pickle.dumps(one))  # noqa: S301 (our own)
        assert again == one
        assert again.quota == one.quota
        assert again.attempts == one.attempts
        assert again.headers["x-rate-limit-limit-minute"] == one.headers["X-Rate-Limit-Limit-Minute"]
        assert (again.confirmed_by, again.attribution) == (one.confirmed_by, one.attribution)
    assert isinstance(again.value, Customer)
    assert again.value.company_name == "Grok"


def test_every_kind_of_error_is_tried():
    def below(kind):
        return {kind}.union(*map(below, kind.__subclasses__()))

    assert {kind for kind in below(FusebillError) if kind.__module__ == "fusebill_async.errors"} == set(KINDS)
