"""One call on its way through the session: what is asked, under which options, and what has become of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from fusebill_async.errors import APIError, FusebillError
from fusebill_async.operations import Operation
from fusebill_async.outcome import Attempt, Phase
from fusebill_async.policy.priority import Priority
from fusebill_async.policy.retry import RetryBudget
from fusebill_async.session.admission import Permit
from fusebill_async.settings import RetryPolicy, Timeouts
from fusebill_async.wire.request import Request

OnCancel: TypeAlias = Literal["finish", "abort"]


class CallOptions:
    """What one handle of a client sets for its calls."""

    __slots__ = ("budget", "on_cancel", "priority", "retry", "timeouts")

    def __init__(
        self,
        *,
        timeouts: Timeouts,
        retry: RetryPolicy,
        budget: RetryBudget,
        priority: Priority = Priority.INTERACTIVE,
        on_cancel: OnCancel = "finish",
    ) -> None:
        self.timeouts = timeouts
        self.retry = retry
        self.budget = budget
        self.priority = priority
        self.on_cancel: OnCancel = on_cancel


class Call:
    """One call. `prepare` makes the request anew right before each attempt, in the place that the attempt has."""

    # Defaults stand on the class: a call is made for every coroutine awaited, and most of these never change.
    prepare: Preparation | None = None
    requests_per_attempt: int = 1
    check: Callable[[], FusebillError | None] | None = None
    """Asked when a connection is handed out, the last instant before the first byte. An error that it gives refuses:
    nothing is sent, and the call ends with that error."""
    throttled: bool = False
    """It was refused for the quota, and must be read for before it is sent again."""
    send_by: float | None = None
    """When the read that it rests on will be too old, by the session's clock in seconds."""

    at_risk: bool = False
    """The service may have acted on it: a connection was handed out, and no answer has said otherwise."""
    sent_at: float = 0.0
    """When the latest attempt was handed its connection, by the session's clock in seconds."""
    first_sent_at: float = 0.0
    """The same of the first attempt."""
    past: Sequence[Attempt] = ()
    """The attempts that failed."""
    tries: int = 0
    """Attempts that count towards `max_attempts`: a 429 does not."""
    spent: float = 0.0
    """Seconds of `Timeouts.total` that are used up."""
    queued: float = 0.0
    """Seconds of `Timeouts.queue` that are used up."""

    def __init__(
        self, operation: Operation, customer_id: int | None, request: Request | None, options: CallOptions
    ) -> None:
        self.operation = operation
        self.customer_id = customer_id
        self.request = request
        self.options = options

    @property
    def about(self) -> str:
        """The call in words, for messages."""
        name = self.operation.title
        return name if self.customer_id is None else f"{name} of customer {self.customer_id}"

    @property
    def facts(self) -> dict[str, Any]:
        """What every error of this call carries."""
        return {"operation": self.operation.name, "customer_id": self.customer_id, "attempts": tuple(self.past)}


Preparation: TypeAlias = Callable[[Call, Permit], Awaitable[None]]


class Answer:
    """A good answer: its value, and where it came from."""

    __slots__ = ("headers", "number", "received_at", "sent_at", "status", "value")

    def __init__(
        self,
        value: Any,
        status: int,
        headers: Mapping[str, str],
        sent_at: float,
        received_at: float,
        number: int,
    ) -> None:
        self.value = value
        self.status = status
        self.headers = headers
        self.sent_at = sent_at
        self.received_at = received_at
        self.number = number

    def with_value(self, value: Any) -> Answer:
        """The same answer, read as something else."""
        return Answer(value, self.status, self.headers, self.sent_at, self.received_at, self.number)

    def attempt(self) -> Attempt:
        """The record of the attempt that it ended."""
        return Attempt(
            number=self.number,
            phase=Phase.ANSWERED,
            status=self.status,
            duration=self.received_at - self.sent_at,
            followed="returned",
        )


class PrepareAnewError(Exception):
    """What a write was prepared with cannot be used: admit and prepare it again. Never leaves the package.

    Args:
        reason: in words, for when there is no time left; "" if the call has dealt with that.
        times: how often that has happened in a row, for the length of the pause.
    """

    def __init__(self, reason: str = "", times: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.times = times


class UnsettledError(Exception):
    """A write was sent, and no usable answer came. Whoever catches it reads the customer. Never leaves the package."""

    def __init__(self, call: Call, reason: str, refusal: APIError | None = None) -> None:
        super().__init__(reason)
        self.call = call
        self.reason = reason
        self.refusal = refusal
        """What the answer says, if it is a refusal in words that are not believed."""
