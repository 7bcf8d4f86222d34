"""The workers of a queue, as a job sees them."""

from __future__ import annotations

import asyncio
import logging
import uuid
from contextlib import suppress
from typing import Any

import attrs

from fusebill_async.bulk.orders import Answer, Order
from fusebill_async.distributed.engine import ORDER, QUEUE, new_engine, shown_url
from fusebill_async.errors import ConfigurationError, StoreUnavailableError

logger = logging.getLogger("fusebill_async.worker")

_POLL = 0.05
"""Seconds between two looks at what workers have told."""
_PAUSE = 0.5
"""Seconds before Redis is tried again when it was away."""
_START = 10.0
"""Seconds for which Redis is waited for at the beginning."""
_WAS_EMPTIED = "Redis has lost what was written to it: what was handed out and has not been told is unknown now"


@attrs.define(eq=False)
class _Asked:
    """An order that was handed out.

    Attributes:
        order: what was asked for.
        message: its id in the engine. Each delivery that we ask for has one of its own: the key is in the order.
        told: what becomes of it.
        is_queued: the engine has said that it has it.
    """

    order: Order
    message: str
    told: asyncio.Future[Answer | None]
    is_queued: bool = False


class Workers:
    """Workers that carry out the items of a job, for `workers=` of `client.bulk`.

        job = client.bulk.hold(ids, journal="hold.sqlite", workers=Workers("redis://host/0"))

    The journal stays the one file of the process that runs the job. One object serves one job at a time.

    Args:
        url: of the Redis with the queue.
        queue: its name, as the workers have it.
        wait: seconds for the outcome of an item, above 0; then it counts as unknown, and a resumed job hands it out
            again.

    Raises:
        ConfigurationError: streaq is not installed, or a URL or a number that cannot work.
    """

    def __init__(self, url: str, *, queue: str = QUEUE, wait: float = 900.0) -> None:
        if isinstance(wait, bool) or not wait > 0:
            raise ConfigurationError(f"wait= must be above 0 seconds, not {wait!r}")
        self._url, self._queue, self._wait = url, queue, wait
        new_engine(url, queue)
        self._asked: dict[str, _Asked] = {}
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"Workers({shown_url(self._url)!r}, queue={self._queue!r})"

    async def start(self) -> None:
        """Reach the queue.

        Raises:
            StoreUnavailableError: Redis is away.
        """
        reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._serve(reached), name="fusebill_async: hands a job's items to workers")
        try:
            async with asyncio.timeout(_START):
                await asyncio.shield(reached)
        except TimeoutError:
            await self.aclose()
            raise StoreUnavailableError(
                f"the queue at {shown_url(self._url)} is out of reach: no worker can be told"
            ) from None

    async def carry_out(self, order: Order) -> Answer | None:
        """Have an order carried out, and wait for what becomes of it; None if nobody has told in time."""
        told: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        asked = _Asked(order, f"{order.key}/{uuid.uuid4().hex[:12]}", told)
        self._asked[asked.message] = asked
        self._changed.set()
        try:
            async with asyncio.timeout(self._wait):
                return await told
        except TimeoutError:
            return None
        finally:
            del self._asked[asked.message]

    async def aclose(self) -> None:
        """Let go of the queue. What was handed out and not told yet stays there."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    # --- the task that speaks to Redis

    async def _serve(self, reached: asyncio.Future[None]) -> None:
        mark = f"fusebill_async:job:{uuid.uuid4().hex}"
        while True:
            try:
                async with new_engine(self._url, self._queue) as engine:
                    if not reached.done():
                        await engine.redis.set(mark, "1", ex=30 * 86_400)
                        reached.set_result(None)
                    while True:
                        await self._exchange(engine, mark)
            except Exception as error:  # noqa: BLE001 (each library below has its own)
                logger.warning("the queue is away, and %d items wait: %s", len(self._asked), type(error).__name__)
                await asyncio.sleep(_PAUSE)

    async def _exchange(self, engine: Any, mark: str) -> None:
        """Hand out what is new, and look at what workers have told."""
        new = [asked for asked in self._asked.values() if not asked.is_queued]
        if new:
            tasks = [engine.enqueue_unsafe(ORDER, attrs.asdict(asked.order)) for asked in new]
            for task, asked in zip(tasks, new, strict=True):
                task.id = asked.message
            await engine.enqueue_many(tasks)
            for asked in new:
                asked.is_queued = True
        waiting = [asked for asked in self._asked.values() if asked.is_queued]
        keys = [engine.results_key + asked.message for asked in waiting]
        is_there, *results = await engine.redis.mget([mark, *keys])
        if is_there is None:
            await self._start_over(engine, mark, waiting)
            return
        for asked, result in zip(waiting, results, strict=True):
            if result is not None and not asked.told.done():
                asked.told.set_result(_answer_in(await engine.deserialize(result)))
        self._changed.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(_POLL if waiting else None):
                await self._changed.wait()

    async def _start_over(self, engine: Any, mark: str, waiting: list[_Asked]) -> None:
        """Redis was emptied: keys are gone with the messages, so nothing is handed out a second time by itself."""
        logger.error("%s: %d items", _WAS_EMPTIED, len(waiting))
        for asked in waiting:
            if not asked.told.done():
                asked.told.set_result(None)
        await engine.redis.set(mark, "1", ex=30 * 86_400)


def _answer_in(result: dict[str, Any]) -> Answer | None:
    """What a worker has told; None where the engine itself gave up, as on a message that was aborted."""
    if not result["s"]:
        logger.warning("a worker has failed at an item: %s", result["r"])
        return None
    return Answer(**result["r"])
