"""The workers of a queue, as a job sees them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import attrs

from fusebill_async.bulk.queued import Queue, QueuedWorkers
from fusebill_async.distributed.engine import ORDER, QUEUE, new_engine


class Workers(QueuedWorkers):
    """Workers that carry out the items of a job, for `workers=` of `client.bulk`.

        job = client.bulk.hold(ids, journal="hold.sqlite", workers=Workers("redis://host/0"))

    The journal stays the one file of the process that runs the job. One object serves one job at a time.

    Args:
        url: of the Redis with the queue.
        queue: its name, as the workers have it.
        wait: seconds for the outcome of an item, above 0. Then it counts as unknown, and a resumed job hands it out
            again.

    Raises:
        ConfigurationError: streaq is not installed, or a URL or a number that cannot work.
    """

    def __init__(self, url: str, *, queue: str = QUEUE, wait: float = 900.0) -> None:
        super().__init__(wait)
        self._url, self._queue = url, queue
        new_engine(url, queue)

    @asynccontextmanager
    async def reach(self) -> AsyncGenerator[Queue]:
        """The way to the queue."""
        async with new_engine(self._url, self._queue) as engine:
            yield _StreaqQueue(engine)


@attrs.frozen
class _StreaqQueue:
    _engine: Any

    async def mark(self, name: str) -> None:
        await self._engine.redis.set(name, "1", ex=30 * 86_400)

    async def put(self, messages: Mapping[str, dict[str, Any]]) -> None:
        tasks = [self._engine.enqueue_unsafe(ORDER, order) for order in messages.values()]
        for task, name in zip(tasks, messages, strict=True):
            task.id = name
        await self._engine.enqueue_many(tasks)

    async def told(self, mark: str, names: Sequence[str]) -> list[dict[str, Any] | None] | None:
        engine = self._engine
        is_there, *results = await engine.redis.mget([mark, *(engine.results_key + name for name in names)])
        return None if is_there is None else [None if each is None else await self._result_in(each) for each in results]

    async def _result_in(self, text: str) -> dict[str, Any]:
        result = await self._engine.deserialize(text)
        told: dict[str, Any] = result["r"] if result["s"] else {"engine": result["r"]}
        return told
