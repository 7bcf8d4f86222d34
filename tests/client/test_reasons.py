"""The service's reason stands in the error, in each of the forms that it comes in."""

import json
from pathlib import Path

import pytest

from fusebill_async import AuthenticationError, BadRequestError, ConflictError, FusebillError, NotFoundError, Outcome
from fusebill_async.testing import Fault
from fusebill_async.wire.refusals import refusal_in

SAMPLES = Path(__file__).parent.parent / "samples"
MARK = b"\xef\xbb\xbf"
KEY_TEXT = "Authorization key is not in the correct format."
STATE_TEXT = "This activity could not be processed since the service status is Active"


def errors(*texts):
    return {"ErrorId": 0, "HttpStatusCode": 400, "Errors": [{"Key": "Api Error", "Value": text} for text in texts]}


async def refused(fusebill, client, status, body, verb="get"):
    """The error of a call that is answered with this."""
    text = body if isinstance(body, (bytes, str)) else json.dumps(body)
    fusebill.add_customer(id=1, status="Active")
    fusebill.inject(Fault.status(status, body=text, times=None))
    with pytest.raises(FusebillError) as caught:
        await getattr(client.customers, verb)(1)
    return caught.value


@pytest.mark.parametrize("verb", ["get", "hold"])
@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (404, {"Message": "No HTTP resource was found."}, NotFoundError, "404: No HTTP resource was found."),
        (
            400,
            {"Message": "The request is invalid.", "ModelState": {"customer.primaryEmail": ["too long", "no address"]}},
            BadRequestError,
            "400: The request is invalid. customer.primaryEmail: too long, customer.primaryEmail: no address",
        ),
        (400, errors("Customer is locked.", "And so on."), BadRequestError, "400: Customer is locked., And so on."),
        (400, {"Errors": ["Customer is locked."]}, BadRequestError, "400: Customer is locked."),
        (400, errors(KEY_TEXT), AuthenticationError, f"400: {KEY_TEXT}"),
        (400, {"Message": KEY_TEXT}, AuthenticationError, f"400: {KEY_TEXT}"),
        (400, {"Message": STATE_TEXT}, ConflictError, STATE_TEXT),
        (400, MARK + json.dumps(errors("Customer is locked.")).encode(), BadRequestError, "400: Customer is locked."),
        (400, {"ErrorId": 7}, BadRequestError, "400 without a reason that could be read"),
    ],
)
async def test_a_refusal_of_the_service_is_told(fusebill, client, status, body, kind, words, verb):
    error = await refused(fusebill, client, status, body, verb)
    assert type(error) is kind
    assert words in str(error)
    assert error.outcome is Outcome.REJECTED
    assert fusebill.effects("hold", 1) == 0


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("error_message_404", 404, "No HTTP resource was found that matches the request URI"),
        ("error_modelstate_400", 400, "PrimaryEmail must be a string with a maximum length of 255"),
        ("error_400_auth_format", 400, "Authorization key is not in the correct format."),
    ],
)
async def test_the_published_refusals_are_told(fusebill, client, name, status, words):
    error = await refused(fusebill, client, status, (SAMPLES / f"{name}.json").read_bytes(), "hold")
    assert words in str(error)
    assert error.outcome is Outcome.REJECTED


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"Customer is locked.", "400: Customer is locked."),
        (b'"Customer is locked."', "400: Customer is locked."),
        (MARK + b"Customer\r\nis locked.\n", "400: Customer is locked."),
        ({"message": "Blocked by policy"}, "400: Blocked by policy"),
        (b"<html><body>Bad Request</body></html>", "400 without a reason that could be read"),
        (b"x" * 501, "400 without a reason that could be read"),
        (b"\x00\x01\x02", "400 without a reason that could be read"),
        (b"", "400 without a reason that could be read"),
        (b"null", "400 without a reason that could be read"),
        (b'{"Message":5,"Errors":"x","ModelState":[]}', "400 without a reason that could be read"),
    ],
)
async def test_what_else_a_read_is_refused_with_is_told_if_it_is_short(fusebill, client, body, words):
    assert str(await refused(fusebill, client, 400, body)) == words


@pytest.mark.parametrize(
    ("body", "pairs", "error_id"),
    [
        (
            {"Message": "The request is invalid.", "ModelState": {"customer.title": ["unknown"]}},
            (("customer.title", "unknown"),),
            None,
        ),
        (errors("Locked.", "And so on."), (("Api Error", "Locked."), ("Api Error", "And so on.")), 0),
    ],
    ids=["ModelState", "Errors"],
)
async def test_the_fields_of_a_refusal_are_data(fusebill, client, body, pairs, error_id):
    error = await refused(fusebill, client, 400, body)
    assert (error.errors, error.error_id) == (pairs, error_id)


@pytest.mark.parametrize(
    ("body", "speaker"),
    [
        (errors("x"), "service"),
        ({"ErrorId": 0}, "service"),
        ({"Message": "x"}, "service"),
        ({"Errors": []}, "unknown"),
        ({"message": "x"}, "gateway"),
        ({"Message": 5}, "unknown"),
        ({}, "unknown"),
        ([], "unknown"),
        (None, "unknown"),
    ],
)
def test_who_speaks_is_told_by_the_form(body, speaker):
    assert refusal_in(json.dumps(body).encode()).speaker == speaker


@pytest.mark.parametrize(
    "body",
    [errors("Customer is locked."), {"Message": "Customer is locked."}, {"id": 2, "status": "Active"}],
    ids=["Errors", "Message", "another's"],
)
async def test_an_overview_is_not_taken_from_an_error_or_from_another_customer(fusebill, client, body):
    fusebill.add_customer(id=1, status="Hold")
    fusebill.inject(Fault.status(200, body=json.dumps(body), operation="overview"))
    overview = await client.with_response.customers.overview(1)
    assert len(overview.attempts) == 2
    assert overview.value.status == "Hold"


@pytest.mark.parametrize("operation", ["get", "overview", "list", "hold"])
async def test_a_byte_order_mark_is_skipped(fusebill, client, operation):
    fusebill.add_customer(id=1, status="Active", first_name="Ann")
    wire = fusebill.customer_bytes(1).replace(b'"Active"', b'"Hold"')
    body = MARK + (b"[%b]" % wire if operation == "list" else wire)
    fusebill.inject(Fault.status(200, body=body, times=None))
    if operation == "list":
        (customer,) = [one async for one in client.customers.list()]
    else:
        customer = await getattr(client.customers, operation)(1)
    assert (customer.first_name, customer.status) == ("Ann", "Hold")
    assert customer.wire == wire
