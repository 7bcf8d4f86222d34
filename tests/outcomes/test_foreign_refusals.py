"""A refusal is believed in the service's own words alone, and not where it may mean that it is so already."""

import pytest

from fusebill_async import (
    APIError,
    Attribution,
    BadRequestError,
    ConfirmedBy,
    ConflictError,
    NotFoundError,
    Outcome,
    OutcomeUnknownError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    SettlingPolicy,
)
from fusebill_async.operations import BY_TITLE, Safety
from fusebill_async.policy.retry import AfterMiss, after_miss
from fusebill_async.settling.evidence import may_be_so_already, speaks_for_goal
from fusebill_async.settling.seen import Before
from fusebill_async.testing import Fault
from fusebill_async.wire.refusals import is_believed
from tests.outcomes.outcome_cases import QUIET, VERBS, WRITES, make_client

OWN = b'{"ErrorId":0,"HttpStatusCode":403,"Errors":[{"Key":"Api Error","Value":"No."}]}'
GATEWAYS = b'{"message":"Forbidden"}'
PAGE = "<html><h1>Blocked by the outbound filter</h1></html>"
FOREIGN = [PAGE, "", "null", "[]", "{}", '{"error":"blocked"}', "Blocked"]
QUOTA = {"X-Rate-Limit-Limit-Minute": "1000", "X-Rate-Limit-Remaining-Minute": "0"}


@pytest.mark.parametrize("status", [400, 403, 404, 409, 418, 422, 429])
@pytest.mark.parametrize("gateways", [False, True])
def test_whose_words_are_believed(status, gateways):
    assert is_believed(status, {}, OWN, gateways=gateways)
    assert is_believed(status, {}, b'{"ErrorId":7}', gateways=gateways)
    assert is_believed(status, {}, b'{"Message":"No HTTP resource was found."}', gateways=gateways)
    assert is_believed(status, {}, GATEWAYS, gateways=gateways) is gateways
    for words in FOREIGN:
        assert not is_believed(status, {}, words.encode(), gateways=gateways)
        assert is_believed(status, QUOTA, words.encode(), gateways=gateways) is (status == 429)


@pytest.mark.parametrize("status", [401, 407])
@pytest.mark.parametrize("words", FOREIGN)
def test_who_lets_nobody_in_is_believed_in_any_words(status, words):
    assert is_believed(status, {}, words.encode(), gateways=False)


@pytest.mark.parametrize(
    ("safety", "resend", "status", "expected"),
    [
        (Safety.REPEATABLE, True, None, AfterMiss.SEND_AGAIN),
        (Safety.REPEATABLE, True, 403, AfterMiss.REJECTED),
        (Safety.REPEATABLE, True, 429, AfterMiss.SEND_AGAIN),
        (Safety.REPLACE, True, 429, AfterMiss.SEND_AGAIN),
        (Safety.REPLACE, True, 400, AfterMiss.REJECTED),
        (Safety.MONEY, False, None, AfterMiss.NOT_APPLIED),
        (Safety.MONEY, True, None, AfterMiss.SEND_AGAIN),
        (Safety.MONEY, True, 403, AfterMiss.REJECTED),
        (Safety.MONEY, True, 429, AfterMiss.REJECTED),
        (Safety.CREATE, True, 429, AfterMiss.REJECTED),
        (Safety.CREATE, False, None, AfterMiss.NOT_APPLIED),
    ],
)
def test_what_follows_when_it_did_not_happen(safety, resend, status, expected):
    assert after_miss(safety, resend=resend, refused_with=status) is expected


def refused(kind, status=400, says=None):
    error = kind("no", status=status)
    if isinstance(error, ConflictError):
        error.customer_status = says
    return error


def known(*, recent=True, **fields):
    return Before(status=fields.get("status"), modified=None, fields=fields, recent=recent)


HELD = refused(ConflictError, says="Hold")
NOT_LATCHED = refused(BadRequestError)


