"""The hooks of a user, and the one place that calls them."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Iterable
from typing import Any, Concatenate, ParamSpec, cast

from fusebill_async.errors import ConfigurationError
from fusebill_async.outcome import Attempt, Outcome

P = ParamSpec("P")

logger = logging.getLogger("fusebill_async")


class Hooks:
    """Override what you want to hear of, and hand instances to `FusebillClient(hooks=[...])`.

    Hooks are called in the event loop, between the steps of a call: be quick. A hook that raises, or that is a
    coroutine function, is logged once and harms nothing.
    """

    def attempt_ended(self, operation: str, customer_id: int | None, attempt: Attempt) -> None:
        """An attempt ended, whatever its end."""

    def settling_started(self, operation: str, customer_id: int | None) -> None:
        """A write was sent and no usable answer came; the customer will be read."""

    def settling_ended(self, operation: str, customer_id: int | None, outcome: Outcome) -> None:
        """Settling ended with this outcome."""

    def quota_threshold(self, window: str, used: float) -> None:
        """A threshold of `QuotaPolicy` was crossed: the used part (0 to 1) of the "minute" or the "day"."""


class Listeners:
    """The hooks of a client. Only this class calls them, and an error of a hook never harms a call.

    Args:
        hooks: instances of `Hooks`.

    Raises:
        ConfigurationError: something else.
    """

    def __init__(self, hooks: Iterable[Hooks] = ()) -> None:
        self.hooks = _checked(hooks)
        self._failed: set[tuple[int, str]] = set()

    def tell(self, event: Callable[Concatenate[Hooks, P], Any], *facts: P.args, **more: P.kwargs) -> None:
        """Call one method of every hook.

        Args:
            event: the method, as `Hooks.attempt_ended`.
            facts: what it takes.
            more: the same by name.
        """
        for hook in self.hooks:
            try:
                returned = getattr(hook, event.__name__)(*facts, **more)
                if returned is not None and _was_async(returned):
                    self._note(hook, event.__name__, "it is a coroutine function, and hooks are not awaited")
            # A cancellation that comes out of a plain function is its own, and not that of the task that called it.
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 (it is the user's code)
                self._note(hook, event.__name__, type(error).__name__, error)

    def _note(self, hook: Hooks, event: str, what: str, error: BaseException | None = None) -> None:
        if (id(hook), event) in self._failed:
            return
        self._failed.add((id(hook), event))
        logger.error(
            "hook %s.%s failed (%s): the calls go on; this is logged once",
            type(hook).__qualname__,
            event,
            what,
            exc_info=error,
        )


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
