"""A worker: takes calls and the items of jobs from a queue, and carries each out once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs

from fusebill_async.bulk.batch import as_batch
from fusebill_async.bulk.orders import Order, OrderCarrier
from fusebill_async.client import FusebillClient, Verbs
from fusebill_async.distributed.engine import ORDER, QUEUE, new_engine
from fusebill_async.errors import ConfigurationError, FusebillError
from fusebill_async.models import Activation, Customer
from fusebill_async.operations import OPERATIONS, Operation
from fusebill_async.outcome import Outcome
from fusebill_async.stores import RedisStore

logger = logging.getLogger("fusebill_async.worker")


def worker(
    url: str,
    *,
    client: Callable[[], FusebillClient] | None = None,
    queue: str = QUEUE,
    concurrency: int = 64,
    redeliver_after: float = 30.0,
    grace: float = 30.0,
) -> Any:
    """A `streaq.Worker` that carries out the writes of the table, and the items of jobs.

    It has one task for each write, such as "customers.hold". The id of its message is the idempotency key of the call:
    delivered again, it sends nothing and returns the outcome that was recorded. A `FusebillError` is a result too, with
    its outcome: the client has retried what may be retried, and the engine retries nothing. What a worker was doing
    when it died is delivered again.

    Args:
        url: of the Redis with the queue; by default the client's records are there, too.
        client: makes the client of this process; by default `FusebillClient.from_env` on a `RedisStore`.
        queue: its name.
        concurrency: calls at once, from 1.
        redeliver_after: seconds after which a message of a worker that shows no sign of life goes to another one.
        grace: seconds that a worker told to end has for what is under way.

    Raises:
        ConfigurationError: streaq is not installed, or a URL that cannot work.
    """
    make = client or (lambda: FusebillClient.from_env(store=RedisStore(url)))

    @asynccontextmanager
    async def lifespan() -> AsyncGenerator[FusebillClient]:
        async with make() as opened:
            settling = asyncio.create_task(_settle(opened), name="fusebill_async: settles what a dead worker left")
            try:
                yield opened
            finally:
                settling.cancel()
                await asyncio.gather(settling, return_exceptions=True)

    async def carry_out(order: dict[str, Any]) -> dict[str, Any]:
        return attrs.asdict(await OrderCarrier(engine.context._core)(Order(**order)))  # noqa: SLF001 (a part of the client)

    options = {"concurrency": concurrency, "idle_timeout": redeliver_after, "grace_period": grace}
    engine = new_engine(url, queue, lifespan=lifespan, **options)
    # What a worker died at is delivered again, however often; what has ended has a result, and is not tried again.
    settings: dict[str, Any] = {"max_tries": None, "timeout": None, "ttl": 3600, "silent": True}
    engine.task(name=ORDER, **settings)(carry_out)
    for operation in OPERATIONS:
        if operation.writes:
            engine.task(name=operation.title, **settings)(_task(operation, engine))
    return engine


async def run_worker(make: Callable[[], Any]) -> None:
    """Run a worker until SIGINT or SIGTERM. One whose Redis went away begins anew.

    Args:
        make: makes it, as in `run_worker(lambda: worker(url))`.

    Raises:
        ConfigurationError: the worker, or its client, cannot work.
    """
    while True:
        try:
            await make().run_async()
        except Exception as error:  # noqa: BLE001 (each library below has its own)
            lost: Any = error
            while hasattr(lost, "exceptions"):
                lost = lost.exceptions[0]
            if isinstance(lost, ConfigurationError):
                raise lost from None
            logger.warning("the worker lost its queue, and begins anew: %s", type(lost).__name__)
        else:
            return
        await asyncio.sleep(1.0)


async def _settle(client: FusebillClient) -> None:
    """Settle by reading what a dead worker left open. Who lives still holds its locks, and is waited for."""
    try:
        await client.resolve_all()
    except FusebillError as error:
        logger.warning("what an earlier worker left open is not settled yet: %s", error)


def _task(operation: Operation, engine: Any) -> Any:
    async def call(*arguments: Any, **options: Any) -> dict[str, Any]:
        verbs = Verbs(as_batch(engine.context._core)).with_response  # noqa: SLF001 (a part of the client)
        verb = getattr(getattr(verbs, operation.resource), operation.name)
        options.setdefault("idempotency_key", engine.registry[operation.title].context.task_id)
        try:
            response = await verb(*arguments, **options)
        except FusebillError as error:
            ended = {"outcome": error.outcome, "customer_id": error.customer_id, "replayed": False, "attribution": None}
            return {**ended, "error": type(error).__name__, "message": str(error)}
        value = response.value.customer if isinstance(response.value, Activation) else response.value
        told = {"outcome": Outcome.APPLIED, "customer_id": value.id if isinstance(value, Customer) else None}
        return {**told, "replayed": response.replayed, "attribution": response.attribution, "error": "", "message": ""}

    return call
