"""The safeguards, each broken on purpose: a campaign that stays green without one proves nothing of it."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any
from unittest.mock import patch

import attrs

from fusebill_async import client
from fusebill_async.errors import StoreUnavailableError
from fusebill_async.outcome import Outcome, Phase
from fusebill_async.policy import retry
from fusebill_async.policy.quota import Quota
from fusebill_async.policy.retry import RetryBudget, Ruling
from fusebill_async.session import aiohttp_transport, slot
from fusebill_async.settings import SettlingPolicy
from fusebill_async.settling import preparing, reader
from fusebill_async.settling.driver import WriteDriver
from fusebill_async.settling.open_writes import OpenWrites
from fusebill_async.stores import RedisStore, SQLiteStore, lease
from fusebill_async.stores.group_commit import GroupCommit
from fusebill_async.stores.memory import MemoryLocks
from fusebill_async.stores.redis_locks import RedisLocks
from fusebill_async.stores.redis_store import RedisLedger
from fusebill_async.stores.sqlite import SQLiteLedger, SQLiteLocks
from fusebill_async.stores.sqlite_leases import Leases
from fusebill_async.wire import answer


@attrs.frozen
class Mutant:
    """One thing that is broken.

    Attributes:
        about: what a reader should know of it.
        seen_as: how the violation begins that it must lead to.
        in_processes: it is looked for in worlds of processes that share a store.
        patches: what takes the place of what: (object, name, replacement).
    """

    about: str
    seen_as: str
    patches: tuple[tuple[Any, str, Any], ...]
    in_processes: bool = False


_right_session = aiohttp_transport._OwnSessions._make
_right_connect = aiohttp_transport._WatchedConnector.connect


def _session_that_replays(self: Any, *arguments: Any, **options: Any) -> Any:
    """A session that sends a GET or a PUT again by itself, as aiohttp's do."""
    session = _right_session(self, *arguments, **options)
    session._retry_connection = True
    return session


async def _handed_out_again(self: Any, *arguments: Any, **options: Any) -> Any:
    """A connector that gives one exchange a second connection."""
    aiohttp_transport._under_way.get().sent_at = None
    return await _right_connect(self, *arguments, **options)


_right_read, _right_rule = answer.read_value, retry.rule


def _read_anybody(operation: Any, _customer_id: Any, *answer: Any) -> Any:
    return _right_read(operation, None, *answer)


def _send_again(*arguments: Any, **facts: Any) -> Ruling:
    ruling = _right_rule(*arguments, **facts)
    return Ruling.SEND_AGAIN if ruling is Ruling.SETTLE else ruling


def _nothing(*_: Any, **__: Any) -> None:
    return None


def _true(*_: Any, **__: Any) -> bool:
    return True


def _false(*_: Any, **__: Any) -> bool:
    return False


def _no_quiet(*_: Any, **__: Any) -> float:
    return 0.0


def _abort(_: Any) -> str:
    return "abort"


_right_open = {ledger: ledger.open for ledger in (SQLiteLedger, RedisLedger)}
_right_submit = GroupCommit.submit
_DISK = 0.05
"""Seconds until the disk of a mutant has what it was given."""


async def _open_later(self: Any, intent: Any) -> None:
    """Send first, record then."""
    # The coroutine is made when it is run: the process may be gone by then.
    asyncio.get_running_loop().call_later(_DISK, _in_background, _right_open[type(self)], self, intent)


def _in_background(work: Any, *arguments: Any) -> None:
    task = asyncio.get_running_loop().create_task(work(*arguments))
    task.add_done_callback(_has_ended)


