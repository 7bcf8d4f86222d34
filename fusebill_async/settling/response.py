"""`Response`, which `with_response` gives, and `Resolution`, which `client.resolve` gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import attrs

from fusebill_async.models import Customer
from fusebill_async.outcome import Attempt, Attribution, ConfirmedBy, Outcome, QuotaSeen
from fusebill_async.session.call import Answer
from fusebill_async.settling.intent import UnresolvedWrite
from fusebill_async.wire.quota_headers import read_quota

T = TypeVar("T")


def _shown(value: object) -> str:
    # What `request` gives is the answer itself, with all that it says of a person. Models show no person.
    kind = type(value)
    return f"<{kind.__name__}>" if kind in {dict, list, str, bytes} else repr(value)


@attrs.define(kw_only=True)
class Response(Generic[T]):
    """The outcome of a call that was applied. It can be pickled, if its value can be.

    Attributes:
        value: what the call returns without `with_response`.
        status: the HTTP status of the answer that gave the value.
        headers: the headers of that answer.
        attempts: one record for each attempt, oldest first.
        confirmed_by: "response"; "read" if the answer to the write was lost and a read showed its effect; "record" if
            an earlier call with the same idempotency key did it.
        attribution: "ours", "already" (it was so before) or "unproven" (it may have been somebody else).
        replayed: an earlier call with the same idempotency key did it, and this one sent nothing. The value is the
            customer as it is now.
    """

    value: T = attrs.field(repr=_shown)
    status: int
    headers: Mapping[str, str] = attrs.field(repr=False)
    attempts: tuple[Attempt, ...]
    confirmed_by: ConfirmedBy = ConfirmedBy.RESPONSE
    attribution: Attribution = Attribution.OURS
    replayed: bool = False

    @property
    def quota(self) -> QuotaSeen:
        """The quota as the headers of the answer told it."""
        return read_quota(self.headers)


def response_of(answer: Answer) -> Response[Any]:
    """The response of a call that changes nothing, from its good answer."""
    return Response(value=answer.value, status=answer.status, headers=answer.headers, attempts=answer.attempts)


@attrs.frozen(kw_only=True)
class Resolution:
    """What became of an unresolved write.

    Attributes:
        write: the write.
        outcome: `APPLIED`, `NOT_APPLIED` or `UNKNOWN`.
        attribution: for `APPLIED`, whether the write caused the effect.
        customer: the customer as last read, None if no read succeeded.
        reason: in words.
    """

    write: UnresolvedWrite
    outcome: Outcome
    attribution: Attribution | None
    customer: Customer | None
    reason: str
