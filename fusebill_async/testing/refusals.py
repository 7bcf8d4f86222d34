"""The service's refusals. The texts marked in FACTS 3 are quoted; the others are made in their manner."""

from __future__ import annotations

from typing import Any

import msgspec

from fusebill_async.testing.messages import Reply

API_ERROR = "Api Error"

WRONG_STATUS = "This activity could not be processed since the service status is {status}"
NOT_FOUND = "Customer with id {id} not found."
BAD_KEY = "Authorization key is not in the correct format."
NO_KEY = "Authorization has been denied for this request."
SUSPENDING = "Cannot manually suspend customer, the system is in charge of suspending customers."
NO_NETSUITE_ACCOUNT = "NetSuite Account {id} does not exist."
ALREADY_LATCHED = "Customer is already latched to a Salesforce account."


class RefusedError(Exception):
    """A request that the service refuses; `reply` is what it answers."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status, reply.body)
        self.reply = reply


def api_error(status: int, *errors: tuple[str, str], headers: bytes = b"") -> Reply:
    """Return an error in the documented shape, with one entry for each (key, value)."""
    entries = [{"Key": key, "Value": value} for key, value in errors]
    return Reply(status, encode({"ErrorId": 0, "HttpStatusCode": status, "Errors": entries}), headers)


def refuse(status: int, text: str, *, headers: bytes = b"") -> RefusedError:
    """Return a refusal with one "Api Error"."""
    return RefusedError(api_error(status, (API_ERROR, text), headers=headers))


def message(status: int, text: str) -> RefusedError:
    """Return a refusal in the shape of ASP.NET's own errors, such as an unknown route."""
    return RefusedError(Reply(status, encode({"Message": text})))


def encode(value: Any) -> bytes:
    """Return compact JSON."""
    return msgspec.json.encode(value)
