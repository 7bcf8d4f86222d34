"""Why a command takes its time: what it waits for and for how long, on stderr every few seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeAlias

import attrs

from fusebill_async.cli.terminal import say
from fusebill_async.session.events import AttemptEvent, CallEvent, QuotaEvent, SettlingEvent, WaitedFor, WaitEvent
from fusebill_async.session.hooks import Hooks

_Event: TypeAlias = CallEvent | AttemptEvent | WaitEvent | SettlingEvent
_Span: TypeAlias = AbstractContextManager[None]

EVERY = 4.0
"""Seconds between two lines, and before the first one."""

_FOR: dict[WaitedFor, str] = {
    "lock": "waiting for another call on this customer",
    "quota": "waiting for the account's quota",
    "pool": "waiting for a connection",
    "backoff": "waiting before it is sent again",
}


@attrs.frozen(eq=False)
class _Waiting:
    """One thing that is waited for: whose, in words, since when, and whether it tells more than what is within it."""

    about: str
    text: str
    since: float
    settles: bool


class Progress(Hooks):
    """Says what a command waits for. What ends within `EVERY` is not worth a word.

    Attributes:
        quiet: nothing is said, because something else shows how it goes on.
    """

    def __init__(self) -> None:
        self.quiet = False
        self._waits: list[_Waiting] = []
        self._clock: asyncio.TimerHandle | None = None

    def call_begun(self, call: CallEvent) -> _Span:
        """Told where nothing within it is."""
        return self._during(call, "under way")

    def attempt_begun(self, attempt: AttemptEvent) -> _Span:
        """A request was sent, or its connection is made."""
        return self._during(attempt, "waiting for the service to answer")

    def wait_begun(self, wait: WaitEvent) -> _Span:
        """A lock, the quota, a connection or a pause."""
        return self._during(wait, _FOR[wait.waited_for])

    def settling_begun(self, settling: SettlingEvent) -> _Span:
        """A write got no usable answer. It is said at once; the outcome is told by the command itself."""
        self._say(f"{_about(settling)} got no usable answer: reading the customer to learn what happened")
        return self._during(settling, "reading the customer to learn what happened", settles=True)

    def quota_threshold(self, quota: QuotaEvent) -> None:
        """The quota is running out."""
        self._say(f"{quota.used:.0%} of the quota of this {quota.window} is used")

    @contextmanager
    def _during(self, event: _Event, text: str, *, settles: bool = False) -> Generator[None]:
        waiting = _Waiting(_about(event), text, asyncio.get_running_loop().time(), settles)
        self._waits.append(waiting)
        if self._clock is None:
            self._wind()
        try:
            yield
        finally:
            self._waits.remove(waiting)
            if not self._waits and self._clock is not None:
                self._clock.cancel()
                self._clock = None

    def _wind(self) -> None:
        self._clock = asyncio.get_running_loop().call_later(EVERY, self._tell)

    def _tell(self) -> None:
        waiting = self._most_telling()
        waited = asyncio.get_running_loop().time() - waiting.since
        if waited >= EVERY * 0.9:
            self._say(f"{waiting.about}: {waiting.text}, for {waited:.0f} s")
        self._wind()

    def _most_telling(self) -> _Waiting:
        return next((one for one in self._waits if one.settles), self._waits[-1])

    def what(self) -> str:
        """What is waited for at this moment, in words; "" for nothing."""
        return self._most_telling().text if self._waits else ""

    def _say(self, text: str) -> None:
        if not self.quiet:
            say(text)


def _about(event: _Event) -> str:
    return event.operation if event.customer_id is None else f"{event.operation} of customer {event.customer_id}"
