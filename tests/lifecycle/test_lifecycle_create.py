"""A create is never sent twice: what became of it is found by its reference."""

import asyncio
import itertools
from datetime import UTC, datetime, timedelta

import attrs
import pytest

from fusebill_async import (
    BadRequestError,
    FieldsNotTakenError,
    NotAppliedError,
    Outcome,
    OutcomeUnknownError,
    RetryPolicy,
)
from fusebill_async.converting import decode_customer
from fusebill_async.settling.searching import searchable_reference, weigh
from fusebill_async.stores import SQLiteStore
from fusebill_async.testing import Fault, FusebillSimulator
from fusebill_async.testing.service import Service
from tests.lifecycle.lifecycle_calls import client_left_unsettled, client_of, quick

FIELDS = {"reference": "A-1", "company_name": "Grok Ltd", "customer_reference": {"reference1": "x"}}


def before_effect(**scope):
    return Fault.reset_before_effect(operation="create", **scope)


def after_effect(**scope):
    return Fault.reset_after_effect(operation="create", **scope)


def shouting(create):
    """A service that writes what it takes in another way."""

    def answer(service, request):
        reply = create(service, request)
        return attrs.evolve(reply, body=reply.body.replace(b"Grok Ltd", b"GROK LTD"))

    return answer


@pytest.fixture
async def unsettled(fusebill):
    async with client_left_unsettled(fusebill) as client:
        yield client


@pytest.mark.parametrize(
    "fault",
    [after_effect(), Fault.status(503, operation="create", effect="before"), Fault.empty(operation="create")],
    ids=lambda fault: fault.kind,
)
async def test_a_lost_answer_is_found(fusebill, client, fault):
    fusebill.inject(fault)
    response = await client.with_response.customers.create(**FIELDS)
    assert (response.confirmed_by, response.attribution) == ("read", "ours")
    assert fusebill.customer_ids == [response.value.id]
    assert fusebill.effects("create") == fusebill.writes("create") == 1
    assert client.unresolved() == []


async def test_a_late_effect_is_found(fusebill, client):
    fusebill.inject(Fault.late_effect(operation="create", delay=0.02))
    response = await client.with_response.customers.create(**FIELDS)
    assert response.confirmed_by == "read"
    assert fusebill.effects("create") == 1


async def test_a_lost_request_is_told_and_not_sent_again(fusebill, client):
    fusebill.inject(before_effect())
    with pytest.raises(NotAppliedError, match=r"searches for its reference .* found no such customer"):
        await client.customers.create(**FIELDS)
    assert fusebill.writes("create") == 1
    assert fusebill.received("customers.list") == 2


async def test_a_lost_request_is_sent_again_on_request(fusebill, client):
    fusebill.inject(before_effect(), after_effect())
    response = await client.with_response.customers.create(**FIELDS, resend=True)
    assert response.confirmed_by == "read"
    assert fusebill.writes("create") == 2
    assert fusebill.effects("create") == 1


async def test_what_never_left_is_sent_again(fusebill):
    fusebill.inject(Fault.refuse(seconds=0.1))
    patient = RetryPolicy(max_attempts=100, backoff=0.02, backoff_limit=0.02, budget_minimum=100)
    async with client_of(fusebill, retry=patient) as client:
        customer = await client.customers.create(**FIELDS)
    assert fusebill.customer_ids == [customer.id]
    assert fusebill.writes("create") == 1


async def test_customers_from_before_are_no_match(fusebill, client):
    fusebill.add_customer(**FIELDS, status="Draft")
    fusebill.inject(before_effect())
    with pytest.raises(NotAppliedError):
        await client.customers.create(**FIELDS)
    fusebill.inject(after_effect())
    response = await client.with_response.customers.create(**FIELDS)
    assert response.value.id == max(fusebill.customer_ids)


async def test_what_another_create_made_a_moment_ago_is_no_match(fusebill, client):
    first = await client.customers.create(**FIELDS)
    fusebill.inject(before_effect())
    with pytest.raises(NotAppliedError):
        await client.customers.create(**FIELDS)
    fusebill.inject(after_effect())
    second = await client.customers.create(**FIELDS)
    fusebill.inject(before_effect())
    with pytest.raises(NotAppliedError):
        await client.customers.create(**FIELDS)
    assert [first.id, second.id] == fusebill.customer_ids


