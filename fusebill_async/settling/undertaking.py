"""Runs a write in the task of its caller, and moves it to a task of its own when the caller goes away.

A task for each write would be simpler, and costs a tenth of a call: two more turns of the event loop, and a burst of
garbage collections each time that a batch of them ends. Almost no write ever needs one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from enum import Enum, auto
from typing import Any


class Hold(Enum):
    """How firmly the caller holds what is being undertaken."""

    INLINE = auto()
    """It runs in the caller's task: what cancels the caller cancels it."""
    SHIELDED = auto()
    """It still runs there, and must go on when the caller is cancelled."""
    LOOSE = auto()
    """It goes on by itself from here on."""


class Undertaking:
    """Awaits a coroutine that may have to outlive whoever awaits it.

    Args:
        coroutine: what is undertaken.
        hold: asked each time that the coroutine waits for something.
        adopt: takes the rest of the coroutine, to run it in a task of its own.

    Awaiting it ends when the coroutine has ended or has been adopted. While the hold is `SHIELDED` the coroutine must
    not be inside anything that is tied to the running task, such as `asyncio.timeout`.
    """

    __slots__ = ("_adopt", "_coroutine", "_hold")

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, None],
        hold: Callable[[], Hold],
        adopt: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._coroutine = coroutine
        self._hold = hold
        self._adopt = adopt

    def __await__(self) -> Generator[Any, Any, None]:
        """Step the coroutine as a task would, and stand between it and what it waits for where that is needed."""
        coroutine = self._coroutine
        thrown: BaseException | None = None
        while True:
            try:
                pending = coroutine.send(None) if thrown is None else coroutine.throw(thrown)
            except StopIteration:
                return
            thrown = None
            hold = self._hold()
            if hold is Hold.LOOSE:
                self._adopt(_rest_of(coroutine, pending))
                return
            try:
                if hold is Hold.SHIELDED and pending is not None:
                    yield from _shielded(pending)
                else:
                    yield pending
            except asyncio.CancelledError as cancelled:
                if hold is Hold.SHIELDED:
                    self._adopt(_rest_of(coroutine, pending))
                    raise
                thrown = cancelled
            except GeneratorExit:
                coroutine.close()
                raise
            except BaseException as error:  # noqa: BLE001 (whatever is thrown in is the coroutine's to handle)
                thrown = error


def _shielded(pending: asyncio.Future[Any]) -> Generator[Any, Any, None]:
    """Wait until a future is done, without cancelling it when the wait is cancelled."""
    # A future that a coroutine waits for is marked so by the future itself; the task that steps it takes the mark.
    pending._asyncio_future_blocking = False  # noqa: SLF001 (the protocol between tasks and futures)
    done: asyncio.Future[None] = pending.get_loop().create_future()

    def wake(_: Any) -> None:
        if not done.done():
            done.set_result(None)

    pending.add_done_callback(wake)
    yield from done


async def _rest_of(coroutine: Coroutine[Any, Any, None], pending: asyncio.Future[Any] | None) -> None:
    """The rest of a coroutine that waits for `pending`."""
    await _Rest(coroutine, pending)


class _Rest:
    __slots__ = ("_coroutine", "_pending")

    def __init__(self, coroutine: Coroutine[Any, Any, None], pending: asyncio.Future[Any] | None) -> None:
        self._coroutine = coroutine
        self._pending = pending

    def __await__(self) -> Generator[Any, Any, None]:
        coroutine, pending = self._coroutine, self._pending
        while True:
            thrown: BaseException | None = None
            try:
                if pending is not None:
                    pending._asyncio_future_blocking = True  # noqa: SLF001 (this task waits for it from here on)
                yield pending
            except GeneratorExit:
                coroutine.close()
                raise
            except BaseException as error:  # noqa: BLE001 (whatever is thrown in is the coroutine's to handle)
                thrown = error
            try:
                pending = coroutine.send(None) if thrown is None else coroutine.throw(thrown)
            except StopIteration:
                return
