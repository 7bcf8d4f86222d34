"""A refusal ends in the error that the service meant, by its status and by its words, and never shows the key."""

from __future__ import annotations

import json

import pytest

from fusebill_async import (
    APIError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    FusebillClient,
    InvalidResponseError,
    NotFoundError,
    Outcome,
    PermissionDeniedError,
    RetryPolicy,
    ServerError,
)
from fusebill_async.testing import Fault
from tests.outcomes.outcome_cases import KEY, make_client

BAD_KEY = "Authorization key is not in the correct format."
WRONG_STATUS = "This activity could not be processed since the service status is Cancelled"


def told(*texts: str, status: int = 400) -> str:
    errors = [{"Key": "Api Error", "Value": text} for text in texts]
    return json.dumps({"ErrorId": 0, "HttpStatusCode": status, "Errors": errors})


async def refusal(client, fusebill, status, body) -> APIError | InvalidResponseError:
    fusebill.add_customer(id=1, status="Active")
    fusebill.inject(Fault.status(status, body=body, operation="get", times=None))
    with pytest.raises((APIError, InvalidResponseError)) as caught:
        await client.customers.get(1)
    return caught.value


@pytest.mark.parametrize(
    ("status", "texts", "kind"),
    [
        (400, ["no such field"], BadRequestError),
        (400, [BAD_KEY], AuthenticationError),
        (400, ["one thing", BAD_KEY.upper()], AuthenticationError),
        (400, [WRONG_STATUS], ConflictError),
        (401, ["who are you"], AuthenticationError),
        (403, [BAD_KEY], PermissionDeniedError),
        (404, ["nobody"], NotFoundError),
        (409, ["another thing"], ConflictError),
        (410, ["gone"], BadRequestError),
        (422, [WRONG_STATUS], BadRequestError),
        (501, [WRONG_STATUS], ServerError),
    ],
)
async def test_the_error_of_a_status_and_its_words(fusebill, client, status, texts, kind):
    error = await refusal(client, fusebill, status, told(*texts, status=status))
    assert type(error) is kind
    assert error.status == status
    assert error.errors == tuple(("Api Error", text) for text in texts)
    assert str(error) == f"{status}: {', '.join(texts)}"
    assert error.outcome is (Outcome.UNKNOWN if kind is ServerError else Outcome.REJECTED)


@pytest.mark.parametrize(
    ("status", "text", "customer_status"),
    [(400, WRONG_STATUS, "Cancelled"), (409, WRONG_STATUS, "Cancelled"), (409, "another thing", None)],
)
async def test_a_conflict_names_the_customers_status(fusebill, client, status, text, customer_status):
    error = await refusal(client, fusebill, status, told(text, status=status))
    assert isinstance(error, ConflictError)
    assert error.customer_status == customer_status


@pytest.mark.parametrize(("text", "kind"), [(BAD_KEY, AuthenticationError), (WRONG_STATUS, ConflictError)])
@pytest.mark.parametrize("key", ["key", "status", "a", "correct"])
async def test_a_key_that_is_a_word_of_the_refusal_changes_nothing(fusebill, key, text, kind):
    async with FusebillClient(key, base_url=fusebill.base_url) as client:
        error = await refusal(client, fusebill, 400, told(text))
    assert type(error) is kind
    assert key not in error.errors[0][1]


@pytest.mark.parametrize("status", [200, 302, 400, 502])
@pytest.mark.parametrize("end", range(65_536 - len(KEY), 65_536 + len(KEY) + 1, 7))
async def test_a_body_is_cut_after_the_key_was_taken_out(fusebill, end, status):
    """The body that an error keeps is cut at 64 KiB, wherever the key stands in it."""
    async with make_client(fusebill, retry=RetryPolicy(max_attempts=1)) as client:
        error = await refusal(client, fusebill, status, "x" * (end - len(KEY)) + KEY + "y" * 100)
    assert len(error.body) <= 65_536
    assert KEY[:6].encode() not in error.body
    assert error.body.startswith(b"xxx")
