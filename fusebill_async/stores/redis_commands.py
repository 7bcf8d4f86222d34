"""Commands to Redis in the order they were given, gathered into pipelines, and whole however their caller ends."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Protocol, TypeAlias

import attrs

from fusebill_async.errors import ConfigurationError, StoreUnavailableError
from fusebill_async.stores.effects import StoreEffects

logger = logging.getLogger("fusebill_async.store")

Command: TypeAlias = Callable[[Any], None]
"""Adds one command to a pipeline."""

_LARGEST_BATCH = 500
_PAUSE = 0.2
"""Seconds before commands that nobody waits for are tried again."""
_LAST_TRIES = 3
"""How often they are tried when the store is being closed."""


class Driver(Protocol):
    """How Redis is reached."""

    def connect(self) -> Any:
        """A `redis.asyncio.Redis`, or what does the same; it connects when it is used."""
        ...

    def ask_now(self, commands: Sequence[Command]) -> list[Any]:
        """The answers to commands that are carried out as one, while the event loop waits.

        Raises:
            Exception: Redis is away.
        """
        ...


class RedisPy:
    """Reaches Redis through redis-py.

    Args:
        url: as redis-py takes it.
        patience: seconds that `ask_now` waits at most for a connection, and for an answer.

    Raises:
        ConfigurationError: redis-py is not installed.
    """

    def __init__(self, url: str, patience: float) -> None:
        try:
            import_module("redis.asyncio")
            self._redis: Any = import_module("redis")
        except ImportError:
            raise ConfigurationError("RedisStore needs redis-py: pip install 'fusebill-async[redis]'") from None
        self._url = url
        self._patience = patience

    def connect(self) -> Any:
        """A client for the event loop."""
        # One retry, for a kept connection that Redis has closed meanwhile: every command here may be sent twice.
        retry = self._redis.asyncio.retry.Retry(self._redis.backoff.NoBackoff(), 1)
        return self._redis.asyncio.Redis.from_url(self._url, retry=retry)

    def ask_now(self, commands: Sequence[Command]) -> list[Any]:
        """The answers to commands that are carried out as one, while the event loop waits."""
        client = self._redis.Redis.from_url(
            self._url, socket_timeout=self._patience, socket_connect_timeout=self._patience
        )
        client.set_retry(self._redis.retry.Retry(self._redis.backoff.NoBackoff(), 0))
        try:
            with client.pipeline(transaction=True) as pipeline:
                for command in commands:
                    command(pipeline)
                answers: list[Any] = pipeline.execute()
                return answers
        finally:
            client.close()


@attrs.define(eq=False)
class _Job:
    command: Command
    future: asyncio.Future[Any] | None = None
    after: Callable[[], None] | None = None

    def finish(self, value: Any) -> None:
        if self.after is not None and not isinstance(value, Exception):
            self.after()
        if self.future is None or self.future.done():
            return
        if isinstance(value, Exception):
            self.future.set_exception(value)
        else:
            self.future.set_result(value)


class RedisCommands:
    """The connection of one store.

    Args:
        driver: reaches Redis.
        patience: seconds after which Redis counts as away.
        effects: waiting.
    """

    def __init__(self, driver: Driver, patience: float, effects: StoreEffects) -> None:
        self._driver = driver
        self._patience = patience
        self._effects = effects
        self._client: Any = None
        self._jobs: deque[_Job] = deque()
        self._sender: asyncio.Task[None] | None = None
        self._closing = False

    @property
    def client(self) -> Any:
        """The `redis.asyncio.Redis`; it connects when it is used."""
        if self._client is None:
            self._client = self._driver.connect()
        return self._client

    def ask_now(self, *commands: Command) -> list[Any]:
        """The answers to commands that are carried out as one; the event loop waits, as long as the patience at most.

        Raises:
            StoreUnavailableError: Redis is away.
        """
        try:
            return self._driver.ask_now(commands)
        except Exception as error:  # noqa: BLE001 (each driver has its own)
            raise _away(error) from None

    async def submit(self, command: Command) -> Any:
        """Send a command and return its answer. It is sent even if the caller is cancelled meanwhile.

        Raises:
            StoreUnavailableError: there was no answer, so it may have happened or not.
        """
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._put(_Job(command, future))
        return await future

    def post(self, command: Command, after: Callable[[], None] | None = None) -> None:
        """Send a command without waiting for it, again until it succeeds; then call `after`."""
        self._put(_Job(command, after=after))

    async def aclose(self) -> None:
        """Send what is queued, and close the connection."""
        self._closing = True
        try:
            if self._sender is not None:
                await asyncio.shield(self._sender)
        finally:
            self._closing = False
            client, self._client = self._client, None
            if client is not None:
                await client.aclose()

    def _put(self, job: _Job) -> None:
        self._jobs.append(job)
        if self._sender is None:
            self._sender = asyncio.get_running_loop().create_task(self._send())

    async def _send(self) -> None:
        """Runs while there is something to send. One pipeline at a time keeps the order."""
        tries = 0
        try:
            while self._jobs:
                batch = [self._jobs.popleft() for _ in range(min(len(self._jobs), _LARGEST_BATCH))]
                try:
                    answers = await self._exchange(batch)
                except StoreUnavailableError as error:
                    tries += 1
                    await self._failed(batch, error, tries)
                else:
                    tries = 0
                    for job, answer in zip(batch, answers, strict=True):
                        job.finish(_away(answer) if isinstance(answer, Exception) else answer)
        finally:
            self._sender = None

    async def _exchange(self, batch: list[_Job]) -> list[Any]:
        try:
            async with asyncio.timeout(self._patience), self.client.pipeline(transaction=False) as pipeline:
                for job in batch:
                    job.command(pipeline)
                answers: list[Any] = await pipeline.execute(raise_on_error=False)
                return answers
        except Exception as error:  # noqa: BLE001 (whatever it is, those who wait must be told)
            raise _away(error) from None

    async def _failed(self, batch: list[_Job], error: StoreUnavailableError, tries: int) -> None:
        # Whoever waits behind them would wait for as long as Redis is away.
        jobs = [*batch, *self._jobs]
        self._jobs.clear()
        for job in jobs:
            if job.future is not None:
                # One each: whoever gets it may write into it which call it was.
                job.finish(StoreUnavailableError(error.message))
        again = [job for job in jobs if job.future is None]
        if self._closing and tries >= _LAST_TRIES:
            logger.error("%d changes could not be written to Redis: %s", len(again), error)
            return
        self._jobs.extend(again)
        if again:
            logger.log(logging.WARNING if tries == 1 else logging.DEBUG, "%s; %d changes wait", error, len(again))
            await self._effects.sleep(_PAUSE)


def _away(error: Exception) -> StoreUnavailableError:
    # The text of redis-py names host and port, never the password.
    return StoreUnavailableError(f"Redis is away: {type(error).__name__}: {error}".rstrip(": "))
