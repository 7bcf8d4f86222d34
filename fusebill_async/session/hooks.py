"""The hooks of a user, and the one place that calls them."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self, cast

import attrs

from fusebill_async.errors import ConfigurationError
from fusebill_async.session.events import (
    AttemptEvent,
    CallEvent,
    ItemEvent,
    JobEvent,
    QuotaEvent,
    SettlingEvent,
    SpanEvent,
    WaitEvent,
)

logger = logging.getLogger("fusebill_async")

_NAMES: dict[type[SpanEvent], str] = {
    CallEvent: "call",
    WaitEvent: "wait",
    AttemptEvent: "attempt",
    SettlingEvent: "settling",
}


class Hooks:
    """Override what you want to hear of, and hand instances to `FusebillClient(hooks=[...])`.

    Each method takes one frozen record. A method `..._begun` may return a context manager: it is entered at once, and
    left when the event has ended, in the same task, after `..._ended` was called.

    Hooks are called in the event loop, between the steps of a call: be quick. A hook that raises, or that is a
    coroutine function, is logged once and harms nothing.
    """

    def call_begun(self, call: CallEvent) -> AbstractContextManager[object] | None:
        """A call begins."""

    def call_ended(self, call: CallEvent) -> None:
        """A call ended with this outcome."""

    def wait_begun(self, wait: WaitEvent) -> AbstractContextManager[object] | None:
        """A call waits: for a lock, for the quota, for a connection, or before a retry."""

    def wait_ended(self, wait: WaitEvent) -> None:
        """A call has waited."""

    def attempt_begun(self, attempt: AttemptEvent) -> AbstractContextManager[object] | None:
        """A request is sent."""

    def attempt_ended(self, attempt: AttemptEvent) -> None:
        """An attempt ended, whatever its end."""

    def settling_begun(self, settling: SettlingEvent) -> AbstractContextManager[object] | None:
        """A write was sent and no usable answer came; the customer will be read."""

    def settling_ended(self, settling: SettlingEvent) -> None:
        """Settling ended with this outcome."""

    def quota_threshold(self, quota: QuotaEvent) -> None:
        """A threshold of `QuotaPolicy` was crossed."""

    def item(self, item: ItemEvent) -> None:
        """An item of a bulk job has ended."""

    def job(self, job: JobEvent) -> None:
        """A run of a bulk job has begun or ended."""


class Listeners:
    """The hooks of a client. Only this class calls them, and an error of a hook never harms a call.

    Args:
        hooks: instances of `Hooks`.
        own: hooks of the package, told first.
        now: a clock in seconds, for how long an event took.

    Raises:
        ConfigurationError: something else.
    """

    def __init__(self, hooks: Iterable[Hooks] = (), *, own: tuple[Hooks, ...] = (), now: Callable[[], float]) -> None:
        self.users = _checked(hooks)
        self.hooks = (*own, *self.users)
        self.now = now
        self._failed: set[tuple[int, str]] = set()

    def begin(self, event: SpanEvent) -> OpenEvent:
        """Tell that an event has begun, and enter what the hooks return."""
        name = _NAMES[type(event)]
        method = f"{name}_begun"
        entered: list[tuple[Hooks, AbstractContextManager[object]]] = []
        for hook in self.hooks:
            context = self.guarded(hook, method, getattr(hook, method), event)
            if context is not None and self.guarded(hook, method, _enter, context):
                entered.append((hook, context))
        return OpenEvent(self, name, event, self.now(), entered)

    def tell(self, method: str, event: object) -> None:
        """Call one method of every hook."""
        for hook in self.hooks:
            self.guarded(hook, method, getattr(hook, method), event)

    def guarded(self, hook: Hooks, method: str, call: Callable[..., Any], *facts: Any) -> Any:
        """Call what a user wrote; None if that fails."""
        try:
            returned = call(*facts)
            if returned is not None and _was_async(returned):
                self._note(hook, method, "it is a coroutine function, and hooks are not awaited")
                return None
        # A cancellation that comes out of a plain function is its own, and not that of the task that called it.
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 (it is the user's code)
            self._note(hook, method, type(error).__name__, error)
            return None
        return returned

    def _note(self, hook: Hooks, method: str, what: str, error: BaseException | None = None) -> None:
        if (id(hook), method) in self._failed:
            return
        self._failed.add((id(hook), method))
        logger.error(
            "hook %s.%s failed (%s): the calls go on; this is logged once",
            type(hook).__qualname__,
            method,
            what,
            exc_info=error,
        )


@attrs.define(eq=False)
class OpenEvent:
    """An event that has begun. It ends once, at the first `end`, or with the `with` statement that it is used in."""

    _listeners: Listeners
    _name: str
    _event: SpanEvent
    _started: float
    _entered: list[tuple[Hooks, AbstractContextManager[object]]]
    _ended: bool = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end()

    def end(self, **facts: Any) -> None:
        """Tell that it has ended, and leave what the hooks had returned.

        Args:
            facts: what the record of the end holds besides; `seconds` are counted where they are not given.
        """
        if self._ended:
            return
        self._ended = True
        facts.setdefault("seconds", self._listeners.now() - self._started)
        self._listeners.tell(f"{self._name}_ended", attrs.evolve(self._event, **facts))
        for hook, context in reversed(self._entered):
            # What went wrong is in the record. A context manager is told of no error, since it may not swallow one.
            self._listeners.guarded(hook, f"{self._name}_begun", _leave, context)


def _enter(context: AbstractContextManager[object]) -> bool:
    context.__enter__()
    return True


def _leave(context: AbstractContextManager[object]) -> None:
    context.__exit__(None, None, None)


def _was_async(returned: Any) -> bool:
    if inspect.iscoroutine(returned):
        # Or Python warns that it was never awaited.
        returned.close()
        return True
    return inspect.isasyncgen(returned)


def _checked(hooks: Any) -> tuple[Hooks, ...]:
    if isinstance(hooks, Hooks) or not isinstance(hooks, Iterable):
        raise ConfigurationError(f"hooks= must be a list of Hooks, as in hooks=[MyHooks()], not {type(hooks).__name__}")
    given = tuple(cast("Iterable[Any]", hooks))  # type: ignore[redundant-cast]
    for hook in given:
        if not isinstance(hook, Hooks):
            made = f"the class {hook.__name__}: make one of it" if isinstance(hook, type) else type(hook).__name__
            raise ConfigurationError(f"hooks= must be a list of instances of Hooks, not of {made}")
    return given
