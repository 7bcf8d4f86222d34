"""One call: its request, its options, its attempts so far, and what an attempt brought."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import attrs

from fusebill_async.operations import Operation
from fusebill_async.outcome import Attempt
from fusebill_async.policy.retry import RetryBudget, Ruling
from fusebill_async.session.gate import Gate
from fusebill_async.session.transport import Exchange
from fusebill_async.settings import Priority, RetryPolicy, Timeouts
from fusebill_async.wire.request import Request

if TYPE_CHECKING:
    from fusebill_async.session.telling import Told

OnCancel: TypeAlias = Literal["finish", "abort"]


@attrs.frozen(kw_only=True)
class CallOptions:
    """The options of a client, or of one from `with_options`. All of them share one retry budget.

    `gate` can hold the calls back; None lets all of them pass.
    """

    timeouts: Timeouts
    retry: RetryPolicy
    budget: RetryBudget
    priority: Priority = Priority.INTERACTIVE
    on_cancel: OnCancel = "finish"
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False, hash=False)
    gate: Gate | None = None


@attrs.define(eq=False)
class Call:
    """One call, over all its attempts.

    Attributes:
        operation, customer_id: what is done, and to whom.
        request: what is sent; an update makes it anew for each attempt.
        options: of the client that makes the call.
        failed_attempts: oldest first; the reads of an update are among them.
        counted_attempts: those that count towards `max_attempts`; waiting out a 429 does not.
        time_used: seconds of `Timeouts.total` that are used up.
        time_queued: seconds of `Timeouts.queue` that are used up.
        parent_id: the id of the call that it settles, or of the bulk item that it is made for.
        id, told: its name, and what the hooks have been told of it; "" and None where nobody listens.
    """

    operation: Operation
    customer_id: int | None
    request: Request | None
    options: CallOptions
    failed_attempts: tuple[Attempt, ...] = ()
    counted_attempts: int = 0
    time_used: float = 0.0
    time_queued: float = 0.0
    parent_id: str | None = None
    id: str = ""
    told: Told | None = None

    @property
    def about(self) -> str:
        """Words for messages, such as "customers.hold of customer 42"."""
        name = self.operation.title
        return name if self.customer_id is None else f"{name} of customer {self.customer_id}"

    @property
    def facts(self) -> dict[str, Any]:
        """The keyword arguments that every error of this call gets."""
        return {
            "operation": self.operation.title,
            "customer_id": self.customer_id,
            "attempts": self.failed_attempts,
        }


@attrs.frozen(kw_only=True)
class Answer:
    """A good answer: its value, and where it came from. Times are of the session's clock, in seconds.

    `attempts` are those of its call so far, this one the last.
    """

    value: Any
    status: int
    headers: Mapping[str, str] = attrs.field(repr=False)
    sent_at: float
    received_at: float
    attempts: tuple[Attempt, ...]

    @classmethod
    def of_a_read_from_before(cls, value: Any, sent_at: float) -> Answer:
        """An answer made from a customer that the caller has read before and passes in."""
        return cls(value=value, status=200, headers={}, sent_at=sent_at, received_at=sent_at, attempts=())


@attrs.frozen(kw_only=True)
class Judged:
    """One attempt, and what follows from it.

    Attributes:
        operation: what was asked; an update also reads.
        exchange: the facts.
        ruling: what may be done now.
        value: of a good answer.
        reason: what is wrong, in words; "" if nothing is.
        unrelated: it is an answer to somebody else's question.
    """

    operation: Operation
    exchange: Exchange
    ruling: Ruling
    value: Any = None
    reason: str = ""
    unrelated: bool = False
