"""Commands to Redis in the order they were given, gathered into pipelines, and whole however their caller ends."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
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
_SOON_OVER = frozenset(
    {"BusyLoadingError", "ClusterDownError", "MasterDownError", "ReadOnlyError", "TryAgainError", "SlotNotCoveredError"}
)
"""What redis-py raises for an answer that says that Redis starts, or that another server takes over."""


_IN_VAIN = frozenset({"AuthenticationError", "AuthorizationError"})
"""What waiting does not mend."""


class AwayError(Exception):
    """Redis gave no answer, or none yet. It is caught in this file, and where a write waits for it.

    Args:
        message: in words.
        in_vain: waiting does not mend it.
    """

    def __init__(self, message: str, *, in_vain: bool = False) -> None:
        super().__init__(message)
        self.in_vain = in_vain


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
        url: as redis-py takes it; of any server of a cluster where its scheme ends in `+cluster`.
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
        scheme, _, rest = url.partition("://")
        self._is_cluster = scheme.endswith("+cluster")
        self._url = f"{scheme.removesuffix('+cluster')}://{rest}"
        self._patience = patience

    def connect(self) -> Any:
        """A client for the event loop."""
        if self._is_cluster:
            return self._redis.asyncio.RedisCluster.from_url(self._url)
        # One retry, for a kept connection that Redis has closed meanwhile: every command here may be sent twice.
        retry = self._redis.asyncio.retry.Retry(self._redis.backoff.NoBackoff(), 1)
        return self._redis.asyncio.Redis.from_url(self._url, retry=retry)

    def ask_now(self, commands: Sequence[Command]) -> list[Any]:
        """The answers to commands that are carried out as one, while the event loop waits."""
        kind = self._redis.RedisCluster if self._is_cluster else self._redis.Redis
        client = kind.from_url(self._url, socket_timeout=self._patience, socket_connect_timeout=self._patience)
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
    lasting: bool = False

    def finish(self, value: Any) -> None:
        if self.after is not None and not isinstance(value, Exception):
            self.after()
        if self.future is None or self.future.done():
            return
        if isinstance(value, Exception):
            self.future.set_exception(value)
        else:
            self.future.set_result(value)


@attrs.define
class Waiting:
    """How long somebody waits for a Redis that is away."""

    _effects: StoreEffects
    _wait: float
    _until: float
    _failures: int = 0

    async def after(self, error: AwayError) -> None:
        """Wait a moment, to try once more.

        Raises:
            StoreUnavailableError: it was waited for long enough.
        """
        self._failures += 1
        is_over = self._effects.monotonic() + _PAUSE > self._until
        # The time may have gone by while this process was stopped, and not while Redis was away.
        if error.in_vain or not self._wait or (is_over and self._failures > 1):
            raise StoreUnavailableError(str(error)) from None
        await self._effects.sleep(_PAUSE)


class RedisCommands:
    """The connection of one store.

    Args:
        driver: reaches Redis.
        patience: seconds after which Redis counts as away.
        effects: waiting.
        wait: seconds for which a command that somebody needs is tried again while it is away.
    """

    def __init__(self, driver: Driver, patience: float, effects: StoreEffects, wait: float = 0.0) -> None:
        self._driver = driver
        self._patience = patience
        self._wait = wait
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
            raise StoreUnavailableError(str(_told(error))) from None

    async def submit(self, command: Command) -> Any:
        """Send a command and return its answer. It is sent even if the caller is cancelled meanwhile.

        Raises:
            StoreUnavailableError: there was no answer, so it may have happened or not; or Redis refused it.
        """
        try:
            return await self.try_once(command)
        except AwayError as error:
            raise StoreUnavailableError(str(error)) from None

    async def submit_patiently(self, command: Command) -> Any:
        """The same; while Redis is away it is sent again. The command must be one that may happen twice.

        Raises:
            StoreUnavailableError: there was no answer for the whole wait; or Redis refused it.
        """
        waiting = self.waiting()
        while True:
            try:
                return await self.try_once(command)
            except AwayError as error:
                await waiting.after(error)

    async def info(self, section: str) -> list[Mapping[str, Any]]:
        """What Redis says of itself, one answer for each server. While it is away it is asked again.

        Args:
            section: such as "persistence".

        Raises:
            StoreUnavailableError: there was no answer for the whole wait; or Redis refused it.
        """
        waiting = self.waiting()
        while True:
            try:
                async with asyncio.timeout(self._patience):
                    told: Mapping[str, Any] = await self.client.info(section)
            except Exception as error:  # noqa: BLE001 (each driver has its own)
                failed = _told(error)
                if not isinstance(failed, AwayError):
                    raise failed from None
                await waiting.after(failed)
            else:
                # The servers of a cluster answer by their names.
                each: list[Any] = list(told.values())
                return each if all(isinstance(value, Mapping) for value in each) else [told]

    async def try_once(self, command: Command) -> Any:
        """The same, once.

        Raises:
            AwayError: there was no answer.
            StoreUnavailableError: Redis refused it.
        """
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._put(_Job(command, future))
        return await future

    def waiting(self) -> Waiting:
        """A wait for a Redis that may be away, from now on."""
        return Waiting(self._effects, self._wait, self._effects.monotonic() + self._wait)

    def post(self, command: Command, after: Callable[[], None] | None = None, *, lasting: bool = False) -> None:
        """Send a command without waiting for it, again while Redis is away; then call `after`.

        Args:
            command: in its place in the order of all.
            after: called when it was carried out.
            lasting: what Redis refuses is tried again too, behind what is sent meanwhile.
        """
        self._put(_Job(command, after=after, lasting=lasting))

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
                except AwayError as error:
                    tries += 1
                    await self._failed(batch, error, tries)
                    continue
                refused = _hand_over(batch, answers)
                tries = tries + 1 if refused else 0
                if refused:
                    await self._refused(refused, tries)
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

    async def _failed(self, batch: list[_Job], error: AwayError, tries: int) -> None:
        # Whoever waits behind them would wait for as long as Redis is away.
        jobs = [*batch, *self._jobs]
        self._jobs.clear()
        for job in jobs:
            if job.future is not None:
                # One each: a traceback belongs to who raises it.
                job.finish(AwayError(str(error), in_vain=error.in_vain))
        again = [job for job in jobs if job.future is None]
        if self._closing and tries >= _LAST_TRIES:
            logger.error("%d changes could not be written to Redis: %s", len(again), error)
            return
        self._jobs.extend(again)
        if again:
            logger.log(logging.WARNING if tries == 1 else logging.DEBUG, "%s; %d changes wait", error, len(again))
            await self._effects.sleep(_PAUSE)

    async def _refused(self, refused: list[tuple[_Job, Exception]], tries: int) -> None:
        """Try again what must be written in the end, such as the outcome of a write."""
        jobs, why = [job for job, _ in refused], refused[0][1]
        if self._closing and tries >= _LAST_TRIES:
            logger.error("%d changes could not be written to Redis: %s", len(jobs), why)
            return
        self._jobs.extend(jobs)
        logger.log(logging.WARNING if tries == 1 else logging.DEBUG, "%s; %d changes wait", why, len(jobs))
        await self._effects.sleep(_PAUSE)


def _hand_over(batch: list[_Job], answers: list[Any]) -> list[tuple[_Job, Exception]]:
    """Tell those who wait what Redis has answered; what was refused and must be written in the end."""
    refused: list[tuple[_Job, Exception]] = []
    for job, answer in zip(batch, answers, strict=True):
        if isinstance(answer, Exception) and job.lasting:
            refused.append((job, _told(answer)))
            continue
        job.finish(_told(answer) if isinstance(answer, Exception) else answer)
    return refused


def _told(error: Exception) -> AwayError | StoreUnavailableError:
    """What is to be raised: an answer that is an error is no outage."""
    names = _names(error)
    if "ResponseError" in names and not names & _SOON_OVER:
        return StoreUnavailableError(f"Redis refuses what it is told: {error}")
    return _away(error)


def _away(error: Exception) -> AwayError:
    # The text of redis-py names host and port, never the password.
    text = f"Redis is away: {type(error).__name__}: {error}".rstrip(": ")
    return AwayError(text, in_vain=bool(_names(error) & _IN_VAIN))


def _names(error: Exception) -> set[str]:
    # Each driver has classes of its own, by the names of redis-py.
    return {kind.__name__ for kind in type(error).__mro__}
