"""The one place that writes to a store's SQLite file: it commits in one transaction whatever has queued up.

A commit that must survive a power cut costs one fsync, however many writes it holds: while one fsync runs, the
next writes gather. That is done in a thread, and results come back to the event loops that asked.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from math import inf
from typing import Any, Protocol, TypeAlias

import attrs

from fusebill_async.errors import ClientStateError, StoreUnavailableError
from fusebill_async.stores.effects import StoreEffects

logger = logging.getLogger("fusebill_async.store")

Work: TypeAlias = Callable[[sqlite3.Connection], Any]

_LARGEST_BATCH = 1000
_PAUSE = 0.2
"""Seconds before a batch that nobody waits for is tried again."""
_LAST_TRIES = 3
"""How often a batch is tried when the store is being closed."""


class File(Protocol):
    """The file that is written to."""

    def connect(self) -> sqlite3.Connection:
        """Open it, and make it if it is not there."""
        ...

    def is_there(self) -> bool:
        """Whether others who open the path now get what this connection writes to."""
        ...

    def restore(self, connection: sqlite3.Connection) -> None:
        """Write what was lost, if anything was, inside a transaction: it comes before all else."""
        ...

    def restored(self) -> None:
        """That is committed."""
        ...


class Timer(Protocol):
    """Work that is done without being asked for, when it is due."""

    def due(self) -> float | None:
        """When, on the monotonic clock; None for not at all."""
        ...

    def run(self, connection: sqlite3.Connection) -> None:
        """Do it, inside a transaction."""
        ...

    def ended(self, *, committed: bool) -> None:
        """A transaction has ended, whatever was in it."""
        ...


class _TakenAwayError(Exception):
    """What was committed stands in a file that has no name any more."""


@attrs.define(eq=False)
class _Job:
    work: Work
    durable: bool = False
    future: asyncio.Future[Any] | None = None
    after: Callable[[], None] | None = None
    value: Any = None

    def finish(self, error: Exception | None, name: str) -> None:
        future = self.future
        # Cancelled meanwhile: what was written stays, and whoever cancelled takes it back by a later job.
        if future is None or future.done():
            return
        if error is None:
            future.set_result(self.value)
        else:
            # One each: whoever gets it may write into it which call it was.
            told = StoreUnavailableError(f"the {name} cannot be written to: {error}")
            told.__cause__ = error
            future.set_exception(told)


class GroupCommit:
    """The only writer of one store.

    Args:
        file: what is written to; it is opened and used in the thread.
        timer: work that is done when it is due.
        effects: the clock, and whether there is a thread.
        name: what the file is, for messages.

    Attributes:
        commits: transactions committed so far.
        syncs: those of them that were on the disk before anybody was told.
    """

    def __init__(self, file: File, timer: Timer, effects: StoreEffects, *, name: str = "store") -> None:
        self._name = name
        self._file = file
        self._timer = timer
        self._effects = effects
        self._in_loop = not effects.threads
        self._gathered: list[_Job] = []
        self._gathered_in: asyncio.AbstractEventLoop | None = None
        self._jobs: deque[_Job] = deque()
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._next_turn: asyncio.Handle | None = None
        self._due = inf
        """When the first of the jobs is to be written at the latest, on the monotonic clock."""
        self._looks_at = inf
        """When the thread, if it waits, will look at the jobs by itself."""
        self._stopping = False
        self._ended: list[_Job] = []
        self._process = os.getpid()
        self._connection: sqlite3.Connection | None = None
        self._is_full = False
        self._tries = 0
        self.commits = 0
        self.syncs = 0

    async def submit(self, work: Work, *, durable: bool = False) -> Any:
        """Have work done in a transaction, and return its result when that is committed.

        Whoever is cancelled here may post a job that takes the work back: jobs run in the order they came in.

        Args:
            work: gets the connection.
            durable: return only when it would survive a power cut.

        Raises:
            StoreUnavailableError: it is not in the file.
        """
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._put(_Job(work, durable, future))
        return await future

    def post(self, work: Work, after: Callable[[], None] | None = None, *, within: float = 0.0) -> None:
        """Have work done without waiting for it; it is tried until it succeeds.

        Args:
            work: gets the connection.
            after: called when it is committed, in the thread.
            within: seconds for which it may wait for a transaction of others to ride on.
        """
        self._put(_Job(work, after=after), within)

    async def aclose(self) -> None:
        """Write what is queued, end the thread and close the file."""
        self._hand_over()
        if self._in_loop:
            await self._finish_here()
            return
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with self._wake:
            if self._thread is None:
                return
            self._stopping = True
            self._ended.append(_Job(_nothing, future=ended))
            self._wake.notify()
        await ended

    def _put(self, job: _Job, within: float = 0.0) -> None:
        if os.getpid() != self._process:
            raise ClientStateError("the store was made before a fork: make one in each process that uses it")
        loop = asyncio.get_running_loop()
        with self._wake:
            self._gathered.append(job)
            self._due = min(self._due, self._effects.monotonic() + within)
            if self._gathered_in is not loop:
                # Handed over together at the end of this turn: the thread would else be woken for the first of
                # a thousand, and sync the file for a few of them at a time.
                self._gathered_in = loop
                loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        with self._wake:
            self._jobs.extend(self._gathered)
            self._gathered.clear()
            self._gathered_in = None
            if self._thread is not None:
                if self._due < self._looks_at:
                    self._wake.notify()
            elif self._jobs and not self._in_loop:
                self._start_thread()
            if self._in_loop:
                self._take_turn()

    def _start_thread(self) -> None:
        thread = threading.Thread(target=self._run, name="fusebill-store", daemon=True)
        try:
            thread.start()
        except NotImplementedError:
            self._in_loop = True
        else:
            self._thread = thread

    # --- in a thread

    def _run(self) -> None:
        while True:
            with self._wake:
                wait = 0.0 if self._stopping and self._jobs else self._seconds_to_wait()
                if wait is None or wait > 0:
                    if self._stopping:
                        # A later job starts another thread; this one takes nothing more.
                        self._stopping = False
                        ended, self._ended = self._ended, []
                        self._disconnect()
                        self._thread = None
                        break
                    self._looks_at = inf if wait is None else self._effects.monotonic() + wait
                    self._wake.wait(wait)
                    continue
                batch = self._next_batch()
            time.sleep(self._write(batch))
        _deliver(ended, None)

    # --- in the event loop

    def _take_turn(self) -> None:
        """Write what there is, and see to it that somebody looks again when there is more."""
        if self._next_turn is not None:
            self._next_turn.cancel()
            self._next_turn = None
        wait = self._seconds_to_wait()
        if wait == 0:
            wait = self._write(self._next_batch())
        if wait is not None:
            self._next_turn = asyncio.get_running_loop().call_later(wait, self._take_turn)

    async def _finish_here(self) -> None:
        if self._next_turn is not None:
            self._next_turn.cancel()
            self._next_turn = None
        self._stopping = True
        while self._jobs:
            await self._effects.sleep(self._write(self._next_batch()))
        self._stopping = False
        self._disconnect()

    # --- in either

    def _seconds_to_wait(self) -> float | None:
        """Until there is something to write: 0 is now, None is until somebody asks."""
        timer = self._seconds_to_due()
        if not self._jobs:
            return timer
        wait = max(0.0, self._due - self._effects.monotonic())
        return wait if timer is None else min(wait, timer)

    def _seconds_to_due(self) -> float | None:
        due = None if self._stopping else self._timer.due()
        return None if due is None else max(0.0, due - self._effects.monotonic())

    def _next_batch(self) -> list[_Job]:
        batch = [_Job(self._timer.run)] if self._seconds_to_due() == 0 else []
        batch += [self._jobs.popleft() for _ in range(min(len(self._jobs), _LARGEST_BATCH))]
        if not self._jobs and not self._gathered:
            self._due = inf
        return batch

    def _write(self, batch: list[_Job]) -> float:
        """Write a batch and tell those who wait for it; how many seconds to pause then."""
        try:
            try:
                self._commit(self._connected(), batch)
            except _TakenAwayError:
                self._commit(self._connected(), batch)
        except Exception as error:  # noqa: BLE001 (a thread that died of it would leave every caller waiting)
            self._tries += 1
            self._disconnect()
            return self._failed(batch, error)
        self._tries = 0
        _deliver(batch, None)
        return 0.0

    def _connected(self) -> sqlite3.Connection:
        if self._connection is not None and not self._file.is_there():
            self._disconnect()
        if self._connection is None:
            self._connection = self._file.connect()
            self._is_full = False
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except sqlite3.Error as error:
                logger.warning("the %s did not close: %s", self._name, error)

    def _commit(self, connection: sqlite3.Connection, batch: list[_Job]) -> None:
        durable = any(job.durable for job in batch)
        if durable is not self._is_full:
            # In WAL mode NORMAL leaves the fsync to the next one; the file stays whole either way.
            connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self._is_full = durable
        committed = False
        try:
            connection.execute("BEGIN IMMEDIATE")
            self._file.restore(connection)
            for job in batch:
                job.value = job.work(connection)
            connection.execute("COMMIT")
            # A file that was taken away meanwhile can still be written to, and nobody would ever find it.
            if not self._file.is_there():
                raise _TakenAwayError("its file was taken away")
            committed = True
        finally:
            self._timer.ended(committed=committed)
        self._file.restored()
        self.commits += 1
        self.syncs += durable
        for job in batch:
            if job.after is not None:
                job.after()

    def _failed(self, batch: list[_Job], error: Exception) -> float:
        with self._wake:
            # Whoever waits behind them would wait for as long as the file cannot be written to.
            jobs = [*batch, *self._jobs]
            again = [job for job in jobs if job.future is None and job.work != self._timer.run]
            self._jobs.clear()
            given_up = self._stopping and self._tries >= _LAST_TRIES
            if not given_up:
                self._jobs.extend(again)
                self._due = self._effects.monotonic()
        _deliver(jobs, error, self._name)
        if given_up:
            logger.error("%d changes could not be written to the %s: %s", len(again), self._name, error)
            return 0.0
        level = logging.WARNING if self._tries == 1 else logging.DEBUG
        logger.log(level, "the %s cannot be written to (%s); %d changes wait", self._name, error, len(again))
        return _PAUSE


def _nothing(_: sqlite3.Connection) -> None:
    """What a job does that only waits."""


def _deliver(batch: list[_Job], error: Exception | None, name: str = "store") -> None:
    """Tell everybody who waits, with one call into each event loop."""
    loops: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
    for job in batch:
        if job.future is not None:
            loops.setdefault(job.future.get_loop(), []).append(job)
    for loop, jobs in loops.items():
        try:
            loop.call_soon_threadsafe(_finish, jobs, error, name)
        except RuntimeError:
            logger.debug("an event loop was closed while it waited for the store")


def _finish(jobs: list[_Job], error: Exception | None, name: str) -> None:
    for job in jobs:
        job.finish(error, name)