def _has_ended(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()


async def _open_and_close(self: Any, intent: Any) -> None:
    await _right_open[type(self)](self, intent)
    self.close(intent)


async def _open_whatever_comes(self: Any, intent: Any) -> None:
    with suppress(StoreUnavailableError):
        await _right_open[type(self)](self, intent)


async def _told_before_the_commit(self: Any, work: Any, *, durable: bool = False) -> Any:
    if not durable:
        return await _right_submit(self, work)
    asyncio.get_running_loop().call_later(_DISK, self.post, work)
    return None


def _takes_any_lease(self: Any, connection: Any, holder: str, _stale: Any) -> None:
    self._bury(connection, holder)


_right_decide = reader.SettlingReader._decide
_right_opening = {store: store.open for store in (SQLiteStore, RedisStore)}


def _absent_is_undone(self: Any, write: Any, found: Any, reason: str) -> Any:
    if write.call.customer_id is not None and found.reading.customer is None:
        return reader.Settled(outcome=Outcome.NOT_APPLIED, reading=found.reading, reason=reason)
    return _right_decide(self, write, found, reason)


def _lists_nothing(_self: Any) -> list[Any]:
    return []


def _as_one_account(self: Any, _account: str) -> None:
    _right_opening[type(self)](self, "one")


def _of_both(name: str, replacement: Any) -> tuple[tuple[Any, str, Any], ...]:
    return tuple((ledger, name, replacement) for ledger in _right_open)


_NO_LEASE = "other: a write whose sender has no lease"
_NO_INTENT = "no durable intent: "

MUTANTS: Mapping[str, Mutant] = {
    "replay on": Mutant(
        "aiohttp sends a PUT again by itself",
        "effect twice: ",
        (
            (aiohttp_transport._OwnSessions, "_make", _session_that_replays),
            (aiohttp_transport._WatchedConnector, "connect", _handed_out_again),
        ),
    ),
    "id check off": Mutant(
        "an answer about another customer is believed",
        "untrue outcome: applied",
        ((slot, "read_value", _read_anybody),),
    ),
    "settling off": Mutant("what is unknown is sent again unread", "effect twice: ", ((slot, "rule", _send_again),)),
    "phase ignored": Mutant(
        "a connection that ended with an error counts as one that was never made",
        "effect twice: ",
        (
            (Phase, "nothing_sent", property(lambda phase: phase is not Phase.ANSWERED)),
            (retry, "BEFORE_SENDING", frozenset(Phase) - {Phase.ANSWERED}),
        ),
    ),
    "answers believed": Mutant(
        "an answer counts, whether it shows the effect or not",
        "applied by a response, but it did not happen",
        ((WriteDriver, "_shows_effect", _true),),
    ),
    "customer lock off": Mutant(
        "writes of one customer overtake each other",
        "lost change: ",
        ((MemoryLocks, "acquire_now", _true), (MemoryLocks, "release", _nothing), (MemoryLocks, "still_held", _true)),
    ),
    "stale read accepted": Mutant(
        "a read that lags is evidence, and the base of a PUT",
        "lost change: ",
        ((reader, "is_evidence", _true), (preparing, "lags_behind", _false)),
    ),
    "429 not waited": Mutant(
        "a refusal for the quota pauses nobody; repeated reads are not counted, so that there are refusals",
        "within a second after a 429",
        ((Quota, "refused", _nothing), (Quota, "take_one_more", _nothing)),
    ),
    "quiet period zero": Mutant(
        "two misses at once prove absence",
        "not applied, but it happened",
        ((SettlingPolicy, "quiet_seconds", _no_quiet),),
    ),
    "lease check off": Mutant(
        "a lease that has run out is not noticed",
        _NO_LEASE,
        ((SQLiteLocks, "still_held", _true), (RedisLocks, "still_held", _true)),
        in_processes=True,
    ),
    "quota never returned": Mutant(
        "what was lent for a call that was not sent is kept for good",
        "quota lent and never returned",
        ((Quota, "give_back", _nothing),),
    ),
    "cancellation drops": Mutant(
        "a write that was sent is dropped with its caller",
        "nobody went on with the write",
        ((client, "_checked_on_cancel", _abort),),
    ),
    "intent after the send": Mutant(
        "a write is sent before its intent is recorded", _NO_INTENT, _of_both("open", _open_later), in_processes=True
    ),
    "intent closed early": Mutant(
        "an intent is closed before its outcome is known",
        _NO_INTENT,
        _of_both("open", _open_and_close),
        in_processes=True,
    ),
    "told before the commit": Mutant(
        "a group of writes is told that it is on the disk, and then committed",
        _NO_INTENT,
        ((GroupCommit, "submit", _told_before_the_commit),),
        in_processes=True,
    ),
    "lease margin off": Mutant(
        "a lease is believed for longer than it lasts",
        _NO_LEASE,
        ((lease, "MARGIN", -1.0),),
        in_processes=True,
    ),
    "404 as evidence": Mutant(
        "that there is no such customer counts as proof that nothing happened",
        "not applied, but it happened",
        ((reader.SettlingReader, "_decide", _absent_is_undone),),
    ),
    "retry budget off": Mutant(
        "every failed request is repeated", "requests repeated within a minute", ((RetryBudget, "take", _true),)
    ),
    "resume skips": Mutant(
        "a new process does not see what a dead one left open",
        "left open, and nobody lists it",
        ((OpenWrites, "listed", _lists_nothing),),
        in_processes=True,
    ),
    "account hash off": Mutant(
        "whoever opens a store is taken for the same account",
        "another account is shown what is open",
        ((SQLiteStore, "open", _as_one_account), (RedisStore, "open", _as_one_account)),
        in_processes=True,
    ),
    "owner unchecked": Mutant(
        "the lease of a process that lives is taken",
        _NO_LEASE,
        ((Leases, "_refusal", _takes_any_lease),),
        in_processes=True,
    ),
    "error taken for success": Mutant(
        "an error of the store is taken for its consent",
        _NO_INTENT,
        _of_both("open", _open_whatever_comes),
        in_processes=True,
    ),
}


@contextmanager
def broken(name: str) -> Generator[None]:
    """Break one of them while the block lasts; "" breaks nothing."""
    patches = MUTANTS[name].patches if name else ()
    with ExitStack() as stack:
        for place, attribute, replacement in patches:
            stack.enter_context(patch.object(place, attribute, replacement))
        yield