@pytest.mark.parametrize(
    ("title", "refusal", "before", "expected"),
    [
        ("customers.hold", HELD, known(status="Active"), True),
        ("customers.hold", HELD, known(status="Active", recent=False), False),
        ("customers.hold", HELD, known(status="Hold"), False),
        ("customers.hold", HELD, None, False),
        ("customers.hold", refused(ConflictError, says="Cancelled"), known(status="Active"), False),
        ("customers.hold", refused(ConflictError, 409), known(status="Active"), False),
        ("customers.hold", refused(NotFoundError, 404), known(status="Active"), False),
        ("customers.activate", refused(ConflictError, says="Active"), known(status="Draft"), True),
        ("customers.activate", refused(ConflictError, says="Suspended"), known(status="Draft"), True),
        ("customers.activate", refused(ConflictError, says="Cancelled"), known(status="Draft"), False),
        ("hubspot.unlatch", NOT_LATCHED, known(hubSpotId=7, hubSpotCompanyId=None), True),
        ("hubspot.unlatch", NOT_LATCHED, known(hubSpotId=None, hubSpotCompanyId=None), False),
        ("hubspot.unlatch", NOT_LATCHED, known(), False),
        ("hubspot.unlatch", refused(PermissionDeniedError, 403), known(hubSpotId=7, hubSpotCompanyId=7), False),
        ("customers.update", NOT_LATCHED, known(companyName="Old"), False),
        ("customers.create", NOT_LATCHED, None, False),
        ("customers.activate_items", NOT_LATCHED, known(status="Active"), False),
    ],
)
def test_when_a_refusal_may_mean_that_it_is_so_already(title, refusal, before, expected):
    operation, named = BY_TITLE[title], {"companyName": "New"}
    assert may_be_so_already(operation, refusal, before, named, after_lost_attempt=False) is expected
    assert may_be_so_already(operation, refusal, before, named, after_lost_attempt=True)


def test_what_is_no_refusal_of_the_service_never_means_it():
    operation = BY_TITLE["customers.hold"]
    for error in (refused(ServerError, 503), OutcomeUnknownError("no")):
        assert not may_be_so_already(operation, error, known(status="Active"), {}, after_lost_attempt=True)


@pytest.mark.parametrize(
    ("title", "says", "expected"),
    [
        ("customers.hold", "Hold", True),
        ("customers.hold", "Active", False),
        ("customers.hold", None, False),
        ("customers.activate", "Suspended", True),
        ("hubspot.unlatch", "Active", False),
    ],
)
def test_which_refusals_speak_for_the_goal(title, says, expected):
    assert speaks_for_goal(BY_TITLE[title], refused(ConflictError, says=says)) is expected


BLOCKED = Fault.status(403, body=PAGE, quota_headers="without", headers={"Content-Type": "text/html"})


@pytest.mark.parametrize("words", FOREIGN)
@pytest.mark.parametrize("name", ["hold", "activate", "update"])
async def test_a_foreign_refusal_after_the_effect_is_settled_by_reading(fusebill, name, words):
    verb = VERBS[name]
    fusebill.add_customer(id=1, status=verb.status)
    fusebill.inject(Fault.status(403, body=words, operation=verb.title, effect="before"))
    async with make_client(fusebill) as client:
        response = await verb.call(client.with_response, 1)
    assert response.confirmed_by is ConfirmedBy.READ
    assert (fusebill.effects(verb.title, 1), fusebill.received(verb.title, 1)) == (1, 1)


@pytest.mark.parametrize("verb", WRITES, ids=str)
async def test_a_foreign_refusal_without_an_effect_is_told_in_the_end(fusebill, verb):
    fusebill.add_customer(id=1, status=verb.status)
    fusebill.inject(BLOCKED.scoped(operation=verb.title))
    async with make_client(fusebill) as client:
        with pytest.raises(PermissionDeniedError) as raised:
            await verb.call(client.with_response, 1)
        assert not client.unresolved()
    assert raised.value.outcome is Outcome.REJECTED
    assert [attempt.followed for attempt in raised.value.attempts if attempt.status == 403] == ["settled by reading"]
    assert (fusebill.effects(verb.title, 1), fusebill.received(verb.title, 1)) == (0, 1)
    assert fusebill.received("get", 1) >= 2


