"""What `with_response` gives: the value, and what it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import attrs

from fusebill_async.outcome import Attempt, Attribution, ConfirmedBy, QuotaSeen
from fusebill_async.record import Record
from fusebill_async.session.call import Answer, Call
from fusebill_async.wire.quota_headers import read_quota

T = TypeVar("T")


@attrs.define(eq=False, repr=False)
class Response(Record, Generic[T]):
    """The outcome of a call that was applied.

    Attributes:
        value: what the call returns without `with_response`.
        status: the HTTP status of the answer that it rests on.
        headers: the headers of that answer.
        confirmed_by: "response", or "read" if the answer to the write was lost and a read showed its effect.
        attribution: "ours", "already" (it was so before) or "unproven" (it is so; whose work it is cannot be told).
    """

    value: T
    _call: Call = attrs.field(repr=False, eq=False)
    _answer: Answer = attrs.field(repr=False, eq=False)
    confirmed_by: ConfirmedBy = ConfirmedBy.RESPONSE
    attribution: Attribution = Attribution.OURS

    @property
    def status(self) -> int:
        """See above."""
        return self._answer.status

    @property
    def headers(self) -> Mapping[str, str]:
        """See above."""
        return self._answer.headers

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """One record for each attempt, oldest first."""
        past = tuple(self._call.past)
        # The answer of a settling read is not that of an attempt.
        return past if self.confirmed_by is ConfirmedBy.READ else (*past, self._answer.attempt())

    @property
    def quota(self) -> QuotaSeen:
        """The quota as the headers of the answer told it."""
        return read_quota(self.headers)


def response_of(
    call: Call,
    answer: Answer,
    *,
    confirmed_by: ConfirmedBy = ConfirmedBy.RESPONSE,
    attribution: Attribution = Attribution.OURS,
) -> Response[Any]:
    """The response that a good answer is."""
    return Response(answer.value, call, answer, confirmed_by, attribution)