async def test_several_matches_stay_unknown(fusebill, unsettled):
    fusebill.inject(after_effect())
    now = (fusebill.now() + timedelta(seconds=5)).replace(tzinfo=UTC)
    for _ in range(2):
        fusebill.add_customer(**FIELDS, created_timestamp=now, status="Draft")
    with pytest.raises(OutcomeUnknownError, match="3 customers with this reference"):
        await unsettled.customers.create(**FIELDS, resend=True)
    assert fusebill.writes("create") == 1


async def test_a_match_with_other_fields_stays_unknown(fusebill, unsettled):
    fusebill.inject(before_effect())
    now = fusebill.now() + timedelta(seconds=5)
    fusebill.add_customer(**FIELDS | {"company_name": "Other Ltd"}, created_timestamp=now)
    with pytest.raises(OutcomeUnknownError, match="other fields"):
        await unsettled.customers.create(**FIELDS, resend=True)
    assert fusebill.writes("create") == 1


@pytest.mark.parametrize("reference", [{}, {"reference": "a:b"}, {"reference": "a*"}, {"reference": None}])
async def test_without_a_usable_reference_it_stays_unknown(fusebill, unsettled, reference):
    fusebill.inject(before_effect())
    with pytest.raises(OutcomeUnknownError, match="no read can tell"):
        await unsettled.customers.create(company_name="Grok Ltd", resend=True, **reference)
    assert fusebill.writes("create") == 1
    assert [write.operation for write in unsettled.unresolved()] == ["customers.create"]


async def test_an_unknown_create_is_resolved_later(fusebill):
    fusebill.inject(after_effect(), Fault.status(503, operation="customers.list", times=None))
    async with client_of(fusebill, settling=quick(wait=0.05, give_up=0.1)) as client:
        with pytest.raises(OutcomeUnknownError) as caught:
            await client.customers.create(**FIELDS)
        fusebill.clear_faults()
        resolution = await client.resolve(caught.value)
        assert resolution.outcome is Outcome.APPLIED
        assert resolution.customer.id == fusebill.customer_ids[0]
        assert client.unresolved() == []


async def test_creates_side_by_side_take_no_customer_twice(fusebill, client):
    fusebill.inject(*[after_effect(skip=1), before_effect(skip=2)])
    results = await asyncio.gather(*[client.customers.create(**FIELDS) for _ in range(6)], return_exceptions=True)
    made = [result.id for result in results if not isinstance(result, Exception)]
    assert len(made) == len(set(made)) <= len(fusebill.customer_ids)
    assert all(isinstance(result, NotAppliedError) for result in results if isinstance(result, Exception))


@pytest.mark.parametrize("name", ["Other Ltd", FIELDS["company_name"]], ids=["another name", "the same name"])
@pytest.mark.parametrize(("effect", "made"), [("before", 1), ("none", 0)])
async def test_an_answer_about_another_customer_is_not_believed(fusebill, client, caplog, effect, made, name):
    somebody = fusebill.add_customer(reference="B-2", company_name=name)
    fusebill.inject(Fault.other_id(other=somebody, operation="create", effect=effect))
    if made:
        response = await client.with_response.customers.create(**FIELDS)
        assert (response.confirmed_by, response.value.reference) == ("read", "A-1")
    else:
        with pytest.raises(NotAppliedError, match=f"about another customer, {somebody}"):
            await client.customers.create(**FIELDS)
    assert fusebill.effects("create") == made
    assert f"the answer is about another customer, {somebody}" in caplog.text


async def test_the_answer_to_an_earlier_create_is_not_believed(fusebill, client):
    first = await client.customers.create(**FIELDS)
    fusebill.inject(Fault.other_id(other=first.id, operation="create", effect="none"))
    with pytest.raises(NotAppliedError, match=f"about another customer, {first.id}"):
        await client.customers.create(**FIELDS)
    assert fusebill.effects("create") == 1


async def test_without_a_reference_an_answer_that_shows_nothing_of_it_proves_nothing(fusebill, unsettled):
    other = fusebill.add_customer(company_name="Other Ltd")
    fusebill.inject(Fault.other_id(other=other, operation="create", effect="none"))
    with pytest.raises(OutcomeUnknownError, match=f"about another customer, {other}"):
        await unsettled.customers.create(company_name="Grok Ltd")
    assert fusebill.effects("create") == 0


async def test_a_field_that_was_not_taken_is_told(fusebill, client, monkeypatch):
    monkeypatch.setattr("fusebill_async.testing.service.Service._create", shouting(Service._create))
    with pytest.raises(FieldsNotTakenError) as caught:
        await client.customers.create(**FIELDS)
    assert caught.value.fields == {"company_name": ("Grok Ltd", "GROK LTD")}
    assert caught.value.outcome is Outcome.APPLIED
    assert fusebill.effects("create") == 1


