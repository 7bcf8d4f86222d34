"""Orders that go over a queue, whatever it is: handed out, waited for, and given up when nobody tells."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, Protocol

import attrs

from fusebill_async.bulk.orders import Answer, Order
from fusebill_async.errors import ConfigurationError, StoreUnavailableError

logger = logging.getLogger("fusebill_async.worker")

_POLL = 0.05
"""Seconds between two looks at what workers have told."""
_PAUSE = 0.5
"""Seconds before a queue that was away is tried again."""
_MOST_GIVEN_UP = 3
"""How often an item is handed out again that the engine gave up."""
_START = 10.0
"""Seconds for which a queue is waited for at the beginning."""


class Queue(Protocol):
    """A queue that can be reached."""

    async def mark(self, name: str) -> None:
        """Leave a mark, which is gone if the queue loses what was written to it."""
        ...

    async def put(self, messages: Mapping[str, dict[str, Any]]) -> None:
        """Give orders to the queue, each under a name that no other has."""
        ...

    async def told(self, mark: str, names: Sequence[str]) -> list[dict[str, Any] | None] | None:
        """What workers have told of each; None for nothing yet.

        Returns:
            None if the mark is gone.
        """
        ...


@attrs.define(eq=False)
class _Asked:
    """An order that was handed out. Each hand-out has a name of its own: the key of the item is in the order."""

    order: Order
    answer: asyncio.Future[Answer | None]
    name: str = attrs.field(init=False)
    is_queued: bool = attrs.field(default=False, init=False)
    given_up: int = attrs.field(default=0, init=False)
    """How often the engine gave it up."""

    def __attrs_post_init__(self) -> None:
        self._rename()

    def _rename(self) -> None:
        self.name, self.is_queued = f"{self.order.key}/{uuid.uuid4().hex[:12]}", False

    def tell(self, answer: Answer | None) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)

    def hear(self, told: dict[str, Any]) -> None:
        """Take what a worker has told.

        An engine may give up a message that another worker has carried out: streaq does when a worker that stood still
        goes on. The key of the item knows, so it is handed out again.
        """
        if "engine" not in told:
            self.tell(Answer(**told))
            return
        self.given_up += 1
        logger.log(logging.WARNING if self.given_up > 1 else logging.INFO, "the engine gave up: %s", told["engine"])
        if self.given_up > _MOST_GIVEN_UP:
            self.tell(None)
            return
        self.order = attrs.evolve(self.order, again=True)
        self._rename()


class QueuedWorkers:
    """Workers that are reached over a queue.

    Args:
        wait: seconds for the outcome of an item, above 0. Then it counts as unknown, and a resumed job hands it out
            again.

    Raises:
        ConfigurationError: a number that cannot work.
    """

    def __init__(self, wait: float) -> None:
        if isinstance(wait, bool) or not wait > 0:
            raise ConfigurationError(f"wait= must be above 0 seconds, not {wait!r}")
        self._wait = wait
        self._asked: dict[_Asked, None] = {}
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def reach(self) -> AbstractAsyncContextManager[Queue]:
        """The way to the queue; it raises anything when that is away."""
        raise NotImplementedError

    async def start(self) -> None:
        """Reach the queue.

        Raises:
            StoreUnavailableError: it is away.
        """
        reached = asyncio.Event()
        self._task = asyncio.create_task(self._serve(reached), name="fusebill_async: hands a job's items to workers")
        try:
            await asyncio.wait_for(reached.wait(), _START)
        except TimeoutError:
            await self.aclose()
            raise StoreUnavailableError("the queue of workers= is out of reach: nothing was handed out") from None

    async def carry_out(self, order: Order) -> Answer | None:
        """Have an order carried out, and wait for what becomes of it; None if nobody has told in time."""
        asked = _Asked(order, asyncio.get_running_loop().create_future())
        self._asked[asked] = None
        self._changed.set()
        try:
            return await asyncio.wait_for(asked.answer, self._wait)
        except TimeoutError:
            return None
        finally:
            del self._asked[asked]

    async def aclose(self) -> None:
        """Let go of the queue. What was handed out and not told yet stays there."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    # --- the task that speaks to the queue, for all who wait

    async def _serve(self, reached: asyncio.Event) -> None:
        mark = f"fusebill_async:job:{uuid.uuid4().hex}"
        while True:
            try:
                async with self.reach() as queue:
                    if not reached.is_set():
                        await queue.mark(mark)
                        reached.set()
                    while True:
                        await self._exchange(queue, mark)
            except Exception as error:  # noqa: BLE001 (each queue has its own)
                logger.warning("the queue is away, and %d items wait: %s", len(self._asked), type(error).__name__)
                await asyncio.sleep(_PAUSE)

    async def _exchange(self, queue: Queue, mark: str) -> None:
        """Hand out what is new, and look at what workers have told."""
        self._changed.clear()
        new = [asked for asked in self._asked if not asked.is_queued]
        if new:
            await queue.put({asked.name: attrs.asdict(asked.order) for asked in new})
        for asked in new:
            asked.is_queued = True
        waiting = [asked for asked in self._asked if asked.is_queued]
        told = await queue.told(mark, [asked.name for asked in waiting])
        if told is None:
            await self._start_over(queue, mark, waiting)
        for asked, answer in zip(waiting, told or [], strict=False):
            if answer is not None:
                asked.hear(answer)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), _POLL if waiting else 1.0)

    async def _start_over(self, queue: Queue, mark: str, waiting: list[_Asked]) -> None:
        """Keys may be gone with the messages, so nothing is handed out a second time without somebody's decision."""
        logger.error(
            "the queue has lost what was written to it: %d items that were handed out are unknown", len(waiting)
        )
        for asked in waiting:
            asked.tell(None)
        await queue.mark(mark)
