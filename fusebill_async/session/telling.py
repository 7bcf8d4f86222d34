"""What the hooks are told of a call: its waits, its attempts, its settling, and its end."""

from __future__ import annotations

import itertools
import logging
import re
import uuid
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self

import attrs

from fusebill_async.errors import FusebillError
from fusebill_async.operations import Operation
from fusebill_async.outcome import Attempt, Outcome
from fusebill_async.session.call import Call, Judged
from fusebill_async.session.events import AttemptEvent, CallEvent, SettlingEvent, WaitedFor, WaitEvent
from fusebill_async.session.hooks import Listeners, OpenEvent
from fusebill_async.wire.quota_headers import read_quota

logger = logging.getLogger("fusebill_async")


class Untold:
    """What nobody is told of."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def end(self, **facts: Any) -> None:
        """It has ended."""


_UNTOLD = Untold()

_NAMES_NOBODY = re.compile(r"[A-Za-z]+|\{id\}")
"""A part of a path that can be shown: any other may be an id, or somebody's name."""


class Teller:
    """Makes records of what calls do, and tells them to the hooks.

    Args:
        listeners: the hooks.
        base_url: of the service, for the address of an attempt.
    """

    def __init__(self, listeners: Listeners, base_url: str) -> None:
        self.listeners = listeners
        self._base_url = base_url
        self._name = uuid.uuid4().hex[:6]
        self._numbers = itertools.count(1)

    # --- calls

    def call(self, call: Call) -> AbstractContextManager[object]:
        """Tell of a call that takes as long as the `with` statement."""
        return _Span(self, call) if self.begin(call) else _UNTOLD

    def begin(self, call: Call) -> bool:
        """Tell that a call has begun, if anybody listens; gives whether that is so."""
        if not self._is_heard():
            return False
        self._name_it(call)
        call.told = Told(self.listeners, call, self._base_url, self.listeners.begin(_call_event(call)))
        return True

    def end(self, call: Call, **facts: Any) -> None:
        """Tell that a call has ended. A write that ends as unknown is told to every hook, whoever listened before.

        Args:
            call: that was begun.
            facts: of `CallEvent`.
        """
        if call.told is not None:
            call.told.end(**facts)
        elif facts.get("outcome") is Outcome.UNKNOWN and call.operation.writes:
            self.listeners.tell("call_ended", attrs.evolve(_call_event(call), **facts))

    def _is_heard(self) -> bool:
        """Whether a hook of the user's, or anybody who reads the log, is to be told of calls."""
        return bool(self.listeners.users) or logger.isEnabledFor(logging.INFO)

    def wait(self, call: Call, waited_for: WaitedFor) -> AbstractContextManager[object]:
        """Tell of a wait that takes as long as the `with` statement."""
        if not self._is_heard():
            return _UNTOLD
        return self.listeners.begin(WaitEvent(waited_for=waited_for, **_whose(call)))

    def settling(self, call: Call) -> OpenEvent | Untold:
        """Tell that a write is settled by reading; end it with the outcome."""
        if not self._is_heard():
            return _UNTOLD
        if not call.id:
            # It is settled for another process, or by `resolve`: its reads are to name it, too.
            self._name_it(call)
        return self.listeners.begin(SettlingEvent(**_whose(call)))

    def _name_it(self, call: Call) -> None:
        call.id = f"{self._name}-{next(self._numbers)}"


class Told:
    """What the hooks have been told of one call so far."""

    def __init__(self, listeners: Listeners, call: Call, base_url: str, opened: OpenEvent) -> None:
        self._listeners = listeners
        self._call = call
        self._base_url = base_url
        self._opened = opened
        self._attempt: OpenEvent | None = None
        self._sent = 0

    def attempt_begun(self, operation: Operation) -> None:
        """A request of the call is about to be sent."""
        call = self._call
        whose = _whose(call)
        whose["operation"] = operation.title
        event = AttemptEvent(
            **whose,
            number=len(call.failed_attempts) + 1,
            method=operation.method,
            url=self._base_url + shown_path(operation.path),
        )
        self._attempt = self._listeners.begin(event)

    def handed_out(self) -> None:
        """The first byte of the attempt is about to leave."""
        self._sent += 1

    def attempt_ended(self, judged: Judged, attempt: Attempt) -> None:
        """An attempt ended, and what follows from it is known."""
        exchange = judged.exchange
        if self._attempt is None:
            return
        self._attempt.end(
            seconds=attempt.duration,
            phase=attempt.phase,
            status=attempt.status,
            # What is wrong with an answer is told in words that may be the answer's own.
            reason=exchange.reason or ("its answer cannot be used" if attempt.reason else ""),
            followed=attempt.followed,
            quota=None if exchange.status is None else read_quota(exchange.headers),
        )

    def attempt_cut_short(self, error: BaseException) -> None:
        """An attempt ended without facts: it was cancelled, or given up before the first byte."""
        if self._attempt is not None:
            self._attempt.end(reason=type(error).__name__, followed="given up")

    def end(self, **facts: Any) -> None:
        """The call has ended."""
        if self._attempt is not None:
            self._attempt.end()
        self._opened.end(attempts=self._sent, **facts)

    def outcome_of(self, error: BaseException) -> Outcome:
        """What is known of a read that ended with this error."""
        if isinstance(error, FusebillError):
            return error.outcome
        return Outcome.UNKNOWN if self._sent else Outcome.NOT_SENT


@attrs.frozen(eq=False)
class _Span:
    """A call that changes nothing, as a `with` statement."""

    _teller: Teller
    _call: Call

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._call.told is not None
        if error is None:
            self._teller.end(self._call, outcome=Outcome.APPLIED)
        else:
            self._teller.end(self._call, outcome=self._call.told.outcome_of(error), error=type(error).__name__)


def shown_path(path: str) -> str:
    """A path as it may be shown: whatever is no plain word is left out."""
    return "/".join(part if _NAMES_NOBODY.fullmatch(part) else "{}" if part else "" for part in path.split("/"))


def _call_event(call: Call) -> CallEvent:
    return CallEvent(writes=call.operation.writes, **_whose(call))


def _whose(call: Call) -> dict[str, Any]:
    return {
        "call_id": call.id,
        "parent_id": call.parent_id,
        "operation": call.operation.title,
        "customer_id": call.customer_id,
    }