async def test_a_refusal_is_a_refusal(fusebill, client):
    with pytest.raises(BadRequestError):
        await client.customers.create(title="Sir", validate=False)
    assert fusebill.customer_ids == []


async def test_a_refusal_of_the_second_attempt_is_looked_into(fusebill, client):
    # The first attempt has its effect after the searches, the second one is refused: that is when it is seen.
    late = Fault.late_effect(operation="create", delay=0.2)
    refusal = Fault.status(400, operation="create")
    slow = Fault.delay(0.25, operation="customers.list", skip=1)
    fusebill.inject(late, refusal, slow)
    response = await client.with_response.customers.create(**FIELDS, resend=True)
    assert response.confirmed_by == "read"
    assert fusebill.effects("create") == 1


# --- what a search proves

SENT_AT = datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp()


def customer(customer_id=1, reference='"A-1"', created='"2026-01-01T12:00:01.5"', name="Grok Ltd"):
    return decode_customer(
        f'{{"id":{customer_id},"status":"Draft","companyName":"{name}","reference":{reference},'
        f'"createdTimestamp":{created}}}'.encode()
    )


@pytest.mark.parametrize(
    ("found", "since", "match", "doubt"),
    [
        ([], SENT_AT, None, ""),
        ([customer()], SENT_AT, 1, ""),
        ([customer(created='"2026-01-01T12:00:00"')], SENT_AT, 1, ""),
        ([customer(created='"2026-01-01T11:58:59"')], SENT_AT, None, ""),
        ([customer(created='"2026-01-01T11:59:01"')], SENT_AT, None, "may have been made before"),
        ([customer(created='"2026-01-01T11:59:59"')], SENT_AT, None, "may have been made before"),
        ([customer(created="null")], SENT_AT, None, "may have been made before"),
        ([customer(created='"yesterday"')], SENT_AT, None, "may have been made before"),
        ([customer()], None, None, "may have been made before"),
        ([customer(), customer(2)], SENT_AT, None, "2 customers"),
        ([customer(), customer(2, created="null")], SENT_AT, None, "2 customers"),
        ([customer(), customer(2, created='"2018-01-01T11:59:59"')], SENT_AT, 1, ""),
        ([customer(name="Other")], SENT_AT, None, "other fields"),
        ([customer(reference='"A-10"')], SENT_AT, None, ""),
        ([customer(9)], SENT_AT, None, ""),
    ],
)
def test_a_search_proves_no_more_than_it_shows(found, since, match, doubt):
    told = weigh(found, {"reference": "A-1", "companyName": "Grok Ltd"}, since, {9})
    assert (told.customer.id if told.customer else None) == match
    assert doubt in told.doubt
    assert bool(doubt) == bool(told.doubt)


@pytest.mark.parametrize(
    ("reference", "usable"),
    [("A-1", True), ("a b", True), (" a", False), ("a,b", False), ("", False), ("[empty]", False), (7, False)],
)
def test_a_reference_is_usable_when_a_query_can_hold_it(reference, usable):
    assert (searchable_reference({"reference": reference}) == reference) is usable


async def test_a_create_that_a_process_left_behind_is_resolved(fusebill, tmp_path):
    path = tmp_path / "intents.sqlite"
    fusebill.inject(after_effect(), Fault.status(503, operation="customers.list", times=None))
    impatient = quick(wait=0.02, give_up=0.05)
    async with client_left_unsettled(fusebill, store=SQLiteStore(path), settling=impatient) as client:
        with pytest.raises(OutcomeUnknownError):
            await client.customers.create(**FIELDS)
    fusebill.clear_faults()
    async with client_of(fusebill, store=SQLiteStore(path)) as client:
        (resolution,) = await client.resolve_all()
        assert resolution.outcome is Outcome.APPLIED
        assert resolution.customer.reference == "A-1"


async def test_creates_with_one_reference_go_one_after_the_other():
    async with FusebillSimulator(latency=0.05) as fusebill, client_of(fusebill) as client:
        made = await asyncio.gather(
            *(client.customers.create(reference="same", company_name=f"Company {number}") for number in range(5))
        )
        assert len({customer.id for customer in made}) == 5
        arrivals = [effect.at for effect in fusebill.effects_log if effect.operation.endswith("create")]
        gaps = [after - before for before, after in itertools.pairwise(arrivals)]
        assert min(gaps) >= 0.04
