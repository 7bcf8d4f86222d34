"""What hooks are told: one frozen record for each event.

An event that takes time is told twice, when it has begun and when it has ended. The record of its end is the record
of its beginning with what is known since. No record holds a person's data, a body, or the key.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import attrs

from fusebill_async.outcome import Attribution, ConfirmedBy, Outcome, Phase, QuotaSeen

WaitedFor: TypeAlias = Literal["lock", "quota", "pool", "backoff"]


@attrs.frozen(kw_only=True)
class CallEvent:
    """A call: one verb of the client, over all its attempts and until its outcome is known.

    A write whose caller no longer waits ends when it is settled. A read that settles a write is a call, too.

    Attributes:
        call_id: names the call; unique, also among clients.
        parent_id: the call that it settles, None for a call of your own.
        operation: its title, such as "customers.hold".
        customer_id: the customer, None if it names none.
        writes: whether it changes anything at the service.
        seconds: how long it took, 0.0 at its beginning.
        outcome: what is known of its effect; a read that was answered is "applied". None at its beginning.
        error: the class of the error that it ended with, "" if there was none.
        attempts: how many requests were sent for it, those that failed and those that it rests on included.
        confirmed_by, attribution: of a write that was applied.
    """

    call_id: str
    parent_id: str | None
    operation: str
    customer_id: int | None
    writes: bool
    seconds: float = 0.0
    outcome: Outcome | None = None
    error: str = ""
    attempts: int = 0
    confirmed_by: ConfirmedBy | None = None
    attribution: Attribution | None = None


@attrs.frozen(kw_only=True)
class WaitEvent:
    """A call waits, before it sends its first request or its next one.

    Attributes:
        call_id, parent_id, operation, customer_id: of the call.
        waited_for: "lock" (the customer's), "quota", "pool" (a connection) or "backoff" (a pause before a retry).
        seconds: how long it waited, 0.0 at its beginning.
    """

    call_id: str
    parent_id: str | None
    operation: str
    customer_id: int | None
    waited_for: WaitedFor
    seconds: float = 0.0


@attrs.frozen(kw_only=True)
class AttemptEvent:
    """One request is sent, and its answer judged.

    Attributes:
        call_id, parent_id, customer_id: of the call.
        operation: what is asked: an update also sends "customers.get".
        number: one more than the attempts of the call that failed before.
        method: of HTTP.
        url: the base URL and the path, without the query. `{id}` stands for the customer.
        seconds: how long it took, 0.0 at its beginning.
        phase: how far it came, None at its beginning.
        status: of the answer, None if there was none.
        reason: what went wrong, "" if nothing did, in words that hold nothing of the answer.
        followed: what was done about it, such as "returned" or "settled by reading".
        quota: as the headers of the answer tell it, None without an answer.
    """

    call_id: str
    parent_id: str | None
    operation: str
    customer_id: int | None
    number: int
    method: str
    url: str
    seconds: float = 0.0
    phase: Phase | None = None
    status: int | None = None
    reason: str = ""
    followed: str = ""
    quota: QuotaSeen | None = None


@attrs.frozen(kw_only=True)
class SettlingEvent:
    """A write was sent and got no usable answer: the customer is read to learn what happened.

    Attributes:
        call_id, parent_id, operation, customer_id: of the write.
        seconds: how long it took, 0.0 at its beginning.
        outcome: "applied", "not_applied" or "unknown"; None at its beginning, and if it was cut short.
        attribution: of what was applied.
    """

    call_id: str
    parent_id: str | None
    operation: str
    customer_id: int | None
    seconds: float = 0.0
    outcome: Outcome | None = None
    attribution: Attribution | None = None


@attrs.frozen(kw_only=True)
class QuotaEvent:
    """A threshold of `QuotaPolicy(thresholds=)` was crossed.

    Attributes:
        window: "minute" or "day".
        used: the used part of the window, 0 to 1.
    """

    window: str
    used: float


@attrs.frozen(kw_only=True)
class ItemEvent:
    """An item of a bulk job has ended.

    Attributes:
        operation, customer_id: what was done, and to whom.
        outcome: of the call; "not_sent" if a guard refused it.
        attempts: requests that were sent for it, over all runs of the job.
        attribution: of what was applied.
    """

    operation: str
    customer_id: int
    outcome: Outcome
    attempts: int = 0
    attribution: Attribution | None = None


@attrs.frozen(kw_only=True)
class JobEvent:
    """A run of a bulk job has begun or ended.

    Attributes:
        operation: what it does, such as "customers.hold".
        state: "began" or "ended".
        reason: why it ended before all was done, "" if it did not.
    """

    operation: str
    state: Literal["began", "ended"]
    reason: str = ""


SpanEvent: TypeAlias = CallEvent | WaitEvent | AttemptEvent | SettlingEvent
"""What has a beginning and an end."""
