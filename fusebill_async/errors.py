"""Everything that is raised.

    FusebillError
    ├── APIError                         the service answered, and refused
    │   ├── BadRequestError              400, 422
    │   ├── AuthenticationError          401, and the 400 that means a malformed key
    │   ├── PermissionDeniedError        403
    │   ├── NotFoundError                404
    │   ├── ConflictError                409, and the 400 that names a service status
    │   ├── RateLimitError               429, after the wait that was allowed
    │   └── ServerError                  500 and above
    ├── ConnectError                     no connection: nothing was sent
    ├── ConnectionLostError              a read lost its connection (a lost write is settled instead)
    ├── RequestTimeoutError              also TimeoutError
    ├── InvalidResponseError             an answer that cannot be understood
    │   └── PreviewChangedStateError     a preview that seems to have acted
    ├── OutcomeUnknownError              sent, and not settled
    ├── NotAppliedError                  settled: it did not happen
    ├── WouldEraseError                  a PUT would erase what nobody named; nothing was sent
    ├── ConcurrentModificationError      somebody else changed the same field
    ├── FieldsNotTakenError              a PUT was applied, but the answer shows other values than it sent
    ├── QuotaExhaustedError              the quota is used up; nothing was sent
    ├── StoreUnavailableError            the store cannot keep the record of a write; nothing was sent
    ├── ClientStateError                 closed, or another event loop; also RuntimeError
    ├── NotUnresolvedError               a write to be resolved that is not open (any more); also KeyError
    ├── IdempotencyError                 an idempotency key that another call has used; also ValueError
    ├── ValidationError                  an argument that cannot be sent; also ValueError
    └── ConfigurationError               key, base URL or settings; also ValueError

Errors carry facts, so that nobody has to parse a message. They pickle with them, each can be made anew from its `args`
alone (as some task queues do, which loses the facts), and none of them holds the API key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, ClassVar

from fusebill_async.outcome import Attempt, Outcome


class FusebillError(Exception):
    """The root of the tree.

    Attributes:
        outcome: what is known of the effect of the call.
        operation: its title, such as "customers.hold"; None outside a call.
        customer_id: the customer acted on, if there was one.
        attempts: one record for each attempt, oldest first.
    """

    usual_outcome: ClassVar[Outcome] = Outcome.NOT_SENT
    advice: ClassVar[str] = ""
    """What to do when it is raised, in one or two sentences."""

    def __init__(
        self,
        message: str,
        *,
        outcome: Outcome | None = None,
        operation: str | None = None,
        customer_id: int | None = None,
        attempts: Iterable[Attempt] = (),
    ) -> None:
        super().__init__(message)
        self.outcome = self.usual_outcome if outcome is None else outcome
        self.operation = operation
        self.customer_id = customer_id
        self.attempts = tuple(attempts)

    @property
    def message(self) -> str:
        """The text of the error."""
        return str(self.args[0])

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own way calls the class with `args` alone, which loses every keyword.
        return _rebuild, (type(self), self.args, self.__dict__.copy())


def _of_fields(error: FusebillError, fields: Iterable[str]) -> str:
    # The message shows what stood in the fields, which may be about a person; a repr ends up in logs.
    return f"{type(error).__name__}(fields={list(fields)})"


def _rebuild(kind: type[FusebillError], args: tuple[Any, ...], state: dict[str, Any]) -> FusebillError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class APIError(FusebillError):
    """The service answered, and refused.

    Attributes:
        status: the HTTP status; 0 in an error that was rebuilt from its message alone.
        error_id: the service's `ErrorId`, None where the answer had none.
        errors: (key, value) pairs as the service gave them.
        body: the answer's body, as it came, cut at 64 KiB.
    """

    advice = "Read `.message` and `.errors`: they are the service's own words."

    usual_outcome = Outcome.REJECTED

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        error_id: int | None = None,
        errors: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        **facts: Any,
    ) -> None:
        super().__init__(message, **facts)
        self.status = status
        self.error_id = error_id
        self.errors = tuple(errors)
        self.body = body


class BadRequestError(APIError):
    """400 or 422: the service calls the request malformed or invalid."""

    advice = "Correct what the service names; the same call will be refused again."


class AuthenticationError(APIError):
    """401, or the 400 that says that the key is malformed."""

    advice = "Check the API key. A bulk job stops at once."


class PermissionDeniedError(APIError):
    """403."""

    advice = "Ask for the permission in Stax Bill, or use another key."


class NotFoundError(APIError):
    """404: no such customer, or no such endpoint."""

    advice = "Check the id, and that `base_url` is that of the account."


class ConflictError(APIError):
    """409, or a 400 that names a service status: the customer's state does not allow it.

    Attributes:
        customer_status: the status that the refusal names, such as "Cancelled"; None if it names none.
    """

    advice = "Look at `.customer_status`, and bring the customer to a status that the call works from."

    def __init__(self, message: str, *, customer_status: str | None = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.customer_status = customer_status


class RateLimitError(APIError):
    """429, and the call was not allowed to wait any longer.

    Attributes:
        opens_at: when the window opens (aware, UTC), None if the service did not say.
    """

    advice = "Call again later, with a longer `Timeouts(queue=)`, or leave more of the quota to this program."

    def __init__(self, message: str, *, opens_at: datetime | None = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.opens_at = opens_at


class ServerError(APIError):
    """500 and above. Raised for reads only: a write that meets it is settled."""

    advice = "Read again later."

    usual_outcome = Outcome.UNKNOWN


class ConnectError(FusebillError):
    """No connection could be made. Nothing was sent."""

    advice = "Check the network and `base_url`; calling again is safe."


class ConnectionLostError(FusebillError):
    """The connection of a read was lost after it was sent, in every attempt."""

    advice = "Read again."

    usual_outcome = Outcome.UNKNOWN


class RequestTimeoutError(FusebillError, TimeoutError):
    """A time limit of the call was reached; `.outcome` tells whether something was sent."""

    advice = "Look at `.outcome`. Where it is not sent, calling again is safe; else raise `Timeouts`."


class InvalidResponseError(FusebillError):
    """The service answered with something that is not an answer to the call.

    Attributes:
        status: the HTTP status, None if it is not known.
        body: the answer's body, as far as it came, cut at 64 KiB.
    """

    advice = "Check what stands between you and the service: a proxy, a gateway, a changed `base_url`."

    usual_outcome = Outcome.UNKNOWN

    def __init__(self, message: str, *, status: int | None = None, body: bytes = b"", **facts: Any) -> None:
        super().__init__(message, **facts)
        self.status = status
        self.body = body


class PreviewChangedStateError(InvalidResponseError):
    """After a preview the customer is in another state than before: the preview may have had an effect."""

    advice = "Look at the customer's invoices before anything else."


class OutcomeUnknownError(FusebillError):
    """A write was sent, no usable answer came, and reading the customer has not settled it.

    `await client.resolve(...)` settles it later, and `client.unresolved()` lists it.

    Attributes:
        reading: what was last read of the customer (`.status`, `.modified`), None if no read succeeded.
        intent_id: the name of the write in the ledger of open intents.
    """

    advice = "Do not repeat it blindly: `await client.resolve(error)` settles it by reading."

    usual_outcome = Outcome.UNKNOWN

    def __init__(self, message: str, *, reading: Any = None, intent_id: str | None = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.reading = reading
        self.intent_id = intent_id


class NotAppliedError(FusebillError):
    """A write was sent, no usable answer came, and reads have shown that it did not happen.

    Attributes:
        quiet_period: seconds for which the effect was waited for. The error is wrong if it comes later than that.
        reading: what was read of the customer last.
    """

    advice = "It is safe to call again; what moves money takes `resend=True`."

    usual_outcome = Outcome.NOT_APPLIED

    def __init__(self, message: str, *, quiet_period: float = 0.0, reading: Any = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.quiet_period = quiet_period
        self.reading = reading


class WouldEraseError(FusebillError):
    """A PUT would turn fields into null that the caller did not name. Nothing was sent.

    Attributes:
        fields: their names, such as "middle_name" and "customer_reference.reference2".
    """

    advice = "Name the fields of `.fields` as None if you mean to erase them."

    def __init__(self, message: str, *, fields: Iterable[str] = (), **facts: Any) -> None:
        super().__init__(message, **facts)
        self.fields = tuple(fields)


class ConcurrentModificationError(FusebillError):
    """Somebody else changed a field that this update names.

    Attributes:
        conflicts: field name to (value when read, value now, value wanted).
    """

    advice = "Read the customer again, and decide between the two values."

    def __init__(
        self, message: str, *, conflicts: Mapping[str, tuple[Any, Any, Any]] | None = None, **facts: Any
    ) -> None:
        super().__init__(message, **facts)
        self.conflicts = dict(conflicts or {})

    def __repr__(self) -> str:
        return _of_fields(self, self.conflicts)


class FieldsNotTakenError(FusebillError):
    """A PUT was applied, but in a named field the service's answer does not show the value that was sent.

    Attributes:
        fields: field name to (value sent, value shown).
        customer: the customer as the service answered.
    """

    advice = "Compare `.fields` with what you sent: the service wrote another value."

    usual_outcome = Outcome.APPLIED

    def __init__(
        self, message: str, *, fields: Mapping[str, tuple[Any, Any]] | None = None, customer: Any = None, **facts: Any
    ) -> None:
        super().__init__(message, **facts)
        self.fields = dict(fields or {})
        self.customer = customer

    def __repr__(self) -> str:
        return _of_fields(self, self.fields)


class QuotaExhaustedError(FusebillError):
    """The account's quota is used up for longer than the call may wait. Nothing was sent.

    Attributes:
        opens_at: when the window opens again (aware, UTC), None if the service has not said.
    """

    advice = "Call again after `.opens_at`."

    def __init__(self, message: str, *, opens_at: datetime | None = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.opens_at = opens_at


class StoreUnavailableError(FusebillError):
    """The store is out of reach, cannot be written to, or gives no lease, so a write could not be recorded.

    Nothing was sent: with a durable store, no write is sent before its record is safe.
    """

    advice = "Bring the store back; calling again is safe."


class ClientStateError(FusebillError, RuntimeError):
    """The client is closed, or was used from another event loop than the one that it belongs to."""

    advice = "Open one client in each event loop, and close it last."


class NotUnresolvedError(FusebillError, KeyError):
    """There is no such unresolved write: it was settled meanwhile, or never left open."""

    advice = "Nothing: `client.unresolved()` lists what is open."

    # A KeyError shows its argument by its repr.
    __str__ = Exception.__str__


class IdempotencyError(FusebillError, ValueError):
    """An idempotency key was given that was used for another operation, customer or arguments. Nothing was sent."""

    advice = "Give each call a key of its own: the message names the call that has used this one."


class ValidationError(FusebillError, ValueError):
    """An argument that cannot be sent. Nothing was sent.

    Attributes:
        field: the argument's name, such as "customer_id" or "customer_reference.reference1".
    """

    advice = "Correct the argument that `.field` names."

    def __init__(self, message: str, *, field: str = "", **facts: Any) -> None:
        super().__init__(message, **facts)
        self.field = field


class ConfigurationError(FusebillError, ValueError):
    """A key, a base URL or a setting that cannot work."""

    advice = "Correct the setting that the message names."


class UnresolvedWritesWarning(RuntimeWarning):
    """A client was closed while the outcome of some of its writes was not known; the message names them."""


_LONGEST = 200


def shown(value: object) -> str:
    """The value's `repr`, cut where it is long.

    It never raises, as `repr` does for an integer of more than 4,300 digits and for some objects of a user.
    """
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 (an error about an argument must not become another one)
        return f"a value of type {type(value).__name__}"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
