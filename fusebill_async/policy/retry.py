"""May this be sent again, and when."""

from __future__ import annotations

from collections import deque
from enum import Enum, auto

from fusebill_async.operations import Safety
from fusebill_async.outcome import BEFORE_SENDING, Phase
from fusebill_async.settings import RetryPolicy


class Ruling(Enum):
    """What follows from an attempt."""

    ACCEPT = auto()
    """It ended in a good answer."""
    SEND_AGAIN = auto()
    """It may be sent again: it never left, or it changes nothing. Budget and deadline permitting."""
    WAIT_FOR_WINDOW = auto()
    """Refused for the quota: wait for the window, and send again."""
    REJECTED = auto()
    """It was refused, in words that are believed."""
    FAILED = auto()
    """It never left, and the next attempt would not either."""
    SETTLE = auto()
    """The service may have acted. Nobody sends it again before a read has shown that it did not."""


def rule(
    safety: Safety, *, phase: Phase, status: int | None, readable: bool, lasting: bool = False, believed: bool = True
) -> Ruling:
    """What follows from an attempt, by the phase that it reached and never by the type of an exception.

    Args:
        safety: of the operation.
        phase: how far the attempt came.
        status: of the answer, None if none came.
        readable: whether the answer holds what the operation answers with, or a refusal, and is surely its own.
        believed: whether a refusal is the service's own word. That of a read need not be: nothing depends on it.
        lasting: whether what ended it would end the next attempt, too, as a certificate that is not accepted does.
    """
    if phase in BEFORE_SENDING:
        return Ruling.FAILED if lasting else Ruling.SEND_AGAIN
    if phase is Phase.ANSWERED and status is not None:
        if 200 <= status < 300 and readable:
            return Ruling.ACCEPT
        if is_refusal(status) and readable and (believed or safety is Safety.READ):
            return Ruling.WAIT_FOR_WINDOW if status == 429 else Ruling.REJECTED
    return Ruling.SEND_AGAIN if safety is Safety.READ else Ruling.SETTLE


def is_refusal(status: int) -> bool:
    """Whether a status says that the request was refused; 408 says that nobody waited for its end."""
    return 400 <= status < 500 and status != 408


class AfterMiss(Enum):
    """What follows when reads have shown that a write did not happen."""

    NOT_APPLIED = auto()
    """That is its outcome; only a caller who allows it has it sent again."""
    SEND_AGAIN = auto()
    """It may be sent again. Budget and deadline permitting."""
    REJECTED = auto()
    """The refusal that was doubted is true after all."""


def after_miss(safety: Safety, *, resend: bool, refused_with: int | None = None) -> AfterMiss:
    """What follows when reads have shown that a write did not happen.

    Args:
        safety: of the operation.
        resend: whether the operation, or the caller, allows that it is sent again.
        refused_with: the status of a refusal that was not believed, None if there was none.
    """
    repeatable = safety in {Safety.REPEATABLE, Safety.REPLACE}
    if refused_with is not None and not (refused_with == 429 and repeatable):
        return AfterMiss.REJECTED
    return AfterMiss.SEND_AGAIN if resend else AfterMiss.NOT_APPLIED


def backoff(policy: RetryPolicy, attempt: int, chance: float, *, asked: float | None = None) -> float:
    """Seconds to pause after an attempt: full jitter, on top of what the service asked for.

    Args:
        policy: of the call.
        attempt: its number, from 1.
        chance: from 0 up to 1.
        asked: the `Retry-After` of its answer in seconds, None without one.
    """
    highest = min(policy.backoff_limit, policy.backoff * 2.0 ** (attempt - 1))
    return float(highest * chance) + (asked or 0.0)


class RetryBudget:
    """Attempts after the first, as a share of the calls of the last window. There is one budget for each client.

    In an outage every call fails; without a budget retries would multiply the load on a service that is down.
    """

    # The window is kept in slices, so that a busy client holds a dozen counts and not every call of a minute.
    _SLICES = 12

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._slice = policy.budget_window / self._SLICES
        self._calls: deque[list[float]] = deque()
        self._retries: deque[list[float]] = deque()
        self._call_count = 0
        self._retry_count = 0

    def call_started(self, now: float) -> None:
        """Count a call at the time `now` (seconds)."""
        self._call_count += 1
        self._count(self._calls, now)

    def take(self, now: float) -> bool:
        """Take one retry at the time `now` (seconds); False if the budget is used up."""
        self._forget(now)
        allowed = max(float(self._policy.budget_minimum), self._policy.budget_ratio * self._call_count)
        if self._retry_count + 1 > allowed:
            return False
        self._retry_count += 1
        self._count(self._retries, now)
        return True

    def _count(self, slices: deque[list[float]], now: float) -> None:
        if slices and now < slices[-1][0] + self._slice:
            slices[-1][1] += 1
        else:
            slices.append([now, 1])
            self._forget(now)

    def _forget(self, now: float) -> None:
        oldest = now - self._policy.budget_window
        while self._calls and self._calls[0][0] < oldest:
            self._call_count -= int(self._calls.popleft()[1])
        while self._retries and self._retries[0][0] < oldest:
            self._retry_count -= int(self._retries.popleft()[1])
