"""One thread that writes to a SQLite file, and commits in one transaction whatever has queued up.

A commit that must survive a power cut costs one fsync, however many writes it holds: while one fsync runs, the
next writes gather. Results come back to the event loops that asked.
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
from typing import Any, Protocol, TypeAlias

import attrs

from fusebill_async.errors import ClientStateError, StoreUnavailableError

logger = logging.getLogger("fusebill_async.store")

Work: TypeAlias = Callable[[sqlite3.Connection], Any]

_LARGEST_BATCH = 1000
_PAUSE = 0.2
"""Seconds before a batch that nobody waits for is tried again."""
_LAST_TRIES = 3
"""How often a batch is tried when the thread is to end."""


class Timer(Protocol):
    """Work that the thread does by itself when it is due."""

    def due(self) -> float | None:
        """When, on the monotonic clock; None for not at all."""
        ...

    def run(self, connection: sqlite3.Connection) -> None:
        """Do it, inside a transaction."""
        ...

    def ended(self, *, committed: bool) -> None:
        """A transaction has ended, whatever was in it."""
        ...


@attrs.define(eq=False)
class _Job:
    work: Work
    durable: bool = False
    future: asyncio.Future[Any] | None = None
    after: Callable[[], None] | None = None
    value: Any = None

    def finish(self, error: Exception | None) -> None:
        future = self.future
        # Cancelled meanwhile: what was written stays, and whoever cancelled takes it back by a later job.
        if future is None or future.done():
            return
        if error is None:
            future.set_result(self.value)
        else:
            # One each: whoever gets it may write into it which call it was.
            told = StoreUnavailableError(f"the store cannot be written to: {error}")
            told.__cause__ = error
            future.set_exception(told)


class GroupCommit:
    """The only writer of one store.

    Args:
        connect: opens the file; called in the thread.
        timer: work of the thread itself.

    Attributes:
        commits: transactions committed so far.
        syncs: those of them that were on the disk before anybody was told.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection], timer: Timer) -> None:
        self._connect = connect
        self._timer = timer
        self._gathered: list[_Job] = []
        self._gathered_in: asyncio.AbstractEventLoop | None = None
        self._jobs: deque[_Job] = deque()
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._ended: list[_Job] = []
        self._process = os.getpid()
        self._full = False
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

    def post(self, work: Work, after: Callable[[], None] | None = None) -> None:
        """Have work done without waiting for it; it is tried until it succeeds.

        Args:
            work: gets the connection.
            after: called in the thread when it is committed.
        """
        self._put(_Job(work, after=after))

    async def aclose(self) -> None:
        """Write what is queued and end the thread."""
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._hand_over()
        with self._wake:
            if self._thread is None:
                return
            self._stopping = True
            self._ended.append(_Job(_nothing, future=ended))
            self._wake.notify()
        await ended

    def _put(self, job: _Job) -> None:
        if os.getpid() != self._process:
            raise ClientStateError("the store was made before a fork: make one in each process that uses it")
        loop = asyncio.get_running_loop()
        with self._wake:
            self._gathered.append(job)
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
                self._wake.notify()
            elif self._jobs:
                self._thread = threading.Thread(target=self._run, name="fusebill-store", daemon=True)
                self._thread.start()

    # --- in the thread

    def _run(self) -> None:
        connection: sqlite3.Connection | None = None
        tries = 0
        while True:
            batch, ended = self._next_batch()
            if not batch:
                break
            try:
                if connection is None:
                    connection = self._connect()
                    self._full = False
                self._commit(connection, batch)
            except Exception as error:  # noqa: BLE001 (a thread that died of it would leave every caller waiting)
                tries += 1
                _close(connection)
                connection = None
                self._failed(batch, error, tries)
            else:
                tries = 0
                _deliver(batch, None)
        _close(connection)
        for job in ended:
            _deliver([job], None)

    def _next_batch(self) -> tuple[list[_Job], list[_Job]]:
        """Wait for something to do; nothing means that the thread is to end, and to tell those that wait for that."""
        with self._wake:
            while True:
                due = self._timer.due()
                now = time.monotonic()
                is_due = due is not None and due <= now
                if self._jobs or is_due:
                    batch = [_Job(self._timer.run)] if is_due else []
                    batch += [self._jobs.popleft() for _ in range(min(len(self._jobs), _LARGEST_BATCH))]
                    return batch, []
                if self._stopping:
                    # A later job starts another thread; this one takes nothing more.
                    self._stopping = False
                    self._thread = None
                    ended, self._ended = self._ended, []
                    return [], ended
                self._wake.wait(None if due is None else due - now)

    def _commit(self, connection: sqlite3.Connection, batch: list[_Job]) -> None:
        durable = any(job.durable for job in batch)
        if durable is not self._full:
            # In WAL mode NORMAL leaves the fsync to the next one; the file stays whole either way.
            connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self._full = durable
        committed = False
        try:
            connection.execute("BEGIN IMMEDIATE")
            for job in batch:
                job.value = job.work(connection)
            connection.execute("COMMIT")
            committed = True
        finally:
            self._timer.ended(committed=committed)
        self.commits += 1
        self.syncs += durable
        for job in batch:
            if job.after is not None:
                job.after()

    def _failed(self, batch: list[_Job], error: Exception, tries: int) -> None:
        _deliver(batch, error)
        again = [job for job in batch if job.future is None and job.work != self._timer.run]
        with self._wake:
            if self._stopping and tries >= _LAST_TRIES:
                logger.error("%d changes could not be written to the store: %s", len(again), error)
                return
            # Before everything that came later, so that the order stays.
            self._jobs.extendleft(reversed(again))
        level = logging.WARNING if tries == 1 else logging.DEBUG
        logger.log(level, "the store cannot be written to (%s); %d changes wait", error, len(again))
        time.sleep(_PAUSE)


def _nothing(_: sqlite3.Connection) -> None:
    """What a job does that only waits."""


def _close(connection: sqlite3.Connection | None) -> None:
    if connection is not None:
        try:
            connection.close()
        except sqlite3.Error as error:
            logger.warning("the store did not close: %s", error)


def _deliver(batch: list[_Job], error: Exception | None) -> None:
    """Tell everybody who waits, with one call into each event loop."""
    loops: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
    for job in batch:
        if job.future is not None:
            loops.setdefault(job.future.get_loop(), []).append(job)
    for loop, jobs in loops.items():
        try:
            loop.call_soon_threadsafe(_finish, jobs, error)
        except RuntimeError:
            logger.debug("an event loop was closed while it waited for the store")


def _finish(jobs: list[_Job], error: Exception | None) -> None:
    for job in jobs:
        job.finish(error)