@pytest.mark.parametrize("name", ["hold", "update", "activate"])
async def test_a_foreign_429_is_sent_again_only_where_that_does_no_harm(fusebill, name):
    verb = VERBS[name]
    fusebill.add_customer(id=1, status=verb.status)
    throttled = Fault.status(429, body=PAGE, quota_headers="without", retry_after=0, operation=verb.title)
    fusebill.inject(throttled)
    async with make_client(fusebill) as client:
        if verb.kind != "money":
            assert (await verb.call(client.with_response, 1)).confirmed_by is ConfirmedBy.RESPONSE
        else:
            with pytest.raises(RateLimitError) as raised:
                await client.customers.activate(1, True, True, False, resend=True)
            assert raised.value.outcome is Outcome.REJECTED
    expected = (0, 1) if verb.kind == "money" else (1, 2)
    assert (fusebill.effects(verb.title, 1), fusebill.received(verb.title, 1)) == expected


@pytest.mark.parametrize("status", [403, 429])
async def test_a_foreign_refusal_of_a_create_makes_no_second_customer(fusebill, status):
    foreign = {"body": PAGE, "quota_headers": "without", "retry_after": 0}
    fusebill.inject(Fault.status(status, operation="create", effect="before", **foreign))
    async with make_client(fusebill) as client:
        response = await client.with_response.customers.create(company_name="X", reference="R-1", resend=True)
    assert (response.confirmed_by, response.value.reference) == (ConfirmedBy.READ, "R-1")
    assert fusebill.effects("create") == fusebill.received("create") == 1


@pytest.mark.parametrize("name", ["hold", "activate"])
async def test_a_gateways_words_are_believed_where_no_money_moves(fusebill, name):
    verb = VERBS[name]
    fusebill.add_customer(id=1, status=verb.status)
    fusebill.inject(Fault.status(403, body=GATEWAYS, operation=verb.title))
    async with make_client(fusebill) as client:
        with pytest.raises(PermissionDeniedError, match="Forbidden"):
            await verb.call(client.with_response, 1)
    assert (fusebill.received("get", 1) > 0) is (name == "activate")


@pytest.mark.parametrize("code", [400, 403, 405, 413])
async def test_a_read_believes_any_refusal(fusebill, code):
    fusebill.add_customer(id=1)
    fusebill.inject(Fault.status(code, body=PAGE, operation="get"))
    async with make_client(fusebill) as client:
        with pytest.raises(APIError):
            await client.customers.get(1)
    assert fusebill.received("get", 1) == 1


@pytest.mark.parametrize("how", ["handed in", "seen"])
@pytest.mark.parametrize("name", ["hold", "activate", "cancel"])
async def test_the_answer_to_a_second_copy_of_the_request_is_no_refusal_of_the_first(fusebill, name, how):
    """A proxy sends it twice: the service refuses the second copy, since the first has done what it was for."""
    verb = VERBS[name]
    fusebill.add_customer(id=1, status=verb.status)
    fusebill.inject(Fault.doubled_request(operation=verb.title))
    async with make_client(fusebill) as client:
        customer = await client.customers.get(1)
        response = await verb.call(client.with_response, customer if how == "handed in" else 1)
    assert (response.confirmed_by, response.attribution) == (ConfirmedBy.READ, Attribution.UNPROVEN)
    assert fusebill.effects(verb.title, 1) == 1


async def test_a_refusal_is_believed_where_nothing_was_known_or_it_was_so_before(fusebill):
    fusebill.add_customer(id=1, status="Hold")
    async with make_client(fusebill) as client:
        with pytest.raises(ConflictError):
            await client.customers.hold(1)
        customer = await client.customers.get(1)
        with pytest.raises(ConflictError):
            await client.customers.hold(customer)
    assert fusebill.received("get", 1) == 1


async def test_reads_that_lag_do_not_take_away_what_a_refusal_says_for_the_goal(fusebill):
    """The lost hold seems not to have happened; sent again it is refused, for the customer is on hold."""
    fusebill.add_customer(id=1, status="Active")
    fusebill.inject(Fault.lagging_read(60, times=None), Fault.reset_after_effect(operation="hold"))
    settling = SettlingPolicy(first_read=0.005, quiet_period=QUIET, retry_delay=0.01)
    async with make_client(fusebill, settling=settling) as client:
        with pytest.raises(OutcomeUnknownError) as raised:
            await client.customers.hold(1)
        assert [write.state for write in client.unresolved()] == ["unknown"]
        fusebill.clear_faults()
        assert (await client.resolve(raised.value)).outcome is Outcome.APPLIED
    assert fusebill.effects("hold", 1) == 1
